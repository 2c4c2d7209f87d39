"""Losses as operations, which models that score themselves contain."""

from __future__ import annotations

from typing import Any

from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.indexing import one_hot
from tfjs_codec.operations.ops.reductions import sum_
from tfjs_codec.operations.ops.shapes import squeeze
from tfjs_codec.operations.registry import operation, refuse
from tfjs_codec.operations.values import Operand, Value
from tfjs_codec.tracing.refusal import StaticShapeNeeded

_EPSILON = 1e-7  # keras.config.epsilon()


def _logarithms(b: Builder, output: Operand, from_logits: Any, axis: int) -> Value:
    if from_logits:
        return f.log_softmax(b, output, axis)
    x = f.real(b, output)
    share = a.divide(b, x, sum_(b, x, axis, True))
    return f.log_(b, a.clip(b, share, _EPSILON, 1 - _EPSILON))


@operation("categorical_crossentropy")
def categorical_crossentropy(
    b: Builder, target: Operand, output: Operand, from_logits: Any = False, axis: int = -1
) -> Value:
    """Return ``-Σ target · log(output)``."""
    found = a.multiply(b, target, _logarithms(b, output, from_logits, axis))
    return a.negative(b, sum_(b, found, axis))


@operation("sparse_categorical_crossentropy")
def sparse_categorical_crossentropy(
    b: Builder, target: Operand, output: Operand, from_logits: Any = False, axis: int = -1
) -> Value:
    """Return ``-log(output[target])``."""
    target, output = b.value(target, "int32"), b.value(output)
    if target.rank == output.rank and target.shape[-1] == 1:
        target = squeeze(b, target, -1)
    count = output.shape[axis]
    if count is None:
        raise StaticShapeNeeded("a loss of an unknown number of classes")
    chosen = one_hot(b, target, count, axis)
    return categorical_crossentropy(b, chosen, output, from_logits, axis)


@operation("binary_crossentropy")
def binary_crossentropy(
    b: Builder, target: Operand, output: Operand, from_logits: Any = False
) -> Value:
    """Return ``-target · log(output) - (1 - target) · log(1 - output)``."""
    target, x = a.floats(b, target, output)
    if from_logits:
        parts = f.log_sigmoid(b, x), f.log_sigmoid(b, a.negative(b, x))
    else:
        x = a.clip(b, x, _EPSILON, 1 - _EPSILON)
        parts = f.log_(b, x), f.log_(b, a.subtract(b, 1.0, x))
    hit = a.multiply(b, target, parts[0])
    missed = a.multiply(b, a.subtract(b, 1.0, target), parts[1])
    return a.negative(b, a.add(b, hit, missed))


refuse(
    "ctc_loss", "ctc_decode",
    reason="tfjs has no operations for sequences without alignment",
    hint="Decode in JavaScript, after the model.",
)  # fmt: skip
