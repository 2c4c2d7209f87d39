"""Normalisation layers."""

from __future__ import annotations

from typing import Any

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.lowering.builder import Scope
from tfjs_codec.lowering.primitives import move_axis_last, move_last_axis_to, reshape
from tfjs_codec.lowering.rules import rule
from tfjs_codec.lowering.symbolic import Refusal, Tensor

_STATS = ("gamma", "beta", "moving_mean", "moving_variance")


@rule("BatchNormalization", mask="pass")
def batch_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """BatchNormalization; other axes than the last by permuting, rank 5 by reshaping."""
    if b.call.kwargs.get("training") is True:
        raise Refusal(
            "it is called with training=True and normalises by the batch; tfjs never does so",
            "Build the model without training=True.",
        )
    axis = layer.config["axis"]
    if isinstance(axis, list):
        raise Refusal("a batch normalisation over several axes")
    axis %= x.rank
    config = {
        "axis": -1,
        "momentum": layer.config["momentum"],
        "epsilon": layer.config["epsilon"],
        "center": bool(layer.config["center"]),
        "scale": bool(layer.config["scale"]),
    }
    weights = {name: layer.weights[name] for name in _STATS if name in layer.weights}
    moved = move_axis_last(b, x, axis)
    flat = moved
    if moved.rank == 5:  # tfjs takes ranks 2 to 4
        sizes = moved.shape[1:]
        merged = None if None in sizes[:2] else (sizes[0] or 0) * (sizes[1] or 0)
        flat = reshape(b, moved, (merged, *sizes[2:]))
    y = b.add("BatchNormalization", flat, config, weights)
    return move_last_axis_to(b, reshape(b, y, moved.shape[1:]), axis)


@rule("LayerNormalization", mask="pass")
def layer_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """LayerNormalization; rank 5 by reshaping."""
    axes = layer.config["axis"]
    axes = [axes] if isinstance(axes, int) else list(axes)
    config: dict[str, Any] = {
        "axis": [axis % x.rank for axis in axes],
        "epsilon": layer.config["epsilon"],
        "center": bool(layer.config["center"]),
        "scale": bool(layer.config["scale"]),
    }
    if layer.config.get("rms_scaling") or x.rank > 4:
        raise Refusal("a layer normalisation of rank 5 or by the root mean square")
    return b.add("LayerNormalization", x, config, layer.weights)
