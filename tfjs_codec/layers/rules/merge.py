"""Merge layers."""

from __future__ import annotations

from dataclasses import replace

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.keras.merging import replaces_masked
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import rule
from tfjs_codec.layers.engine.symbolic import Mask, Tensor
from tfjs_codec.layers.primitives import affine, negate
from tfjs_codec.tracing.refusal import CODE_HINT, Refusal


def merge_masks(b: Scope, inputs: list[Tensor]) -> Mask | None:
    """Return the mask Keras gives to an element-wise merge of *inputs*."""
    found = [tensor.mask for tensor in inputs]
    distinct = list(dict.fromkeys(mask for mask in found if mask is not None))
    if not distinct or (b.generation == 3 and None in found):
        return None
    if len(distinct) == 1:
        return distinct[0]
    raise Refusal("a merge of inputs with different masks; Keras versions disagree on its mask")


@rule("Add", "Multiply", "Average", "Maximum", "Minimum")
def elementwise(b: Scope, layer: KerasLayer, x: list[Tensor]) -> Tensor:
    """The same class."""
    if replaces_masked(layer.class_name, b.version) and any(
        tensor.mask is not None for tensor in x
    ):
        raise Refusal("a merge in which Keras replaces masked steps", "Pass --to graph.")
    return replace(b.add(layer.class_name, x), mask=merge_masks(b, x))


@rule("Subtract")
def subtract(b: Scope, layer: KerasLayer, x: list[Tensor]) -> Tensor:
    """Add of the first and the negated second input."""
    return replace(b.add("Add", [x[0], negate(b, x[1])]), mask=merge_masks(b, x))


@rule("CustomScaleLayer")
def scaled_sum(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> Tensor:
    """Add of the first and the scaled second input (a layer of InceptionResNetV2)."""
    scale = layer.config.get("scale")
    if not isinstance(x, list) or len(x) != 2 or not isinstance(scale, int | float):
        raise Refusal("not the CustomScaleLayer of keras.applications", CODE_HINT)
    return b.add("Add", [x[0], affine(b, x[1], scale, part="scaled")])


@rule("Concatenate")
def concatenate(b: Scope, layer: KerasLayer, x: list[Tensor]) -> Tensor:
    """Concatenate."""
    if len(x) == 1:
        return x[0]
    axis = layer.config["axis"] % x[0].rank
    y = b.add("Concatenate", x, {"axis": axis})
    if axis == 1:
        if any(t.mask for t in x):
            raise Refusal("a concatenation of masked inputs in time")
        return y
    return replace(y, mask=merge_masks(b, x) if all(t.mask for t in x) else None)
