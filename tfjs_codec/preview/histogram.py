"""The distribution of a tensor's values, computed piece by piece in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.ir.tensors import Array, LazyTensor

_MOST_BINS = 40
_CHUNK_BYTES = 1 << 20
_KEPT_BYTES = 16 << 20  # of a tensor that is read once instead of twice


class Histogram(NamedTuple):
    """What is known of the values of a tensor.

    ``counts`` are the numbers of finite values in bins of equal width from ``low`` to ``high``;
    ``odd`` values are NaN or infinite. ``mean`` and ``deviation`` are those of the finite values.
    """

    low: float
    high: float
    counts: list[int]
    mean: float
    deviation: float
    zeros: int
    odd: int

    def to_json(self) -> JsonObject:
        """Return it as what JSON can express."""
        numbers = {"low": self.low, "high": self.high, "mean": self.mean, "std": self.deviation}
        return {
            **{key: value if math.isfinite(value) else None for key, value in numbers.items()},
            "counts": list(self.counts),
            "zeros": self.zeros,
            "odd": self.odd,
        }


def count_values(tensor: LazyTensor) -> Histogram | None:
    """Return the histogram of *tensor*; None if it is empty or its values are no real numbers.

    Raises:
        InputError: The values cannot be read.
    """
    if not tensor.size or tensor.dtype.kind not in "biuf":
        return None
    kept: list[Array] | None = None
    if tensor.nbytes <= _KEPT_BYTES:
        kept = list(tensor.chunks(_CHUNK_BYTES))

    def pieces() -> Iterable[Array]:
        return tensor.chunks(_CHUNK_BYTES) if kept is None else kept

    low, high, total, squares, zeros, odd = math.inf, -math.inf, 0.0, 0.0, 0, 0
    with np.errstate(all="ignore"):  # the values may be any
        for piece in pieces():
            values = _finite(piece)
            odd += piece.size - values.size
            if values.size:
                low, high = min(low, float(values.min())), max(high, float(values.max()))
                total += float(values.sum())
                zeros += int(values.size - np.count_nonzero(values))
        number = tensor.size - odd
        if not number:
            return Histogram(math.nan, math.nan, [], math.nan, math.nan, 0, odd)
        mean = total / number
        bins = min(_MOST_BINS, max(8, math.isqrt(number)))
        counts = np.zeros(bins, np.int64)
        step = high / bins - low / bins  # their difference may be infinite
        for piece in pieces():
            values = _finite(piece)
            squares += float(((values - mean) ** 2).sum())
            places = (values - low) / step if step > 0 else np.zeros(values.size)
            bars = np.nan_to_num(places).clip(0, bins - 1).astype(np.int64)
            counts += np.bincount(bars, minlength=bins)
        deviation = math.sqrt(squares / number)
    return Histogram(low, high, counts.tolist(), mean, deviation, zeros, odd)


def _finite(piece: Array) -> NDArray[np.float64]:
    """Return the finite values of *piece*."""
    values: NDArray[np.float64] = piece.astype(np.float64)
    found: NDArray[np.float64] = values[np.isfinite(values)]
    return found
