"""Wrappers: TimeDistributed."""

from __future__ import annotations

from dataclasses import replace

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.keras.classes import is_pointwise
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops.shapes import dynamic_shape, reshape
from tfjs_codec.operations.registry import rule
from tfjs_codec.operations.values import Value


@rule("TimeDistributed")
def time_distributed(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """The layer inside, on all steps at once."""
    inner = layer.children["layer"]
    if inner.class_name == "Dense" or is_pointwise(inner):  # the same for every step
        b.argument("mask")  # tells them nothing
        return b.caller.inner(inner, x)[0]
    sizes = dynamic_shape(b, x)
    steps = reshape(b, replace(x, mask=None), [-1, *sizes[2:]])
    y = b.caller.inner(inner, steps)[0]
    return reshape(b, y, [*sizes[:2], *dynamic_shape(b, y)[1:]])
