"""The subcommands: each module has ``add_parser(commands)`` and a ``run(arguments)``."""
