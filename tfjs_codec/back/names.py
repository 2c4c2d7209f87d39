"""Layer names that Keras 3 takes on every backend: without ``/`` and ``.``."""

from __future__ import annotations

from collections.abc import Iterable

from tfjs_codec.ir.graph import Names
from tfjs_codec.ir.keras import KerasGraph
from tfjs_codec.ir.references import rename


def make_legal(graphs: Iterable[KerasGraph]) -> list[tuple[str, str]]:
    """Rename layers of *graphs* in place, where needed; return ``(old, new)``."""
    changes = []
    for graph in graphs:
        names = Names(())
        new_names: dict[str, str] = {}
        for layer in sorted(graph.layers, key=lambda layer: legal(layer.name) != layer.name):
            name = names.fresh(legal(layer.name))
            if name != layer.name:
                new_names[layer.name] = name
        if new_names:
            rename(graph, new_names)
            changes += list(new_names.items())
        graph.name = legal(graph.name)
    return changes


def legal(name: str) -> str:
    """Return *name* with what Keras 3 rejects replaced."""
    return name.replace("/", "_").replace(".", "_")
