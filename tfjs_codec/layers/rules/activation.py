"""Activations: as a string inside a layer where tfjs has it, as layers of their own otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.shapes import resolve_axis
from tfjs_codec.layers import functions
from tfjs_codec.layers.engine import masks
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.constants import as_array
from tfjs_codec.layers.engine.registry import REGISTRY, rule
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.layers.primitives import (
    affine,
    clip,
    constant,
    move_axis_last,
    move_last_axis_to,
    negate,
    slice_axis,
)
from tfjs_codec.tracing.accounting import apply_activation_layer
from tfjs_codec.tracing.refusal import Refusal

_FAR = 1e9
_TFJS = {
    name: name
    for name in (
        "elu", "relu", "relu6", "selu", "linear", "sigmoid", "softplus", "softsign", "tanh",
        "softmax", "log_softmax", "gelu", "mish", "swish",
    )
} | {"silu": "swish"}  # fmt: skip

Formula = Callable[[Scope, Tensor], Tensor]


def tfjs_activation(b: Scope, activation: Any) -> str | None:
    """Return the name under which a tfjs layer applies *activation* itself, or None."""
    if not isinstance(activation, str):
        return None
    if activation == "hard_sigmoid" and b.generation < 3:
        return activation
    return _TFJS.get(activation)


def split(b: Scope, activation: Any) -> tuple[str, Callable[[Tensor], Tensor]]:
    """Return the activation for a layer's config, and the one to apply to its output."""
    name = tfjs_activation(b, activation)
    if name is not None:
        return name, lambda x: x
    return "linear", lambda x: apply(b, x, activation)


def apply(b: Scope, x: Tensor, activation: Any) -> Tensor:
    """Apply *activation* (a name, or a layer's ``{class_name, config}``) with layers of its own."""
    name = tfjs_activation(b, activation)
    if name == "linear":
        return x
    if name is not None:
        return b.add("Activation", x, {"activation": name})
    if isinstance(activation, str):
        if activation not in FORMULAS:
            raise Refusal(f"the activation '{activation}' cannot be built from tfjs layers")
        return FORMULAS[activation](b, x)
    result = apply_activation_layer(REGISTRY, b, x, activation)
    assert isinstance(result, Tensor)
    return result


def function(b: Scope, x: Tensor, name: str) -> Tensor:
    """Apply an activation that tfjs has under *name*."""
    return b.add("Activation", x, {"activation": name}, part=name)


# ------------------------------------------------------------------------------------ formulas


def hard_sigmoid(b: Scope, x: Tensor) -> Tensor:
    """Keras 3's clip(x/6 + 1/2, 0, 1) by way of tfjs's clip(x/5 + 1/2, 0, 1)."""
    return function(b, affine(b, x, 5 / 6), "hard_sigmoid")


def _above(b: Scope, x: Tensor, edge: float) -> Tensor:
    """Return max(x - edge, 0)."""
    return b.add("ReLU", affine(b, x, 1, -edge), {"max_value": None})


def soft_shrink(b: Scope, x: Tensor, edge: float = 0.5) -> Tensor:
    """Return x moved towards 0 by *edge*, 0 where it is nearer."""
    return b.add("Add", [_above(b, x, edge), negate(b, _above(b, negate(b, x), edge))])


def hard_shrink(b: Scope, x: Tensor, edge: float = 0.5) -> Tensor:
    """Return x, and 0 where it is within *edge* of 0."""
    upper = b.add("ThresholdedReLU", x, {"theta": edge})
    lower = b.add("ThresholdedReLU", negate(b, x), {"theta": edge})
    return b.add("Add", [upper, negate(b, lower)])


def _sparse_plus(b: Scope, x: Tensor) -> Tensor:
    """0 below -1, (x + 1)²/4 up to 1, x from there: clip(x + 1, 0, 2)²/4 + relu(x - 1)."""
    middle = b.add("ReLU", affine(b, x, 0.5, 0.5), {"max_value": 1})
    return b.add("Add", [b.add("Multiply", [middle, middle]), _above(b, x, 1)])


def _glu(b: Scope, x: Tensor) -> Tensor:
    """The first half of the last axis times the sigmoid of the second."""
    size = x.shape[-1]
    if size is None or size % 2:
        raise Refusal("glu of an axis of odd or unknown size")
    first = slice_axis(b, x, x.rank - 1, 0, size // 2)
    second = slice_axis(b, x, x.rank - 1, size // 2, size)
    return b.add("Multiply", [first, function(b, second, "sigmoid")])


def squareplus(b: Scope, x: Tensor, constant: float) -> Tensor:
    """Return (x + √(x² + constant)) / 2."""
    if constant <= 0:
        raise Refusal(f"squareplus with b={constant}", "Use relu, or another b.")
    return affine(b, b.add("Add", [x, functions.root_of_square(b, x, constant**0.5)]), 0.5)


FORMULAS: dict[str, Formula] = {
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": lambda b, x: b.add("Multiply", [x, hard_sigmoid(b, x)]),
    "hard_swish": lambda b, x: b.add("Multiply", [x, hard_sigmoid(b, x)]),
    "hard_tanh": lambda b, x: clip(b, x, -1, 1),
    "leaky_relu": lambda b, x: b.add("LeakyReLU", x, {"alpha": 0.2}),
    "log_sigmoid": lambda b, x: negate(b, function(b, negate(b, x), "softplus")),
    "celu": lambda b, x: b.add("ELU", x, {"alpha": 1}),
    "soft_shrink": soft_shrink,
    "hard_shrink": hard_shrink,
    "sparse_sigmoid": lambda b, x: clip(b, affine(b, x, 0.5, 0.5), 0, 1),
    "sparse_plus": _sparse_plus,
    "glu": _glu,
    "exponential": functions.exponential,
    "squareplus": lambda b, x: squareplus(b, x, 4),
    "tanh_shrink": lambda b, x: b.add("Add", [x, negate(b, function(b, x, "tanh"))]),
}


# -------------------------------------------------------------------------------------- layers


@rule("Activation")
def activation(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Activation, or the formula from other layers."""
    return apply(b, x, layer.config["activation"])


@rule("ReLU")
def relu(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """ReLU; with a slope or a threshold, from LeakyReLU, ThresholdedReLU and ReLU."""
    config = layer.config
    top, slope = config.get("max_value"), config.get("negative_slope") or 0
    threshold = config.get("threshold") or 0
    if not slope and not threshold:
        return b.add("ReLU", x, {"max_value": top})
    if not threshold and top is None:
        return b.add("LeakyReLU", x, {"alpha": slope})
    upper = b.add("ThresholdedReLU", x, {"theta": threshold})
    if top is not None:
        upper = b.add("Minimum", [upper, constant(b, upper, top)])
    if not slope:
        return upper
    lower = affine(b, b.add("ReLU", affine(b, x, -1, threshold), part="below"), -slope)
    return b.add("Add", [upper, lower])


@rule("LeakyReLU")
def leaky_relu(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """LeakyReLU."""
    return b.add("LeakyReLU", x, {"alpha": layer.config["negative_slope"]})


@rule("PReLU")
def prelu(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """PReLU."""
    shared = layer.config.get("shared_axes")
    alpha = layer.weights.get("alpha")
    if alpha is not None and shared is None:  # Keras 1 does not save which axes share
        shared = [
            i + 1 for i, size in enumerate(alpha.shape) if size == 1 != x.shape[i + 1]
        ] or None
    return b.add("PReLU", x, {"shared_axes": shared}, layer.weights)


@rule("ELU")
def elu(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """ELU; alpha other than 1 as alpha·ELU(x) + (1 - alpha)·ReLU(x)."""
    alpha = layer.config.get("alpha", 1.0)
    if alpha == 1:
        return b.add("ELU", x, {"alpha": 1})
    curve = affine(b, b.add("ELU", x, {"alpha": 1}, part="unit"), alpha)
    line = affine(b, b.add("ReLU", x), 1 - alpha)
    return b.add("Add", [curve, line])


@rule("ThresholdedReLU")
def thresholded_relu(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """ThresholdedReLU."""
    return b.add("ThresholdedReLU", x, {"theta": layer.config["theta"]})


@rule("Softmax")
def softmax(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> Tensor:
    """Softmax over the last axis; other axes by permuting them to the end."""
    axis = layer.config.get("axis", -1)
    if isinstance(x, list):
        raise Refusal("a softmax of several tensors")
    keep = _keep(b, x)
    if keep is None:
        return over_axis(b, x, axis, "softmax")
    away = affine(b, keep, _FAR, -_FAR, part="away")  # what Keras adds to what is masked
    y = over_axis(b, b.add("Add", [x, away]), axis, "softmax")
    return y if b.generation < 3 else b.add("Multiply", [y, keep])  # where all is masked


def _keep(b: Scope, x: Tensor) -> Tensor | None:
    """Return 1 where the mask of the call keeps a value, to broadcast against *x*, or None."""
    given = b.arguments.get("mask")
    if given is None:
        keep = None if b.mask is None else masks.compute(b, b.mask)
    elif isinstance(given, Tensor):
        keep = b.concrete(given)
        if keep.dtype != "bool":
            raise Refusal("a softmax with a mask that is not boolean")
    else:
        array = as_array(given)
        keep = b.tensor((array > 0.5).reshape((1,) * (x.rank - array.ndim) + array.shape))
    if keep is not None and keep.rank != x.rank:
        raise Refusal("a softmax with a mask of fewer axes")
    return keep


def over_axis(b: Scope, x: Tensor, axis: Any, name: str) -> Tensor:
    """Apply the activation *name*, which tfjs has for the last axis, over *axis*."""
    if isinstance(axis, list):
        if len(axis) != 1:
            raise Refusal(f"{name} over several axes")
        axis = axis[0]
    axis = resolve_axis(axis, x.rank)
    if axis == 0:
        raise Refusal(f"{name} over the batch")
    return move_last_axis_to(b, function(b, move_axis_last(b, x, axis), name), axis)
