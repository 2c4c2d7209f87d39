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


def _pwrite(fd: int, data: bytes, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, data, offset)
    os.lseek(fd, offset, os.SEEK_SET)  # Windows
    return os.write(fd, data)


class Jobs:
    """Runs jobs on a few threads, which are started by the first one."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[Future[None], Callable[[], None]]] = deque()

    def submit(self, job: Callable[[], None], instead: Callable[[], None]) -> None:
        """Run *job* soon, or *instead* if it is given up; wait if there are many already.

        Raises what an earlier job raised.
        """
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # here: small models need none

            self._pool = ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1))
        try:
            self._waiting.append((self._pool.submit(job), instead))
        except RuntimeError:  # no more threads
            job()
        self.wait(_WAITING)

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
