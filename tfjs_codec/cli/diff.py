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
    add("--architecture", metavar="FILE", help="the model.to_json() of weights-only files")
    add("--tags", metavar="TAGS", help="the MetaGraph of SavedModels, such as serve,gpu")
    add("--signature-name", metavar="NAME", help="the signature of SavedModels")
    add("--output-node-names", metavar="NAMES", help="the outputs of a frozen graph")
    shared.add_changes(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the differences, and return 1 if there are any."""
    from tfjs_codec import api

    if arguments.a == arguments.b == "-":
        raise UsageError("standard input can be one of the two models, not both")
    limits = shared.limits(arguments.limit)
    found = api.diff(
        shared.source(arguments.a, limits),
        shared.source(arguments.b, limits),
        tolerance=arguments.tolerance,
        architecture=arguments.architecture,
        tags=shared.split_names(arguments.tags),
        signature_name=arguments.signature_name,
        output_node_names=shared.split_names(arguments.output_node_names),
        rename=dict(shared.pairs(arguments.rename)),
        replace=dict(shared.pairs(arguments.replace)),
        limits=limits,
        progress=show_progress("comparing", arguments),
    )
    shared.show(found, arguments)
    return 0 if found.equal else 1
