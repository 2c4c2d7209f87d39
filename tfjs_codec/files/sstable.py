"""Sorted string tables (LevelDB's table format, as TensorFlow writes ``*.index`` files).

The file is blocks, then a footer of 48 bytes: handles of the metaindex and of the index block,
zeros up to byte 40, the magic number. A handle is varint offset, varint size. After the ``size``
bytes of a block come its type (0 plain, 1 snappy) and the masked CRC-32C of both, 5 bytes that the
size leaves out.

A block is entries, then restart offsets (uint32), then their count (uint32). An entry is varint
lengths shared, unshared, value; the unshared part of the key (the shared part is the start of the
key before); the value. The index block's values are the handles of the data blocks; its keys only
separate. All numbers are little-endian.

TensorFlow writes blocks of 256 KiB and more, plain, and a restart, an entry that shares nothing,
every 16 entries of a data block and for every entry of an index block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tfjs_codec.errors import CorruptFileError, LimitExceededError
from tfjs_codec.files.crc32c import crc32c, masked
from tfjs_codec.files.snappy import decompress, decompressed_size
from tfjs_codec.files.source import TABLE_MAGIC
from tfjs_codec.files.varint import read_varint, write_varint
from tfjs_codec.limits import DEFAULT_LIMITS, Limits

_FOOTER_BYTES = 48
_TRAILER_BYTES = 5
_BLOCK_BYTES = 262144  # tensorflow/core/util/tensor_bundle: TableBuilderOptions
_RESTART_INTERVAL = 16


def read_sstable(
    data: bytes, *, path: object, limits: Limits = DEFAULT_LIMITS
) -> dict[bytes, bytes]:
    """Return all entries of the table file *data*, in its order.

    Every byte of the file is accounted for: it is in a block with a matching checksum or in the
    footer, keys increase, restarts are where entries start.

    Raises:
        CorruptFileError: Anything else, naming the block.
        LimitExceededError: ``index_bytes`` unpacked, ``key_bytes``, ``weights`` or ``steps``.
    """
    return _Table(data, path, limits).entries()


class _Table:
    def __init__(self, data: bytes, path: object, limits: Limits) -> None:
        self._data = data
        self._path = path
        self._limits = limits
        self._used = _FOOTER_BYTES
        self._count = 0

    def entries(self) -> dict[bytes, bytes]:
        metaindex, index = self._footer()
        result: dict[bytes, bytes] = {}
        last = b""
        for number, (separator, value) in enumerate(index.items()):
            where = f"data block {number}"
            with self._errors(where):
                (offset, size), end = _handle(value, 0)
                if end != len(value):
                    raise ValueError("its handle has the wrong size")
            block = self._block(offset, size, where)
            with self._errors(where):
                if result and block and next(iter(block)) <= last:
                    raise ValueError("its keys do not come after those of the block before")
                last = next(reversed(block), last)
                if last > separator:
                    raise ValueError("its keys come after its key in the index")
            result.update(block)
        with self._errors("metaindex block"):
            if metaindex:
                raise ValueError("expected it to be empty")
        with self._errors(""):
            if self._used != len(self._data):
                raise ValueError(f"{len(self._data) - self._used} bytes belong to no block")
        return result

    def _footer(self) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        footer = self._data[-_FOOTER_BYTES:]
        with self._errors("footer"):
            if len(footer) < _FOOTER_BYTES or not footer.endswith(TABLE_MAGIC):
                raise ValueError(
                    "not a checkpoint index, or truncated (its magic number is missing)"
                )
            metaindex, position = _handle(footer, 0)
            index, position = _handle(footer, position)
            if any(footer[position : -len(TABLE_MAGIC)]):
                raise ValueError("padding is not zero")
        return self._block(*metaindex, "metaindex block"), self._block(*index, "index block")

    def _block(self, offset: int, size: int, where: str) -> dict[bytes, bytes]:
        end = offset + size + _TRAILER_BYTES
        self._used += size + _TRAILER_BYTES
        with self._errors(where):
            if end > len(self._data) - _FOOTER_BYTES or self._used > len(self._data):
                raise ValueError(f"bytes {offset} to {end} are not in the file")
            content, trailer = (
                self._data[offset : end - _TRAILER_BYTES],
                self._data[end - 5 : end],
            )
            expected = int.from_bytes(trailer[1:], "little")
            if masked(crc32c(self._data[offset : end - 4])) != expected:
                raise ValueError("checksum mismatch")
            if trailer[0] not in (0, 1):
                raise ValueError(f"unknown compression type {trailer[0]}")
            if trailer[0]:
                self._spend("index_bytes", decompressed_size(content), "the unpacked size")
                content = decompress(content, limits=self._limits, path=self._path)
            return dict(self._paid(_entries(content)))

    def _paid(self, entries: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """Yield *entries*, whose keys are longer than what is stored of them."""
        for key, value in entries:
            self._count += 1
            self._limits.check("weights", self._count, "the number of tensors", path=self._path)
            self._spend("key_bytes", len(key), "the size of the keys in bytes")
            yield key, value

    def _spend(self, limit: str, amount: int, what: str) -> None:
        self._limits.spend(limit, amount, what, path=self._path)

    @contextmanager
    def _errors(self, where: str) -> Iterator[None]:
        """Turn ValueError into the error that names the file and the block."""
        try:
            yield
        except LimitExceededError:
            raise
        except ValueError as error:
            raise CorruptFileError(str(error), path=self._path, where=where) from error


def _handle(data: bytes, position: int) -> tuple[tuple[int, int], int]:
    offset, position = read_varint(data, position)
    size, position = read_varint(data, position)
    return (offset, size), position


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of a block; ValueError if it is not one, or its keys do not increase."""
    if len(block) < 4:
        raise ValueError("too short for a block")
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    if end < 0:
        raise ValueError("restart array out of range")
    restarts = {int.from_bytes(block[i : i + 4], "little") for i in range(end, len(block) - 4, 4)}
    position, previous = 0, None
    while position < end:
        restarts.discard(position)
        shared, position = read_varint(block, position, 32)
        unshared, position = read_varint(block, position, 32)
        length, position = read_varint(block, position, 32)
        middle, stop = position + unshared, position + unshared + length
        if stop > end or shared > len(previous or b""):
            raise ValueError("entry out of range")
        key = (previous or b"")[:shared] + block[position:middle]
        if previous is not None and key <= previous:
            raise ValueError("keys are not in order")
        yield key, block[middle:stop]
        previous, position = key, stop
    if restarts - {0}:
        raise ValueError("restarts are not at entries")


def write_sstable(entries: Mapping[bytes, bytes]) -> bytes:
    """Return the table file of *entries*, byte for byte as TensorFlow writes it."""
    output = bytearray()
    index = _BlockWriter(restart_interval=1)
    block, last = _BlockWriter(_RESTART_INTERVAL), b""
    waiting: bytes | None = None  # the handle of the block before
    for key in sorted(entries):
        if waiting is not None:
            index.add(_separator(last, key), waiting)
            waiting = None
        block.add(key, entries[key])
        last = key
        if block.size >= _BLOCK_BYTES:
            waiting, block = _append(output, block), _BlockWriter(_RESTART_INTERVAL)
    if block.count:
        waiting = _append(output, block)
    metaindex = _append(output, _BlockWriter(_RESTART_INTERVAL))
    if waiting is not None:
        index.add(_successor(last), waiting)
    handles = metaindex + _append(output, index)
    return bytes(output) + handles.ljust(_FOOTER_BYTES - len(TABLE_MAGIC), b"\0") + TABLE_MAGIC


class _BlockWriter:
    """A block under construction; keys are added in their order."""

    def __init__(self, restart_interval: int) -> None:
        self.count = 0
        self._interval = restart_interval
        self._content = bytearray()
        self._restarts = [0]
        self._last = b""

    @property
    def size(self) -> int:
        """Bytes of the block if it ended here."""
        return len(self._content) + 4 * len(self._restarts) + 4

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self.count % self._interval:
            while shared < min(len(key), len(self._last)) and key[shared] == self._last[shared]:
                shared += 1
        elif self.count:
            self._restarts.append(len(self._content))
        for number in (shared, len(key) - shared, len(value)):
            self._content += write_varint(number)
        self._content += key[shared:] + value
        self._last = key
        self.count += 1

    def finish(self) -> bytes:
        numbers = (*self._restarts, len(self._restarts))
        return bytes(self._content) + b"".join(n.to_bytes(4, "little") for n in numbers)


def _append(output: bytearray, block: _BlockWriter) -> bytes:
    """Append *block* as it is stored, and return its handle."""
    stored = block.finish() + bytes(1)  # stored as it is
    handle = write_varint(len(output)) + write_varint(len(stored) - 1)
    output += stored + masked(crc32c(stored)).to_bytes(4, "little")
    return handle


def _separator(last: bytes, following: bytes) -> bytes:
    """Return a short key from *last* on and before *following*."""
    pairs = enumerate(zip(last, following, strict=False))
    place = next((i for i, (a, b) in pairs if a != b), None)
    if place is None or last[place] + 1 >= following[place]:
        return last
    return last[:place] + bytes([last[place] + 1])


def _successor(last: bytes) -> bytes:
    """Return a short key from *last* on."""
    place = next((i for i, byte in enumerate(last) if byte != 0xFF), None)
    return last if place is None else last[:place] + bytes([last[place] + 1])
