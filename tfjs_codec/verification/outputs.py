"""By how much outputs differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tfjs_codec.comparison.compare import compare
from tfjs_codec.errors import quote
from tfjs_codec.ir.tensors import Array, ArrayTensor


class Difference(NamedTuple):
    """The largest difference of all outputs, and what is more than allowed."""

    largest: float
    failures: list[str]


def compare_outputs(
    got: Mapping[str, Array], wanted: Mapping[str, Array], tolerance: float
) -> Difference:
    """Compare outputs of the same names; texts must be equal.

    *tolerance* is relative to the largest finite value of an output, or to 1 if that is greater.
    """
    largest, failures = 0.0, list[str]()
    for name, theirs in wanted.items():
        ours = got[name]
        if ours.shape != theirs.shape:
            failures.append(
                f"output {quote(name)} has shape {list(ours.shape)}, not {list(theirs.shape)}"
            )
            continue
        distance, scale = _distance(ours, theirs)
        largest = max(largest, distance)
        if distance > tolerance * scale:
            failures.append(
                f"output {quote(name)} differs by {distance:.3g}, "
                f"allowed are {tolerance * scale:.3g}"
            )
    return Difference(largest, failures)


def _distance(ours: Array, theirs: Array) -> tuple[float, float]:
    """Return the largest difference, and the largest finite value."""
    if "O" in (ours.dtype.kind, theirs.dtype.kind):
        return (0.0 if ours.tolist() == theirs.tolist() else np.inf), 1.0
    scale = max(1.0, float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)))
    return compare(ArrayTensor("", theirs), ArrayTensor("", ours)).max, scale
