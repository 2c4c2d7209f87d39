"""The input shape of a Sequential model whose file does not say it, from its first weights.

Keras 2.2.4 to 2.3.1 and TensorFlow 1.13 to 2.2 drop an InputLayer that was added by hand and with
it the only mention of the shape. The weights of the first layer that has any tell the rank and the
number of channels; the other sizes stay open, as they do for the layer itself.
"""

from __future__ import annotations

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.keras.classes import is_a, is_pointwise

UNKNOWN = "unknown_input_shape"


def infer_input_shapes(graph: KerasGraph, path: str) -> list[str]:
    """Fill the open input shapes of *graph*, whose layers have their weights; return warnings.

    Raises:
        UnsupportedModelError: the first layers do not tell.
    """
    warnings = []
    for layer in reversed(list(graph.walk())):  # the innermost first: others may begin with it
        if layer.graph is not None:
            warnings += _infer(layer.graph, path)
    return warnings + _infer(graph, path)


def _infer(graph: KerasGraph, path: str) -> list[str]:
    source = graph.layers[0] if graph.layers else None
    if source is None or not source.config.pop(UNKNOWN, False):
        return []
    shape = _shape_before(graph.layers[1:])
    if shape is None:
        raise UnsupportedModelError(
            "the file does not say the input shape of this Sequential model",
            path=path,
            where=graph.name,
            hint="Call model.build(input_shape) or predict once, and save it with a newer Keras.",
        )
    source.config["batch_shape"] = shape
    return [f"the input shape of {graph.name} is not in the file; {shape} follows from its weights"]


def _shape_before(layers: list[KerasLayer]) -> list[int | None] | None:
    for layer in layers:
        weights = layer.weights or {
            role: tensor
            for child in layer.children.values()
            for role, tensor in child.weights.items()
        }
        kind = layer.class_name
        if layer.graph is not None:
            return _own_input_shape(layer.graph)
        kernel = weights.get("kernel") or weights.get("depthwise_kernel")
        if kind == "Embedding":
            return [None, None]
        if kernel is not None and is_a(kind, "recurrent") and len(kernel.shape) == 2:
            return [None, None, kernel.shape[0]]
        if kernel is not None and kind == "Dense":
            return [None, kernel.shape[0]]
        if kernel is not None and is_a(kind, "convolution"):
            channels = kernel.shape[-1 if "Transpose" in kind else -2]
            spatial: list[int | None] = [None] * (len(kernel.shape) - 2)
            first = layer.config.get("data_format") == "channels_first"
            return [None, channels, *spatial] if first else [None, *spatial, channels]
        if not is_pointwise(layer):  # keeps rank and channels: the next weights tell as well
            return None
    return None


def _own_input_shape(graph: KerasGraph) -> list[int | None] | None:
    if len(graph.inputs) != 1:
        return None
    source = next(layer for layer in graph.layers if layer.name == graph.inputs[0].layer)
    shape: list[int | None] = source.config["batch_shape"]
    return shape
