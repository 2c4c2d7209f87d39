"""Readers: any source of a model becomes one of :data:`tfjs_codec.ir.loaded.Loaded`.

Detection is by content, never by name. What a reader needs is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from tfjs_codec.errors import UsageError
from tfjs_codec.files.detection import model_files, saved_models, sniff, unknown_format
from tfjs_codec.files.source import (
    INDEX,
    KERAS_CONFIG,
    OLD_GRAPHS,
    AnySource,
    Folder,
    RemoteFolder,
    Source,
    open_source,
)
from tfjs_codec.options import ConvertOptions, no_effect

if TYPE_CHECKING:
    from typing import TypeGuard

    import numpy as np
    from numpy.typing import NDArray

    from tfjs_codec.files.hdf5 import H5File
    from tfjs_codec.ir.json_types import Json
    from tfjs_codec.ir.loaded import Loaded
    from tfjs_codec.readers.live_keras import LiveModel


class Reader(NamedTuple):
    """How to read a kind of source: what it is called, the function, the options that it heeds."""

    noun: str
    read: Callable[[Source, ConvertOptions, ExitStack], Loaded]
    options: frozenset[str] = frozenset()


_SAVED_MODEL = frozenset(("tags", "signature_name", "verify_checksums"))
_READING = frozenset(("architecture", "output_node_names", *_SAVED_MODEL))


def _read_h5(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    from tfjs_codec.files.hdf5 import open_hdf5
    from tfjs_codec.readers import keras_h5

    config = _architecture(options)
    file = stack.enter_context(open_hdf5(source, limits=options.limits))
    return keras_h5.read(file, options.limits, config)


def _architecture(options: ConvertOptions) -> Json:
    """Return the parsed ``architecture``, None if there is none."""
    from tfjs_codec.files import strict_json

    if options.architecture is None:
        return None
    given = open_source(options.architecture)
    data = given.read("json_bytes", options.limits)
    config: Json = strict_json.load_config(data, path=given.path, limits=options.limits)
    return config


def _opener(options: ConvertOptions, stack: ExitStack) -> Callable[[Source], H5File]:
    from tfjs_codec.files.hdf5 import open_hdf5

    return lambda file: stack.enter_context(open_hdf5(file, limits=options.limits))


def _read_zip(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    from tfjs_codec.files.archive import ArchiveFolder, find_model_folder, open_archive

    archive = stack.enter_context(open_archive(source, limits=options.limits))
    if (folder := find_model_folder(archive)) is not None:
        return _read_json(_find_index(folder, source, options), options, stack)
    members = ArchiveFolder(archive, "")
    if KERAS_CONFIG not in members and len(model_files(members)) == 1:
        return _read_only_model(members, source, options, stack)
    return _read_keras(members, source, options, stack)


def _read_keras(
    folder: Folder, source: Source, options: ConvertOptions, stack: ExitStack
) -> Loaded:
    from tfjs_codec.readers import keras_v3

    return keras_v3.read(folder, _opener(options, stack), source.path, options.limits)


def _read_only_model(
    folder: Folder, source: Source, options: ConvertOptions, stack: ExitStack
) -> Loaded:
    """Return the only model in *folder*, which is that of *source*: in a zip no further zip."""
    from tfjs_codec.files.archive import ArchiveFolder, open_archive

    (name,) = model_files(folder)
    inner = folder.find(name, path=source.path, limits=options.limits)
    if sniff(inner) != "zip":
        return _read_h5(inner, options, stack)
    archive = stack.enter_context(open_archive(inner, limits=options.limits))
    return _read_keras(ArchiveFolder(archive, ""), inner, options, stack)


def _folder(source: Source) -> Folder:
    """Return the files of the directory *source*."""
    assert source.folder is not None  # noqa: S101  directories have one
    return source.folder


def _read_folder(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    return _read_only_model(_folder(source), source, options, stack)


def _read_keras_directory(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    return _read_keras(_folder(source), source, options, stack)


def _read_keras_shards(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    from tfjs_codec.readers import keras_v3

    opener = _opener(options, stack)
    return keras_v3.read_shards(source, opener, _architecture(options), options.limits)


def _read_json(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    from tfjs_codec.readers import tfjs_json

    return tfjs_json.read(source, options.limits)


def _read_tfjs_directory(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    return _read_json(_find_index(_folder(source), source, options), options, stack)


def _find_index(folder: Folder, source: Source, options: ConvertOptions) -> Source:
    """Return the ``model.json`` in *folder*, which is that of *source*."""
    return folder.find(INDEX, path=source.path, limits=options.limits)


def open_index(source: Source, options: ConvertOptions, stack: ExitStack) -> Source | None:
    """Return the ``model.json`` of the tfjs model *source*; None if it is something else."""
    match sniff(source):
        case "json":
            return source
        case "tfjs_directory":
            return _find_index(_folder(source), source, options)
        case "zip":
            from tfjs_codec.files.archive import find_model_folder, open_archive

            archive = stack.enter_context(open_archive(source, limits=options.limits))
            folder = find_model_folder(archive)
            return None if folder is None else _find_index(folder, source, options)
        case _:
            return None


def _read_saved_model(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    from tfjs_codec.readers import saved_model

    if isinstance(source.folder, RemoteFolder):
        from tfjs_codec.files.tarball import copied_saved_model

        folder = source.folder
        names, shown = folder.tree(), folder.place.shown
        path = stack.enter_context(copied_saved_model(folder, names, shown, options.limits))
        return saved_model.read(path, options, source.path)
    if source.file_path is None:
        raise UsageError(
            "the files of a SavedModel are only read from a directory", path=source.path,
            hint="Write them into one, or pass them as a .tar.gz.",
        )  # fmt: skip
    return saved_model.read(Path(source.path), options, source.path)


def _read_saved_model_folder(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    (name,) = saved_models(source)
    return _read_saved_model(open_source(Path(source.path, name)), options, stack)


def _read_saved_model_zip(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    from tfjs_codec.files.archive import find_saved_model, open_archive
    from tfjs_codec.files.tarball import copied_saved_model
    from tfjs_codec.readers import saved_model

    archive = stack.enter_context(open_archive(source, limits=options.limits))
    folder = find_saved_model(archive, source)
    copied = copied_saved_model(folder, folder.names(), source.path, options.limits)
    return saved_model.read(stack.enter_context(copied), options, source.path)


def _read_tar(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    from tfjs_codec.files.tarball import unpacked_saved_model
    from tfjs_codec.readers import saved_model

    path = stack.enter_context(unpacked_saved_model(source, options.limits))
    return saved_model.read(path, options, source.path)


def _read_checkpoint(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    from tfjs_codec.readers import saved_model

    return saved_model.read_checkpoint(source, options)


def _read_graph_def(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    from tfjs_codec.readers import frozen_graph

    return frozen_graph.read(source, options)


def _read_old_tfjs(source: Source, options: ConvertOptions, stack: ExitStack) -> Loaded:
    folder = _folder(source)
    name = next(name for name in OLD_GRAPHS if name in folder)
    return _read_graph_def(
        folder.find(name, path=source.path, limits=options.limits), options, stack
    )


# By what files.detection.sniff says the content is.
READERS: dict[str, Reader] = {
    "hdf5": Reader("an HDF5 file", _read_h5, frozenset(("architecture",))),
    "zip": Reader("a .keras file", _read_zip),
    "keras_directory": Reader("a .keras directory", _read_keras_directory),
    "keras_shards": Reader("weights in parts", _read_keras_shards, frozenset(("architecture",))),
    "folder": Reader("a Keras file", _read_folder, frozenset(("architecture",))),
    "json": Reader("a tfjs model", _read_json),
    "tfjs_directory": Reader("a tfjs model", _read_tfjs_directory),
    "old_tfjs_directory": Reader(
        "a model of TensorFlow.js 0.x", _read_old_tfjs, frozenset(("output_node_names",))
    ),
    "saved_model": Reader("a SavedModel", _read_saved_model, _SAVED_MODEL),
    "saved_model_folder": Reader("a SavedModel", _read_saved_model_folder, _SAVED_MODEL),
    "saved_model_zip": Reader("a SavedModel", _read_saved_model_zip, _SAVED_MODEL),
    "tar": Reader("a SavedModel", _read_tar, _SAVED_MODEL),
    "checkpoint": Reader("a checkpoint", _read_checkpoint, frozenset(("verify_checksums",))),
    "graph_def": Reader("a frozen graph", _read_graph_def, frozenset(("output_node_names",))),
}


# Bytes that JSON takes for what a protobuf says in one.
_WORDINESS = {"hdf5": 4, "zip": 4, "saved_model_zip": 4, "json": 2}


@contextmanager
def open_model(
    source: AnySource | LiveModel, options: ConvertOptions | None = None, *, strict: bool = False
) -> Iterator[Loaded]:
    """Read *source*, a file or a live Keras model; tensors can be read until the context ends.

    A checkpoint is named by its prefix or its ``.index`` file. Of *options*, ``architecture``,
    ``tags``, ``signature_name``, ``output_node_names``, ``verify_checksums`` and ``limits`` count;
    if *strict*, those that mean nothing for the source are refused.

    Raises:
        UsageError: an option means nothing for this source.
        UnknownFormatError: the content is none of the formats in :data:`READERS`.
        CorruptFileError, UnsafeFileError, UnsupportedModelError: as the file deserves.
        OSError: the operating system's own error about the path.
    """
    options = options or ConvertOptions()
    if hasattr(source, "to_json"):  # a model in memory, whatever Keras it is of
        from tfjs_codec.readers import live_keras

        if strict:
            _check_options("a model in memory", options, frozenset())
        yield live_keras.read(cast("LiveModel", source), options.limits)
        return
    if _holds_arrays(source):
        from tfjs_codec.readers import arrays

        if strict:
            _check_options("arrays in memory", options, frozenset())
        yield arrays.read(source)
        return
    opened = open_source(source)
    kind = sniff(opened)
    reader = READERS.get(kind)
    if reader is None:
        raise unknown_format(opened)
    if strict:
        _check_options(reader.noun, options, reader.options)
    options.limits.earn(opened.size // _WORDINESS.get(kind, 1))
    with ExitStack() as stack:
        yield reader.read(opened, options, stack)


def is_in_memory(source: AnySource | LiveModel) -> bool:
    """Tell whether *source* is a live model or arrays, which are no files."""
    return hasattr(source, "to_json") or _holds_arrays(source)


def _holds_arrays(
    source: AnySource | LiveModel,
) -> TypeGuard[Mapping[str, NDArray[np.generic]]]:
    """Tell whether *source* maps names to arrays; a mapping of bytes is files."""
    return isinstance(source, Mapping) and any(hasattr(value, "dtype") for value in source.values())


def _check_options(noun: str, options: ConvertOptions, heeded: frozenset[str]) -> None:
    for name in sorted((options.chosen & _READING) - heeded):
        raise no_effect(name, noun)
