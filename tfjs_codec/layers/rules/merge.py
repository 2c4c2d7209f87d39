"""Merge layers."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.shapes import resolve_axis
from tfjs_codec.keras.merging import ors_masks, replaces_masked
from tfjs_codec.layers.engine import masks
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import rule
from tfjs_codec.layers.engine.symbolic import Mask, Tensor
from tfjs_codec.layers.primitives import affine, negate, reshape
from tfjs_codec.tracing.refusal import Refusal, scaled_inputs


def merge_masks(b: Scope, inputs: list[Tensor]) -> Mask | None:
    """Return the mask Keras gives to a merge of *inputs*."""
    found = list(dict.fromkeys(tensor.mask for tensor in inputs if tensor.mask is not None))
    newer = ors_masks(b.version)
    if not found or (newer and any(tensor.mask is None for tensor in inputs)):
        return None
    return reduce(lambda left, right: Mask("or" if newer else "and", (left, right)), found)


@rule("Add", "Multiply", "Average", "Maximum", "Minimum")
def elementwise(b: Scope, layer: KerasLayer, x: list[Tensor]) -> Tensor:
    """The same class; of masked steps from Keras 3.4 on, with what stands for them."""
    kind, mask = layer.class_name, merge_masks(b, x)
    fills = replaces_masked(kind, b.version) and any(tensor.mask for tensor in x)
    if kind == "Multiply" and fills:
        y = b.add("Multiply", [_pick(b, each.mask, each, None) for each in x])
        y = y if mask is None else b.add("Multiply", [y, _keep(b, mask, y)], part="kept")
    elif fills:
        y = _extreme(b, kind, x)
    else:
        y = b.add(kind, x)
    return replace(y, mask=mask)


def _extreme(b: Scope, kind: str, x: list[Tensor]) -> Tensor:
    """Return the maximum or minimum; a masked step counts only if all are masked."""
    y = x[0]
    mask = y.mask
    for each in x[1:]:
        other = _pick(b, each.mask, each, y)
        if mask != each.mask:
            y = _pick(b, mask, y, other)
        y = b.add(kind, [y, other])
        both = mask is not None and each.mask is not None and mask != each.mask
        mask = Mask("or", (mask, each.mask)) if both else mask if mask == each.mask else None
    return y


def _pick(b: Scope, mask: Mask | None, x: Tensor, other: Tensor | None) -> Tensor:
    """Return *x* where *mask* is true, elsewhere *other* or 1."""
    if mask is None:
        return x
    keep = _keep(b, mask, x)
    rest = affine(b, keep, -1, 1, part="masked")
    if other is not None:
        rest = b.add("Multiply", [other, rest], part="other")
    return b.add("Add", [b.add("Multiply", [x, keep], part="kept"), rest], part="filled")


def _keep(b: Scope, mask: Mask, x: Tensor) -> Tensor:
    """Return *mask* as 0s and 1s that broadcast against *x*."""
    keep = masks.compute(b, mask)
    if x.rank != keep.rank + 1:
        raise Refusal(f"a merge of masked inputs of shape {list(x.shape)}")
    return reshape(b, keep, (*keep.shape[1:], 1), part="steps")


@rule("Subtract")
def subtract(b: Scope, layer: KerasLayer, x: list[Tensor]) -> Tensor:
    """Add of the first and the negated second input."""
    return replace(b.add("Add", [x[0], negate(b, x[1])]), mask=merge_masks(b, x))


@rule("CustomScaleLayer")
def scaled_sum(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> Tensor:
    """Add of the first and the scaled second input (a layer of InceptionResNetV2)."""
    first, second, scale = scaled_inputs(layer, x)
    return b.add("Add", [first, affine(b, second, scale, part="scaled")])


@rule("Concatenate")
def concatenate(b: Scope, layer: KerasLayer, x: list[Tensor]) -> Tensor:
    """Concatenate."""
    if len(x) == 1:
        return x[0]
    axis = resolve_axis(layer.config["axis"], x[0].rank)
    y = b.add("Concatenate", x, {"axis": axis})
    if axis == 1:
        if any(t.mask for t in x):
            raise Refusal("a concatenation of masked inputs along time")
        return y
    return replace(y, mask=merge_masks(b, x))
