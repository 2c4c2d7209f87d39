"""What the way back changed and what it could not do."""

from __future__ import annotations

from dataclasses import dataclass, field

from tfjs_codec.errors import Problem
from tfjs_codec.ir.keras import KerasLayer


@dataclass(slots=True)
class RaisingLog:
    """What raising changed and what it could not do."""

    renamed: list[tuple[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, layer: KerasLayer, reason: str, hint: str = "") -> None:
        """Record that *layer* cannot be expressed in Keras."""
        self.problems.append(Problem(layer.name, layer.class_name, reason, hint))
