"""Copies ranges of files inside the kernel, where it can, and several files at a time."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfjs_codec.errors import CorruptFileError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from tfjs_codec.ir.tensors import Extent

IN_KERNEL = hasattr(os, "copy_file_range")
AT_OFFSETS = hasattr(os, "preadv") and hasattr(os, "pwrite")  # threads may share descriptors

_KERNEL_BYTES = 8 << 20  # per system call: keeps Ctrl-C alive
_PREAD_BYTES = 1 << 20
_NO_KERNEL_COPY = {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}
_THREADS = 4  # memory is the limit, not the processors
_WAITING = 16  # jobs, each with an open file


def copy_range(source: int, target: int, extent: Extent, position: int) -> None:
    """Copy the bytes of *extent*, whose file is *source*, to byte *position* of *target*.

    Both are file descriptors, which stay where they are (but on Windows).

    Raises:
        CorruptFileError: The file ends before the extent does.
        OSError: Reading or writing failed.
    """
    done = 0
    while done < extent.nbytes:
        offset, nbytes = extent.offset + done, extent.nbytes - done
        count = _copy_in_kernel(source, target, offset, position + done, nbytes)
        if not count:
            data = _pread(source, min(nbytes, _PREAD_BYTES), offset)
            if not data:
                raise CorruptFileError("became shorter while it was read", path=extent.path)
            count = _pwrite(target, data, position + done)
        done += count


def copy_checked(source: int, target: int, extent: Extent, position: int) -> int:
    """Copy as :func:`copy_range` does, and return the CRC-32C of the bytes."""
    from tfjs_codec.files.crc32c import Crc32c  # here: it needs numpy

    checksum, done = Crc32c(), 0
    while done < extent.nbytes:
        room = checksum.room(extent.nbytes - done)
        count = _pread_into(source, room, extent.offset + done)
        if not count:
            raise CorruptFileError("became shorter while it was read", path=extent.path)
        data = room[:count]
        while data:
            written = _pwrite(target, data, position + done)
            data, done = data[written:], done + written
        checksum.take(count)
    return checksum.value()


def _copy_in_kernel(source: int, target: int, offset: int, position: int, nbytes: int) -> int:
    """Copy up to *nbytes* bytes; return how many, 0 if the kernel does not do it."""
    if not IN_KERNEL:
        return 0
    try:
        return os.copy_file_range(source, target, min(nbytes, _KERNEL_BYTES), offset, position)
    except OSError as error:
        if error.errno not in _NO_KERNEL_COPY:
            raise
        return 0


def _pread(fd: int, nbytes: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(fd, nbytes, offset)
    os.lseek(fd, offset, os.SEEK_SET)  # Windows
    return os.read(fd, nbytes)


def _pread_into(fd: int, buffer: memoryview, offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(fd, [buffer], offset)
    data = _pread(fd, len(buffer), offset)
    buffer[: len(data)] = data
    return len(data)


def _pwrite(fd: int, data: bytes | memoryview, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, data, offset)
    os.lseek(fd, offset, os.SEEK_SET)  # Windows
    return os.write(fd, data)


class Jobs:
    """Runs jobs on a few threads, which are started by the first one."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[Future[None], Callable[[], None]]] = deque()

    def submit(
        self, job: Callable[[], None], instead: Callable[[], None] = lambda: None
    ) -> Future[None]:
        """Run *job* soon, or *instead* if it is given up; wait if there are many already.

        Raises what an earlier job raised.
        """
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # here: small models need none

            self._pool = ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1))
        self.wait(_WAITING - 1)
        try:
            future = self._pool.submit(job)
        except RuntimeError:  # no more threads
            from concurrent.futures import Future

            future = Future()
            job()
            future.set_result(None)
        self._waiting.append((future, instead))
        return future

    def wait(self, left: int = 0) -> None:
        """Wait until at most *left* jobs are to do. Raises what a job raised."""
        while len(self._waiting) > left:
            self._waiting[0][0].result()
            self._waiting.popleft()

    def close(self) -> None:
        """Give up all jobs that have not begun, and wait for the others."""
        try:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)
        finally:  # also if Ctrl-C comes again
            for future, instead in self._waiting:
                if future.cancelled():
                    instead()
            self._waiting.clear()
