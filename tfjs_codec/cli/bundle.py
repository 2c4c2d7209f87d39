"""``tfjs-codec bundle``."""

from __future__ import annotations

import argparse
from typing import cast

from tfjs_codec.cli import shared

WHAT = "write what a bundler makes a small tfjs of, with just what one tfjs model needs"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    add = parser.add_argument
    add("web", metavar="WEB", help="the directory of the tfjs model, or its model.json")
    add("--out", metavar="DIR", default="custom_tfjs",
        help="the directory to write (default custom_tfjs)")  # fmt: skip
    add("--backend", metavar="NAMES", default="webgl",
        help="webgl, wasm, cpu, or several with commas (default webgl)")  # fmt: skip
    add("--also", metavar="NAMES",
        help="functions that the page calls itself, such as argMax,browser.fromPixels")  # fmt: skip
    add("--inputs", metavar="NPZ", help="run the model with inputs in0, …, not with made-up ones")
    add("--node-modules", metavar="DIR", help="where to look for @tensorflow/tfjs (default .)")
    add("--force", action="store_true", help="write into a directory that is not empty")


def run(arguments: argparse.Namespace) -> int:
    """Write the files, and print what the model needs."""
    from tfjs_codec import api
    from tfjs_codec.bundling.bundle import Backend

    found = api.bundle(
        arguments.web,
        arguments.out,
        backends=cast("list[Backend]", shared.split_names(arguments.backend)),
        also=shared.split_names(arguments.also) or (),
        inputs=arguments.inputs,
        node_modules=arguments.node_modules,
        force=arguments.force,
        limits=shared.limits(arguments.limit),
    )
    shared.show(found, arguments)
    return 0
