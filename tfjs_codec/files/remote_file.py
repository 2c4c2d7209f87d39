"""A file at a URL, read by ranges through a bounded cache of small blocks.

HDF5 keeps its descriptions in pieces of 2 KiB between the values, so that large blocks would fetch
what nobody asked for. Reads that follow each other fetch ahead, up to as much as was read so.
"""

from __future__ import annotations

import gc
import io
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tfjs_codec.errors import CorruptFileError
from tfjs_codec.files.raw_reader import RawReader
from tfjs_codec.files.remote import Place, attempt, look, pieces
from tfjs_codec.limits import DEFAULT_LIMITS

_BLOCK_BYTES = 2 << 10  # libhdf5 keeps descriptions together in as much
_SMALL_BYTES = 1 << 20  # what is not larger is fetched whole; the most that is read ahead
_REQUEST_BYTES = 16 << 20
_CACHE_BLOCKS = (16 << 20) // _BLOCK_BYTES
_PIECE_BYTES = 1 << 20


class _Collector:
    """The collector of reference cycles, which has to pause while a read waits.

    h5py reads our files under its lock, and fsspec fetches their bytes in a thread of its own. If
    that thread collected an object of h5py, it would wait for the lock, and the reader for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._was_on = False

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Pause it until the last of all readers is done."""
        with self._lock:
            if not self._readers:
                self._was_on = gc.isenabled()
                gc.disable()
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers and self._was_on:
                    gc.enable()


_COLLECTOR = _Collector()


class RemoteFile(RawReader):
    """The file at *place*, of *size* bytes if that is known; it is read by ranges.

    What comes from a server that serves no ranges is fetched whole, below the limit
    ``stdin_bytes``.
    """

    def __init__(self, place: Place, size: int | None) -> None:
        self._place = place
        self._file: BinaryIO | None = None
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._behind = -1  # the block behind what was fetched last
        self._ahead = 0
        self._whole = None if size is not None else self._fetch_whole()
        self.size = len(self._whole) if self._whole is not None else size or 0

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer* as far as one request, or the cache, goes."""
        view = memoryview(buffer).cast("B")
        start = self._position
        stop = min(start + len(view), self.size)
        if stop <= start:
            return 0
        if self._whole is None:
            first, last = start // _BLOCK_BYTES, (stop - 1) // _BLOCK_BYTES
            data, origin = self._cached(first, last), first
            if not data:
                origin, data = self._fetched(first, last)
            data = data[start - origin * _BLOCK_BYTES : stop - origin * _BLOCK_BYTES]
        if self._whole is not None:  # perhaps only now
            data = self._whole[start:stop]
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _cached(self, first: int, last: int) -> bytes:
        """Return the blocks from *first* that are in the cache, at most to *last*."""
        found = []
        for number in range(first, last + 1):
            block = self._blocks.get(number)
            if block is None:
                break
            self._blocks.move_to_end(number)
            found.append(block)
        return b"".join(found)

    def _fetched(self, first: int, last: int) -> tuple[int, bytes]:
        """Fetch block *first* and those that are wanted or expected soon; return the first."""
        end = (self.size - 1) // _BLOCK_BYTES
        if self.size <= _SMALL_BYTES:
            first, last = 0, end
        else:
            follows = first == self._behind
            self._ahead = min(2 * self._ahead + 1, _SMALL_BYTES // _BLOCK_BYTES) if follows else 0
            last = min(max(last, first + self._ahead), end, first + _REQUEST_BYTES // _BLOCK_BYTES)
            while last > first and last in self._blocks:
                last -= 1
        data = self._fetch(first * _BLOCK_BYTES, min((last + 1) * _BLOCK_BYTES, self.size))
        self._behind = last + 1
        if last - first < _CACHE_BLOCKS // 2:
            for number in range(first, last + 1):
                start = (number - first) * _BLOCK_BYTES
                self._blocks[number] = data[start : start + _BLOCK_BYTES]
            while len(self._blocks) > _CACHE_BLOCKS:
                self._blocks.popitem(last=False)
        return first, data

    def _fetch(self, start: int, stop: int) -> bytes:
        try:
            with _COLLECTOR.pause():
                data = attempt(lambda: self._range(start, stop), self._place.shown)
        except (FileNotFoundError, PermissionError) as error:
            what = f"vanished while it was read ({error.strerror})"
            raise CorruptFileError(what, path=self._place.shown) from None
        if self._whole is None and len(data) != stop - start:
            raise CorruptFileError("the file was changed while it was read", path=self._place.shown)
        return data

    def _range(self, start: int, stop: int) -> bytes:
        if not self._place.is_web and getattr(self._place.system, "async_impl", False):
            return self._place.system.cat_file(self._place.path, start=start, end=stop)
        if self._file is None:
            options = {"size": self.size} if self._place.is_web else {}
            self._file = self._place.system.open(
                self._place.path, "rb", cache_type="none", **options
            )
        try:
            self._file.seek(start)
            parts, left = [], stop - start
            while left and (data := self._file.read(left)):
                parts.append(data)
                left -= len(data)
        except ValueError:
            if not self._place.is_web:
                raise
            self._whole = self._fetch_whole()  # the server does not serve ranges
            return b""
        except BaseException:
            self._file = None  # what is open may be of no use any more
            raise
        return b"".join(parts)

    def _fetch_whole(self) -> bytes:
        def work() -> bytes:
            options = {"block_size": 0} if self._place.is_web else {}
            data = bytearray()
            with self._place.system.open(self._place.path, "rb", **options) as file:
                while piece := file.read(_PIECE_BYTES):
                    data += piece
                    DEFAULT_LIMITS.check(
                        "stdin_bytes", len(data), "the bytes of a file served without ranges",
                        path=self._place.shown,
                    )  # fmt: skip
            return bytes(data)

        return attempt(work, self._place.shown)


def holds(place: Place, file: Path) -> bool:
    """Tell whether there is a file at *place* with the bytes of the local *file*."""
    with open(file, "rb") as ours:
        size = os.fstat(ours.fileno()).st_size
        try:
            if look(place).size != size:
                return False
        except FileNotFoundError:
            return False
        theirs = io.BufferedReader(RemoteFile(place, size), _PIECE_BYTES)
        return all(theirs.read(len(data)) == data for data in pieces(ours))
