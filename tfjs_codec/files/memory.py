"""A stage in memory: what a writer writes becomes bytes by file name, and no disk is touched."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tfjs_codec.errors import CorruptFileError
from tfjs_codec.files.crc32c import Crc32c
from tfjs_codec.files.stage import Stage, StagedFile

if TYPE_CHECKING:
    from tfjs_codec.ir.tensors import Extent

_COPY_BYTES = 1 << 20


class MemoryStage(Stage):
    """A directory under construction that exists in memory only."""

    def __init__(self) -> None:
        self._files: dict[str, io.BytesIO] = {}

    def __str__(self) -> str:
        return "<memory>"

    def files(self) -> dict[str, bytes]:
        """Return the files that are there, in the order in which they were created."""
        return {name: file.getvalue() for name, file in self._files.items()}

    def shown(self, name: str) -> Path:
        """Return what messages about the file *name* should call it."""
        return Path(name)

    def disk_path(self, name: str) -> None:
        """Return None: there is no disk."""

    def create(self, name: str) -> StagedFile:
        """Return the new file *name*, open for writing."""
        return _MemoryFile(self._files.setdefault(name, io.BytesIO()))

    def patch(self, name: str) -> StagedFile:
        """Return the file *name*, which is there already, open for writing from its beginning."""
        file = self._files[name]
        file.seek(0)
        return _MemoryFile(file)

    def remove(self, name: str) -> None:
        """Remove the file *name*, which was only a step on the way."""
        del self._files[name]

    def open(self, name: str) -> BinaryIO:
        """Return the finished file *name*, open for reading."""
        return io.BytesIO(self._files[name].getbuffer())

    def settle(self) -> None:
        """Do nothing: all files are complete."""

    def close(self) -> None:
        """Do nothing: no source is open."""


class _MemoryFile(StagedFile):
    def __init__(self, file: io.BytesIO) -> None:
        self._file = file

    def close(self) -> None:
        """Do nothing: the bytes stay with the stage."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to byte *offset* and return where that is."""
        return self._file.seek(offset, whence)

    def write(self, data: bytes | memoryview) -> None:
        """Write *data* and move behind it."""
        self._file.write(data)

    def copy(self, extent: Extent) -> None:
        """Append the bytes of *extent*.

        Raises:
            CorruptFileError: The file ends before the extent does.
        """
        for data in _read(extent):
            self._file.write(data)

    def copy_checked(self, extent: Extent) -> Callable[[], int]:
        """Append the bytes of *extent*; return a function that gives their CRC-32C."""
        checksum = Crc32c()
        for data in _read(extent):
            self._file.write(data)
            checksum.update(data)
        return checksum.value


def _read(extent: Extent) -> Iterator[bytes]:
    left = extent.nbytes
    with open(extent.path, "rb") as source:
        source.seek(extent.offset)
        while left and (data := source.read(min(left, _COPY_BYTES))):
            yield data
            left -= len(data)
    if left:
        raise CorruptFileError("the file was changed while it was read", path=extent.path)
