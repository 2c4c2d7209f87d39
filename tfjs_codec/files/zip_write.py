"""Zip files with the same bytes for the same content: no times, nothing compressed."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from tfjs_codec.files.stage import Stage, StagedFile

_COPY_BYTES = 1 << 20


class _Target(io.RawIOBase):
    """A staged file as :mod:`zipfile` wants it."""

    def __init__(self, file: StagedFile) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.seek(0, os.SEEK_CUR)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._file.write(view)
        return view.nbytes


class ZipWriter:
    """Adds members to a zip one after the other."""

    def __init__(self, archive: zipfile.ZipFile, stage: Stage) -> None:
        self._archive = archive
        self._stage = stage

    def open(self, name: str) -> IO[bytes]:
        """Return the new member *name*, open for writing."""
        info = zipfile.ZipInfo(name)  # dated 1980-01-01
        info.external_attr = 0o600 << 16
        return self._archive.open(info, "w", force_zip64=True)

    def add(self, name: str, data: bytes) -> None:
        """Add a member with content *data*."""
        with self.open(name) as member:
            member.write(data)

    def move(self, name: str) -> None:
        """Move the staged file *name* into the zip."""
        with self._stage.open(name) as source, self.open(name) as member:
            while data := source.read(_COPY_BYTES):
                member.write(data)
        self._stage.remove(name)


@contextmanager
def staged_zip(stage: Stage, name: str) -> Iterator[ZipWriter]:
    """Give a writer for the new zip *name* in *stage*; it is complete when the block ends.

    Raises:
        OutputError: Writing failed.
    """
    file = stage.create(name)
    try:
        with zipfile.ZipFile(_Target(file), "w", zipfile.ZIP_STORED) as archive:
            yield ZipWriter(archive, stage)
    finally:
        file.close()
