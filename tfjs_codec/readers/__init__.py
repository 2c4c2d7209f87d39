"""Readers: any source of a Keras model becomes a :class:`KerasModel`. Detection is by content."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.files import strict_json
from tfjs_codec.files.archive import open_archive
from tfjs_codec.files.hdf5 import H5File, open_hdf5
from tfjs_codec.files.source import Source, open_source, sniff, unknown_format
from tfjs_codec.ir.keras import KerasModel
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.readers import keras_h5, keras_v3

Reader = Callable[[Source, Any, Limits, ExitStack], KerasModel]


def _read_h5(source: Source, architecture: Any, limits: Limits, stack: ExitStack) -> KerasModel:
    file = stack.enter_context(open_hdf5(source, limits=limits))
    return keras_h5.read(file, limits, architecture)


def _read_zip(source: Source, architecture: Any, limits: Limits, stack: ExitStack) -> KerasModel:
    archive = stack.enter_context(open_archive(source, limits=limits))

    def open_member(name: str) -> H5File:
        return stack.enter_context(open_hdf5(archive.source(name), limits=limits))

    return keras_v3.read(archive, open_member, source.path, limits)


def _read_json(source: Source, architecture: Any, limits: Limits, stack: ExitStack) -> KerasModel:
    """Refuse an architecture without weights, which is not a model that predicts."""
    value = strict_json.loads(source.read("json_bytes", limits), path=source.path, limits=limits)
    if isinstance(value, dict) and "class_name" in value and "config" in value:
        raise UnsupportedModelError(
            "an architecture without weights", path=source.path,
            hint="Convert the weights file and pass this one with --architecture.",
        )  # fmt: skip
    raise unknown_format(source)


def _read_directory(
    source: Source, architecture: Any, limits: Limits, stack: ExitStack
) -> KerasModel:
    from tfjs_codec.readers import saved_model  # noqa: PLC0415  (protobuf is only needed here)

    path = Path(source.path)
    if not any((path / name).exists() for name in _SAVED_MODEL_FILES):
        raise unknown_format(source)
    return saved_model.read(path, limits=limits)


_SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")
# By what files.source.sniff says the content is.
READERS: dict[str, Reader] = {
    "hdf5": _read_h5,
    "zip": _read_zip,
    "json": _read_json,
    "directory": _read_directory,
}


@contextmanager
def open_model(
    source: str | os.PathLike[str] | bytes | BinaryIO | Source,
    *,
    architecture: str | os.PathLike[str] | bytes | BinaryIO | Source | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[KerasModel]:
    """Read *source*; the model's tensors can be read until the context ends.

    *architecture* is a JSON as ``model.to_json()`` writes it, for files that hold only weights.

    Raises:
        UnknownFormatError: the content is none of the formats in :data:`READERS`.
        CorruptFileError, UnsafeFileError, UnsupportedModelError: as the file deserves.
        OSError: the operating system's own error about the path.
    """
    opened = open_source(source)
    config = None
    if architecture is not None:
        given = open_source(architecture)
        config = strict_json.loads(given.read("json_bytes", limits), path=given.path, limits=limits)
    reader = READERS.get(sniff(opened))
    if reader is None:
        raise unknown_format(opened)
    with ExitStack() as stack:
        yield reader(opened, config, limits, stack)
