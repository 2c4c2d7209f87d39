"""The subcommands: each module has what :class:`~tfjs_codec.cli.shared.Command` says."""
