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


@operation("percentile")
def percentile(
    b: Builder, x: Operand, q: Any, axis: Any = None, method: str = "linear", keepdims: Any = False
) -> Value:
    """Return percentiles."""
    return _quantile(b, x, _part(q), axis, method, keepdims)


def _part(q: Any) -> Any:
    return q if isinstance(q, Value) or np.ndim(q) else float(q) / 100


@operation("median")
def median(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return medians."""
    return _quantile(b, x, 0.5, axis, "linear", keepdims)


@operation("nanquantile")
def nanquantile(
    b: Builder, x: Operand, q: Any, axis: Any = None, method: str = "linear", keepdims: Any = False
) -> Value:
    """Return quantiles of the elements that are not NaN."""
    return _quantile(b, x, q, axis, method, keepdims, nan=True)


@operation("nanpercentile")
def nanpercentile(
    b: Builder, x: Operand, q: Any, axis: Any = None, method: str = "linear", keepdims: Any = False
) -> Value:
    """Return percentiles of the elements that are not NaN."""
    return _quantile(b, x, _part(q), axis, method, keepdims, nan=True)


@operation("nanmedian")
def nanmedian(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return medians of the elements that are not NaN."""
    return _quantile(b, x, 0.5, axis, "linear", keepdims, nan=True)


# ---------------------------------------------------------------------- reductions without NaN


def _instead(b: Builder, x: Operand, number: float) -> Value:
    """Return *x* with a number in the place of NaN."""
    x = b.value(x)
    return a.where(b, f.isnan(b, x), b.value(number, x.dtype), x) if is_float(x.dtype) else x


@operation("nansum")
def nansum(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return sums of the elements that are not NaN."""
    return r.sum_(b, _instead(b, x, 0.0), axis, keepdims)


@operation("nanprod")
def nanprod(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return products of the elements that are not NaN."""
    return r.prod_(b, _instead(b, x, 1.0), axis, keepdims)


@operation("nancumsum")
def nancumsum(b: Builder, x: Operand, axis: Any = None, dtype: str | None = None) -> Value:
    """Return running sums without NaN."""
    return r.cumsum(b, _instead(b, x, 0.0), axis, dtype)


@operation("nancumprod")
def nancumprod(b: Builder, x: Operand, axis: Any = None, dtype: str | None = None) -> Value:
    """Return running products without NaN."""
    return r.cumprod(b, _instead(b, x, 1.0), axis, dtype)


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


def _extremum(b: Builder, x: Operand, worst: float, reduced: Value, axis: Any, keep: Any) -> Value:
    some = a.greater(b, _known(b, x, axis, keep), 0.0)
    return a.where(b, some, reduced, np.nan) if is_float(reduced.dtype) else reduced


@operation("nanmax")
def nanmax(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return the largest elements that are not NaN."""
    found = r.max_(b, _instead(b, x, -np.inf), axis, keepdims)
    return _extremum(b, x, -np.inf, found, axis, keepdims)


@operation("nanmin")
def nanmin(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return the smallest elements that are not NaN."""
    found = r.min_(b, _instead(b, x, np.inf), axis, keepdims)
    return _extremum(b, x, np.inf, found, axis, keepdims)


def _place(b: Builder, x: Operand, place: Value, axis: Any, keepdims: Any) -> Value:
    some = a.greater(b, _known(b, x, axis, keepdims), 0.0)
    return a.where(b, some, place, -1)


@operation("nanargmax")
def nanargmax(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return the places of the largest elements that are not NaN; -1 if all are."""
    found = r.argmax(b, _instead(b, x, -np.inf), axis, keepdims)
    return _place(b, x, found, axis, keepdims)


@operation("nanargmin")
def nanargmin(b: Builder, x: Operand, axis: Any = None, keepdims: Any = False) -> Value:
    """Return the places of the smallest elements that are not NaN; -1 if all are."""
    found = r.argmin(b, _instead(b, x, np.inf), axis, keepdims)
    return _place(b, x, found, axis, keepdims)


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
