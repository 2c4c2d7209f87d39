"""``tfjs-codec snippet``."""

from __future__ import annotations

import argparse

from tfjs_codec.cli import shared
from tfjs_codec.cli.program import say

WHAT = "print a page of a few lines that loads a tfjs model and predicts"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    add = parser.add_argument
    add("web", metavar="WEB", help="the directory of the tfjs model, or its model.json")
    add("--url", metavar="URL", default="model.json",
        help="where the page finds the model (default model.json, beside it)")  # fmt: skip
    add("--tfjs", metavar="URL",
        help="where the page finds TensorFlow.js, such as tf.min.js (default: a CDN)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Print the page."""
    from tfjs_codec.options import ConvertOptions
    from tfjs_codec.snippet import TFJS, write_page

    options = ConvertOptions(limits=shared.limits(arguments.limit)).begin()
    source = shared.source(arguments.web, options.limits)
    say(write_page(source, options, model=arguments.url, tfjs=arguments.tfjs or TFJS).rstrip())
    return 0
