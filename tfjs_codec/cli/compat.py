"""``tfjs-codec-compat``: the flags of the official ``tensorflowjs_converter`` 4.22.

A script that calls ``tensorflowjs_converter`` can call this instead; ``--install-alias`` writes a
launcher of that name for scripts that cannot be changed. What an official flag asks for and we do
anyway is accepted; what we do not do is refused with what to use. A format that does not fit the
file is corrected, with a note. As there, an existing output directory is written into, whatever
else is in it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfjs_codec import __version__, api
from tfjs_codec.cli import shared
from tfjs_codec.cli.program import run_guarded, say
from tfjs_codec.errors import UsageError, quote, visible
from tfjs_codec.options import ConvertOptions
from tfjs_codec.outputs import QUANTIZE_DTYPES, Target

_NAME = "tfjs-codec-compat"
_KERAS = ("keras", "keras_keras", "keras_saved_model")
_GRAPHS = ("tf_saved_model", "tf_hub", "tf_frozen_model")
_TFJS_INPUT = "tfjs_layers_model"
# Our target for each pair of formats, and for others what to do instead.
_TARGETS: dict[tuple[str, str], Target] = {
    **dict.fromkeys(((keras, "tfjs_layers_model") for keras in (*_KERAS, _TFJS_INPUT)), "layers"),
    **dict.fromkeys(
        ((any_, "tfjs_graph_model") for any_ in (*_KERAS, *_GRAPHS, _TFJS_INPUT)), "graph"
    ),
    (_TFJS_INPUT, "keras"): "h5",
    (_TFJS_INPUT, "keras_keras"): "keras",
    (_TFJS_INPUT, "keras_saved_model"): "savedmodel",
}
_DEFAULT_OUTPUT = {
    **dict.fromkeys(_KERAS, "tfjs_layers_model"),
    **dict.fromkeys(_GRAPHS, "tfjs_graph_model"),
    _TFJS_INPUT: "keras",
}
_INPUTS = tuple(_DEFAULT_OUTPUT)
_H5 = (".h5", ".hdf5")
_OUTPUTS = ("tfjs_layers_model", "tfjs_graph_model", "keras", "keras_keras", "keras_saved_model")
# The formats that a file can be, by what files.detection.sniff says; the first is its name here.
_FITTING = {
    "hdf5": ("keras",),
    "zip": ("keras_keras", _TFJS_INPUT),
    "saved_model": ("tf_saved_model", "keras_saved_model", "tf_hub"),
    "tar": ("tf_hub", "tf_saved_model", "keras_saved_model"),
    "json": (_TFJS_INPUT,),
    "tfjs_directory": (_TFJS_INPUT,),
    "graph_def": ("tf_frozen_model",),
}
# What the hints of tfjs-codec name, and what it is called here.
_OFFICIAL = {
    "--to graph": "--output_format=tfjs_graph_model",
    "--to layers": "--output_format=tfjs_layers_model",
    "--signature-name": "--signature_name",
    "--output-node-names": "--output_node_names",
    "--tags": "--saved_model_tags",
}
_ALIAS = "tensorflowjs_converter"
_BYTES_TO_DTYPE = {1: "uint8", 2: "uint16"}
# Flags that change nothing here, and why.
_WITHOUT_EFFECT = {
    "skip_op_check": "operations that tfjs lacks are always refused",
    "control_flow_v2": "control flow is always converted to operations that all backends support",
    "experiments": "there are no experimental features",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_guarded(_NAME, lambda: run(argv), _spell)


def run(argv: Sequence[str] | None) -> int:
    """Convert as the arguments *argv* say, and return 0.

    Raises:
        SystemExit: They ask for help.
        UsageError: They make no sense.
        TfjsCodecError: As :func:`tfjs_codec.convert` raises it.
    """
    return _run(_parser().parse_args(argv))


def _spell(message: str) -> str:
    """Return *message* with the flags of this program in the place of those of tfjs-codec."""
    for ours, official in _OFFICIAL.items():
        message = re.sub(rf"{ours}\b", official, message)
    known = {flag for action in _parser()._actions for flag in action.option_strings}
    other = sorted(set(re.findall(r"--[a-z][a-z-]+\b", message)) - known)
    if not other:
        return message
    return f"{message} ({', '.join(other)}: of tfjs-codec convert, not of this program.)"


def _parser() -> argparse.ArgumentParser:
    parser = shared.Parser(
        prog=_NAME,
        description="Convert models with the flags of tensorflowjs_converter.",
        epilog=shared.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("input_path", nargs="?", help="the model to convert")
    add("output_path", nargs="?", help="where to write")
    add("--input_format", choices=("auto", *_INPUTS), default="tf_saved_model")
    add("--output_format", choices=_OUTPUTS)
    add("--signature_name", help="the signature of a SavedModel")
    add("--saved_model_tags", help="the tags of a SavedModel, comma-separated")
    for dtype in QUANTIZE_DTYPES:
        add(f"--quantize_{dtype}", nargs="?", const="*", metavar="GLOBS",
            help="weights to quantise, comma-separated; all if no value is given")  # fmt: skip
    add("--quantization_bytes", type=int, choices=tuple(_BYTES_TO_DTYPE), help="deprecated")
    add(
        "--split_weights_by_layer", action="store_true", help="separate weight files for each layer"
    )
    add("--weight_shard_size_bytes", type=int, help="the size of weight files (default 4 MiB)")
    add("--output_node_names", help="the outputs of a frozen graph, comma-separated")
    add("--metadata", help="JSON to store, as comma-separated KEY:FILE")
    add(
        "--use_structured_outputs_names",
        type=bool,
        default=False,
        help="return the outputs as a map",
    )
    add("--skip_op_check", action="store_true", help="has no effect")
    add("--strip_debug_ops", type=bool, default=True, help="has no effect: they are stripped")
    for flag in ("control_flow_v2", "experiments"):
        add(f"--{flag}", type=bool, default=False, help="has no effect")
    add("--version", "-v", action="store_true", help="print the version")
    add("--install-alias", metavar="DIR", help=f"write a {_ALIAS} that runs this into DIR")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if arguments.version:
        say(f"tfjs_codec {__version__}")
        return 0
    if arguments.install_alias is not None:
        return _install_alias(arguments.install_alias)
    _move_swallowed_path(arguments)
    options = _options(arguments)
    for flag, why in _WITHOUT_EFFECT.items():
        if getattr(arguments, flag):
            _note(f"--{flag} has no effect: {why}")
    report = api.convert(arguments.input_path, arguments.output_path, options=options)
    for warning in report.warnings:
        print(f"{_NAME}: warning: {visible(warning)}", file=sys.stderr)
    return 0


def _options(arguments: argparse.Namespace) -> ConvertOptions:
    """Return our options for the official *arguments*.

    Raises:
        UsageError: A combination that we or the official converter do not have.
    """
    for name in ("input_path", "output_path"):
        if not getattr(arguments, name):
            raise UsageError(f"{name} is missing", hint="See --help.")
    if "://" in arguments.input_path:
        raise UsageError(
            f"{quote(arguments.input_path)} is not downloaded",
            hint="Download the model and give its path.",
        )
    source, target = _formats(arguments)
    _check(arguments, source, target)
    choices: dict[str, Any] = {}
    if arguments.weight_shard_size_bytes is not None:
        choices["shard_size_bytes"] = arguments.weight_shard_size_bytes
    return ConvertOptions(
        to=target,
        quantize=_quantize(arguments),
        split_weights_by_layer=arguments.split_weights_by_layer,
        metadata=_metadata(arguments.metadata),
        tags=shared.split_names(arguments.saved_model_tags),
        signature_name=arguments.signature_name,
        output_node_names=shared.split_names(arguments.output_node_names),
        structured_outputs=arguments.use_structured_outputs_names,
        force=True,
        **choices,
    )


def _formats(arguments: argparse.Namespace) -> tuple[str, Target]:
    """Return the input format, corrected if the file is of another one, and our target."""
    source = _find_format(arguments.input_format, arguments.input_path)
    output = arguments.output_format or _DEFAULT_OUTPUT[source]
    target = _TARGETS.get((source, output))
    if target is None:
        outputs = [two for one, two in _TARGETS if one == source]
        hint = f"Use --output_format={' or '.join(outputs)}."
        raise UsageError(f"{source} is not converted to {output}", hint=hint)
    if output == "keras" and not arguments.output_path.lower().endswith(_H5):
        # As the official converter's model.save() does.
        target = "keras" if arguments.output_path.lower().endswith(".keras") else "savedmodel"
    return source, target


def _find_format(given: str, path: str) -> str:
    from tfjs_codec.files.detection import sniff
    from tfjs_codec.files.source import open_source

    fitting = _FITTING.get(sniff(open_source(path)), ())
    if given in fitting or not fitting:  # what is of no known format is refused when it is read
        return given
    if given != "auto":
        _note(f"{quote(path)} is not {given} but {fitting[0]}, and is converted as such")
    return fitting[0]


def _move_swallowed_path(arguments: argparse.Namespace) -> None:
    """Give back the path that a bare ``--quantize_uint8`` before it took as its globs."""
    if arguments.output_path is not None or arguments.input_path is None:
        return
    for dtype in QUANTIZE_DTYPES:
        value = getattr(arguments, f"quantize_{dtype}")
        if value is not None and Path(value).exists():
            setattr(arguments, f"quantize_{dtype}", "*")
            arguments.input_path, arguments.output_path = value, arguments.input_path
            return


def _install_alias(directory: str) -> int:
    """Write an executable ``tensorflowjs_converter`` that runs this program into *directory*."""
    from tfjs_codec.files.sink import check_file_destination, write_file

    path, windows = Path(directory) / _ALIAS, os.name == "nt"
    code = f'"{sys.executable}" -m tfjs_codec.cli.compat'
    text = f"@{code} %*\r\n" if windows else f'#!/bin/sh\nexec {code} "$@"\n'
    path = path.with_suffix(".bat") if windows else path
    check_file_destination(path, (b"#!/bin/sh\nexec", b"@"), force=False)
    write_file(path, text.encode(), executable=True)
    say(f"{path} runs {_NAME}")
    return 0


def _note(text: str) -> None:
    print(f"{_NAME}: note: {visible(text)}", file=sys.stderr)


def _check(arguments: argparse.Namespace, source: str, target: str) -> None:
    """Refuse flags where the official converter does."""
    for flag, allowed, where in (
        ("signature_name", source in ("tf_saved_model", "tf_hub"), "SavedModels"),
        ("weight_shard_size_bytes", target in ("layers", "graph"), "tfjs models"),
        ("control_flow_v2", target == "graph", "--output_format=tfjs_graph_model"),
    ):
        if getattr(arguments, flag) and not allowed:
            raise UsageError(f"--{flag} is only for {where}")
    if source == "tf_frozen_model" and not arguments.output_node_names:
        raise UsageError("--input_format=tf_frozen_model needs --output_node_names")
    if arguments.output_node_names and source != "tf_frozen_model":
        _note("--output_node_names has no effect: only frozen graphs need it")
        arguments.output_node_names = None


def _quantize(arguments: argparse.Namespace) -> dict[str, Any]:
    from tfjs_codec.writers.quantize_choice import ALL, escape

    given = {
        dtype: [escape(glob) for glob in globs.split(",")]
        for dtype in QUANTIZE_DTYPES
        if (globs := getattr(arguments, f"quantize_{dtype}")) is not None
    }
    if arguments.quantization_bytes is None:
        return given
    dtype = _BYTES_TO_DTYPE[arguments.quantization_bytes]
    if given:
        raise UsageError(
            "--quantization_bytes cannot be used with the newer flags",
            hint=f"Leave it out; --quantize_{dtype} does the same.",
        )
    return {dtype: [ALL]}


def _metadata(text: str | None) -> dict[str, Any] | None:
    if not text:
        return None
    found = {}
    for item in text.split(","):
        key, colon, file = item.partition(":")
        if not (key and colon and file):
            raise UsageError(f"--metadata: {quote(item)} should read KEY:FILE")
        found[key] = shared.json_file(file)
    return found


if __name__ == "__main__":
    sys.exit(main())
