"""``tfjs-codec supported``."""

from __future__ import annotations

import argparse

from tfjs_codec.cli import shared
from tfjs_codec.cli.program import say

WHAT = "say what a Keras layer or operation becomes, or print the table of all"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="such as GRU or logsumexp; without it, all"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what is supported."""
    from tfjs_codec import supported

    if arguments.name:
        shared.show(supported.look_up(arguments.name), arguments)
    elif arguments.json:
        shared.show(supported.list_all(), arguments)
    else:
        say(supported.render().rstrip())
    return 0
