"""The command line ``tfjs-codec``: its subcommands are in :mod:`tfjs_codec.cli`."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import cast

from tfjs_codec import __version__
from tfjs_codec.cli import shared
from tfjs_codec.cli.program import run_guarded
from tfjs_codec.cli.shared import EPILOG, Command, Help

# Each is a module beside this one, which is imported when it is asked for.
_COMMANDS = (
    "convert", "batch", "inspect", "diff", "verify", "predict", "preview", "snippet", "bundle",
    "supported",
)  # fmt: skip
_COLLECT_AFTER = 200_000  # new objects; a model of ordinary size makes fewer


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    if argv is None:  # the process is ours, and short
        gc.set_threshold(_COLLECT_AFTER)
        atexit.register(gc.freeze)  # or the interpreter, when it ends, looks at every object

    given = sys.argv[1:] if argv is None else argv

    def work() -> int:
        if "_ARGCOMPLETE" in os.environ:  # the shell asks what may follow
            import argcomplete

            argcomplete.autocomplete(build_parser())
        known = [name for name in _COMMANDS if name in given[:1]] or _COMMANDS
        arguments = _parser(known, given).parse_args(argv)
        if getattr(arguments, "rules", None):
            from tfjs_codec.conversion.rules import load

            load(arguments.rules)
        if not arguments.sandbox or arguments.command == "batch":  # which has one for each model
            result: int = arguments.run(arguments)
            return result
        from tfjs_codec.sandbox import run_apart

        limits = shared.limits(arguments.limit)
        code = run_apart(lambda: arguments.run(arguments), limits)
        assert isinstance(code, int)  # noqa: S101  what run() returns
        return code

    def work_apart() -> int:
        """Work with rules of its own, which end with it."""
        from tfjs_codec.tracing.registry import local_rules

        with local_rules():
            return work()

    has_rules = any(argument.partition("=")[0] == "--rules" for argument in given)
    return run_guarded("tfjs-codec", work_apart if has_rules else work, as_json="--json" in given)


def build_parser() -> argparse.ArgumentParser:
    """Return the whole parser, for completion and the man page."""
    return _parser(_COMMANDS, _COMMANDS)


def _parser(known: Sequence[str], used: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the subcommands *known*; those that are not *used* have no options."""
    parser = shared.Parser(
        prog="tfjs-codec",
        description="Convert Keras models to TensorFlow.js without TensorFlow.",
        epilog=EPILOG,
        formatter_class=Help,
    )
    parser.add_argument("--version", action="version", version=f"tfjs_codec {__version__}")
    commands = parser.add_subparsers(prog=parser.prog, required=True, metavar="COMMAND")
    for name in known:
        command = cast("Command", import_module(f"tfjs_codec.cli.{name}"))
        what = command.WHAT
        inner = commands.add_parser(
            name, help=what, description=f"{what[:1].upper()}{what[1:]}.",
            epilog=EPILOG, formatter_class=Help,
        )  # fmt: skip
        if name in used:
            command.add_options(inner)
            shared.add_common_options(inner)
            inner.set_defaults(command=name, run=command.run)
    return parser
