"""Layer names that Keras 3 takes on every backend: without ``/`` and ``.``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tfjs_codec.ir.keras import Call, KerasGraph, Ref
from tfjs_codec.readers.nodes import map_refs


def make_legal(graphs: Sequence[KerasGraph]) -> list[tuple[str, str]]:
    """Rename layers of *graphs* where needed; return ``(old, new)``."""
    changes = []
    for graph in graphs:
        taken: set[str] = set()
        new_names: dict[str, str] = {}
        for layer in sorted(graph.layers, key=lambda layer: legal(layer.name) != layer.name):
            name = stem = legal(layer.name)
            number = 0
            while name in taken:
                number += 1
                name = f"{stem}_{number}"
            taken.add(name)
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


def rename(graph: KerasGraph, new_names: Mapping[str, str]) -> None:
    """Rename layers of *graph*, and all references to them."""

    def renamed(ref: Ref) -> Ref:
        return Ref(new_names.get(ref.layer, ref.layer), ref.call, ref.tensor)

    redirect(graph, renamed)
    for layer in graph.layers:
        layer.name = layer.config["name"] = new_names.get(layer.name, layer.name)
        if layer.graph is not None:
            layer.graph.name = layer.name


def redirect(graph: KerasGraph, change: Callable[[Ref], Ref]) -> None:
    """Apply *change*, a function of a Ref, to all references in *graph*."""
    for layer in graph.layers:
        layer.calls = [
            Call(
                tuple(map_refs(arg, change) for arg in call.args),
                {key: map_refs(arg, change) for key, arg in call.kwargs.items()},
            )
            for call in layer.calls
        ]
    graph.inputs[:] = map(change, graph.inputs)
    graph.outputs[:] = map(change, graph.outputs)
