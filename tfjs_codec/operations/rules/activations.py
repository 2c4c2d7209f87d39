"""Activation layers, and the activations of other layers."""

from __future__ import annotations

from typing import Any

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.keras.dialect import ACTIVATIONS
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.registry import REGISTRY, rule
from tfjs_codec.operations.values import Value
from tfjs_codec.tracing.accounting import apply_activation_layer
from tfjs_codec.tracing.refusal import Refusal

# What of an activation's result depends on other elements, on the last axis.


def activate(b: Builder, x: Value, activation: Any) -> Value:
    """Apply *activation*: a name, None, or a layer's ``{class_name, config}``."""
    if activation is None:
        return x
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise Refusal(f"the activation '{activation}' is not one of Keras's")
        options = {"approximate": False} if activation == "gelu" else {}
        result = REGISTRY.ops[activation].function(b, x, **options)
    else:
        result = apply_activation_layer(REGISTRY, b, x, activation)
    assert isinstance(result, Value)
    return result


@rule("Activation")
def activation(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """The operation of that name."""
    return activate(b, x, layer.config["activation"])


@rule("ReLU")
def relu(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Relu, Relu6 or LeakyRelu; with a threshold, comparisons."""
    x, config = f.real(b, x), layer.config
    top, slope = config.get("max_value"), config.get("negative_slope") or 0
    edge = config.get("threshold") or 0
    if edge:
        y = a.where(b, a.greater_equal(b, x, edge), x, a.multiply(b, a.subtract(b, x, edge), slope))
        return y if top is None else a.minimum(b, y, top)
    if slope:
        y = f.leaky_relu(b, x, slope)
        return y if top is None else a.minimum(b, y, top)
    if top is None:
        return f.relu(b, x)
    return f.relu6(b, x) if top == 6 else a.clip(b, x, 0, top)


@rule("LeakyReLU")
def leaky_relu(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """LeakyRelu."""
    return f.leaky_relu(b, x, layer.config["negative_slope"])


@rule("PReLU")
def prelu(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Relu of the value, and of its negative times the slope."""
    alpha = b.weight(layer, "alpha")
    negative = a.multiply(b, a.negative(b, alpha), f.relu(b, a.negative(b, x)))
    return a.add(b, f.relu(b, x), negative)


@rule("ELU")
def elu(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Elu."""
    return f.elu(b, x, layer.config.get("alpha", 1.0))


@rule("ThresholdedReLU")
def thresholded_relu(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """The value where it is above the threshold, else 0."""
    x = f.real(b, x)
    return a.where(b, a.greater(b, x, float(layer.config["theta"])), x, 0.0)


@rule("Softmax")
def softmax(b: Builder, layer: KerasLayer, x: Value | list[Value]) -> Value:
    """Softmax; masked scores count as -1e9."""
    inputs = x if isinstance(x, list) else [x]
    given = b.argument("mask")
    mask = inputs[1] if given is None and len(inputs) > 1 else given
    mask = inputs[0].mask if mask is None else mask
    scores = f.real(b, inputs[0])
    if mask is None:
        return f.softmax(b, scores, layer.config["axis"])
    y = f.softmax(b, f.hide(b, scores, mask), layer.config["axis"])
    if b.generation < 3:
        return y
    return a.multiply(b, y, b.value(f.as_mask(b, mask), y.dtype))  # zeros where all is masked
