"""A model under construction: a directory of files that are written or copied into it.

Copies go through the kernel where possible, on several threads; :mod:`tfjs_codec.files.sink` makes
stages and publishes them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from tfjs_codec.errors import CorruptFileError, OutputError
from tfjs_codec.files.copying import AT_OFFSETS, IN_KERNEL, Jobs, copy_checked, copy_range
from tfjs_codec.files.source import sha256

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tfjs_codec.ir.tensors import Extent

_LATER_BYTES = 1 << 20  # what is smaller is not worth a thread
_OPEN_BYTES = 64 << 20  # put off in one file: keeps progress alive
_BLOCK_BYTES = 32 << 20  # that one thread copies and sums up
BINARY = getattr(os, "O_BINARY", 0)  # Windows


class Stage:
    """A directory under construction; files are created in it one after the other.

    What is copied into them may still be on its way when they are closed: :meth:`settle`. They
    are for the disk, not for the cache, if the stage *replaces* something. Messages
    name what is at *destination* in the end: the files, or a *single* one.
    """

    def __init__(
        self, path: Path, destination: Path, *, single: bool = False, replaces: bool = False
    ) -> None:
        self.path = path
        self._destination, self._single = destination, single
        self.replaces = replaces
        self._sources: dict[Path, int] = {}
        self._stack = ExitStack()
        self.jobs = Jobs()

    def shown(self, name: str) -> Path:
        """Return what messages about the file *name* should call it."""
        return self._destination if self._single else self._destination / name

    def disk_path(self, name: str) -> Path | None:
        """Return where a library may create the file *name* itself; None if not on a disk."""
        return self.path / name

    def create(self, name: str) -> StagedFile:
        """Return the new file *name*, open for writing; it may be in a directory, to be made."""
        if "/" in name:
            try:
                os.makedirs((self.path / name).parent, exist_ok=True)
            except OSError as error:
                fail(error, self.shown(name))
        return StagedFile(self, name)

    def write(self, name: str, data: bytes) -> None:
        """Create the file *name* with content *data*."""
        file = self.create(name)
        try:
            file.write(data)
        finally:
            file.close()

    def patch(self, name: str) -> StagedFile:
        """Return the file *name*, which is there already, open for writing from its beginning."""
        return StagedFile(self, name, os.O_WRONLY)

    def make_executable(self, name: str) -> None:
        """Let the file *name* be run by everybody who may read it."""
        path = self.path / name
        mode = path.stat().st_mode
        os.chmod(path, mode | (mode & 0o444) >> 2)

    def remove(self, name: str) -> None:
        """Remove the file *name*, which was only a step on the way."""
        self.settle()
        try:
            os.unlink(self.path / name)
        except OSError as error:
            fail(error, self.shown(name))

    def open(self, name: str) -> BinaryIO:
        """Return the finished file *name*, open for reading."""
        self.settle()
        return open(self.path / name, "rb")

    def settle(self) -> None:
        """Wait until all closed files are complete.

        Raises:
            OutputError: Writing one of them failed.
            CorruptFileError: A source became shorter.
        """
        self.jobs.wait()

    def source(self, path: Path) -> int:
        """Return a file descriptor of the regular file *path*, open until the stage is done."""
        if path not in self._sources:
            flags = os.O_RDONLY | BINARY | getattr(os, "O_NONBLOCK", 0)  # do not hang on a FIFO
            try:
                fd = os.open(path, flags)
                self._stack.callback(os.close, fd)
                regular = stat.S_ISREG(os.fstat(fd).st_mode)
            except OSError as error:
                raise CorruptFileError(
                    f"vanished while it was read ({error.strerror})", path=path
                ) from error
            if not regular:
                raise CorruptFileError("is not a regular file", path=path)
            self._sources[path] = fd
        return self._sources[path]

    def sha256(self, name: str) -> str:
        """Return the hexadecimal digest of the finished file *name*."""
        with self.open(name) as file:
            return sha256(file)

    def close(self) -> None:
        """Give up what is not done, and close all sources."""
        try:
            self.jobs.close()
        finally:
            self._stack.close()


class StagedFile:
    """A file of a stage. Errors of writing are :class:`OutputError`."""

    def __init__(
        self, stage: Stage, name: str, flags: int = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    ) -> None:
        self.path = stage.path / name
        self._shown = stage.shown(name)
        self._stage = stage
        self._ranges: list[tuple[int, Extent, int]] = []  # to be copied: source, place, target
        self._waiting = 0  # bytes of them
        self._running: list[Future[None]] = []
        self._closed = False
        try:
            self._fd = os.open(self.path, flags | BINARY, 0o666)
        except OSError as error:
            fail(error, self._shown)

    def close(self) -> None:
        """Close the file, once all copies into it are made; what is closed stays so."""
        if self._closed:
            return
        self._closed = True
        for job in self._running:
            if not job.cancel():
                job.exception()  # wait: the descriptor must not become another file's
        if IN_KERNEL and self._waiting >= _LATER_BYTES:
            self._stage.jobs.submit(self._finish, self._close)
        else:
            self._finish()

    def _finish(self) -> None:
        try:
            self._fill()
            if self._stage.replaces and hasattr(os, "posix_fadvise"):
                with suppress(OSError):  # starts writing back, so that fsync finds it done
                    os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            self._close()

    def _close(self) -> None:
        try:
            os.close(self._fd)
        except OSError as error:  # file systems on a network write now
            fail(error, self._shown)

    def _fill(self) -> None:
        """Make the copies that were put off."""
        ranges, self._ranges, self._waiting = self._ranges, [], 0  # what fails is not tried again
        try:
            for source, extent, position in ranges:
                copy_range(source, self._fd, extent, position)
        except OSError as error:
            fail(error, self._shown)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to byte *offset* and return where that is."""
        return os.lseek(self._fd, offset, whence)

    def write(self, data: bytes | memoryview) -> None:
        """Write *data*, bytes or a view of bytes, and move behind it."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            fail(error, self._shown)

    def copy(self, extent: Extent) -> None:
        """Append the bytes of *extent* without bringing them into the process where possible.

        They are copied when the file is closed, beside other files.

        Raises:
            CorruptFileError: The file ends before the extent does, now or when it was opened.
        """
        source, position = self._reserve(extent)
        self._ranges.append((source, extent, position))
        self._waiting += extent.nbytes
        if self._waiting > _OPEN_BYTES:
            self._fill()

    def copy_checked(self, extent: Extent) -> Callable[[], int]:
        """Append the bytes of *extent*; return a function that gives their CRC-32C.

        Several threads copy them if they are many; the function waits for these.

        Raises:
            CorruptFileError: The file ends before the extent does, now or when it was opened.
        """
        from tfjs_codec.files.crc32c import combine  # here: it needs numpy

        source, position = self._reserve(extent)
        if extent.nbytes < _LATER_BYTES or not AT_OFFSETS:
            checksum = self._copy_checked(source, extent, position)
            return lambda: checksum
        blocks = [
            extent._replace(offset=extent.offset + start, nbytes=nbytes)
            for start in range(0, extent.nbytes, _BLOCK_BYTES)
            for nbytes in [min(_BLOCK_BYTES, extent.nbytes - start)]
        ]
        checksums = [0] * len(blocks)

        def copy(number: int) -> None:
            place = position + number * _BLOCK_BYTES
            checksums[number] = self._copy_checked(source, blocks[number], place)

        first = len(self._running)
        for number in range(len(blocks)):
            self._running.append(self._stage.jobs.submit(partial(copy, number)))
        running = self._running[first:]

        def value() -> int:
            for job in running:
                job.result()
            whole = 0
            for checksum, block in zip(checksums, blocks, strict=True):
                whole = combine(whole, checksum, block.nbytes)
            return whole

        return value

    def _copy_checked(self, source: int, extent: Extent, position: int) -> int:
        try:
            return copy_checked(source, self._fd, extent, position)
        except OSError as error:
            fail(error, self._shown)

    def _reserve(self, extent: Extent) -> tuple[int, int]:
        """Move behind *extent*; return the descriptor of its file, and where it is to be copied."""
        source = self._stage.source(extent.path)
        end, size = extent.offset + extent.nbytes, os.fstat(source).st_size
        if extent.offset < 0 or extent.nbytes < 0 or end > size:
            raise CorruptFileError(
                f"truncated: data at bytes {extent.offset} to {end}, the file has {size}",
                path=extent.path,
            )
        position = self.seek(0, os.SEEK_CUR)
        self.seek(position + extent.nbytes)
        return source, position


def fail(error: OSError, path: Path) -> NoReturn:
    """Raise the OutputError that says that *path* cannot be written because of *error*."""
    if isinstance(error, OutputError):
        raise error
    hint = "Free some space." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    raise OutputError(f"cannot write: {error.strerror or error}", path=path, hint=hint) from error
