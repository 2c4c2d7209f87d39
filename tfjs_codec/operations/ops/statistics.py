"""Statistics: reductions that leave NaN out, quantiles, sums of segments, distances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops import reductions as r
from tfjs_codec.operations.ops.indexing import one_hot, sort, take_along_axis
from tfjs_codec.operations.ops.linalg import matmul
from tfjs_codec.operations.ops.shapes import (
    dynamic_shape,
    expand_dims,
    normalize_axes,
    ravel,
    reshape,
    size_of,
    squeeze,
    swapaxes,
    total_size,
    transpose,
)
from tfjs_codec.operations.ops.slicing import getitem
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value, is_float
from tfjs_codec.tracing.refusal import Refusal

# ----------------------------------------------------------------------------------- quantiles

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _rows(b: Builder, x: Value, axes: list[int]) -> Value:
    """Return *x* with *axes* joined into a last one."""
    others = [i for i in range(x.rank) if i not in axes]
    moved = transpose(b, x, [*others, *axes])
    sizes = dynamic_shape(b, moved)
    return reshape(b, moved, [*sizes[: len(others)], total_size(b, sizes[len(others) :])])


def _quantile(
    b: Builder, x: Operand, q: Any, axis: Any, method: str, keepdims: Any, *, nan: bool = False
) -> Value:
    x = b.value(x)
    x = x if is_float(x.dtype) else b.value(x, "float32")
    if isinstance(q, Value) or method not in _METHODS:
        raise Refusal("quantiles computed at run time, or by another method than interpolation")
    if np.ndim(q) or not 0 <= float(q) <= 1:
        raise Refusal("several quantiles")
    axes = normalize_axes(x, axis)
    rows = _rows(b, x, axes)
    lost = f.isnan(b, rows)
    ordered = sort(b, a.where(b, lost, np.inf, rows), -1)
    if nan:
        known = b.value(a.logical_not(b, lost), "float32")
        last = a.subtract(b, r.sum_(b, known, -1, True), 1.0)
    else:
        last = b.value(a.subtract(b, b.value(size_of(b, rows, -1), "int32"), 1), "float32")
    place = a.multiply(b, last, np.float32(q))
    y = _between(b, ordered, place, method)
    spoiled = a.less(b, last, 0.0) if nan else r.any_(b, lost, -1, True)
    y = squeeze(b, a.where(b, spoiled, np.nan, y), -1)
    return expand_dims(b, y, axes) if keepdims else y


def _pick(b: Builder, rows: Value, place: Value) -> Value:
    if place.rank == 0:
        return getitem(b, rows, [Ellipsis, b.value(place, "int32"), None])
    return take_along_axis(b, rows, b.value(place, "int32"), -1)


def _between(b: Builder, rows: Value, place: Value, method: str) -> Value:
    """Return the elements of ordered *rows* at a place between two."""
    if method == "nearest":
        return _pick(b, rows, f.round_(b, place))
    low, high = a.maximum(b, f.floor(b, place), 0.0), a.maximum(b, f.ceil(b, place), 0.0)
    if method in ("lower", "higher"):
        return _pick(b, rows, low if method == "lower" else high)
    share = a.subtract(b, place, low) if method == "linear" else 0.5
    lower = a.multiply(b, _pick(b, rows, low), a.subtract(b, 1.0, share))
    return a.add(b, lower, a.multiply(b, _pick(b, rows, high), share))


@operation("quantile")
def quantile(
    b: Builder, x: Operand, q: Any, axis: Any = None, method: str = "linear",
    keepdims: Any = False,
) -> Value:  # fmt: skip
    """Return quantiles, interpolated: the operation of Keras does not pass its method on."""
    return _quantile(b, x, q, axis, "linear", keepdims)


def _percentiles(*, nan: bool) -> Callable[..., Value]:
    def function(
        b: Builder, x: Operand, q: Any, axis: Any = None, method: str = "linear",
        keepdims: Any = False,
    ) -> Value:  # fmt: skip
        share = q if isinstance(q, Value) or np.ndim(q) else float(q) / 100
        return _quantile(b, x, share, axis, method, keepdims, nan=nan)

    return function


percentile = operation("percentile")(_percentiles(nan=False))
nanpercentile = operation("nanpercentile")(_percentiles(nan=True))


def _medians(*, nan: bool) -> Callable[..., Value]:
    def function(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
        return _quantile(b, x, 0.5, axis, "linear", keepdims, nan=nan)

    return function


median = operation("median")(_medians(nan=False))
nanmedian = operation("nanmedian")(_medians(nan=True))


@operation("nanquantile")
def nanquantile(
    b: Builder, x: Operand, q: Any, axis: Any = None, method: str = "linear", keepdims: Any = False
) -> Value:
    """Return quantiles of the elements that are not NaN."""
    return _quantile(b, x, q, axis, method, keepdims, nan=True)


# ---------------------------------------------------------------------- reductions without NaN


def _instead(b: Builder, x: Operand, number: float) -> Value:
    """Return *x* with a number in the place of NaN."""
    x = b.value(x)
    return a.where(b, f.isnan(b, x), b.value(number, x.dtype), x) if is_float(x.dtype) else x


def _without_nan(reduction: Callable[..., Value], number: float) -> Callable[..., Value]:
    """Return *reduction* with *number*, which changes nothing, in the place of NaN."""

    def function(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
        return reduction(b, _instead(b, x, number), axis, keepdims)

    return function


nansum = operation("nansum")(_without_nan(r.sum_, 0.0))
nanprod = operation("nanprod")(_without_nan(r.prod_, 1.0))


def _running(cumulate: Callable[..., Value], number: float) -> Callable[..., Value]:
    def function(b: Builder, x: Operand, axis: Any = None, dtype: str | None = None) -> Value:
        return cumulate(b, _instead(b, x, number), axis, dtype)

    return function


nancumsum = operation("nancumsum")(_running(r.cumsum, 0.0))
nancumprod = operation("nancumprod")(_running(r.cumprod, 1.0))


def _known(b: Builder, x: Operand, axis: Any, keepdims: Any) -> Value:
    """Return how many elements are not NaN."""
    numbers = a.logical_not(b, f.isnan(b, x))
    return r.sum_(b, b.value(numbers, "float32"), axis, keepdims)


@operation("nanmean")
def nanmean(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return means of the elements that are not NaN."""
    return a.divide(b, nansum(b, x, axis, keepdims), _known(b, x, axis, keepdims))


@operation("nanvar")
def nanvar(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return variances of the elements that are not NaN."""
    x = f.real(b, x)
    far = a.square(b, a.subtract(b, x, nanmean(b, x, axis, True)))
    return nanmean(b, far, axis, keepdims)


@operation("nanstd")
def nanstd(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return standard deviations of the elements that are not NaN."""
    return f.sqrt_(b, nanvar(b, x, axis, keepdims))


def _of_some(
    reduction: Callable[..., Value], number: float, missing: float
) -> Callable[..., Value]:
    """Return *reduction* of the elements that are not NaN, *missing* where all are."""

    def function(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
        x = b.value(x)
        found = reduction(b, _instead(b, x, number), axis, keepdims)
        if not is_float(x.dtype):
            return found
        some = a.greater(b, _known(b, x, axis, keepdims), 0.0)
        return a.where(b, some, found, missing)

    return function


nanmax = operation("nanmax")(_of_some(r.max_, -np.inf, np.nan))
nanmin = operation("nanmin")(_of_some(r.min_, np.inf, np.nan))
nanargmax = operation("nanargmax")(_of_some(r.argmax, -np.inf, -1))
nanargmin = operation("nanargmin")(_of_some(r.argmin, np.inf, -1))


# ------------------------------------------------------------------------------------ segments


def _members(b: Builder, segment_ids: Operand, count: Any) -> Value:
    """Return a table ``(elements, segments)``: which element is in which segment."""
    if count is None or isinstance(count, Value):
        raise Refusal("a number of segments computed at run time", "Give num_segments.")
    return one_hot(b, segment_ids, int(count))


@operation("segment_sum")
def segment_sum(
    b: Builder, data: Operand, segment_ids: Operand, num_segments: Any = None,
    sorted: Any = False,  # noqa: A002
) -> Value:  # fmt: skip
    """Return sums of the elements of each segment."""
    x = b.value(data)
    if num_segments is None and not isinstance(segment_ids, Value):
        num_segments = int(np.asarray(segment_ids).max(initial=-1)) + 1
    members = swapaxes(b, _members(b, segment_ids, num_segments), 0, 1)
    sizes = dynamic_shape(b, x)
    flat = reshape(b, b.value(x, "float32"), [sizes[0], total_size(b, sizes[1:])])
    return b.value(reshape(b, matmul(b, members, flat), [num_segments, *sizes[1:]]), x.dtype)


def _of_segments(reduction: Callable[..., Value], missing: float) -> Callable[..., Value]:
    def function(
        b: Builder, data: Operand, segment_ids: Operand, num_segments: Any = None,
        sorted: Any = False,  # noqa: A002
    ) -> Value:  # fmt: skip
        x = b.value(data)
        if not is_float(x.dtype):
            raise Refusal("segments of whole numbers")
        members = b.value(_members(b, segment_ids, num_segments), "bool")
        members = expand_dims(b, members, list(range(2, x.rank + 1)))
        values = a.where(b, members, expand_dims(b, x, 1), b.value(missing, x.dtype))
        return reduction(b, values, 0)

    return function


segment_max = operation("segment_max")(_of_segments(r.max_, -np.inf))
segment_min = operation("segment_min")(_of_segments(r.min_, np.inf))
segment_prod = operation("segment_prod")(_of_segments(r.prod_, 1.0))


# --------------------------------------------------------------------- distances, correlations


@operation("cdist")
def cdist(b: Builder, x: Operand, y: Operand) -> Value:
    """Return the distances of all pairs of rows."""
    x, y = a.floats(b, x, y)
    far = a.squared_difference(b, expand_dims(b, x, -2), expand_dims(b, y, -3))
    return f.sqrt_(b, r.sum_(b, far, -1))


@operation("corrcoef")
def corrcoef(b: Builder, x: Operand) -> Value:
    """Return the correlations of all pairs of rows."""
    x = f.real(b, x)
    if x.rank != 2:
        raise Refusal("correlations of a tensor that is not a matrix")
    far = a.subtract(b, x, r.mean(b, x, 1, True))
    size = f.sqrt_(b, r.sum_(b, a.square(b, far), 1, True))
    unit = a.divide(b, far, size)
    return a.clip(b, matmul(b, unit, unit, transpose_b=True), -1.0, 1.0)


@operation("psnr")
def psnr(b: Builder, x1: Operand, x2: Operand, max_val: Any) -> Value:
    """Return the ratio of the largest signal to the noise in decibels."""
    error = r.mean(b, a.squared_difference(b, *a.floats(b, x1, x2)))
    return a.subtract(b, 20 * np.log10(max_val), a.multiply(b, f.log10(b, error), 10.0))


@operation("allclose")
def allclose(
    b: Builder, x1: Operand, x2: Operand, rtol: float = 1e-5, atol: float = 1e-8,
    equal_nan: Any = False,
) -> Value:  # fmt: skip
    """Return whether all pairs of elements are nearly equal."""
    return r.all_(b, ravel(b, a.isclose(b, x1, x2, rtol, atol, equal_nan)))
