"""What the builders of both targets have in common: the model, the call, and what it may make."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfjs_codec.errors import LimitExceededError
from tfjs_codec.ir.keras import Call, KerasLayer
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.limits import Limits
from tfjs_codec.tracing.refusal import Refusal


class CallBuilder:
    """The call of a layer whose rule runs.

    Attributes:
        source: The model that is translated.
        generation: The Keras generation whose formulas apply: 1, 2 or 3.
        version: The first two numbers of its version; of an unknown one, the generation's last.
        layer: The layer or operation, for messages and weights.
        call: The first argument of its call, with tensors in place, and the others by name.
        warnings: What the reader of the report should know.
    """

    def __init__(
        self,
        model: KerasModel,
        layer: KerasLayer,
        call: Call,
        limits: Limits,
        warnings: list[str],
        *,
        allow_approximate: bool,
    ) -> None:
        self.source = model
        self.generation = model.generation
        self.version = model.version
        self.layer = layer
        self.call = call
        self.warnings = warnings
        self._limits = limits
        self._allow_approximate = allow_approximate

    @property
    def is_theano(self) -> bool:
        """Whether the model was trained with Theano, whose windows start elsewhere."""
        return self.source.backend == "theano"

    @property
    def trains(self) -> bool:
        """Whether the call keeps training=True when predicting; Keras 3's predict overrides it."""
        return self.call.kwargs.get("training") is True and self.generation < 3

    def check_predicting(self) -> None:
        """Refuse a layer that is called with training=True.

        Raises:
            Refusal: It is.
        """
        if self.trains:
            raise Refusal(
                "it is called with training=True, and behaves as in training",
                "Build the model without training=True.",
            )

    def hides_mask(self, kind: type[object]) -> bool:
        """Tell whether the layer does not see its input's mask; *kind* is the class of tensors.

        Keras 3 hands the input's mask to a call of one tensor only (``Layer.__call__``): to no
        recurrent layer with initial states.
        """
        given = (*self.call.args, *self.call.kwargs.values())
        several = sum(_holds(argument, kind) for argument in given) > 1
        return several and self.generation > 2 and self.call.kwargs.get("mask") is None

    def warn(self, sentence: str) -> None:
        """Record a warning about the layer."""
        self.warnings.append(f"layer '{self.layer.name}': {sentence}")

    def approximate(self, reason: str) -> None:
        """Refuse unless the user allowed approximate formulas; then warn with *reason*."""
        if not self._allow_approximate:
            raise Refusal(f"only approximate in tfjs: {reason}", "Pass --allow-approximate.")
        self.warn(f"approximate: {reason}")

    def spend(self, limit: str, amount: int, what: str) -> None:
        """Take *amount* of *what* from the budget called *limit*.

        Raises:
            Refusal: It is used up.
        """
        try:
            self._limits.spend(limit, amount, what)
        except LimitExceededError as error:
            raise Refusal(error.what, error.hint) from None

    def spend_bytes(self, nbytes: int) -> None:
        """Take the bytes of a constant from the budget; call it before the constant is made."""
        self.spend("derived_bytes", max(nbytes, 0), "the size in bytes of the constants it needs")


def _holds(argument: Any, kind: type[object]) -> bool:
    if isinstance(argument, list | tuple):
        return any(_holds(item, kind) for item in argument)
    return isinstance(argument, kind | np.ndarray)
