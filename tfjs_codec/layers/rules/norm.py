"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.shapes import product, resolve_axis
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import rule
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.layers.primitives import (
    affine,
    move_axis_last,
    move_last_axis_to,
    negate,
    permute,
    reshape,
    slice_axis,
)
from tfjs_codec.tracing.refusal import Refusal
from tfjs_codec.tracing.sizes import group_sizes
from tfjs_codec.tracing.statistics import statistic

_STATS = ("gamma", "beta", "moving_mean", "moving_variance")


def _axes(layer: KerasLayer, x: Tensor) -> list[int]:
    """Return the axes a layer works on, as positive numbers in the order of its config."""
    axes = layer.config["axis"]
    return [resolve_axis(axis, x.rank) for axis in (axes if isinstance(axes, list) else [axes])]


def _axis(layer: KerasLayer, x: Tensor) -> int:
    """Return the one axis a layer works on, as a positive number."""
    axis, *more = _axes(layer, x)
    if more:
        raise Refusal("a normalisation over several axes")
    return axis


@rule("BatchNormalization")
def batch_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """BatchNormalization; other axes than the last by permuting, rank 5 by reshaping."""
    b.check_predicting()
    axis = _axis(layer, x)
    weights = {name: layer.weights[name] for name in _STATS if name in layer.weights}
    moved = move_axis_last(b, x, axis)
    flat = moved
    if moved.rank == 5:  # tfjs takes ranks 2 to 4
        depth, height = moved.shape[1:3]
        merged = None if depth is None or height is None else depth * height
        flat = reshape(b, moved, (merged, *moved.shape[3:]))
    config = {
        "axis": flat.rank - 1,
        "momentum": layer.config.get("momentum", 0.99),
        "epsilon": layer.config["epsilon"],
        "center": bool(layer.config["center"]),
        "scale": bool(layer.config["scale"]),
    }
    y = b.add("BatchNormalization", flat, config, weights)
    return move_last_axis_to(b, reshape(b, y, moved.shape[1:]), axis)


@rule("LayerNormalization")
def layer_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """LayerNormalization; rank 5 by reshaping."""
    if layer.config.get("rms_scaling"):
        raise Refusal(
            "rms_scaling, whose formula differs between Keras versions", "Use RMSNormalization."
        )
    axes = _axes(layer, x)
    epsilon = layer.config["epsilon"]
    if x.rank > 4:  # tfjs takes ranks 2 to 4
        y = over_axes(b, x, axes, lambda flat: _standardise(b, flat, [flat.rank - 1], epsilon))
        for name, tensor in layer.weights.items():
            along = tensor.numpy().reshape(
                [(x.shape[i] or -1) if i in axes else 1 for i in range(1, x.rank)]
            )
            y = affine(b, y, along) if name == "gamma" else affine(b, y, 1, along)
        return y
    config: dict[str, Any] = {
        "axis": axes,
        "epsilon": epsilon,
        "center": bool(layer.config["center"]),
        "scale": bool(layer.config["scale"]),
    }
    return b.add("LayerNormalization", x, config, layer.weights)


def over_axes(b: Scope, x: Tensor, axes: list[int], run: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply *run*, which works on the last axis, to all *axes* of *x* together."""
    order = [*(i for i in range(1, x.rank) if i not in axes), *axes]
    moved = permute(b, x, order)
    flat = moved
    if len(axes) > 1 or x.rank > 4:
        split = x.rank - len(axes)
        rest = [product(moved.shape[1:split])] if split > 1 else []
        flat = reshape(b, moved, (*rest, product(moved.shape[split:])))
    y = reshape(b, run(flat), moved.shape[1:])
    return permute(b, y, [order.index(i) + 1 for i in range(1, x.rank)])


@rule("GroupNormalization", "Addons>InstanceNormalization")
def group_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """LayerNormalization of [positions, groups, channels/groups], then Rescaling."""
    axis = _axis(layer, x)
    moved = move_axis_last(b, x, axis)
    groups = group_sizes(layer, moved.shape[-1])
    spatial = moved.shape[1:-1]
    positions = None if None in spatial else prod(size or 0 for size in spatial)
    grouped = reshape(b, moved, (positions, *groups))
    y = _standardise(b, grouped, [1, 3], layer.config["epsilon"])
    y = reshape(b, y, moved.shape[1:])
    return move_last_axis_to(b, _scale(b, layer, y), axis)


def _standardise(b: Scope, x: Tensor, axes: list[int], epsilon: float) -> Tensor:
    config = {"axis": axes, "epsilon": epsilon, "center": False, "scale": False}
    return b.add("LayerNormalization", x, config)


def _scale(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Apply gamma and beta, where there are any, along the last axis."""
    gamma, beta = layer.weights.get("gamma"), layer.weights.get("beta")
    if gamma is None and beta is None:
        return x
    return affine(b, x, 1 if gamma is None else gamma.numpy(), 0 if beta is None else beta.numpy())


def divide_by_rms(b: Scope, x: Tensor, epsilon: float) -> Tensor:
    """Return ``x / sqrt(mean(x²) + epsilon)`` over the last axis.

    The mean of [x, -x] is 0 and its variance mean(x²), so LayerNormalization of it does that.
    """
    size = x.shape[-1]
    if size is None:
        raise Refusal("a root mean square over an axis of unknown size")
    both = b.add("Concatenate", [x, negate(b, x)], {"axis": x.rank - 1})
    return slice_axis(b, _standardise(b, both, [x.rank - 1], epsilon), x.rank - 1, 0, size)


@rule("RMSNormalization")
def rms_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """LayerNormalization of [x, -x], half of it, Rescaling."""
    epsilon = layer.config["epsilon"]
    y = over_axes(b, x, _axes(layer, x), lambda flat: divide_by_rms(b, flat, epsilon))
    scale = layer.weights.get("scale")  # Keras broadcasts it from the last axis, whatever the axis
    return y if scale is None else affine(b, y, scale.numpy())


@rule("UnitNormalization")
def unit_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """LayerNormalization of [x, -x], half of it, Rescaling."""
    # Keras 3 bounds the norm by 1e-12, Keras 2 its square (TensorFlow's l2_normalize)
    return over_norm(b, x, _axes(layer, x), 1e-24 if b.generation == 3 else 1e-12)


def over_norm(b: Scope, x: Tensor, axes: list[int], epsilon: float) -> Tensor:
    """Return *x* divided by its norm over *axes*, ``√(Σx² + epsilon)``."""
    size = product([x.shape[axis] for axis in axes]) or 1

    def run(flat: Tensor) -> Tensor:
        return affine(b, divide_by_rms(b, flat, epsilon / size), 1 / np.sqrt(size))

    return over_axes(b, x, axes, run)


@rule("Normalization")
def normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Rescaling by the mean, Rescaling by the deviation."""
    axes = [] if layer.config["axis"] is None else _axes(layer, x)
    if 0 in axes:
        raise Refusal("a normalisation along the batch")
    mean, variance = (
        value[0] if (value := statistic(layer, name, axes, x.shape)).ndim == x.rank else value
        for name in ("mean", "variance")
    )
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    if layer.config.get("invert"):
        return affine(b, affine(b, x, deviation), 1, mean)
    return affine(b, affine(b, x, 1, -mean), 1 / deviation.astype(np.float64))
