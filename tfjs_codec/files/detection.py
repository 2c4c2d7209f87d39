"""What a source is, told by its content."""

from __future__ import annotations

import os
import re
from typing import BinaryIO

from tfjs_codec.errors import UnknownFormatError
from tfjs_codec.files.guess import guess, guess_directory, several_models
from tfjs_codec.files.source import (
    HDF5_MAGIC,
    INDEX,
    KERAS_CONFIG,
    OLD_GRAPHS,
    TABLE_MAGIC,
    Folder,
    Source,
)
from tfjs_codec.files.varint import read_varint

_KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
_SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_ZIP_END = b"PK\x05\x06"
_ZIP_TAIL_BYTES = 22 + 0xFFFF
# An entry of the table of contents: 46 bytes, then the name (APPNOTE.TXT 4.3.12).
_SAVED_MODEL_MEMBER = re.compile(rb"PK\x01\x02[\x00-\xff]{42}(?:[^\x00]{0,4096}/)?saved_model\.pb")
_GZIP = b"\x1f\x8b"
_FIELDS_LOOKED_AT = 1000
_LOOKED_FOR = (
    "Looked for: HDF5 (.h5), zip (.keras), JSON (model.json), a checkpoint (.index), a directory "
    "with saved_model.pb or model.json."
)


def sniff(source: Source) -> str:
    """Tell by content, never by name: the keys of ``readers.READERS`` or ``unknown``.

    HDF5 files may begin with a user block of 512, 1024, … bytes (HDF5 format specification,
    superblock). A zip is also known by its end, so that one with bytes before it is refused as
    such, and a cut-off signature counts as that format, so that it is called truncated.
    """
    if source.is_dir and (folder := source.folder) is not None:
        return _sniff_folder(source, folder)
    with source.open() as file:
        head = file.read(512)
        if head.startswith(_GZIP) or head[257:262] == b"ustar":
            return "tar"
        if _is_graph_def(file, source.size):
            return "graph_def"
        if head[:8] == HDF5_MAGIC[: len(head)] and len(head) >= 4:
            return "hdf5"
        if head.startswith(_ZIP_MAGICS):
            file.seek(max(0, source.size - _ZIP_TAIL_BYTES))
            return "saved_model_zip" if _SAVED_MODEL_MEMBER.search(file.read()) else "zip"
        if head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith((b"{", b"[")):
            return "keras_shards" if b'"weight_map"' in head else "json"
        offset = 512
        while offset + 8 <= source.size:
            file.seek(offset)
            if file.read(8) == HDF5_MAGIC:
                return "hdf5"
            offset *= 2
        file.seek(max(0, source.size - _ZIP_TAIL_BYTES))
        tail = file.read(_ZIP_TAIL_BYTES)
    if tail.endswith(TABLE_MAGIC):
        return "checkpoint"
    end = tail.rfind(_ZIP_END)
    return "zip" if end >= 0 and len(tail) - end >= 22 else "unknown"


def _sniff_folder(source: Source, folder: Folder) -> str:
    if any(name in folder for name in _SAVED_MODEL_FILES):
        return "saved_model"
    if INDEX in folder:
        return "tfjs_directory"
    if any(name in folder for name in OLD_GRAPHS):
        return "old_tfjs_directory"
    if KERAS_CONFIG in folder:
        return "keras_directory"
    files, directories = model_files(folder), saved_models(source)
    if len(files) + len(directories) != 1:
        return "unknown"
    return "folder" if files else "saved_model_folder"


def model_files(folder: Folder) -> list[str]:
    """Return the names of the Keras files in *folder*, told by their suffixes."""
    return [name for name in folder.names() if name.lower().endswith(_KERAS_SUFFIXES)]


def saved_models(source: Source) -> list[str]:
    """Return the names of the SavedModels in the directory *source*, if it is a real one."""
    if source.file_path is None:
        return []
    return sorted(
        entry.name
        for entry in os.scandir(source.file_path)
        if entry.is_dir(follow_symlinks=False)
        and any(os.path.exists(os.path.join(entry.path, name)) for name in _SAVED_MODEL_FILES)
    )


def _is_graph_def(file: BinaryIO, size: int) -> bool:
    """Tell whether the fields of *file* are those of a GraphDef, which has no signature.

    They are nodes (field 1, which begin with their name, again field 1), a library, versions.
    """
    position, nodes = 0, 0
    for _ in range(_FIELDS_LOOKED_AT):
        file.seek(position)
        head = file.read(12)
        if not head or head[0] not in (0x0A, 0x12, 0x18, 0x22):
            break
        try:
            value, used = read_varint(head, 1)
        except ValueError:
            break
        if head[0] == 0x0A:
            if head[used : used + 1] != b"\x0a":
                return False
            nodes += 1
        position += used if head[0] == 0x18 else used + value
        if position >= size:
            return position == size and nodes > 0
    else:
        return nodes > 0
    return False


def unknown_format(source: Source) -> UnknownFormatError:
    """Return the error for a source none of the readers knows.

    It says what the source seems to be, or else what was looked for.
    """
    if source.is_dir:
        names = os.listdir(source.path) if source.file_path is not None else []
        found = guess_directory(names)
        what = "the directory has neither saved_model.pb nor model.json"
        several = [*(model_files(source.folder) if source.folder else ()), *saved_models(source)]
        if found is None and several:
            found = several_models("directory", several)
    else:
        with source.open() as file:
            found = guess(file.read(64), os.path.basename(source.path), source.size)
        what = "the file has no known format"
    if found is not None:
        what, hint = f"this is {found.what}", found.hint
    else:
        hint = _LOOKED_FOR
    return UnknownFormatError(what, path=source.path, where=source.where, hint=hint)
