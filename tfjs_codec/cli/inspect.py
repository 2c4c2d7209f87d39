"""``tfjs-codec inspect``."""

from __future__ import annotations

import argparse

from tfjs_codec.cli import shared

WHAT = "describe a model file, and what a conversion would do"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    add = parser.add_argument
    add("source", metavar="PATH", help="a model of any format we read; - is standard input")
    add("--architecture", metavar="FILE", help="the model.to_json() of a weights-only file")
    add("--tags", metavar="TAGS", help="the MetaGraph of a SavedModel, such as serve,gpu")
    add(
        "--output-node-names",
        metavar="NAMES",
        help="the outputs of a frozen graph, such as y,boxes:1",
    )
    add("--allow-approximate", action="store_true", help="accept conversions that are not exact")


def run(arguments: argparse.Namespace) -> int:
    """Print the inspection."""
    from tfjs_codec import api

    limits = shared.limits(arguments.limit)
    found = api.inspect(
        shared.source(arguments.source, limits),
        architecture=arguments.architecture,
        tags=shared.split_names(arguments.tags),
        output_node_names=shared.split_names(arguments.output_node_names),
        allow_approximate=arguments.allow_approximate,
        limits=limits,
    )
    shared.show(found, arguments)
    return 0
