"""``tfjs-codec inspect``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tfjs_codec.cli import shared
from tfjs_codec.cli.progress import show_progress

if TYPE_CHECKING:
    from tfjs_codec.options import ConvertOptions


WHAT = "describe a model file, and what a conversion would do"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    add = parser.add_argument
    add("source", metavar="PATH", help="a model of any format we read; - is standard input")
    shared.add_reading(parser)
    add("--allow-approximate", action="store_true", help="accept conversions that are not exact")
    add("--plot", metavar="FILE", help="write a picture of parameters and weights (SVG)")
    add("--force", action="store_true", help="replace FILE if it is no picture of ours")


def run(arguments: argparse.Namespace) -> int:
    """Print the inspection."""
    from tfjs_codec import api
    from tfjs_codec.options import ConvertOptions

    options = ConvertOptions(
        **shared.reading(arguments),
        allow_approximate=arguments.allow_approximate,
    )
    source = shared.source(arguments.source, options.limits)
    found = api.inspect(source, options=options)
    if arguments.plot:
        _plot(source, options, arguments)
    shared.show(found, arguments)
    return 0


def _plot(source: str | bytes, options: ConvertOptions, arguments: argparse.Namespace) -> None:
    from pathlib import Path

    from tfjs_codec import api
    from tfjs_codec.files.sink import check_file_destination, write_file
    from tfjs_codec.preview.plot import START

    path = Path(arguments.plot)
    target = check_file_destination(path, (START.encode(),), force=arguments.force)
    progress = show_progress("reading", arguments)
    svg = api.plot(source, options=options, progress=progress).svg
    write_file(target, svg.encode())
