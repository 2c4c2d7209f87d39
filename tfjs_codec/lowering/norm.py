"""Normalisation layers. Recipes: layers-format.md §3.1, §3.2, L3."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.lowering.builder import Scope
from tfjs_codec.lowering.primitives import (
    affine,
    move_axis_last,
    move_last_axis_to,
    negate,
    reshape,
    slice_axis,
)
from tfjs_codec.lowering.rules import rule
from tfjs_codec.lowering.symbolic import Refusal, Tensor

_STATS = ("gamma", "beta", "moving_mean", "moving_variance")


def _axis(layer: KerasLayer, x: Tensor) -> int:
    """Return the one axis a layer works on, as a positive number."""
    axis = layer.config["axis"]
    if isinstance(axis, list):
        if len(axis) != 1:
            raise Refusal("a normalisation over several axes")
        axis = axis[0]
    return int(axis) % x.rank


@rule("BatchNormalization", mask="pass")
def batch_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """BatchNormalization; other axes than the last by permuting, rank 5 by reshaping."""
    if b.trains:
        raise Refusal(
            "it is called with training=True and normalises by the batch; tfjs never does so",
            "Build the model without training=True.",
        )
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


@rule("LayerNormalization", mask="pass")
def layer_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """LayerNormalization; rank 5 by reshaping."""
    if layer.config.get("rms_scaling"):
        raise Refusal(
            "rms_scaling, whose formula differs between Keras versions", "Use RMSNormalization."
        )
    axes = layer.config["axis"]
    axes = [a % x.rank for a in ([axes] if isinstance(axes, int) else axes)]
    config: dict[str, Any] = {
        "epsilon": layer.config["epsilon"],
        "center": bool(layer.config["center"]),
        "scale": bool(layer.config["scale"]),
    }
    flat, first = x, 1
    if x.rank > 4:
        first = min(axes)
        if 0 in axes or axes != list(range(first, x.rank)) or x.rank - first > 2:
            raise Refusal("a layer normalisation of rank 5 over these axes")
        flat = reshape(b, x, (prod(b.static(x)[: first - 1]), *x.shape[first:]))
        axes = [a - first + 2 for a in axes]
    y = b.add("LayerNormalization", flat, {"axis": axes, **config}, layer.weights)
    return reshape(b, y, x.shape[1:])


@rule("GroupNormalization", "InstanceNormalization", mask="pass")
def group_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """LayerNormalization of [positions, groups, channels/groups], then Rescaling."""
    axis = _axis(layer, x)
    moved = move_axis_last(b, x, axis)
    channels = moved.shape[-1]
    if channels is None:
        raise Refusal("a group normalisation of an unknown number of channels")
    groups = layer.config.get("groups", channels)
    groups = channels if groups == -1 or layer.class_name[0] == "I" else groups
    if channels % groups:
        raise Refusal(f"{groups} groups of {channels} channels")
    spatial = moved.shape[1:-1]
    positions = None if None in spatial else prod(size or 0 for size in spatial)
    grouped = reshape(b, moved, (positions, groups, channels // groups))
    y = _standardised(b, grouped, [1, 3], layer.config["epsilon"])
    y = reshape(b, y, moved.shape[1:])
    return move_last_axis_to(b, _scaled(b, layer, y), axis)


def _standardised(b: Scope, x: Tensor, axes: list[int], epsilon: float) -> Tensor:
    config = {"axis": axes, "epsilon": epsilon, "center": False, "scale": False}
    return b.add("LayerNormalization", x, config)


def _scaled(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Apply gamma and beta, where there are any, along the last axis."""
    gamma, beta = layer.weights.get("gamma"), layer.weights.get("beta")
    if gamma is None and beta is None:
        return x
    return affine(b, x, 1 if gamma is None else gamma.numpy(), 0 if beta is None else beta.numpy())


def _divided_by_rms(b: Scope, x: Tensor, epsilon: float) -> Tensor:
    """Return ``x / sqrt(mean(x²) + epsilon)`` over the last axis.

    The mean of [x, -x] is 0 and its variance mean(x²), so LayerNormalization of it does that.
    """
    size = x.shape[-1]
    if size is None:
        raise Refusal("a root mean square over an axis of unknown size")
    both = b.add("Concatenate", [x, negate(b, x)], {"axis": x.rank - 1})
    return slice_axis(b, _standardised(b, both, [x.rank - 1], epsilon), x.rank - 1, 0, size)


@rule("RMSNormalization", mask="pass")
def rms_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """LayerNormalization of [x, -x], half of it, Rescaling."""
    axis = _axis(layer, x)
    y = _divided_by_rms(b, move_axis_last(b, x, axis), layer.config["epsilon"])
    scale = layer.weights.get("scale")
    if scale is not None:
        y = affine(b, y, scale.numpy())
    return move_last_axis_to(b, y, axis)


@rule("UnitNormalization", mask="pass")
def unit_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """LayerNormalization of [x, -x], half of it, Rescaling."""
    axis = _axis(layer, x)
    moved = move_axis_last(b, x, axis)
    size = moved.shape[-1] or 1
    y = affine(b, _divided_by_rms(b, moved, 1e-12 / size), 1 / np.sqrt(size))
    return move_last_axis_to(b, y, axis)


@rule("Normalization")
def normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Rescaling by the mean, Rescaling by the deviation."""
    axis = layer.config["axis"]
    axes = (
        [] if axis is None else [a % x.rank for a in (axis if isinstance(axis, list) else [axis])]
    )
    statistics = []
    for name in ("mean", "variance"):
        stored = layer.weights.get(name)
        value = layer.config.get(name) if stored is None else stored.numpy()
        if value is None:
            raise Refusal("a Normalization that was never adapted")
        statistics.append(_along(np.asarray(value, np.float32), axes, x))
    mean, variance = statistics
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    if layer.config.get("invert"):
        return affine(b, affine(b, x, deviation), 1, mean)
    return affine(b, affine(b, x, 1, -mean), 1 / deviation.astype(np.float64))


def _along(values: NDArray[np.float32], axes: list[int], x: Tensor) -> NDArray[np.float32]:
    """Return *values* shaped to broadcast along *axes* of *x*, without its batch axis."""
    if values.ndim == 0 or not axes:
        return values.reshape(()) if values.size == 1 else values
    if 0 in axes:
        raise Refusal("a normalisation along the batch")
    kept = [size for size in values.shape if size != 1] if values.ndim > len(axes) else values.shape
    sizes = iter(kept if len(kept) == len(axes) else [x.shape[a] or 1 for a in axes])
    shape = [next(sizes) if i in axes else 1 for i in range(1, x.rank)]
    if values.size == 1:
        return values.reshape([1] * (x.rank - 1))
    return values.reshape(shape)
