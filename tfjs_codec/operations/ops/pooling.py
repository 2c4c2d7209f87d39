"""Pooling: operations of ``keras.ops.nn``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.convolution import (
    channels_first,
    slide,
    to_channels_first,
    to_channels_last,
)
from tfjs_codec.operations.ops.reductions import max_, mean
from tfjs_codec.operations.ops.shapes import (
    concatenate,
    expand_dims,
    squeeze,
)
from tfjs_codec.operations.ops.slicing import gather, slice_axis
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value
from tfjs_codec.tracing.refusal import StaticShapeNeeded
from tfjs_codec.tracing.sizes import per_axis
from tfjs_codec.tracing.windows import reach, theano_pooling


@operation("max_pool")
def max_pool(
    b: Builder, inputs: Operand, pool_size: Any, strides: Any = None, padding: str = "valid",
    data_format: Any = None,
) -> Value:  # fmt: skip
    """Return the largest element of each window."""
    return _pool(b, "Max", b.value(inputs), pool_size, strides, padding, data_format)


@operation("average_pool")
def average_pool(
    b: Builder, inputs: Operand, pool_size: Any, strides: Any = None, padding: str = "valid",
    data_format: Any = None,
) -> Value:  # fmt: skip
    """Return the mean of each window, the padding left out."""
    return _pool(b, "Avg", f.real(b, inputs), pool_size, strides, padding, data_format)


def _pool(
    b: Builder, kind: str, x: Value, pool_size: Any, strides: Any, padding: str, data_format: Any
) -> Value:
    rank = x.rank - 2
    size = per_axis(pool_size, rank)
    steps = size if strides is None else per_axis(strides, rank)
    if channels_first(x, data_format):
        y = _pool(b, kind, to_channels_last(b, x), size, steps, padding, None)
        return to_channels_first(b, y)
    padding = padding.lower()
    if b.is_theano and padding == "same":
        x, padding = _as_theano(b, kind, x, size, steps), "valid"
    if padding == "same":
        x = _within_windows(b, x, size, steps)
    if rank == 1:
        image = expand_dims(b, x, 1)
        return squeeze(b, _pool_windows(b, kind, image, [1, *size], [1, *steps], padding), 1)
    return _pool_windows(b, kind, x, size, steps, padding)


def _pool_windows(
    b: Builder, kind: str, x: Value, size: Sequence[int], strides: Sequence[int], padding: str
) -> Value:
    way = padding.upper().encode()
    spatial = slide(x.shape[1:-1], size, strides, [1] * len(size), way)
    op, layout = (f"{kind}Pool", b"NHWC") if len(size) == 2 else (f"{kind}Pool3D", b"NDHWC")
    return b.emit(
        op, x, shape=(x.shape[0], *spatial, x.shape[-1]), dtype=x.dtype, padding=way,
        ksize=(1, *size, 1), strides=(1, *strides, 1), data_format=layout,
    )  # fmt: skip


def _within_windows(b: Builder, x: Value, size: Sequence[int], strides: Sequence[int]) -> Value:
    """Cut off elements that no window reaches, or tfjs shifts 'same' windows."""
    for axis, (window, stride) in enumerate(zip(size, strides, strict=True), 1):
        length = x.shape[axis]
        if stride > window:
            if length is None:
                raise StaticShapeNeeded(
                    "'same' pooling with strides larger than the window on an unknown size"
                )
            x = slice_axis(b, x, axis, 0, min(length, reach(length, window, stride)))
    return x


def _as_theano(
    b: Builder, kind: str, x: Value, size: Sequence[int], strides: Sequence[int]
) -> Value:
    """Pad *x* as Theano's 'same' pooling does."""
    for axis, (window, stride) in enumerate(zip(size, strides, strict=True), 1):
        length = x.shape[axis]
        if length is None:
            raise StaticShapeNeeded("Theano's 'same' pooling of an unknown size")
        before, total = theano_pooling(length, window, stride, average=kind == "Avg")
        x = gather(b, x, _clipped(b, total, before, length), axis)
    return x


def _clipped(b: Builder, count: int, before: int, size: int) -> Value:
    """Return *count* positions from *-before* on, moved into an axis of *size*."""
    return b.formula((count,), lambda i: np.clip(i - before, 0, size - 1), "int32")


@operation("adaptive_max_pool")
def adaptive_max_pool(
    b: Builder, inputs: Operand, output_size: Any, data_format: Any = None
) -> Value:
    """Return the largest element of each of a number of bins."""
    return _adaptive(b, max_, b.value(inputs), output_size, data_format)


@operation("adaptive_average_pool")
def adaptive_average_pool(
    b: Builder, inputs: Operand, output_size: Any, data_format: Any = None
) -> Value:
    """Return the mean of each of a number of bins."""
    return _adaptive(b, mean, f.real(b, inputs), output_size, data_format)


def _adaptive(b: Builder, reduce: Any, x: Value, output_size: Any, data_format: Any) -> Value:
    if channels_first(x, data_format):
        y = _adaptive(b, reduce, to_channels_last(b, x), output_size, None)
        return to_channels_first(b, y)
    for axis, count in enumerate(per_axis(output_size, x.rank - 2), 1):
        size = x.shape[axis]
        if size is None:
            raise StaticShapeNeeded("adaptive pooling of an unknown size")
        b.check_nodes(count)
        bins = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        pieces = [reduce(b, slice_axis(b, x, axis, *edges), axis, True) for edges in bins]
        x = concatenate(b, pieces, axis)
    return x
