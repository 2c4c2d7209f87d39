"""``tfjs-codec verify``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tfjs_codec.cli import shared
from tfjs_codec.cli.progress import show_progress
from tfjs_codec.errors import UsageError

if TYPE_CHECKING:
    from tfjs_codec.verification.verify import Verification

WHAT = "check a tfjs model: its files, its names and shapes, and its values and predictions"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    add = parser.add_argument
    add("web", metavar="WEB",
        help="the directory of the tfjs model, or its model.json; with --against also a "
        "SavedModel or Keras file")  # fmt: skip
    add("--against", metavar="SRC",
        help="compare all values and predictions with those of the source model")  # fmt: skip
    add("--samples", metavar="N", type=int, default=2,
        help="compare predictions for N random inputs (default 2, 0 for none)")  # fmt: skip
    add("--calibrate", metavar="NPZ", help="the inputs that SRC was converted with to calibrate it")
    add("--seed", metavar="N", type=int, default=0, help="of the random inputs (default 0)")
    shared.add_reading(parser)
    add("--outputs", metavar="NAMES", help="the layers of SRC whose outputs a graph model returns")
    shared.add_changes(parser)
    add("--node", action="store_true", help="load and run the model in TensorFlow.js in Node")
    add("--node-modules", metavar="DIR", help="where to look for @tensorflow/tfjs (default .)")
    add(
        "--inputs", metavar="NPZ", help="inputs in0, … and recorded predictions out0, … (or in:KEY)"
    )
    add("--tolerance", metavar="X", type=float, default=1e-4,
        help="tolerance of predictions, relative to the largest value (default 1e-4)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Verify, and print what was checked."""
    if not arguments.node and (arguments.inputs or arguments.node_modules):
        raise UsageError("--inputs and --node-modules need --node")
    shared.show(_verify(arguments), arguments)
    return 0


def _verify(arguments: argparse.Namespace) -> Verification:
    from tfjs_codec import api

    reading = shared.reading(arguments)
    limits = reading["limits"]
    against = None if arguments.against is None else shared.source(arguments.against, limits)
    return api.verify(
        arguments.web,
        against,
        samples=arguments.samples,
        seed=arguments.seed,
        node=arguments.node,
        inputs=arguments.inputs,
        node_modules=arguments.node_modules,
        tolerance=arguments.tolerance,
        calibrate=arguments.calibrate,
        **reading,
        outputs=shared.split_names(arguments.outputs),
        rename=arguments.rename,
        replace=arguments.replace,
        progress=show_progress("comparing", arguments),
    )
