"""``tfjs-codec diff``."""

from __future__ import annotations

import argparse

from tfjs_codec.cli import shared
from tfjs_codec.cli.progress import show_progress
from tfjs_codec.errors import UsageError

WHAT = "compare the layers and weights of two models of any formats"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    parser.epilog = (
        f"exit codes: 0 equal, 1 different, otherwise as for all commands:\n{shared.EPILOG}"
    )
    add = parser.add_argument
    add("a", metavar="A", help="a model of any format we read")
    add("b", metavar="B", help="another one")
    add("--tolerance", metavar="X", type=float, default=0.0,
        help="values may differ by this much (default 0)")  # fmt: skip
    shared.add_reading(parser)
    shared.add_changes(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the differences, and return 1 if there are any."""
    from tfjs_codec import api

    if arguments.a == arguments.b == "-":
        raise UsageError("A and B are both standard input", hint="Name one of them.")
    reading = shared.reading(arguments)
    limits = reading["limits"]
    found = api.diff(
        shared.source(arguments.a, limits),
        shared.source(arguments.b, limits),
        tolerance=arguments.tolerance,
        **reading,
        rename=arguments.rename,
        replace=arguments.replace,
        progress=show_progress("comparing", arguments),
    )
    shared.show(found, arguments)
    return 0 if found.equal else 1
