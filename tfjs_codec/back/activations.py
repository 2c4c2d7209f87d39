"""Activations on the way back.

tfjs's ``hard_sigmoid`` is Keras 2's, clip(x/5 + 1/2, 0, 1); Keras 3 divides by 6. Neither name
nor formula is common to both, but ``relu`` up to 1 is: where an activation follows an affine
function, x/5 + 1/2 goes into that function's weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfjs_codec.back.edit import insert_after
from tfjs_codec.back.log import RaisingLog
from tfjs_codec.ir.keras import Config, KerasGraph, KerasLayer
from tfjs_codec.ir.tensors import Array, ArrayTensor, LazyTensor, mapped

_BASE = ("name", "trainable", "dtype")
_SLOPE, _OFFSET = 0.2, 0.5
_UP_TO_1: dict[str, Any] = {
    "class_name": "ReLU",
    "config": {"max_value": 1.0, "negative_slope": 0.0, "threshold": 0.0},
}
# Where an activation is applied to an affine function: the weight that makes it.
_AFFINE = {
    "Dense": "kernel",
    **{f"Conv{n}D": "kernel" for n in (1, 2, 3)},
    "Conv2DTranspose": "kernel",
    "Conv3DTranspose": "kernel",
    "DepthwiseConv2D": "depthwise_kernel",
    "SeparableConv2D": "pointwise_kernel",
}
# Blocks of columns, and which of them each activation sees (z, r, h; i, f, c, o).
_GATES: dict[str, tuple[int, dict[str, tuple[int, ...]]]] = {
    "SimpleRNN": (1, {"activation": (0,)}),
    "GRU": (3, {"recurrent_activation": (0, 1), "activation": (2,)}),
    "LSTM": (4, {"recurrent_activation": (0, 1, 3)}),
    "ConvLSTM2D": (4, {"recurrent_activation": (0, 1, 3)}),
}


def raise_layer(graph: KerasGraph, layer: KerasLayer, log: RaisingLog) -> None:
    """Rewrite the activations of *layer*, of *graph*, and of the layers it wraps."""
    if layer.class_name == "Activation":
        _activation_layer(graph, layer)
    if layer.class_name == "ThresholdedReLU":
        theta = layer.config["theta"]
        layer.class_name = "ReLU"
        layer.config |= {"threshold": theta, "negative_slope": 0.0, "max_value": None}
    _own(layer, log)
    inner = list(layer.children.values())
    while inner:
        child = inner.pop()
        if child.graph is None:
            inner += child.children.values()
            _own(child, log)
            if child.class_name == "Activation" and child.config["activation"] == "hard_sigmoid":
                log.refuse(layer, "hard_sigmoid, which Keras 2 and 3 define differently")


def _activation_layer(graph: KerasGraph, layer: KerasLayer) -> None:
    value = layer.config["activation"]
    if isinstance(value, dict):
        base: Config = {key: layer.config[key] for key in _BASE if key in layer.config}
        layer.class_name = value["class_name"]
        layer.config = {**value["config"], **base}
    elif value == "hard_sigmoid":
        layer.class_name = "Rescaling"
        del layer.config["activation"]
        layer.config |= {"scale": _SLOPE, "offset": _OFFSET}
        clip = KerasLayer(f"{layer.name}_clip", "ReLU", dict(_UP_TO_1["config"]))
        insert_after(graph, layer, clip)


def _own(layer: KerasLayer, log: RaisingLog) -> None:
    """Replace hard_sigmoid within *layer* itself."""
    kind = layer.class_name.removesuffix("Cell")
    seen = [
        key
        for key in ("activation", "recurrent_activation")
        if layer.config.get(key) == "hard_sigmoid"
    ]
    if not seen or kind == "Activation":
        return
    if kind in _AFFINE:
        _scale(layer, {_AFFINE[kind]}, None)
        layer.config["activation"] = _UP_TO_1
        return
    count, blocks = _GATES.get(kind, (1, {}))
    columns: list[int] = []
    for key in seen:
        if key not in blocks:
            log.refuse(layer, f"{key} hard_sigmoid, which Keras 2 and 3 define differently")
            return
        columns += blocks[key]
        layer.config[key] = _UP_TO_1
    _scale(layer, {"kernel", "recurrent_kernel"}, (count, columns))


def _scale(layer: KerasLayer, kernels: set[str], gates: tuple[int, list[int]] | None) -> None:
    """Scale what *kernels* and bias yield, and add the offset; in some blocks of columns only."""
    weights = layer.weights
    width = next(t.shape[-1] for role, t in weights.items() if role in kernels)
    if layer.class_name == "DepthwiseConv2D":
        width *= weights["depthwise_kernel"].shape[-2]
    elif layer.class_name in ("Conv2DTranspose", "Conv3DTranspose"):
        width = weights["kernel"].shape[-2]
    scale, offset = np.ones(width, np.float32), np.zeros(width, np.float32)
    columns = np.ones(width, np.bool_)
    if gates is not None:
        count, chosen = gates
        columns = np.repeat(np.isin(np.arange(count), chosen), width // count)
    scale[columns], offset[columns] = _SLOPE, _OFFSET
    for role in kernels & weights.keys():
        factor = scale if gates is not None else np.float32(_SLOPE)
        weights[role] = _times(weights[role], factor)
    bias = weights.get("bias") or _no_bias(layer, width)
    weights["bias"] = mapped(bias, bias.shape, lambda values: _moved(values, scale, offset))
    layer.config["use_bias"] = True


def _times(tensor: LazyTensor, factor: Any) -> LazyTensor:
    return mapped(tensor, tensor.shape, lambda values: np.multiply(values, factor))


def _moved(values: Array, scale: Array, offset: Array) -> Array:
    """The offset joins the input's bias only, where there are two: GRU(reset_after)."""
    moved = np.multiply(values, scale)
    first = moved if moved.ndim == 1 else moved[0]
    first += offset
    return moved


def _no_bias(layer: KerasLayer, width: int) -> LazyTensor:
    shape = (2, width) if layer.config.get("reset_after") else (width,)
    return ArrayTensor(f"{layer.name}/bias", np.zeros(shape, np.float32))
