"""Rounding whose errors cancel out in sums.

A kernel's inputs have much in common: pixels side by side, results of ReLU that are never negative.
What rounding adds to an output is then mostly the sum of the errors of its weights, times what the
inputs have in common. If that sum is more than half a step, some weights take the step on their
other side, those that are nearly as near to it, until the sum is less: first for the window of each
input channel of a convolution, then for all inputs of an output (Guo et al., "SQuant: On-the-Fly
Data-Free Quantization via Diagonal Hessian Approximation", 2022).

All sums are of whole numbers, so that every machine rounds alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

STEP = 1 << 14  # errors, which are within a step, are counted in parts of it: int16 sorts fast
_BLOCK = 1 << 18  # elements that are sorted at a time


def balance(errors: NDArray[np.int16], sums: Sequence[tuple[int, ...]]) -> NDArray[np.int8]:
    """Return by how many steps, -1 to 1, rounded values move so that their *errors* cancel out.

    Args:
        errors: What rounding to the nearest step adds, in parts of :data:`STEP`.
        sums: Tuples of axes over which errors are to cancel out, one after the other.
    """
    found = errors
    for axes in sums:
        kept = [axis for axis in range(errors.ndim) if axis not in axes]
        order = (*kept, *axes)
        turned = found.transpose(order)
        rows = turned.reshape(prod(turned.shape[: len(kept)]), -1).copy()
        step = max(1, _BLOCK // max(1, rows.shape[1]))
        for start in range(0, len(rows), step):
            _cancel(rows[start : start + step])
        found = rows.reshape(turned.shape).transpose(np.argsort(order))
    return ((found - errors) // STEP).astype(np.int8)


def _cancel(rows: NDArray[np.int16]) -> None:
    """Move elements of *rows* by a step so that the sum of each is at most half a step."""
    totals = rows.sum(axis=1, dtype=np.int64)
    counts = (np.abs(totals) + STEP // 2) // STEP
    some = np.flatnonzero(counts)
    signs = np.sign(totals[some]).astype(np.int16)[:, np.newaxis]
    order = np.argsort(rows[some] * -signs, axis=1, kind="stable")
    chosen = np.arange(rows.shape[1]) < counts[some, np.newaxis]
    moves = np.zeros_like(rows, shape=order.shape)
    np.put_along_axis(moves, order, chosen * (signs * np.int16(STEP)), axis=1)
    rows[some] -= moves
