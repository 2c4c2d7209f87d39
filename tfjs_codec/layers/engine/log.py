"""The record of a lowering: how layers are expressed, what is renamed, dropped or doubtful."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class LoweringLog:
    """The record of one lowering.

    ``lowered`` lists ``(keras layer, keras class, tfjs classes)`` for each layer that did not
    become the one tfjs layer of its own class; ``renamed`` ``(old, new)`` names; ``dropped``
    and ``warnings`` are sentences. ``shapes`` are the output shapes, with batch, of the first
    call of each Keras layer; layers of nested models have ``model/layer`` as their names.
    """

    lowered: list[tuple[str, str, list[str]]] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    shapes: dict[str, list[tuple[int | None, ...]]] = field(default_factory=dict)
