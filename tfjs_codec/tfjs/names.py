"""Layer names that tfjs accepts and keeps apart.

tfjs checks every layer name against a pattern, keeps layers of a model in a plain JavaScript
object, and adds no prefix for nested models to weight names: names
must be legal, unique within a model, and unique in the whole file for layers with weights.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable

from tfjs_codec.ir.keras import KerasGraph, KerasLayer

_ILLEGAL = re.compile(r"[^-A-Za-z0-9._/]")
_OBJECT_MEMBERS = {
    "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString",
    "toString", "valueOf",
}  # fmt: skip


def legal(name: str) -> str:
    """Return *name* with everything tfjs rejects replaced."""
    name = _ILLEGAL.sub("_", name).lstrip("-._/") or "layer"
    return f"{name}_" if name in _OBJECT_MEMBERS else name


class Names:
    """Hands out names: per model (``container``), and globally for layers that own weights."""

    def __init__(self) -> None:
        self._taken: dict[Hashable, set[str]] = {}
        self._weighted: set[str] = set()
        self._numbers: dict[tuple[int, str, bool], int] = {}  # all before are taken
        self._base: dict[KerasLayer, str] = {}

    def reserve(self, graph: KerasGraph) -> list[tuple[str, str]]:
        """Give every Keras layer its name, outer models first; return ``(old, new)`` changes."""
        renamed = []
        for container in graph.graphs():
            for layer in container.layers:
                name = self.claim(container, layer.name, owns_weights(layer))
                self._base[layer] = name
                if name != layer.name:
                    renamed.append((layer.name, name))
        return renamed

    def base(self, layer: KerasLayer) -> str:
        """Return the reserved name of *layer* (or its legal own name inside a wrapper)."""
        return self._base.get(layer) or legal(layer.name)

    def take_base(self, container: Hashable, layer: KerasLayer, weighted: bool) -> str:
        """Return the reserved name of *layer* for the tfjs layer that stands for it."""
        base = self.base(layer)
        reserved = layer in self._base and (owns_weights(layer) or not weighted)
        return base if reserved else self.claim(container, base, weighted)

    def claim(self, container: Hashable, wanted: str, weighted: bool) -> str:
        """Return *wanted*, made legal and unique, and take it."""
        taken = self._taken.setdefault(id(container), set())
        stem = legal(wanted)
        key = (id(container), stem, weighted)
        number = self._numbers.get(key, 0)
        name = f"{stem}_{number}" if number else stem
        while name in taken or (weighted and name in self._weighted):
            number += 1
            name = f"{stem}_{number}"
        self._numbers[key] = number
        taken.add(name)
        if weighted:
            self._weighted.add(name)
        return name


def owns_weights(layer: KerasLayer) -> bool:
    """Tell whether *layer*, apart from layers of nested models, has variables."""
    return bool(layer.weights) or any(owns_weights(child) for child in layer.children.values())


def target_name(name: str, slots: Collection[str]) -> str | None:
    """Return the variable that the manifest's *name* stands for."""
    if name in slots:
        return name
    parts = name.split("/")
    shorter = "/".join((*parts[:-2], parts[-1]))
    return shorter if len(parts) > 2 and shorter in slots else None
