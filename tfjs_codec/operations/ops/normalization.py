"""Normalisation: operations of ``keras.ops.nn``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.reductions import mean
from tfjs_codec.operations.ops.shapes import (
    normalize_axes,
    normalize_axis,
    reshape,
)
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value
from tfjs_codec.tracing.refusal import Refusal


def along(b: Builder, values: Operand, x: Value, axes: Sequence[int]) -> Value:
    """Return a vector, or a tensor of the sizes of *axes*, shaped to broadcast against *x*."""
    values = b.value(values)
    if list(axes) == list(range(x.rank - len(axes), x.rank)) and values.rank == len(axes):
        return values
    return reshape(b, values, [x.shape[i] if i in axes else 1 for i in range(x.rank)])


@operation("batch_normalization")
def batch_normalization(
    b: Builder, x: Operand, mean: Operand, variance: Operand, axis: int, offset: Operand = None,
    scale: Operand = None, epsilon: float = 1e-3,
) -> Value:  # fmt: skip
    """Return *x* less the mean, divided by the deviation, scaled and shifted."""
    x = f.real(b, x)
    at = normalize_axis(x, axis)
    factor = f.rsqrt(b, a.add(b, variance, float(epsilon)))
    if scale is not None:
        factor = a.multiply(b, factor, scale)
    shift = a.negative(b, a.multiply(b, mean, factor))
    if offset is not None:
        shift = a.add(b, offset, shift)
    y = a.multiply(b, x, along(b, factor, x, [at]))
    return a.add(b, y, along(b, shift, x, [at]))


@operation("layer_normalization")
def layer_normalization(
    b: Builder, x: Operand, gamma: Operand = None, beta: Operand = None, axis: Any = -1,
    epsilon: Any = None, rms_scaling: Any = False,
) -> Value:  # fmt: skip
    """Return *x* less its mean over axes, divided by its deviation, scaled and shifted."""
    x = f.real(b, x)
    if rms_scaling:
        raise Refusal(
            "rms_scaling, whose formula differs between Keras versions", "Use RMSNormalization."
        )
    axes = normalize_axes(x, axis)
    centred = a.subtract(b, x, mean(b, x, axes, True))
    variance = mean(b, a.square(b, centred), axes, True)
    y = a.multiply(
        b, centred, f.rsqrt(b, a.add(b, variance, float(1e-7 if epsilon is None else epsilon)))
    )
    if gamma is not None:
        y = a.multiply(b, y, along(b, gamma, x, axes))
    return y if beta is None else a.add(b, y, along(b, beta, x, axes))


@operation("rms_normalization")
def rms_normalization(
    b: Builder, x: Operand, scale: Operand = None, axis: Any = -1, epsilon: Any = None
) -> Value:
    """Return *x* divided by the root of its mean square over axes, scaled."""
    x = f.real(b, x)
    axes = normalize_axes(x, axis)
    square = mean(b, a.square(b, x), axes, True)
    least = float(1e-7 if epsilon is None else epsilon)
    y = a.multiply(b, x, f.rsqrt(b, a.add(b, square, least)))
    # Keras broadcasts the scale from the last axis, whatever the axis.
    return y if scale is None else a.multiply(b, y, scale)
