"""Verdicts of rules: what a target cannot express, and why."""

from __future__ import annotations

from typing import TypeVar

from tfjs_codec.ir.keras import KerasLayer

T = TypeVar("T")

LAYER = "{layer}"  # stands in a hint for the name of the layer that is refused
# The ways out for a layer whose Python code only Keras can run.
CODE_HINT = (
    f"Pass --replace {LAYER}=FILE (a Keras model of the same), register a rule "
    "(tfjs_codec.register_rule), or convert what model.export() writes."
)

# What tf_keras saves of a function that takes its operands as ``*args``: it cannot load it either.
LOST_OPERANDS = (
    "an equation without its operands, which tf_keras leaves out of the file",
    "Save the model as a SavedModel, and convert that.",
)


class Refusal(Exception):  # noqa: N818 - a verdict, not an error
    """A rule's verdict that a layer has no exact counterpart: one clause, and a way out."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class ShapeRefusal(Refusal):
    """A refusal that depends on shapes; after another refusal, they are made up."""


class StaticShapeNeeded(ShapeRefusal):
    """A rule needs a size that is known only at run time."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            reason, "Fix the size in the model's Input(shape=...) and save the model again."
        )


def check_policy(policy: object) -> None:
    """Refuse a layer of a dtype *policy* whose weights or arithmetic no target has."""
    hint = "Save the model before it is quantised."
    if str(policy).startswith("float8_"):
        raise Refusal("float8 arithmetic, by scales that training found", hint)
    if str(policy).startswith("int4"):
        raise Refusal("packed 4-bit weights", hint)


def scaled_inputs(layer: KerasLayer, inputs: T | list[T]) -> tuple[T, T, float]:
    """Return the inputs of a CustomScaleLayer, that of InceptionResNetV2, and its factor."""
    scale = layer.config.get("scale")
    if isinstance(inputs, list) and len(inputs) == 2 and isinstance(scale, int | float):
        return inputs[0], inputs[1], scale
    raise Refusal("not the CustomScaleLayer of keras.applications", CODE_HINT)


_CONSTANT_BYTES = 256 << 20  # far more than any page loads; sizes in a config are only claims


def check_constant(*shape: int | None) -> None:
    """Refuse to make a float32 constant of *shape*, before anything is allocated, if it is huge."""
    size = 4
    for one in shape:
        size *= one or 0
    if size > _CONSTANT_BYTES:
        raise Refusal(f"it would need a constant of {size:,} bytes", "Use smaller sizes.")
