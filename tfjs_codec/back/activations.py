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
from tfjs_codec.ir.tensors import Array, ArrayTensor, LazyTensor, map_float32
from tfjs_codec.keras.classes import CLASSES, Gates, is_a

_BASE = ("name", "trainable", "dtype")
_SLOPE, _OFFSET = 0.2, 0.5
_UP_TO_1: dict[str, Any] = {
    "class_name": "ReLU",
    "config": {"max_value": 1.0, "negative_slope": 0.0, "threshold": 0.0},
}


def raise_layer(graph: KerasGraph, layer: KerasLayer, log: RaisingLog) -> None:
    """Rewrite the activations of *layer*, of *graph*, and of the layers it wraps."""
    if layer.class_name == "Activation":
        _activation_layer(graph, layer, log)
    if layer.class_name == "ThresholdedReLU":
        theta = layer.config.pop("theta")
        layer.class_name = "ReLU"
        layer.config |= {"threshold": theta, "negative_slope": 0.0, "max_value": None}
    _replace_own(layer, log)
    inner = list(layer.children.values())
    while inner:
        child = inner.pop()
        if child.graph is None:
            inner += child.children.values()
            _replace_own(child, log)
            if child.class_name == "Activation" and child.config["activation"] == "hard_sigmoid":
                log.refuse(layer, "hard_sigmoid, which Keras 2 and 3 define differently")


def _activation_layer(graph: KerasGraph, layer: KerasLayer, log: RaisingLog) -> None:
    value = layer.config["activation"]
    if isinstance(value, dict) and _is_layer(value):
        base: Config = {key: layer.config[key] for key in _BASE if key in layer.config}
        layer.class_name = value["class_name"]
        layer.config = {**value["config"], **base}
    elif isinstance(value, dict):
        log.refuse(layer, "the activation is a custom function")
    elif value == "hard_sigmoid":
        layer.class_name = "Rescaling"
        del layer.config["activation"]
        layer.config |= {"scale": _SLOPE, "offset": _OFFSET}
        clip = KerasLayer(f"{layer.name}_clip", "ReLU", dict(_UP_TO_1["config"]))
        insert_after(graph, layer, clip)


def _is_layer(entry: Config) -> bool:
    return is_a(entry["class_name"], "activation") and isinstance(entry.get("config"), dict)


def _replace_own(layer: KerasLayer, log: RaisingLog) -> None:
    """Replace hard_sigmoid within *layer* itself."""
    kind, row = layer.class_name, CLASSES.get(layer.class_name)
    seen = [
        key
        for key in ("activation", "recurrent_activation")
        if layer.config.get(key) == "hard_sigmoid"
    ]
    if not seen or kind == "Activation":
        return
    if kind == "Dense" or is_a(kind, "convolution"):  # of what the last kernel yields
        _scale(layer, {[role for role in layer.weights if role.endswith("kernel")][-1]}, None)
        layer.config["activation"] = _UP_TO_1
        return
    gates = row.gates if row and row.gates else Gates(1, {})
    columns: list[int] = []
    for key in seen:
        if key not in gates.seen_by:
            log.refuse(layer, f"{key} hard_sigmoid, which Keras 2 and 3 define differently")
            return
        columns += gates.seen_by[key]
        layer.config[key] = _UP_TO_1
    _scale(layer, {"kernel", "recurrent_kernel"}, (gates.number, columns))


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
    weights["bias"] = map_float32(bias, bias.shape, lambda values: _move(values, scale, offset))
    layer.config["use_bias"] = True


def _times(tensor: LazyTensor, factor: Any) -> LazyTensor:
    return map_float32(tensor, tensor.shape, lambda values: np.multiply(values, factor))


def _move(values: Array, scale: Array, offset: Array) -> Array:
    """The offset joins the input's bias only, where there are two: GRU(reset_after)."""
    moved = np.multiply(values, scale)
    first = moved if moved.ndim == 1 else moved[0]
    first += offset
    return moved


def _no_bias(layer: KerasLayer, width: int) -> LazyTensor:
    shape = (2, width) if layer.config.get("reset_after") else (width,)
    return ArrayTensor(f"{layer.name}/bias", np.zeros(shape, np.float32))
