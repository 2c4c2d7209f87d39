"""Readers: any source of a model becomes a :class:`KerasModel`. Detection is by content."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.files import strict_json
from tfjs_codec.files.archive import open_archive
from tfjs_codec.files.hdf5 import H5File, open_hdf5
from tfjs_codec.files.source import SAVED_MODEL_FILES, Source, open_source, sniff, unknown_format
from tfjs_codec.ir.keras import KerasModel
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.readers import keras_h5, keras_v3, tfjs_layers


@dataclass(frozen=True, slots=True)
class Request:
    """How to read: see :func:`open_model`. ``architecture`` is parsed JSON here."""

    architecture: Any
    tags: Sequence[str] | None
    verify_checksums: bool
    weights_only: bool
    as_stored: bool
    limits: Limits


Reader = Callable[[Source, Request, ExitStack], KerasModel]


def _read_h5(source: Source, request: Request, stack: ExitStack) -> KerasModel:
    file = stack.enter_context(open_hdf5(source, limits=request.limits))
    return keras_h5.read(file, request.limits, request.architecture)


def _read_zip(source: Source, request: Request, stack: ExitStack) -> KerasModel:
    archive = stack.enter_context(open_archive(source, limits=request.limits))

    def open_member(name: str) -> H5File:
        return stack.enter_context(open_hdf5(archive.source(name), limits=request.limits))

    return keras_v3.read(archive, open_member, source.path, request.limits)


def _read_json(source: Source, request: Request, stack: ExitStack) -> KerasModel:
    as_stored = request.weights_only or request.as_stored
    return tfjs_layers.read(source, request.limits, as_stored=as_stored)


def _read_directory(source: Source, request: Request, stack: ExitStack) -> KerasModel:
    from tfjs_codec.readers import saved_model  # noqa: PLC0415  (protobuf is only needed here)

    path = Path(source.path)
    if not any((path / name).exists() for name in SAVED_MODEL_FILES):
        index = path / "model.json"
        if not index.exists():
            raise unknown_format(source)
        return _read_json(open_source(index), request, stack)
    read = saved_model.read_weights if request.weights_only else saved_model.read
    return read(path, request.tags, verify=request.verify_checksums, limits=request.limits)


def _read_checkpoint(source: Source, request: Request, stack: ExitStack) -> KerasModel:
    from tfjs_codec.readers import saved_model  # noqa: PLC0415  (the same)

    if not request.weights_only:
        raise UnsupportedModelError(
            "a TensorFlow checkpoint holds values of variables and no architecture",
            path=source.path,
            hint="Convert the SavedModel or Keras file; tfjs_codec.load(…).weights has the values.",
        )
    return saved_model.read_checkpoint(
        source, verify=request.verify_checksums, limits=request.limits
    )


def _refuse_graph(source: Source, request: Request, stack: ExitStack) -> KerasModel:
    raise UnsupportedModelError(
        "a TensorFlow graph, which has no Keras layers", path=source.path,
        hint="Convert it to a graph model: --to graph.",
    )  # fmt: skip


# By what files.source.sniff says the content is.
READERS: dict[str, Reader] = {
    "hdf5": _read_h5,
    "zip": _read_zip,
    "json": _read_json,
    "directory": _read_directory,
    "checkpoint": _read_checkpoint,
    "graph_def": _refuse_graph,
    "tar": _refuse_graph,
}


@contextmanager
def open_model(
    source: str | os.PathLike[str] | bytes | BinaryIO | Source,
    *,
    architecture: str | os.PathLike[str] | bytes | BinaryIO | Source | None = None,
    tags: Sequence[str] | None = None,
    verify_checksums: bool = True,
    weights_only: bool = False,
    as_stored: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[KerasModel]:
    """Read *source*; the model's tensors can be read until the context ends.

    Args:
        source: What to read. A checkpoint is named by its prefix or its ``.index`` file.
        architecture: A JSON as ``model.to_json()`` writes it, for files that hold only weights.
        tags: The MetaGraph of a SavedModel, if there are several.
        verify_checksums: Compare the values of a SavedModel with their checksums.
        weights_only: Do without an architecture: any SavedModel or checkpoint will do. Its
            variables are then loose weights, by checkpoint key.
        as_stored: Leave the topology of a tfjs model as the JSON it is (``KerasModel.tfjs``).
        limits: Caps on what *source* may ask for.

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
        request = Request(config, tags, verify_checksums, weights_only, as_stored, limits)
        yield reader(opened, request, stack)
