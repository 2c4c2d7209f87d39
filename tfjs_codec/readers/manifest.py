"""Weight manifests: which bytes of which files are a tensor, and what they mean.

A manifest is a list of groups ``{"paths": [file…], "weights": [entry…]}``, an entry ``{"name",
"shape", "dtype", "quantization"?, "group"?}``. The files of all groups, one after the other, hold
the tensors of all groups, one after the other, little-endian and without padding; a tensor may
straddle files (tfjs-core/src/io/weights_loader.ts). Quantised tensors are ``q * scale + min`` in
float64, stored to float32, or rounded for int32; float16 is widened (io_utils.ts, decodeWeights).
A string is its length as uint32 and its bytes.

Written by the official converter since 1.0, ``model.save()`` of tfjs in browsers and Node (whose
paths start with ``./``), ml5, Teachable Machine and, as a bare list, face-api.js.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.files.place import Place
from tfjs_codec.files.source import Folder, Source
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.ir.layers import Quantized, Weight
from tfjs_codec.ir.tensors import Array, DType, Extent, LazyTensor
from tfjs_codec.limits import Limits

_DTYPES = {
    "float32": np.dtype(np.float32),
    "int32": np.dtype(np.int32),
    "bool": np.dtype(np.bool_),
    "complex64": np.dtype(np.complex64),
    "string": np.dtype(object),
}
_QUANTIZED = {name: np.dtype(name) for name in ("uint8", "uint16", "float16")}
_LENGTH_BYTES = 4  # before every string
_AHEAD_BYTES = 1 << 16  # read at a time to find where strings end


class Shards(NamedTuple):
    """Files read as if they were one; each is opened only while it is read."""

    files: tuple[Source, ...]
    ends: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return self.ends[-1] if self.ends else 0

    def parts(self, offset: int, nbytes: int) -> Iterator[tuple[Source, int, int]]:
        """Yield file, start and length of what bytes *offset* … *offset + nbytes* are."""
        index = bisect_right(self.ends, offset)
        while nbytes:
            start = self.ends[index - 1] if index else 0
            count = min(nbytes, self.ends[index] - offset)
            if count:
                yield self.files[index], offset - start, count
            offset, nbytes, index = offset + count, nbytes - count, index + 1

    def read(self, offset: int, nbytes: int) -> bytes:
        """Return exactly *nbytes* bytes.

        Raises:
            CorruptFileError: a file became shorter since it was measured.
        """
        found = []
        for source, start, count in self.parts(offset, nbytes):
            with source.open() as file:
                file.seek(start)
                data = file.read(count)
                while len(data) < count and (more := file.read(count - len(data))):
                    data += more
            if len(data) != count:
                raise CorruptFileError("the file was changed while it was read", path=source.path)
            found.append(data)
        return b"".join(found)


class StoredTensor(LazyTensor):
    """A tensor as it lies in the shards, of dtype *dtype*."""

    def __init__(
        self, name: str, shape: tuple[int, ...], dtype: DType, shards: Shards, offset: int
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self._wire = dtype.newbyteorder("<")
        self._shards = shards
        self._offset = offset

    @property
    def extent(self) -> Extent | None:
        parts = list(self._shards.parts(self._offset, self.nbytes))
        if len(parts) != 1:
            return None
        source, start, count = parts[0]
        path = source.file_path
        return None if path is None else Extent(path, source.offset + start, count)

    def numpy(self) -> Array:
        return self._part(0, self.size).reshape(self.shape)

    def chunks(self, max_bytes: int) -> Iterator[Array]:
        step = max(1, max_bytes // self.dtype.itemsize)
        for start in range(0, self.size, step):
            yield self._part(start, min(step, self.size - start))

    def _part(self, start: int, count: int) -> Array:
        item = self.dtype.itemsize
        data = self._shards.read(self._offset + start * item, count * item)
        if self.dtype == np.bool_:  # any byte but 0 is true
            return np.frombuffer(data, np.uint8).astype(np.bool_)
        values: Array = np.frombuffer(bytearray(data), self._wire).astype(self.dtype, copy=False)
        return values


class DequantizedTensor(LazyTensor):
    """The values that tfjs makes of a quantised tensor: float32, or int32."""

    def __init__(self, stored: StoredTensor, dtype: DType, scale: float, low: float) -> None:
        self.name = stored.name
        self.shape = stored.shape
        self.dtype = dtype
        self._place, self._scale, self._low = stored, scale, low

    def numpy(self) -> Array:
        return self._restore(self._place.numpy())

    def chunks(self, max_bytes: int) -> Iterator[Array]:
        for chunk in self._place.chunks(max(1, max_bytes // 8)):  # float64 on the way
            yield self._restore(chunk)

    def _restore(self, values: Array) -> Array:
        if values.dtype == np.float16:
            return values.astype(np.float32)
        restored = values.astype(np.float64) * self._scale + self._low
        if self.dtype == np.int32:  # JavaScript's Math.round takes halves up
            restored = np.floor(restored + 0.5)
        with np.errstate(over="ignore", invalid="ignore"):  # as JavaScript, without a word
            return restored.astype(self.dtype)


class StringTensor(LazyTensor):
    """Strings as bytes objects; ``wire_nbytes`` is what they take in the shards."""

    dtype = _DTYPES["string"]

    def __init__(self, name: str, shape: tuple[int, ...], shards: Shards, offset: int) -> None:
        self.name = name
        self.shape = shape
        self._shards = shards
        self._offset = offset
        self._spans = np.empty((self.size, 2), np.int64)  # where each begins, and its length
        end, ahead, behind = offset, b"", offset  # what was read ahead ends at behind
        for index in range(self.size):
            if end + _LENGTH_BYTES > behind:
                ahead = shards.read(end, min(_AHEAD_BYTES, shards.nbytes - end))
                behind = end + len(ahead)
            if end + _LENGTH_BYTES > shards.nbytes:
                raise _past_the_end(name)
            at = len(ahead) - (behind - end)
            length = int.from_bytes(ahead[at : at + _LENGTH_BYTES], "little")
            self._spans[index] = end + _LENGTH_BYTES, length
            end += _LENGTH_BYTES + length
            if end > shards.nbytes:
                raise _past_the_end(name)
        self.wire_nbytes = end - offset

    def numpy(self) -> Array:
        array = np.empty(self.size, object)
        data = self._shards.read(self._offset, self.wire_nbytes)
        for index, (begin, length) in enumerate(self._spans - [self._offset, 0]):
            array[index] = data[begin : begin + length]
        return array.reshape(self.shape)


def _past_the_end(name: str) -> CorruptFileError:
    return CorruptFileError(f"the strings of {quote(name)} go past the end of the weight files")


def read_manifest(
    manifest: Json, folder: Folder | None, place: Place, limits: Limits
) -> list[Weight]:
    """Return the weights of *manifest*; nothing but strings' lengths is read from the files.

    *folder* is that of the file with the manifest, None if it came as mere bytes.

    Raises:
        CorruptFileError: sizes that disagree, files or keys that are missing, repeated names.
        UnsafeFileError: a path that leads out of *folder*, or more data than allowed.
    """
    groups = [place.at(i).mapping(group) for i, group in enumerate(place.items(manifest))]
    shards = _open_shards(groups, folder, place, limits)
    reader = _Reader(shards, limits, place.path)
    weights = []
    for number, group in enumerate(groups):
        at = place.at(number).at("weights")
        weights += [
            reader.entry(item, at.at(i)) for i, item in enumerate(at.items(group.get("weights")))
        ]
    if reader.offset != shards.nbytes:
        raise place.error(
            f"expected {reader.offset:,} bytes of weights, found {shards.nbytes:,}",
            "The files do not belong to this manifest, or a download was cut off.",
        )
    return weights


def _open_shards(
    groups: Sequence[JsonObject], folder: Folder | None, place: Place, limits: Limits
) -> Shards:
    """Find and measure all weight files."""
    files: dict[str, Source] = {}
    for number, group in enumerate(groups):
        at = place.at(number).at("paths")
        for i, name in enumerate(at.items(group.get("paths"))):
            spot = at.at(i)
            if folder is None:
                raise spot.error(
                    "the weights are in files beside this one",
                    "Pass a path, or all files as a mapping.",
                )
            if not isinstance(name, str):
                raise spot.expect("a file name", name)
            file = folder.find(
                name.removeprefix("./"), path=place.path, where=spot.where, limits=limits
            )
            key = str(file.file_path or name) + file.where
            if key in files:
                raise spot.error(f"the file {quote(name)} is listed twice")
            files[key] = file
            limits.check(
                "shards", len(files), "the number of weight files", path=place.path, where=at.where
            )
    return Shards(tuple(files.values()), tuple(accumulate(file.size for file in files.values())))


class _Reader:
    """Goes through the entries; ``offset`` is where the next one begins."""

    def __init__(self, shards: Shards, limits: Limits, path: str) -> None:
        self.offset = 0
        self._shards = shards
        self._limits = limits
        self._path = path
        self._names: set[str] = set()
        self._total = 0

    def entry(self, entry: Json, place: Place) -> Weight:
        """Return the weight that *entry* describes, which begins at :attr:`offset`."""
        entry = place.mapping(entry)
        name = place.at("name").text(entry.get("name"))
        if name in self._names:
            raise place.error(f"there are two weights called {quote(name)}")
        self._names.add(name)
        self._check("weights", len(self._names), "the number of weights", place)
        shape = place.at("shape")
        sizes = tuple(shape.at(i).whole(n) for i, n in enumerate(shape.items(entry.get("shape"))))
        self._check("rank", len(sizes), "the number of dimensions", place)
        dtype = _DTYPES.get(str(entry.get("dtype")))
        if dtype is None:
            raise place.at("dtype").error(f"unknown dtype {quote(entry.get('dtype'))}")
        declared = math.prod(sizes) * dtype.itemsize
        self._total += declared
        self._check("tensor_bytes", declared, "the tensor's size in bytes", place)
        self._check("total_bytes", self._total, "the size of all tensors in bytes", place)
        optimizer = entry.get("group") == "optimizer"
        if dtype.kind == "O":
            return Weight(name, self._strings(name, sizes, place), None, optimizer)
        stored, quantized = self._place(name, sizes, dtype, entry.get("quantization"), place)
        return Weight(name, stored, quantized, optimizer)

    def _check(self, limit: str, value: int, what: str, place: Place) -> None:
        self._limits.check(limit, value, what, path=place.path, where=place.where)

    def _strings(self, name: str, shape: tuple[int, ...], place: Place) -> StringTensor:
        count, what = math.prod(shape), "the number of strings"
        self._check_fits(count * _LENGTH_BYTES, place)
        self._limits.spend("strings", count, what, path=place.path, where=place.where)
        try:
            tensor = StringTensor(name, shape, self._shards, self.offset)
        except CorruptFileError as error:
            raise place.error(error.what) from None
        self.offset += tensor.wire_nbytes
        return tensor

    def _place(
        self, name: str, shape: tuple[int, ...], dtype: DType, given: Json, place: Place
    ) -> tuple[LazyTensor, Quantized | None]:
        at = place.at("quantization")
        wire, scale, low = (dtype, 1.0, 0.0) if given is None else _quantization(given, dtype, at)
        stored = StoredTensor(name, shape, wire, self._shards, self.offset)
        self._check_fits(stored.nbytes, place)
        self.offset += stored.nbytes
        if given is None:
            return stored, None
        return DequantizedTensor(stored, dtype, scale, low), Quantized(
            stored, dict(at.mapping(given))
        )

    def _check_fits(self, nbytes: int, place: Place) -> None:
        """Refuse before anything is sized by it what the files cannot hold."""
        if self.offset + nbytes > self._shards.nbytes:
            raise place.error(
                f"expected at least {self.offset + nbytes:,} bytes of weights, "
                f"found {self._shards.nbytes:,}",
                "A weight file is cut off, or does not belong to this manifest.",
            )


def _quantization(given: Json, dtype: DType, place: Place) -> tuple[DType, float, float]:
    """Return the stored dtype, scale and minimum of an entry's ``quantization``."""
    given = place.mapping(given)
    wire = _QUANTIZED.get(str(given.get("dtype")))
    if wire is None:
        raise place.at("dtype").error(f"unknown quantisation dtype {quote(given.get('dtype'))}")
    if dtype not in (np.float32, np.int32) or (wire == np.float16 and dtype != np.float32):
        raise place.error(f"{wire.name} cannot stand for {dtype.name}")
    if wire == np.float16:
        return wire, 1.0, 0.0
    scale, low = (place.at(key).number(given.get(key)) for key in ("scale", "min"))
    if scale <= 0:
        raise place.at("scale").expect("a positive number", scale)
    return wire, scale, low
