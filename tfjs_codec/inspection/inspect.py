"""``inspect``: says what a file is and holds, without reading any values."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from tfjs_codec.files.source import Source, open_source, sniff, unknown_format
from tfjs_codec.inspection.inspection import Inspection
from tfjs_codec.options import ConvertOptions


def _read(source: Source, options: ConvertOptions) -> Inspection:
    from tfjs_codec.inspection.keras import describe  # noqa: PLC0415  (imports numpy, h5py)

    return describe(source, options)


def _json(source: Source, options: ConvertOptions) -> Inspection:
    from tfjs_codec.inspection.tfjs import describe  # noqa: PLC0415  (not for other formats)

    return describe(source, options)


def _graph(source: Source, options: ConvertOptions) -> Inspection:
    from tfjs_codec.inspection.graph import describe  # noqa: PLC0415  (imports protobuf)

    return describe(source, options)


def _tar(source: Source, options: ConvertOptions) -> Inspection:
    from tfjs_codec.files.tarball import unpacked_saved_model  # noqa: PLC0415  (rarely needed)

    with unpacked_saved_model(source, options.limits) as directory:
        found = _directory(open_source(directory), options)
    return replace(found, path=source.path)


def _directory(source: Source, options: ConvertOptions) -> Inspection:
    index = Path(source.path) / "model.json"
    if index.exists():
        return _json(open_source(index), options)
    from tfjs_codec.inspection.saved_model import describe  # noqa: PLC0415  (and protobuf)

    return describe(source, options)


# By what files.source.sniff says the content is.
DESCRIBERS: dict[str, Callable[[Source, ConvertOptions], Inspection]] = {
    "hdf5": _read,
    "zip": _read,
    "checkpoint": _read,
    "json": _json,
    "directory": _directory,
    "graph_def": _graph,
    "tar": _tar,
}


def inspect(
    source: str | os.PathLike[str] | bytes | BinaryIO, options: ConvertOptions
) -> Inspection:
    """Return what *source* holds; see :func:`tfjs_codec.inspect`."""
    opened = open_source(source)
    describe = DESCRIBERS.get(sniff(opened))
    if describe is None:
        raise unknown_format(opened)
    return describe(opened, options)
