"""The command line: arguments to options, errors to exit codes, messages to standard error."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfjs_codec import __version__
from tfjs_codec.errors import TfjsCodecError, UsageError

if TYPE_CHECKING:
    from tfjs_codec.report.report import Report

_EPILOG = """exit codes: 0 done, 1 internal error, 2 wrong usage, 3 damaged or unknown input,
4 unsafe input, 5 tfjs cannot express the model, 6 output failed, 130 interrupted"""
_QUIET_S = 0.5  # shorter work shows no progress


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        arguments = _parser().parse_args(argv)
        try:
            _convert(arguments)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader of our output has left
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except TfjsCodecError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        _complain(f"{error.filename or 'system'}: {error.strerror or error}")
        return 3
    except Exception as error:  # the last resort: one line, no traceback
        if os.environ.get("TFJS_CODEC_DEBUG"):
            raise
        _complain(
            f"internal error: {type(error).__name__}: {error}. Please report it; "
            "TFJS_CODEC_DEBUG=1 shows where it happened."
        )
        return 1
    return 0


def _complain(text: str) -> None:
    visible = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    print(f"tfjs-codec: error: {visible}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfjs-codec",
        description="Convert Keras models to TensorFlow.js without TensorFlow.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tfjs_codec {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    convert = commands.add_parser(
        "convert",
        help="convert a Keras HDF5 or .keras file to a tfjs Layers model",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = convert.add_argument
    add("source", metavar="SRC", help="a Keras .h5 or .keras file; - is standard input")
    add("destination", metavar="DST", help="the directory to write")
    add("--weight-shard-size", metavar="SIZE", default="4MiB", help="such as 8MiB (default 4MiB)")
    add("--single-shard", action="store_true", help="one weight file of any size")
    add("--split-weights-by-layer", action="store_true", help="weight files for every layer")
    for dtype in ("float16", "uint8", "uint16"):
        add(
            f"--quantize-{dtype}",
            metavar="GLOBS",
            nargs="?",
            const="*",
            help="store weights (those matching comma-separated globs, with '=') so",
        )
    add("--metadata", metavar="KEY=FILE", action="append", default=[], help="JSON to store as KEY")
    add("--architecture", metavar="FILE", help="the model.to_json() of a weights-only file")
    add("--tags", metavar="TAGS", help="the MetaGraph of a SavedModel, such as serve,gpu")
    add("--no-checksums", action="store_true", help="trust the values of a SavedModel unread")
    add(
        "--replace",
        metavar="LAYER=FILE",
        action="append",
        default=[],
        help="a Keras model to put in the place of a layer (a Lambda, a custom layer)",
    )
    add("--training-config", action="store_true", help="keep optimizer, loss and metrics")
    add("--allow-approximate", action="store_true", help="accept nearly exact lowerings")
    add("--limit", metavar="NAME=VALUE", action="append", default=[], help="raise a safety limit")
    add("--force", action="store_true", help="write into a directory that holds other things")
    add("--dry-run", action="store_true", help="print the plan and write nothing")
    add("--json", action="store_true", help="print the report as JSON")
    add("--quiet", action="store_true", help="print nothing but errors")
    return parser


def _convert(arguments: argparse.Namespace) -> None:
    from tfjs_codec import api
    from tfjs_codec.options import ConvertOptions, parse_size

    quantize = {
        dtype: True if globs == "*" else globs.split(",")
        for dtype in ("float16", "uint8", "uint16")
        if (globs := getattr(arguments, f"quantize_{dtype}")) is not None
    }
    options = ConvertOptions(
        shard_size_bytes=parse_size(arguments.weight_shard_size),
        single_shard=arguments.single_shard,
        split_weights_by_layer=arguments.split_weights_by_layer,
        quantize=quantize,
        metadata={key: _json_file(file) for key, file in _pairs(arguments.metadata)} or None,
        training_config=arguments.training_config,
        architecture=arguments.architecture,
        tags=None if arguments.tags is None else [t for t in arguments.tags.split(",") if t],
        verify_checksums=not arguments.no_checksums,
        allow_approximate=arguments.allow_approximate,
        force=arguments.force,
        limits=_limits(arguments.limit),
    )
    source = sys.stdin.buffer.read() if arguments.source == "-" else arguments.source
    replace = dict(_pairs(arguments.replace))
    if arguments.dry_run:
        report = api.plan(source, options=options, replace=replace)
    else:
        progress = _Progress() if sys.stderr.isatty() and not arguments.quiet else None
        report = api.convert(
            source, arguments.destination, options=options, replace=replace, progress=progress
        )
    _show(report, arguments)


def _show(report: Report, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps(report.to_json()))
    elif not arguments.quiet:
        print(report)


def _pairs(items: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [item.partition("=") for item in items]
    for key, equals, value in pairs:
        if not (key and equals and value):
            raise UsageError(f"{key!r} should read NAME=VALUE")
    return [(key, value) for key, _, value in pairs]


def _json_file(file: str) -> Any:
    from tfjs_codec.files.strict_json import loads

    return loads(Path(file).read_bytes(), path=file, where="")


def _limits(items: Sequence[str]) -> Any:
    from dataclasses import fields, replace

    from tfjs_codec.limits import DEFAULT_LIMITS
    from tfjs_codec.options import parse_size

    known = {field.name for field in fields(DEFAULT_LIMITS)}
    changes = {}
    for name, value in _pairs(items):
        if name not in known:
            raise UsageError(f"there is no limit {name!r}", hint=f"There are {sorted(known)}.")
        changes[name] = parse_size(value)
    return replace(DEFAULT_LIMITS, **changes)


class _Progress:
    """A line on standard error, for work that takes a while."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._start < _QUIET_S or (done < total and now - self._last < 0.1):
            return
        self._last = now
        end = "\n" if done >= total else ""
        print(f"\rwriting {done >> 20} of {total >> 20} MiB", end=end, file=sys.stderr, flush=True)
