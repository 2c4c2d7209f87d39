"""Merge layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.keras.merging import ors_masks, replaces_masked
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import shapes as s
from tfjs_codec.operations.ops.linalg import einsum
from tfjs_codec.operations.ops.reductions import l2_normalize
from tfjs_codec.operations.registry import rule
from tfjs_codec.operations.values import Value
from tfjs_codec.tracing.refusal import Refusal, scaled_inputs
from tfjs_codec.tracing.sizes import dot_equation, per_axis


def merge_masks(b: Builder, inputs: Sequence[Value]) -> Value | None:
    """Return the mask Keras gives to a merge of *inputs*."""
    found = {x.mask.ref: x.mask for x in inputs if x.mask is not None}
    newer = ors_masks(b.version)
    if not found or (newer and any(x.mask is None for x in inputs)):
        return None
    join = partial(a.logical_or if newer else a.logical_and, b)
    return reduce(join, found.values())


def _align(b: Builder, xs: Sequence[Value]) -> list[Value]:
    """Return inputs of one rank: Keras inserts axes after the batch."""
    rank = max(x.rank for x in xs)
    return [s.expand_dims(b, x, list(range(1, 1 + rank - x.rank))) if x.rank < rank else x
            for x in xs]  # fmt: skip


_MERGES: dict[str, Callable[..., Value]] = {
    "Add": a.add, "Multiply": a.multiply, "Maximum": a.maximum, "Minimum": a.minimum,
    "Subtract": a.subtract, "Average": a.add,
}  # fmt: skip


@rule(*_MERGES)
def elementwise(b: Builder, layer: KerasLayer, x: list[Value]) -> Value:
    """The operation of that name on all inputs."""
    values = [b.value(one) for one in x]
    aligned = _align(b, values)
    merge = partial(_MERGES[layer.class_name], b)
    masks = [one.mask for one in values]
    if replaces_masked(layer.class_name, b.version) and any(mask is not None for mask in masks):
        return _merge_kept(b, layer.class_name, merge, aligned, masks)
    y = reduce(merge, aligned)
    if layer.class_name == "Average":
        y = a.divide(b, y, float(len(x)))
    return replace(y, mask=merge_masks(b, values))


def _merge_kept(
    b: Builder, class_name: str, merge: Callable[..., Value], xs: Sequence[Value],
    masks: Sequence[Value | None],
) -> Value:  # fmt: skip
    """Merge the steps that masks keep: 1 or, of extrema, the other value stands for masked ones."""
    if any(mask is not None and x.rank != 3 for x, mask in zip(xs, masks, strict=True)):
        raise Refusal("a merge of masked inputs that are not (batch, time, features)")
    kept = [None if mask is None else s.expand_dims(b, mask, -1) for mask in masks]
    if class_name == "Multiply":
        y = reduce(merge, [a.where(b, keep, x, 1.0) if keep is not None else x
                           for x, keep in zip(xs, kept, strict=True)])  # fmt: skip
        some = reduce(partial(_either, b), kept)
        y = y if some is None else a.where(b, some, y, 0.0)
    else:
        y, some = xs[0], kept[0]
        for x, keep in zip(xs[1:], kept[1:], strict=True):
            right = x if keep is None else a.where(b, keep, x, y)
            left = y if some is None else a.where(b, some, y, right)
            y, some = merge(left, right), _either(b, some, keep)
    return replace(y, mask=None if some is None else s.squeeze(b, some, [2]))


def _either(b: Builder, left: Value | None, right: Value | None) -> Value | None:
    return None if left is None or right is None else a.logical_or(b, left, right)


@rule("CustomScaleLayer")
def scaled_sum(b: Builder, layer: KerasLayer, x: Value | list[Value]) -> Value:
    """The first input plus the scaled second one (a layer of InceptionResNetV2)."""
    first, second, scale = scaled_inputs(layer, x)
    return a.add(b, first, a.multiply(b, second, scale))


@rule("Concatenate")
def concatenate(b: Builder, layer: KerasLayer, x: list[Value]) -> Value:
    """ConcatV2."""
    values = [b.value(one) for one in x]
    axis = s.normalize_axis(values[0], layer.config["axis"])
    y = s.concatenate(b, values, axis)
    if axis != 1 or all(one.mask is None for one in values):
        return replace(y, mask=merge_masks(b, values))
    masks = [
        one.mask if one.mask is not None
        else s.broadcast_to(b, b.constant(True), s.dynamic_shape(b, one)[:2])
        for one in values
    ]  # fmt: skip
    return replace(y, mask=s.concatenate(b, masks, 1))


@rule("Dot")
def dot(b: Builder, layer: KerasLayer, x: list[Value]) -> Value:
    """One product of matrices for each element of the batch."""
    pair = per_axis(layer.config["axes"], 2)
    first, second = (b.value(one) for one in x)
    i, j = (s.normalize_axis(one, at) for one, at in zip((first, second), pair, strict=True))
    if layer.config.get("normalize"):
        first, second = l2_normalize(b, first, i), l2_normalize(b, second, j)
    left, right, out = dot_equation((first.rank, second.rank), (i, j))
    y = einsum(b, f"{left},{right}->{out}", first, second)
    return s.expand_dims(b, y, 1) if y.rank == 1 else y
