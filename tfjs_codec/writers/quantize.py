"""Quantisation with the arithmetic of the official converter, in bounded memory.

Affine (``uint8``, ``uint16``): with b bits, ``scale = (max - min) / (2**b - 1)``; if 0 lies in
[min, max], ``min`` becomes ``-round(-min / scale) * scale`` so that 0 stays exactly 0; and
``q = round((clip(x, min, min + (2**b - 1) * scale) - min) / scale)``, all in float64, ties to
even. A constant tensor has ``scale = 1``, ``q = 0`` and its value as ``min``. tfjs reads
``q * scale + min``. What is not to be as the official converter has it can be balanced, see
:mod:`tfjs_codec.writers.balance`. ``float16`` is a cast. Only float32 tensors are quantised.

(The official converter gets float64 from numpy 2, whose float64 scalars promote float32 arrays;
under numpy 1 it computed in float32 and now and then differed by one step.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.errors import UsageError, quote
from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.ir.tensors import Array, DType, LazyTensor
from tfjs_codec.writers.balance import STEP, balance

_CHUNK_BYTES = 1 << 18  # of float32; its temporaries stay in the second level cache
_KEEP_BYTES = 16 << 20  # smaller tensors are read once and kept, bigger ones are read twice

_FLOAT16_LIMIT = 65520  # the smallest number that float16 rounds to infinity


class Loss(NamedTuple):
    """What quantising a tensor cost: ``max_error`` is the largest |x - x'| of its elements.

    ``step`` is the distance of neighbouring values, 0 for float16, whose steps vary;
    ``relative_error`` the root of the sum of squared errors relative to that of squared values.
    """

    name: str
    dtype: str
    max_error: float
    step: float
    relative_error: float


def find_misfit(name: str, tensor: LazyTensor, dtype: str) -> str | None:
    """Return why *tensor*, which is read, cannot be quantised to *dtype*; None if it can."""
    try:
        Quantizer(name, tensor, dtype)
    except UsageError as error:
        return error.what
    return None


class Quantizer:
    """Quantises one tensor.

    Creating it reads the tensor once to learn its range; :meth:`chunks` reads it again.

    Args:
        name: What errors call it.
        tensor: A tensor of float32.
        dtype: What to quantise it to.
        sums: Tuples of axes over which errors cancel out. Large tensors are rounded to the nearest
            value all the same, as are all to float16.
        moves: By how many steps values move after they are rounded, instead.

    Attributes:
        entry: The manifest entry's ``quantization`` object.

    Raises:
        UsageError: The tensor has values the dtype cannot hold.
    """

    def __init__(
        self,
        name: str,
        tensor: LazyTensor,
        dtype: str,
        sums: Sequence[tuple[int, ...]] = (),
        moves: NDArray[np.int8] | None = None,
    ) -> None:
        self.name = name
        self.dtype = np.dtype(dtype)
        self._scale = 0.0
        self.entry: JsonObject = {"dtype": dtype}
        self._kept: Array | None = None
        self._tensor = tensor
        if tensor.nbytes <= _KEEP_BYTES:
            self._kept = tensor.numpy().reshape(-1)
        low, high = self._range()
        if self.dtype.kind == "f":
            if max(abs(low), abs(high)) >= _FLOAT16_LIMIT:
                raise UsageError(
                    f"quantize: weight {quote(name)} has values float16 cannot hold "
                    f"({low:g} to {high:g})",
                    hint="Leave it out, or use uint16.",
                )
        else:
            self._scale, self._min, self._max = affine_range(low, high, self.dtype)
            self.entry |= {"min": self._min, "scale": self._scale}
        self._moves = None if moves is None else moves.reshape(-1)
        if sums and moves is None and self._kept is not None and self.dtype.kind == "u":
            self._moves = balance(self.measure_errors().reshape(tensor.shape), sums).reshape(-1)
        self.entry["original_dtype"] = "float32"
        self._max_error = self._noise = self._signal = 0.0

    @property
    def loss(self) -> Loss:
        """The loss, known when :meth:`chunks` has come to its end."""
        relative = (self._noise / self._signal) ** 0.5 if self._signal else 0.0
        return Loss(self.name, self.dtype.name, self._max_error, self._scale, relative)

    def chunks(self) -> Iterator[Array]:
        """Yield the quantised values as flat little-endian pieces, in C order."""
        for chunk, result, restored in self._quantize():
            self._signal += float(np.dot(restored, restored))
            error = np.subtract(restored, chunk.astype(np.float32, copy=False), out=restored)
            self._noise += float(np.dot(error, error))
            largest = np.abs(error, out=error).max(initial=0.0)
            self._max_error = max(self._max_error, float(largest))
            yield result.astype(self.dtype.newbyteorder("<"), copy=False)

    def pairs(self) -> Iterator[tuple[Array, NDArray[np.float64]]]:
        """Yield flat pieces of the values, each with the values restored, in C order."""
        for chunk, _, restored in self._quantize():
            yield chunk, restored

    def restore(self) -> NDArray[np.float32]:
        """Return the tensor as tfjs restores it."""
        pieces = [restored.astype(np.float32) for _, restored in self.pairs()]
        return np.concatenate([*pieces, np.zeros(0, np.float32)]).reshape(self._tensor.shape)

    def measure_errors(self) -> NDArray[np.int16]:
        """Return what rounding to the nearest step adds, in parts of a step."""
        found = list[NDArray[np.int16]]()
        for chunk in self._source():
            places = self._locate(chunk)
            found.append(np.round((np.round(places) - places) * STEP).astype(np.int16))
        return np.concatenate([*found, np.zeros(0, np.int16)])

    def _quantize(self) -> Iterator[tuple[Array, Array, NDArray[np.float64]]]:
        """Yield flat pieces of the values, each with the values quantised and restored."""
        start = 0
        for chunk in self._source():
            if self.dtype.kind == "f":
                result = chunk.astype(np.float16)
                yield chunk, result, result.astype(np.float64)
                continue
            values = self._locate(chunk)
            np.round(values, out=values)
            if self._moves is not None:
                values += self._moves[start : start + chunk.size]
                start += chunk.size
            result = values.astype(self.dtype)
            values *= self._scale
            values += self._min
            yield chunk, result, values

    def _locate(self, chunk: Array) -> NDArray[np.float64]:
        """Return where the values of *chunk* are, in steps from the least."""
        values = chunk.astype(np.float64)
        np.clip(values, self._min, self._max, out=values)
        values -= self._min
        values /= self._scale
        return values

    def _source(self) -> Iterator[Array]:
        if self._kept is None:
            yield from self._tensor.chunks(_CHUNK_BYTES)
            return
        step = _CHUNK_BYTES // 4
        for start in range(0, self._kept.size, step):
            yield self._kept[start : start + step]

    def _range(self) -> tuple[float, float]:
        """Return minimum and maximum; (0, 0) for a tensor without elements."""
        low, high = np.inf, -np.inf
        for chunk in self._source():
            if chunk.size == 0:
                continue
            low, high = np.minimum(low, chunk.min()), np.maximum(high, chunk.max())
            if not np.isfinite(low) or not np.isfinite(high):  # NaN passes through min and max
                raise UsageError(
                    f"quantize: weight {quote(self.name)} has NaN or infinite values",
                    hint="Leave it out of the globs.",
                )
        return (float(low), float(high)) if low <= high else (0.0, 0.0)


def affine_range(low: float, high: float, dtype: DType) -> tuple[float, float, float]:
    """Return (scale, min, max) for values from *low* to *high*."""
    if low == high:
        return 1.0, low, low
    levels = 2 ** (8 * dtype.itemsize) - 1
    scale = (high - low) / levels
    if low <= 0 <= high:
        low = float(-np.round((0 - low) / scale) * scale)
        high = levels * scale + low
    return scale, low, high
