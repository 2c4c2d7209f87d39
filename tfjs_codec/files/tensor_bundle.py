"""TensorFlow's TensorBundle: the index of a checkpoint, ``PREFIX.index``.

It is a sorted string table. Its key ``""`` holds a BundleHeaderProto, every other key a
BundleEntryProto: dtype, shape, and ``size`` bytes at ``offset`` of the data shard
``PREFIX.data-SSSSS-of-NNNNN``, row-major in the byte order of the header, with a masked CRC-32C. An
entry with ``slices`` has no data: each slice is an entry of its own under :func:`slice_key`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from math import prod
from pathlib import Path

from tfjs_codec import pb
from tfjs_codec.errors import CorruptFileError, UnsupportedModelError, quote
from tfjs_codec.files.bundle_tensors import (
    BundleTensor,
    Place,
    PlainTensor,
    SlicedTensor,
    StringTensor,
    UnreadableTensor,
    corrupt_variable,
)
from tfjs_codec.files.paths import existing_child
from tfjs_codec.files.source import open_source
from tfjs_codec.files.sstable import read_sstable
from tfjs_codec.files.tf_dtypes import STRING, TF_DTYPES, dtype_name
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.pb import messages

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_KNOWN_VERSION = 1
_PRIME = (1 << 61) - 1
_ESCAPES = {0x00: b"\x00\xff", 0xFF: b"\xff\x00"}


def open_bundle(
    prefix: Path, *, verify: bool = True, limits: Limits = DEFAULT_LIMITS
) -> dict[str, BundleTensor]:
    """Return all tensors of the checkpoint *prefix* (a path without ``.index``) by key, sorted.

    Only the index is read. Every size in it is checked: against the shape and type it belongs to,
    against the shard it points into, against the other entries and against *limits*.

    Raises:
        CorruptFileError: the index or a shard is missing, truncated or contradicts itself.
        UnsafeFileError: a file is a symbolic link out of its directory, or no regular file.
        LimitExceededError: ``index_bytes``, ``key_bytes``, ``weights``, ``rank``,
            ``tensor_bytes``, ``total_bytes``, ``strings`` or ``shards``.
    """
    name = f"{prefix.name}.index"
    index = existing_child(prefix.parent, name, path=prefix, limits=limits)
    data = open_source(index).read("index_bytes", limits)
    entries = read_sstable(data, path=index, limits=limits)
    return _Bundle(prefix, index, verify, limits).tensors(entries)


class _Bundle:
    """Checks the entries of one index and makes tensors of them."""

    def __init__(self, prefix: Path, index: Path, verify: bool, limits: Limits) -> None:
        self._prefix = prefix
        self._index = index
        self._verify = verify
        self._limits = limits
        self._shards = 0
        self._big_endian = False
        self._opened: dict[int, tuple[Path, int]] = {}
        self._ranges: list[tuple[int, int, int, str]] = []
        self._slices: dict[bytes, bytes] = {}

    def tensors(self, entries: dict[bytes, bytes]) -> dict[str, BundleTensor]:
        self._header(entries)
        self._limits.check("weights", len(entries), "the number of tensors", path=self._index)
        self._slices = {key: value for key, value in entries.items() if key.startswith(b"\0")}
        result: dict[str, BundleTensor] = {}
        for key, value in entries.items():
            if key and not key.startswith(b"\0"):
                name = key.decode("utf-8", "backslashreplace")
                result[name] = self._tensor(key, name, value)
        self._limits.check(
            "total_bytes",
            sum(tensor.nbytes for tensor in result.values()),
            "the size of all tensors in bytes",
            path=self._index,
        )
        self._check_overlaps()
        return result

    def _header(self, entries: dict[bytes, bytes]) -> None:
        if b"" not in entries:
            raise CorruptFileError("the entry with the header is missing", path=self._index)
        header = pb.parse(
            messages.BundleHeaderProto, entries[b""], path=self._index, where="header"
        )
        if header.version.min_consumer > _KNOWN_VERSION:
            raise UnsupportedModelError(
                f"the checkpoint needs a reader of version {header.version.min_consumer}",
                path=self._index,
            )
        if header.num_shards < 1 or header.endianness not in (0, 1):
            raise CorruptFileError("impossible header", path=self._index, where="header")
        self._limits.check("shards", header.num_shards, "the number of shards", path=self._index)
        self._shards = header.num_shards
        self._big_endian = header.endianness == 1

    def _tensor(self, key: bytes, name: str, value: bytes) -> BundleTensor:
        entry = pb.parse(
            messages.BundleEntryProto, value, path=self._index, where=f"variable {quote(name)}"
        )
        shape = self._shape(entry.shape, name)
        kind = TF_DTYPES.get(entry.dtype)
        if kind is None:
            return UnreadableTensor(name, shape, dtype_name(entry.dtype), self._index)
        size = prod(shape) * kind.stored.itemsize
        declared = max(size, prod(shape) * kind.numpy.itemsize, entry.size)
        self._limits.check(
            "tensor_bytes",
            declared,
            "the tensor's size in bytes",
            path=self._index,
            where=f"variable {quote(name)}",
        )
        if entry.slices:
            if not key:
                raise self._corrupt("is a slice that has slices", name)
            return self._slice(key, name, shape, entry)
        place = self._place(entry, name)
        if entry.dtype == STRING:
            if place.size < prod(shape) + 4:
                raise self._corrupt(f"{place.size} bytes cannot hold {prod(shape)} strings", name)
            what, where = "the number of strings", f"variable {quote(name)}"
            self._limits.spend("strings", prod(shape), what, path=self._index, where=where)
            return StringTensor(name, shape, place)
        if place.size != size:
            text = f"shape {list(shape)} of {kind.name} takes {size} bytes, not {place.size}"
            raise self._corrupt(text, name)
        return PlainTensor(name, shape, kind, place)

    def _shape(self, shape: messages.TensorShapeProto, name: str) -> tuple[int, ...]:
        sizes = tuple(dim.size for dim in shape.dim)
        where = f"variable {quote(name)}"
        self._limits.check("rank", len(sizes), "its rank", path=self._index, where=where)
        if shape.unknown_rank or any(size < 0 for size in sizes):
            raise self._corrupt("its shape is not complete", name)
        return sizes

    def _place(self, entry: messages.BundleEntryProto, name: str) -> Place:
        if not 0 <= entry.shard_id < self._shards:
            raise self._corrupt(f"is in shard {entry.shard_id} of {self._shards}", name)
        path, available = self._shard(entry.shard_id, name)
        end = entry.offset + entry.size
        if entry.offset < 0 or entry.size < 0 or end > available:
            text = f"bytes {entry.offset} to {end} are not in its shard of {available} bytes"
            raise corrupt_variable(f"{text} (truncated?)", path, name)
        self._ranges.append((entry.shard_id, entry.offset, end, name))
        crc = entry.crc32c if self._verify or entry.dtype == STRING else None
        return Place(path, entry.offset, entry.size, crc, self._big_endian)

    def _shard(self, number: int, name: str) -> tuple[Path, int]:
        """Return the path and size of a data shard; it is opened for the first time for *name*."""
        if number not in self._opened:
            file = f"{self._prefix.name}.data-{number:05d}-of-{self._shards:05d}"
            path = existing_child(
                self._prefix.parent,
                file,
                path=self._prefix,
                where=f"variable {quote(name)}",
                limits=self._limits,
            )
            self._opened[number] = path, open_source(path).size
        return self._opened[number]

    def _slice(
        self, key: bytes, name: str, shape: tuple[int, ...], entry: messages.BundleEntryProto
    ) -> BundleTensor:
        kind = TF_DTYPES[entry.dtype]
        parts: list[tuple[tuple[int, ...], PlainTensor]] = []
        for extents in entry.slices:
            spec = [(e.start, e.length if e.HasField("length") else -1) for e in extents.extent]
            value = self._slices.pop(slice_key(key, spec), None)
            if value is None:
                raise self._corrupt(f"its slice {spec} is missing or listed twice", name)
            part = self._tensor(b"", f"{name} {spec}", value)
            starts = tuple(start for start, _ in spec)
            wanted = _slice_shape(spec, shape)
            if part.shape != wanted or part.tf_dtype != kind.name:
                raise self._corrupt(f"its slice {spec} does not fit shape {list(shape)}", name)
            if not isinstance(part, PlainTensor):
                raise self._corrupt(f"its slice {spec} holds no numbers", name)
            parts.append((starts, part))
        parts.sort(key=lambda pair: pair[0])
        if not _tiles(parts, shape):
            raise self._corrupt("its slices do not cover the tensor exactly once", name)
        return SlicedTensor(name, shape, parts)

    def _check_overlaps(self) -> None:
        self._ranges.sort()
        for before, after in pairwise(self._ranges):
            if before[0] == after[0] and after[1] < before[2] and after[2] > after[1]:
                raise self._corrupt(f"its bytes overlap those of {quote(before[3])}", after[3])

    def _corrupt(self, what: str, name: str) -> CorruptFileError:
        return corrupt_variable(what, self._index, name)


def _slice_shape(spec: list[tuple[int, int]], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of slice *spec* of a tensor of *shape*, or None if it is not inside."""
    if len(spec) != len(shape):
        return None
    sizes = [full if length < 0 else length for (_, length), full in zip(spec, shape, strict=True)]
    inside = all(
        0 <= start <= full - size for (start, _), size, full in zip(spec, sizes, shape, strict=True)
    )
    return tuple(sizes) if inside else None


def _tiles(parts: Sequence[tuple[tuple[int, ...], LazyTensor]], shape: tuple[int, ...]) -> bool:
    """Tell whether *parts*, all inside *shape*, cover every element exactly once.

    If they do, their volumes add up to the whole's in any measure, also in one that gives the
    stretch between two coordinates of an axis a random signed length. If they do not, the
    difference is a polynomial of the lengths, which is zero by chance once in 2^56 (Schwartz,
    Zippel). So cuts may be as irregular as TensorFlow's sharding policies make them.
    """
    measures: list[dict[int, int]] = [defaultdict(_random_length) for _ in shape]

    def volume(start: tuple[int, ...], sizes: tuple[int, ...]) -> int:
        result = 1
        for measure, a, size in zip(measures, start, sizes, strict=True):
            result = result * (measure[a + size] - measure[a]) % _PRIME
        return result

    total = sum(volume(start, part.shape) for start, part in parts)
    return total % _PRIME == volume((0,) * len(shape), shape)


def _random_length() -> int:
    from secrets import randbelow  # here: it loads OpenSSL

    return randbelow(_PRIME)


def slice_key(name: bytes, spec: Sequence[tuple[int, int]]) -> bytes:
    """Return the key of the slice *spec*, pairs of start and length (-1: the whole dimension).

    The format is TensorFlow's OrderedCode: the number 0, the escaped name, the rank, the pairs.
    """
    escaped = b"".join(_ESCAPES.get(byte, bytes((byte,))) for byte in name)
    rank = len(spec).to_bytes((len(spec).bit_length() + 7) // 8, "big")
    numbers = b"".join(_encode_signed(number) for pair in spec for number in pair)
    return b"\0" + escaped + b"\0\1" + bytes([len(rank)]) + rank + numbers


def _encode_signed(value: int) -> bytes:
    """OrderedCode of a signed number: n bytes, two's complement, n in the leading bits."""
    size = 1
    while (~value if value < 0 else value) >= 1 << (7 * size - 1):
        size += 1
    header = ((1 << size) - 1) << (7 * size)
    number = value & ((1 << 8 * size) - 1)
    return (number ^ header).to_bytes(size, "big")
