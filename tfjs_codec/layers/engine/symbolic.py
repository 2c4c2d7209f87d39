"""What a rule handles: symbolic tensors and symbolic masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfjs_codec.ir.layers import TfjsLayer
from tfjs_codec.tfjs.classes import Shape


@dataclass(frozen=True, slots=True)
class Mask:
    """A boolean tensor as an expression; equal expressions are equal masks.

    ``op`` is ``not_equal`` (element-wise against a constant; args: tensor, constant), ``any``
    (over the last axis), ``and``, ``or``, ``not`` (args: masks), or ``outer`` (the mask that a
    nested model's input brings along; args: its number).
    """

    op: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """Output ``index`` of call ``call`` of a tfjs layer.

    ``shape`` includes the batch axis; ``dtype`` is the Keras dtype of the values. ``mask`` is
    what Keras knows as its mask, ``tfjs_mask`` what tfjs will hold for it. A tensor whose
    ``layer`` is None is a mask (``meaning``) that has not been computed as numbers.
    """

    shape: Shape
    dtype: str
    layer: TfjsLayer | None
    call: int = 0
    index: int = 0
    mask: Mask | None = None
    tfjs_mask: Mask | None = None
    meaning: Mask | None = None
    poisoned: bool = False

    @property
    def rank(self) -> int:
        """Number of axes, the batch among them."""
        return len(self.shape)

    @property
    def origin(self) -> tuple[object, ...]:
        """What identifies this tensor within a conversion."""
        return (id(self.layer), self.call, self.index, self.meaning if self.layer is None else None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tensor) and self.origin == other.origin

    def __hash__(self) -> int:
        return hash(self.origin)


class Refusal(Exception):  # noqa: N818 - a verdict, not an error
    """A rule's verdict that a layer has no exact counterpart: one clause, and a way out."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


_CONSTANT_BYTES = 256 << 20  # far more than any page loads; sizes in a config are only claims


def check_constant(*shape: int | None) -> None:
    """Refuse to make a float32 constant of *shape*, before anything is allocated, if it is huge."""
    size = 4
    for one in shape:
        size *= one or 0
    if size > _CONSTANT_BYTES:
        raise Refusal(f"it would need a constant of {size:,} bytes", "Use smaller sizes.")


class StaticShapeNeeded(Refusal):
    """A lowering needs a size that is known only at run time."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            reason, "Fix the size in the model's Input(shape=...) and save the model again."
        )
