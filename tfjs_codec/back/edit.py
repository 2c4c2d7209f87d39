"""Edits of a graph, in place: a layer after another, a layer before another."""

from __future__ import annotations

from tfjs_codec.ir.graph import Names
from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.references import redirect


def insert_after(graph: KerasGraph, layer: KerasLayer, new: KerasLayer) -> None:
    """Let whoever uses the first output of *layer* use *new*, applied to it, instead."""
    free_name(graph, new)
    redirect(
        graph,
        lambda ref: (
            Ref(new.name, ref.call, 0) if (ref.layer, ref.tensor) == (layer.name, 0) else ref
        ),
    )
    new.calls = [Call((Ref(layer.name, number, 0),)) for number in range(len(layer.calls))]
    graph.layers.insert(graph.layers.index(layer) + 1, new)


def insert_before(graph: KerasGraph, layer: KerasLayer, new: KerasLayer) -> None:
    """Let *layer* take *new* of its first input instead of that input, in all its calls."""
    free_name(graph, new)
    for number, call in enumerate(layer.calls):
        first, *rest = call.args[0] if isinstance(call.args[0], list) else [call.args[0]]
        new.calls.append(Call((first,)))
        ref = Ref(new.name, number, 0)
        call.args = ([ref, *rest] if rest else ref, *call.args[1:])
    graph.layers.insert(graph.layers.index(layer), new)


def free_name(graph: KerasGraph, new: KerasLayer) -> None:
    """Give *new* a name that no layer of *graph* has."""
    new.name = Names(layer.name for layer in graph.layers).fresh(new.name)
    new.config["name"] = new.name
