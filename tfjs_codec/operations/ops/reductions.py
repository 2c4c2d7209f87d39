"""Reductions over axes, and cumulative operations along one."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.shapes import (
    expand_dims,
    normalize_axes,
    normalize_axis,
    ravel,
    reshape,
)
from tfjs_codec.operations.ops.slicing import diagonal, slice_axis
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value, is_int
from tfjs_codec.tracing.refusal import Refusal


def reduce(b: Builder, op: str, x: Value, axis: Any, keepdims: Any = False) -> Value:
    """Return TensorFlow's reduction *op* of *x* over axes."""
    axes = normalize_axes(x, axis)
    if not axes:
        return x
    keep = bool(keepdims)
    sizes = [1 if i in axes else size for i, size in enumerate(x.shape)]
    shape = tuple(size for i, size in enumerate(sizes) if keep or i not in axes)
    over = b.constant(axes, "int32")
    return b.emit(op, x, over, shape=shape, dtype=x.dtype, keep_dims=keep)


def _countable(b: Builder, x: Operand) -> Value:
    """Return bools and small integers as int32, which holds their sums."""
    x = b.value(x)
    return b.value(x, "int32") if x.dtype in ("bool", "int8", "int16", "uint8", "uint16") else x


@operation("sum")
def sum_(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return sums."""
    return reduce(b, "Sum", _countable(b, x), axis, keepdims)


@operation("prod")
def prod_(
    b: Builder, x: Operand, axis: Any = None, keepdims: Any = False, dtype: str | None = None
) -> Value:
    """Return products."""
    x = _countable(b, x)
    y = reduce(b, "Prod", b.value(x, dtype or ""), axis, keepdims)
    if x.sizes is not None and None not in x.sizes and y.rank == 0:
        return b.constant(prod(size or 0 for size in x.sizes), y.dtype)
    return y


@operation("mean")
def mean(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return means; those of whole numbers are whole numbers before Keras 3."""
    x = b.value(x)
    y = reduce(b, "Mean", f.real(b, x), axis, keepdims)
    return b.value(y, x.dtype) if b.generation < 3 and is_int(x.dtype) else y


def _extremum(op: str) -> Callable[..., Value]:
    def function(
        b: Builder, x: Operand, axis: Any = None, keepdims: Any = False, initial: Any = None
    ) -> Value:
        x = b.value(x)
        if x.dtype == "bool":
            return b.value(reduce(b, op, b.value(x, "int32"), axis, keepdims), "bool")
        y = reduce(b, op, x, axis, keepdims)
        return y if initial is None else a.binary(b, f"{op}imum", y, initial)

    return function


max_ = operation("max", "amax")(_extremum("Max"))
min_ = operation("min", "amin")(_extremum("Min"))


def _logical(op: str) -> Callable[..., Value]:
    def function(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
        return reduce(b, op, b.value(b.value(x), "bool"), axis, keepdims)

    return function


any_ = operation("any")(_logical("Any"))
all_ = operation("all")(_logical("All"))


@operation("count_nonzero")
def count_nonzero(b: Builder, x: Operand, axis: Any = None) -> Value:
    """Return how many elements are not zero."""
    return sum_(b, b.value(b.value(x), "bool"), axis)


@operation("var", "variance")
def var(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return variances."""
    x = f.real(b, x)
    return mean(b, a.square(b, a.subtract(b, x, mean(b, x, axis, True))), axis, keepdims)


@operation("std")
def std(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return standard deviations."""
    return f.sqrt_(b, var(b, x, axis, keepdims))


@operation("moments")
def moments(
    b: Builder, x: Operand, axes: Any, keepdims: Any = False, synchronized: Any = False
) -> list[Value]:
    """Return means and variances."""
    return [mean(b, x, axes, keepdims), var(b, x, axes, keepdims)]


@operation("average")
def average(b: Builder, x: Operand, axis: Any = None, weights: Operand = None) -> Value:
    """Return means, weighted if there are weights."""
    if weights is None:
        return mean(b, x, axis)
    x, weights = a.floats(b, x, weights)
    if weights.rank < x.rank and isinstance(axis, int):
        at = normalize_axis(x, axis)
        weights = reshape(b, weights, [-1 if i == at else 1 for i in range(x.rank)])
    return a.divide(b, sum_(b, a.multiply(b, x, weights), axis), sum_(b, weights, axis))


@operation("ptp")
def ptp(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return the largest less the smallest elements."""
    return a.subtract(b, max_(b, x, axis, keepdims), min_(b, x, axis, keepdims))


@operation("logsumexp")
def logsumexp(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return the logarithm of the sum of exponentials."""
    x = f.real(b, x)
    top = max_(b, x, axis, True)
    top = a.where(b, f.isfinite(b, top), top, 0.0)
    total = f.log_(b, sum_(b, f.exp(b, a.subtract(b, x, top)), axis, keepdims))
    if not keepdims:
        top = reduce(b, "Max", top, axis)
    return a.add(b, total, top)


@operation("norm", "euclidean_norm")
def norm(
    b: Builder,
    x: Operand,
    ord: Any = None,  # noqa: A002  Keras's name
    axis: Any = None,
    keepdims: Any = False,
) -> Value:
    """Return norms of vectors, or Frobenius norms."""
    x = f.real(b, x)
    axes = normalize_axes(x, axis)
    if ord in (None, "fro", "euclidean") or (ord == 2 and len(axes) == 1):
        return f.sqrt_(b, sum_(b, a.square(b, x), axis, keepdims))
    size = a.absolute(b, x)
    if len(axes) == 1 and ord == 1:
        return sum_(b, size, axis, keepdims)
    if len(axes) == 1 and ord in ("inf", float("inf")):
        return max_(b, size, axis, keepdims)
    if len(axes) == 1 and ord == float("-inf"):
        return min_(b, size, axis, keepdims)
    if len(axes) == 1 and ord == 0:
        return b.value(sum_(b, a.not_equal(b, x, 0.0), axis, keepdims), x.dtype)
    if len(axes) == 1 and isinstance(ord, int | float):
        return a.power(b, sum_(b, a.power(b, size, float(ord)), axis, keepdims), 1 / ord)
    raise Refusal(f"a norm of order {ord}")


@operation("normalize")
def normalize(b: Builder, x: Operand, axis: int = -1, order: Any = 2, epsilon: Any = None) -> Value:
    """Return *x* divided by its norms, which are at least *epsilon*."""
    x = f.real(b, x)
    least = float(1e-7 if epsilon is None else epsilon)
    if order == 2:
        squares = sum_(b, a.square(b, x), axis, True)
        return a.multiply(b, x, f.rsqrt(b, a.maximum(b, squares, least**2)))
    size = norm(b, x, order, axis, True)
    return a.divide(b, x, a.maximum(b, size, least))


@operation("l2_normalize")
def l2_normalize(b: Builder, x: Operand, axis: Any = -1, epsilon: Any = None) -> Value:
    """Return *x* divided by its norms, whose squares are at least *epsilon*."""
    x = f.real(b, x)
    least = float(1e-12 if epsilon is None else epsilon)
    squares = sum_(b, a.square(b, x), axis, True)
    return a.multiply(b, x, f.rsqrt(b, a.maximum(b, squares, least)))


# ------------------------------------------------------------------------------ along one axis


def _place(op: str) -> Callable[..., Value]:
    """Return the operation that finds the first place of an extremum."""

    def function(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
        x = _countable(b, x)
        if axis is None:
            y = function(b, ravel(b, x), 0)
            return reshape(b, y, [1] * x.rank) if keepdims else y
        at = normalize_axis(x, axis)
        shape = (*x.shape[:at], *x.shape[at + 1 :])
        where = b.constant(at, "int32")
        y = b.emit(op, x, where, shape=shape, dtype="int32", output_type="int32")
        return expand_dims(b, y, at) if keepdims else y

    return function


argmax = operation("argmax")(_place("ArgMax"))
argmin = operation("argmin")(_place("ArgMin"))


def _cumulative(op: str) -> Callable[..., Value]:
    def function(
        b: Builder, x: Operand, axis: Any = None, dtype: str | None = None,
        exclusive: Any = False, reverse: Any = False,
    ) -> Value:  # fmt: skip
        x = b.value(_countable(b, x), dtype or "")
        if axis is None:
            x, axis = ravel(b, x), 0
        at = b.constant(normalize_axis(x, axis), "int32")
        options = {"exclusive": bool(exclusive), "reverse": bool(reverse)}
        return b.emit(op, x, at, shape=x.shape, dtype=x.dtype, **options)

    return function


cumsum = operation("cumsum")(_cumulative("Cumsum"))
cumprod = operation("cumprod")(_cumulative("Cumprod"))


@operation("diff")
def diff(b: Builder, a_: Operand, n: int = 1, axis: int = -1) -> Value:
    """Return differences of neighbours."""
    x = b.value(a_)
    at = normalize_axis(x, axis)
    for _ in range(n):
        x = a.subtract(b, slice_axis(b, x, at, 1, None), slice_axis(b, x, at, None, -1))
    return x


@operation("trapezoid")
def trapezoid(b: Builder, y: Operand, x: Operand = None, dx: float = 1.0, axis: int = -1) -> Value:
    """Return integrals by the rule of trapezoids."""
    y = f.real(b, y)
    at = normalize_axis(y, axis)
    if x is not None:
        raise Refusal("trapezoids of unequal widths")
    pair = a.add(b, slice_axis(b, y, at, 1, None), slice_axis(b, y, at, None, -1))
    return sum_(b, a.multiply(b, pair, dx / 2), at)


@operation("trace")
def trace(b: Builder, x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """Return the sums of the diagonals."""
    x = b.value(x)
    return sum_(b, diagonal(b, x, offset, axis1, axis2), -1)
