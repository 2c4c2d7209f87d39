"""Layers that only do something while a model is trained."""

from __future__ import annotations

from typing import Protocol

from tfjs_codec.tracing.refusal import Refusal


class Call(Protocol):
    """What the builder of any target knows of the call that a rule expresses."""

    @property
    def trains(self) -> bool:
        """Whether the layer is called with training=True."""
        ...

    @property
    def version(self) -> tuple[int, int]:
        """The version of Keras that saved the model."""
        ...


def check_predicting(b: Call) -> None:
    """Refuse a layer that is called with training=True.

    Raises:
        Refusal: It is.
    """
    if b.trains:
        raise Refusal("it is called with training=True", "Build the model without training=True.")
