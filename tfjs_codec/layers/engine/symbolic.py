"""The values of rules: symbolic tensors and masks, and the protocol that adds layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tfjs_codec.ir.keras import Config
from tfjs_codec.ir.layers import TfjsLayer
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.tfjs.shapes import Shape


class Mask(NamedTuple):
    """A boolean tensor as an expression; equal expressions are equal masks.

    ``op`` is ``not_equal`` (element-wise against a constant; args: tensor, constant), ``any``
    (over the last axis), ``and``, ``or``, ``not`` (args: masks), or ``flags`` (0s and 1s; args:
    the tensor).
    """

    op: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """Output ``index`` of call ``call`` of a tfjs layer.

    ``shape`` includes the batch axis; ``dtype`` is the Keras dtype of the values. ``mask`` is
    what Keras knows as its mask. A tensor whose ``layer`` is None is a mask (``meaning``) that
    has not been computed as numbers.
    """

    shape: Shape
    dtype: str
    layer: TfjsLayer | None
    call: int = 0
    index: int = 0
    mask: Mask | None = None
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


class Network(Protocol):
    """A network under construction; see :class:`tfjs_codec.layers.engine.builder.Scope`."""

    @property
    def computed_masks(self) -> dict[Mask, Tensor]:
        """The masks that the network has as numbers."""

    def add(
        self,
        class_name: str,
        x: Tensor | Sequence[Tensor],
        config: Config | None = None,
        weights: Mapping[str, LazyTensor] | None = None,
        *,
        part: str = "",
    ) -> Tensor:
        """Add a layer and return its (first) output."""

    def warn(self, sentence: str) -> None:
        """Record a warning."""
