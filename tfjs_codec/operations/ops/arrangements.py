"""Arrays made of others: rows of numbers, grids, diagonals, turns, cuts along fixed axes."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.shapes import (
    arange,
    broadcast_to,
    concatenate,
    expand_dims,
    normalize_axis,
    ravel,
    reshape,
    size_of,
    swapaxes,
    transpose,
    zeros_like,
)
from tfjs_codec.operations.ops.slicing import array_split, flip, pad
from tfjs_codec.operations.registry import operation, refuse
from tfjs_codec.operations.values import Operand, Value, is_float
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded

# --------------------------------------------------------------------------- rows of numbers


@operation("linspace")
def linspace(
    b: Builder, start: Operand, stop: Operand, num: int = 50, endpoint: Any = True,
    retstep: Any = False, dtype: str | None = None, axis: int = 0,
) -> Any:  # fmt: skip
    """Return numbers in equal steps between pairs of ends."""
    first, last = a.floats(b, start, stop)
    steps = int(num) - bool(endpoint)
    rank = max(first.rank, last.rank)
    at = int(axis) % (rank + 1)
    b.hold(num)
    shares = np.arange(num, dtype=np.float32) / max(steps, 1)
    shares = shares.reshape([-1] + [1] * (rank - at)).astype(np.float32)
    low, high = (expand_dims(b, each, at - (rank - each.rank)) if each.rank else each
                 for each in (first, last))  # fmt: skip
    y = a.add(b, a.multiply(b, low, 1 - shares), a.multiply(b, high, shares))
    y = b.value(y, dtype or "")
    if retstep:
        return [y, a.divide(b, a.subtract(b, last, first), float(steps))]
    return y


@operation("logspace")
def logspace(
    b: Builder, start: Operand, stop: Operand, num: int = 50, endpoint: Any = True,
    base: Any = 10, dtype: str | None = None, axis: int = 0,
) -> Value:  # fmt: skip
    """Return powers whose exponents are in equal steps."""
    exponents = linspace(b, start, stop, num, endpoint, False, None, axis)
    return b.value(a.power(b, float(base), exponents), dtype or "")


@operation("geomspace")
def geomspace(
    b: Builder, start: Operand, stop: Operand, num: int = 50, endpoint: Any = True,
    dtype: str | None = None, axis: int = 0,
) -> Value:  # fmt: skip
    """Return numbers of equal ratio between pairs of positive ends."""
    low, high = (f.log_(b, each) for each in a.floats(b, start, stop))
    made = linspace(b, low, high, num, endpoint, False, None, axis)
    return b.value(f.exp(b, made), dtype or "")


@operation("vander")
def vander(b: Builder, x: Operand, N: int | None = None, increasing: Any = False) -> Value:  # noqa: N803
    """Return the powers of a vector's elements, the highest first."""
    x = b.value(x)
    count = N if N is not None else x.shape[0]
    if count is None:
        raise StaticShapeNeeded("a matrix of powers of an unknown size")
    b.check_nodes(count)
    powers = range(count) if increasing else range(count - 1, -1, -1)
    column = expand_dims(b, x, -1)
    columns = [a.power(b, column, p) for p in powers]
    return concatenate(b, columns, -1)


@operation("meshgrid")
def meshgrid(b: Builder, *xs: Operand, indexing: str = "xy") -> list[Value]:
    """Return vectors spread over the axes of a grid."""
    values = [b.value(x) for x in xs]
    if any(x.rank > 1 for x in values):
        values = [ravel(b, x) for x in values]
    rank = len(values)
    sizes = [size_of(b, x, 0) for x in values]
    made = []
    for i, x in enumerate(values):
        row = reshape(b, x, [1] * i + [-1] + [1] * (rank - 1 - i))
        full = broadcast_to(b, row, sizes)
        made.append(swapaxes(b, full, 0, 1) if indexing == "xy" and rank > 1 else full)
    return made


# ---------------------------------------------------------------------------------- diagonals


@operation("diagflat")
def diagflat(b: Builder, x: Operand, k: int = 0) -> Value:
    """Return a matrix with all elements on diagonal *k*."""
    row = ravel(b, x)
    size = row.shape[0]
    if size is None:
        count: Any = size_of(b, row, 0)
        place = arange(b, 0, count, dtype="int32")
        unit = a.equal(b, expand_dims(b, place, 1), place)
    else:
        unit = b.formula((size, size), lambda i, j: i == j, "bool")
    square = a.where(b, unit, row, b.value(0, row.dtype))
    return pad(b, square, [(max(-k, 0), max(k, 0)), (max(k, 0), max(-k, 0))]) if k else square


# ------------------------------------------------------------------------------ turns and cuts


@operation("fliplr")
def fliplr(b: Builder, x: Operand) -> Value:
    """Reverse the second axis."""
    return flip(b, x, 1)


@operation("flipud")
def flipud(b: Builder, x: Operand) -> Value:
    """Reverse the first axis."""
    return flip(b, x, 0)


@operation("rot90")
def rot90(b: Builder, array: Operand, k: int = 1, axes: Any = (0, 1)) -> Value:
    """Turn two axes by right angles, from the first to the second."""
    x = b.value(array)
    first, second = (normalize_axis(x, axis) for axis in axes)
    turns = k % 4
    if turns in (2, 3):
        x = flip(b, x, first)
    if turns in (1, 2):
        x = flip(b, x, second)
    return swapaxes(b, x, first, second) if turns % 2 else x


def _cut(number: int) -> Callable[[Builder, Operand, Any], list[Value]]:
    def cut(b: Builder, x: Operand, indices_or_sections: Any) -> list[Value]:
        x = b.value(x)
        return array_split(b, x, indices_or_sections, min(number, x.rank - 1))

    return cut


vsplit = operation("vsplit")(_cut(0))
hsplit = operation("hsplit")(_cut(1))
dsplit = operation("dsplit")(_cut(2))


@operation("dstack")
def dstack(b: Builder, xs: Any) -> Value:
    """Join along the third axis."""
    values = [b.value(x) for x in xs]
    values = [x if x.rank > 1 else reshape(b, x, [1, -1]) for x in values]
    return concatenate(b, [x if x.rank > 2 else expand_dims(b, x, 2) for x in values], 2)


@operation("rearrange")
def rearrange(
    b: Builder, tensor: Operand, pattern: str, axes_lengths: Any = None, **lengths: int
) -> Value:
    """Split, reorder and join axes as a pattern of einops says."""
    x = b.value(tensor)
    left, right = (re.findall(r"\([^)]*\)|\S+", side) for side in pattern.split("->"))
    known = {**(axes_lengths or {}), **lengths}
    if len(left) != x.rank or "..." in pattern or "1" in left + right:
        raise Refusal(f"the pattern '{pattern}'")
    sizes: dict[str, Any] = {}
    order: list[str] = []
    for i, group in enumerate(left):
        names = group.strip("()").split()
        free = [name for name in names if name not in known]
        sizes.update({name: int(known[name]) for name in names if name in known})
        part = prod(sizes[name] for name in names if name in known)
        if len(free) > 1:
            raise Refusal(f"the pattern '{pattern}' with two free axes in one")
        size = size_of(b, x, i)
        for name in free:
            sizes[name] = size // part if isinstance(size, int) else a.floor_divide(b, size, part)
        order += names
    y = reshape(b, x, [sizes[name] for name in order])
    groups = [group.strip("()").split() for group in right]
    y = transpose(b, y, [order.index(name) for group in groups for name in group])
    joined = []
    for group in groups:
        total: Any = 1
        for name in group:
            both = isinstance(total, int) and isinstance(sizes[name], int)
            total = total * sizes[name] if both else a.multiply(b, total, sizes[name])
        joined.append(total)
    return reshape(b, y, joined)


# ------------------------------------------------------------------------- tests and functions


@operation("isposinf")
def isposinf(b: Builder, x: Operand) -> Value:
    """Return True for infinity."""
    return a.logical_and(b, f.isinf(b, x), a.greater(b, x, 0))


@operation("isneginf")
def isneginf(b: Builder, x: Operand) -> Value:
    """Return True for negative infinity."""
    return a.logical_and(b, f.isinf(b, x), a.less(b, x, 0))


@operation("isreal")
def isreal(b: Builder, x: Operand) -> Value:
    """Return True for numbers without imaginary part."""
    x = b.value(x)
    if x.dtype.startswith("complex"):
        part = b.emit("Imag", x, dtype="float32", Tout="float32")
        return a.equal(b, part, 0.0)
    return a.equal(b, zeros_like(b, x, "int32"), 0)


@operation("signbit")
def signbit(b: Builder, x: Operand) -> Value:
    """Return True below zero, and for the zero below."""
    x = b.value(x)
    below = a.less(b, x, 0)
    return a.logical_or(b, below, a.less(b, f.reciprocal(b, x), 0)) if is_float(x.dtype) else below


@operation("logaddexp2")
def logaddexp2(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return log2(2ˣ¹ + 2ˣ²)."""
    x, y = a.floats(b, x1, x2)
    far = f.exp2(b, a.negative(b, a.absolute(b, a.subtract(b, x, y))))
    return a.add(b, a.maximum(b, x, y), a.divide(b, f.log1p(b, far), np.log(2)))


@operation("ldexp")
def ldexp(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return x1 · 2ˣ²."""
    return a.multiply(b, f.real(b, x1), a.power(b, 2.0, b.value(b.value(x2), "float32")))


@operation("select")
def select(b: Builder, condlist: Any, choicelist: Any, default: Operand = 0) -> Value:
    """Return the choice of the first condition that holds."""
    y: Operand = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        y = a.where(b, condition, choice, y)
    return b.value(y)


refuse(
    "map", "scan", "associative_scan", "vectorized_map", "while_loop", "fori_loop", "cond",
    "switch", "custom_gradient", "function", "jvp",
    reason="the file names Python functions, which cannot be converted",
    hint="Export the model with model.export() and convert that.",
)  # fmt: skip
