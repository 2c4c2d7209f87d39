"""Normalisation layers."""

from __future__ import annotations

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops import normalization as n
from tfjs_codec.operations.ops import reductions as r
from tfjs_codec.operations.ops import shapes as s
from tfjs_codec.operations.registry import rule
from tfjs_codec.operations.values import Value
from tfjs_codec.tracing.refusal import Refusal
from tfjs_codec.tracing.sizes import group_sizes
from tfjs_codec.tracing.statistics import statistic


def _optional(b: Builder, layer: KerasLayer, role: str) -> Value | None:
    return b.weight(layer, role) if role in layer.weights else None


@rule("BatchNormalization")
def batch_normalization(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Mul and AddV2 of constants, which go into the weights of a convolution before."""
    b.check_predicting()
    axis, *more = s.normalize_axes(x, layer.config["axis"])
    if more:
        raise Refusal("a batch normalisation over several axes")
    factor = 1 / np.sqrt(b.content(layer, "moving_variance") + np.float32(layer.config["epsilon"]))
    if "gamma" in layer.weights:
        factor = factor * b.content(layer, "gamma")
    shift = -(b.content(layer, "moving_mean") * factor)
    if "beta" in layer.weights:
        shift = b.content(layer, "beta") + shift
    x = f.real(b, x)
    scale, offset = b.constant(factor, name="scale"), b.constant(shift, name="offset")
    y = a.multiply(b, x, n.along(b, scale, x, [axis]))
    return a.add(b, y, n.along(b, offset, x, [axis]))


@rule("LayerNormalization")
def layer_normalization(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Its formula."""
    return n.layer_normalization(
        b, x, _optional(b, layer, "gamma"), _optional(b, layer, "beta"), layer.config["axis"],
        layer.config["epsilon"], layer.config.get("rms_scaling"),
    )  # fmt: skip


@rule("RMSNormalization")
def rms_normalization(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Its formula."""
    scale = _optional(b, layer, "scale")
    return n.rms_normalization(b, x, scale, layer.config["axis"], layer.config["epsilon"])


@rule("GroupNormalization", "Addons>InstanceNormalization")
def group_normalization(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Its formula on (batch, positions, groups, channels of a group)."""
    x = f.real(b, x)
    axis = s.normalize_axis(x, layer.config["axis"])
    order = [i for i in range(x.rank) if i != axis] + [axis]
    moved = s.transpose(b, x, order)
    groups = group_sizes(layer, moved.shape[-1])
    sizes = s.dynamic_shape(b, moved)
    positions = np.prod([size or 0 for size in moved.shape[1:-1]], dtype=int)
    known = None not in moved.shape[1:-1]
    grouped = s.reshape(b, moved, [sizes[0], int(positions) if known else -1, *groups])
    centred = a.subtract(b, grouped, r.mean(b, grouped, [1, 3], True))
    variance = r.mean(b, a.square(b, centred), [1, 3], True)
    factor = f.rsqrt(b, a.add(b, variance, float(layer.config["epsilon"])))
    gamma, beta = _optional(b, layer, "gamma"), _optional(b, layer, "beta")
    if gamma is not None:
        factor = a.multiply(b, factor, s.reshape(b, gamma, groups))
    y = a.multiply(b, centred, factor)
    if beta is not None:
        y = a.add(b, y, s.reshape(b, beta, groups))
    return s.transpose(b, s.reshape(b, y, sizes), [order.index(i) for i in range(x.rank)])


@rule("UnitNormalization")
def unit_normalization(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """The value divided by its norm."""
    # Keras 3 bounds the norm by 1e-12, Keras 2 its square (TensorFlow's l2_normalize).
    epsilon = 1e-24 if b.generation == 3 else 1e-12
    return r.l2_normalize(b, x, layer.config["axis"], epsilon)


@rule("Normalization")
def normalization(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Less the mean, divided by the deviation."""
    axis = layer.config["axis"]
    axes = [] if axis is None else s.normalize_axes(x, axis)
    mean, variance = (statistic(layer, name, axes, x.shape) for name in ("mean", "variance"))
    deviation = np.maximum(np.sqrt(variance), np.float32(1e-7))
    x = b.value(x, "float32")
    if layer.config.get("invert"):
        return a.add(b, a.multiply(b, x, deviation), mean)
    return a.divide(b, a.subtract(b, x, mean), deviation)


@rule("SpectralNormalization")
def spectral_normalization(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """The wrapped layer with its stored kernel."""
    return b.caller.inner(layer.children["layer"], x)[0]
