"""The tensors of a checkpoint, read from its data shards when they are needed.

Strings are stored as their lengths (varints), the masked CRC-32C of the lengths (each taken as
uint32, or uint64 if it needs to be), the bytes of all strings. The CRC of the whole tensor is that
of the lengths, continued over the four CRC bytes and the strings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from tfjs_codec.errors import CorruptFileError, UnsupportedModelError, quote
from tfjs_codec.files.crc32c import Crc32c, crc32c, masked
from tfjs_codec.files.source import open_source
from tfjs_codec.files.tf_dtypes import TfDtype
from tfjs_codec.files.varint import read_varint
from tfjs_codec.ir.tensors import Array, Extent, LazyTensor

_HINT = "Copy or download it again."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor's bytes are; ``crc`` is their masked checksum, None if not to be checked."""

    path: Path
    offset: int
    size: int
    crc: int | None
    big_endian: bool = False


class BundleTensor(LazyTensor):
    """A tensor of a checkpoint; ``tf_dtype`` and ``stored_bytes`` are its type and size there.

    Values of a type that numpy lacks (bfloat16, float8) come as float32. Unless the bundle was
    opened with ``verify=False``, a read that does not match the checksum raises CorruptFileError;
    :meth:`chunks` can tell only after the last chunk.
    """

    def __init__(self, name: str, shape: tuple[int, ...], tf_dtype: str, dtype: DTypeLike) -> None:
        self.name = name
        self.shape = shape
        self.tf_dtype = tf_dtype
        self.dtype = np.dtype(dtype)
        self.stored_bytes = 0

    def numpy(self) -> Array:
        pieces = list(self.chunks(max(1, self.nbytes)))
        flat = np.concatenate(pieces) if len(pieces) > 1 else pieces[0] if pieces else None
        return np.zeros(self.shape, self.dtype) if flat is None else flat.reshape(self.shape)


class PlainTensor(BundleTensor):
    """Numbers of a fixed width in one piece."""

    def __init__(self, name: str, shape: tuple[int, ...], kind: TfDtype, place: Place) -> None:
        super().__init__(name, shape, kind.name, kind.numpy)
        self._kind = kind
        self._place = place
        self.stored_bytes = place.size

    @property
    def extent(self) -> Extent | None:
        """None also if the checksum is to be verified, because the bytes must then be read."""
        place = self._place
        if self._kind.name != "float32" or place.big_endian or place.crc is not None:
            return None
        return Extent(place.path, place.offset, place.size)

    def chunks(self, max_bytes: int) -> Iterator[Array]:
        width = self._kind.stored.itemsize
        step = max(1, max_bytes // max(width, self.dtype.itemsize)) * width
        for data in _read(self._place, step, self.name):
            yield self._kind.decode(data, big_endian=self._place.big_endian)


class StringTensor(BundleTensor):
    """Strings: arrays of dtype object that hold bytes. Their checksums are always verified."""

    def __init__(self, name: str, shape: tuple[int, ...], place: Place) -> None:
        super().__init__(name, shape, "string", object)
        self._place = place
        self.stored_bytes = place.size

    def chunks(self, max_bytes: int) -> Iterator[Array]:
        place = self._place
        whole = Place(place.path, place.offset, place.size, None)
        data = b"".join(_read(whole, max(1, place.size), self.name))
        try:
            strings = _strings(data, self.size, place.crc)
        except ValueError as error:
            raise corrupt_variable(str(error), place.path, self.name) from error
        flat = np.empty(self.size, object)
        flat[:] = strings
        yield from np.split(flat, range(max(1, max_bytes // 8), self.size, max(1, max_bytes // 8)))


class SlicedTensor(BundleTensor):
    """A tensor stored in parts: ``parts`` are pairs of a start and a part, in order of starts.

    TensorFlow's sharding policies cut along any axis, but what they put in one file are mostly
    whole rows, so that a large tensor need not be in memory at once.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        parts: Sequence[tuple[tuple[int, ...], PlainTensor]],
    ) -> None:
        super().__init__(name, shape, parts[0][1].tf_dtype, parts[0][1].dtype)
        self._parts = parts
        self.stored_bytes = sum(part.stored_bytes for _, part in parts)

    def chunks(self, max_bytes: int) -> Iterator[Array]:
        """Yield flat pieces; memory is bounded by the largest of :meth:`_bands`."""
        step = max(1, max_bytes // self.dtype.itemsize)
        for band in self._bands():
            if len(band) == 1:  # whole rows
                yield from band[0][1].chunks(max_bytes)
                continue
            flat = self._assemble(band).reshape(-1)
            yield from (flat[start : start + step] for start in range(0, flat.size, step))

    def _bands(self) -> Iterator[list[tuple[tuple[int, ...], PlainTensor]]]:
        """Yield the parts in groups that fill whole rows, as few as there can be in a group."""
        band: list[tuple[tuple[int, ...], PlainTensor]] = []
        end = 0
        for start, part in self._parts:
            if band and start[0] >= end:
                yield band
                band = []
            band.append((start, part))
            end = max(end, start[0] + part.shape[0]) if start else 0
        if band:
            yield band

    def _assemble(self, band: Sequence[tuple[tuple[int, ...], PlainTensor]]) -> Array:
        first = band[0][0][0]
        rows = max(start[0] + part.shape[0] for start, part in band) - first
        result = np.empty((rows, *self.shape[1:]), self.dtype)
        for start, part in band:
            offsets = (start[0] - first, *start[1:])
            where = tuple(slice(a, a + n) for a, n in zip(offsets, part.shape, strict=True))
            result[where] = part.numpy()
        return result


class UnreadableTensor(BundleTensor):
    """A tensor of a type that has no numbers to give (variant, resource, packed integers)."""

    def __init__(self, name: str, shape: tuple[int, ...], tf_dtype: str, path: Path) -> None:
        super().__init__(name, shape, tf_dtype, np.void)
        self._path = path

    def chunks(self, max_bytes: int) -> Iterator[Array]:  # noqa: ARG002
        raise UnsupportedModelError(
            f"values of type {self.tf_dtype} cannot be read",
            path=self._path,
            where=f"variable {quote(self.name)}",
        )


def corrupt_variable(what: str, path: Path, name: str) -> CorruptFileError:
    """Return the error that names variable *name* of file *path*."""
    return CorruptFileError(what, path=path, where=f"variable {quote(name)}", hint=_HINT)


def _strings(data: bytes, count: int, crc: int | None) -> list[bytes]:
    """Decode *count* strings; ValueError if the bytes do not add up or *crc* does not match."""
    lengths, position = [], 0
    for _ in range(count):
        length, position = read_varint(data, position)
        lengths.append(length)
    widths = (4 if length < 1 << 32 else 8 for length in lengths)
    packed = b"".join(n.to_bytes(w, "little") for n, w in zip(lengths, widths, strict=True))
    start = position + 4
    if start + sum(lengths) != len(data):
        raise ValueError(f"strings of {sum(lengths)} bytes in a tensor of {len(data)}")
    checked = crc32c(packed)
    if masked(checked).to_bytes(4, "little") != data[position:start]:
        raise ValueError("checksum mismatch in the lengths of its strings")
    if crc is not None and masked(crc32c(data[position:], checked)) != crc:
        raise ValueError("checksum mismatch")
    strings = []
    for length in lengths:
        strings.append(data[start : start + length])
        start += length
    return strings


def _read(place: Place, step: int, name: str) -> Iterator[memoryview]:
    """Yield the bytes of *place* in pieces of *step* bytes; check their checksum at the end."""
    checksum = Crc32c()
    with open_source(place.path).open() as file:
        file.seek(place.offset)
        for start in range(0, place.size, step):
            data = memoryview(bytearray(min(step, place.size - start)))
            filled = 0
            while filled < len(data):
                count = file.readinto(data[filled:])  # type: ignore[attr-defined]
                if not count:
                    raise corrupt_variable(
                        "the file became shorter while it was read", place.path, name
                    )
                filled += count
            if place.crc is not None:
                checksum.update(data)
                if start + step >= place.size and masked(checksum.value()) != place.crc:
                    raise corrupt_variable("checksum mismatch", place.path, name)
            yield data
    if not place.size and place.crc not in (None, masked(0)):
        raise corrupt_variable("checksum mismatch", place.path, name)
