"""``tfjs-codec convert``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tfjs_codec.cli import shared
from tfjs_codec.cli.progress import show_progress
from tfjs_codec.errors import UsageError

if TYPE_CHECKING:
    from tfjs_codec.options import ConvertOptions
    from tfjs_codec.report import Report

WHAT = "convert a Keras model to tfjs, or a tfjs model to Keras"


_EXAMPLES = """examples:
  tfjs-codec convert model.keras web/                     a Layers model for tf.loadLayersModel
  tfjs-codec convert model.keras web/ --to graph          a graph model for tf.loadGraphModel
  tfjs-codec convert saved_model/ web/ --quantize-uint8   a quarter of the size
  tfjs-codec convert web/ back.keras                      back to Keras
  tfjs-codec convert web/ served/ --to savedmodel         for TensorFlow Serving and TFLite
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    parser.epilog = f"{_EXAMPLES}\n{shared.EPILOG}"
    add = parser.add_argument
    add("source", metavar="SRC", help="a Keras or tfjs model; - is standard input")
    add("destination", metavar="DST", help="the directory, .h5, .keras or .npz file to write")
    add_choices(parser)
    add(
        "--calibrate",
        metavar="NPZ",
        help="for these inputs, round kernels and correct biases, and compare predictions with "
        "the source's",
    )
    add(
        "--no-bias-correction",
        action="store_true",
        help="with --calibrate, only compare predictions",
    )
    add("--preview", action="store_true", help="show the result in the browser, see preview")
    add("--dry-run", action="store_true", help="print the plan and write nothing")


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Add the options of conversions."""
    from tfjs_codec.outputs import QUANTIZE_DTYPES, TARGETS

    add = parser.add_argument
    add(
        "--to",
        metavar="KIND",
        help=f"the output format, overriding DST's suffix: {', '.join(TARGETS)}",
    )
    add("--weight-shard-size", metavar="SIZE", default="4MiB", help="such as 8MiB (default 4MiB)")
    add("--single-shard", action="store_true", help="one weight file of any size")
    add(
        "--split-weights-by-layer", action="store_true", help="separate weight files for each layer"
    )
    for dtype in QUANTIZE_DTYPES:
        add(
            f"--quantize-{dtype}",
            metavar="GLOBS",
            nargs="?",
            const="",
            help="store kernels and embeddings so; with =GLOBS, comma-separated, the weights that "
            "match: '*' is all, '!GLOB' not those",
        )
    add("--quantize", metavar="auto", choices=("auto",), help="choose one of these for each weight")
    add(
        "--max-error", metavar="X", type=float, help="for auto: relative to a kernel (default 0.01)"
    )
    add("--max-bytes", metavar="SIZE", help="for auto, instead: the size of all weights")
    add(
        "--no-rescale",
        action="store_true",
        help="do not move factors between layers before kernels are rounded",
    )
    add(
        "--dequantize",
        action="store_true",
        help="store the weights of a quantised tfjs model as float32",
    )
    add(
        "--metadata",
        metavar="KEY=FILE",
        action=shared.Pairs,
        default={},
        help="a file of JSON to store as KEY, such as labels=labels.json: class names for the page",
    )
    shared.add_reading(parser)
    add(
        "--structured-outputs",
        action="store_true",
        help="return the outputs of a graph model as a map",
    )
    add("--outputs", metavar="NAMES", help="the layers whose outputs a graph model returns")
    shared.add_changes(parser)
    add("--with-page", action="store_true", help="write an index.html that runs the model")
    add("--checksums", action="store_true", help="record the SHA-256 of the weight files")
    add("--training-config", action="store_true", help="keep optimizer, loss and metrics")
    add("--allow-approximate", action="store_true", help="accept conversions that are not exact")
    add("--force", action="store_true", help="write into a directory that is not empty")


def options_of(arguments: argparse.Namespace) -> ConvertOptions:
    """Return the options of a conversion that *arguments* ask for."""
    from tfjs_codec.options import ConvertOptions, parse_size
    from tfjs_codec.outputs import QUANTIZE_DTYPES

    quantize: dict[str, bool | list[str]] = {
        dtype: globs.split(",") if globs else True
        for dtype in QUANTIZE_DTYPES
        if (globs := getattr(arguments, f"quantize_{dtype}")) is not None
    }
    if arguments.quantize:
        quantize[arguments.quantize] = True
    return ConvertOptions(
        to=arguments.to,
        dequantize=arguments.dequantize,
        rescale=not arguments.no_rescale,
        max_error=arguments.max_error,
        max_bytes=parse_size(arguments.max_bytes) if arguments.max_bytes else None,
        shard_size_bytes=parse_size(arguments.weight_shard_size),
        single_shard=arguments.single_shard,
        split_weights_by_layer=arguments.split_weights_by_layer,
        quantize=quantize,
        metadata={key: shared.json_file(file) for key, file in arguments.metadata.items()} or None,
        training_config=arguments.training_config,
        **shared.reading(arguments),
        structured_outputs=arguments.structured_outputs,
        outputs=shared.split_names(arguments.outputs),
        rename=arguments.rename,
        checksums=arguments.checksums,
        with_page=arguments.with_page,
        allow_approximate=arguments.allow_approximate,
        force=arguments.force,
    )


def run(arguments: argparse.Namespace) -> int:
    """Convert, and print the report."""
    import numpy as np  # noqa: F401  imported from deep in the stack it takes some ms more

    from tfjs_codec import api
    from tfjs_codec.options import no_effect

    options = options_of(arguments)
    source = shared.source(arguments.source, options.limits)
    replace = arguments.replace
    if arguments.preview and (arguments.dry_run or arguments.sandbox):
        raise UsageError("--preview does not go with --dry-run or --sandbox", hint="Leave one out.")
    if arguments.dry_run:
        if arguments.calibrate:
            raise no_effect("calibrate", "a dry run")
        if arguments.no_bias_correction:
            raise no_effect("bias_correction", "a dry run")
        report = api.plan(source, arguments.destination, options=options, replace=replace)
    else:
        progress = show_progress("writing", arguments)
        report = api.convert(
            source, arguments.destination, options=options, replace=replace, progress=progress,
            calibrate=arguments.calibrate, bias_correction=not arguments.no_bias_correction,
        )  # fmt: skip
    shared.show(report, arguments)
    return _preview(arguments, options, report) if arguments.preview else 0


def _preview(arguments: argparse.Namespace, options: ConvertOptions, report: Report) -> int:
    """Show what was written, with the *report* of the conversion."""
    from tfjs_codec.cli import preview
    from tfjs_codec.options import ConvertOptions
    from tfjs_codec.preview.facts import collect

    reading = ConvertOptions(limits=options.limits)
    facts = collect(arguments.destination, reading, report=report)
    return preview.serve(arguments.destination, facts, reading, arguments)
