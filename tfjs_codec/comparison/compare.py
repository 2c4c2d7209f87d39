"""Compares tensors piece by piece, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.tensors import LazyTensor

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Difference:
    """How two tensors of one shape differ; two NaN are equal.

    ``count`` elements are not equal, the largest and the mean of |a - b| are ``max`` and
    ``mean``; both are infinite if one of a pair is NaN or infinite.
    """

    count: int
    max: float
    mean: float


def compare(a: LazyTensor, b: LazyTensor, *, rounded_to: Any = None) -> Difference:
    """Return how *b* differs from *a*, whose values are first rounded to dtype *rounded_to*."""
    count, largest, total = 0, 0.0, 0.0
    for left, right in _pair_chunks(a, b):
        if left.dtype.kind == "O":
            wrong = int(np.count_nonzero(left != right))
            count, largest, total = count + wrong, max(largest, float(wrong > 0)), total + wrong
            continue
        with np.errstate(all="ignore"):
            if rounded_to is not None:
                left = left.astype(rounded_to, copy=False)  # noqa: PLW2901
            if np.array_equal(left, right):
                continue
            wide = np.complex128 if "c" in (left.dtype.kind, right.dtype.kind) else np.float64
            x, y = left.astype(wide), right.astype(wide)
            differs = (x != y) & ~(np.isnan(x) & np.isnan(y))
            distance = np.abs(x - y)[differs]
        distance[~np.isfinite(distance)] = np.inf
        count += distance.size
        largest = max(largest, float(distance.max(initial=0.0)))
        total += float(distance.sum())
    return Difference(count, largest, total / max(1, a.size))


def _pair_chunks(a: LazyTensor, b: LazyTensor) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield flat pieces of *a* and *b* of equal length, whatever pieces each of them yields."""
    lefts, rights = a.chunks(_CHUNK_BYTES), b.chunks(_CHUNK_BYTES)
    left: NDArray[Any] = np.empty(0)
    right: NDArray[Any] = np.empty(0)
    done = 0
    while done < a.size:
        left = left if left.size else next(lefts)
        right = right if right.size else next(rights)
        count = min(left.size, right.size)
        yield left[:count], right[:count]
        left, right, done = left[count:], right[count:], done + count
