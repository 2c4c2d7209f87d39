"""Calls and references of a Keras model: the references in an argument, order, renaming."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer, Ref


def map_refs(value: object, change: Callable[[Ref], object]) -> object:
    """Return *value*, an argument, with *change* applied to its Refs."""
    if isinstance(value, Ref):
        return change(value)
    if isinstance(value, list):
        return [map_refs(item, change) for item in value]
    if isinstance(value, dict):
        return {key: map_refs(item, change) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(map_refs(part, change) for part in (value.start, value.stop, value.step)))
    return value


def map_call(call: Call, change: Callable[[Ref], object]) -> Call:
    """Return *call* with *change* applied to its Refs."""
    return Call(
        tuple(map_refs(arg, change) for arg in call.args),
        {key: map_refs(arg, change) for key, arg in call.kwargs.items()},
    )


def refs_in(value: object) -> Iterator[Ref]:
    """Yield all Refs of an argument or a Call, in tf.nest order."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Ref):
            yield value
        elif isinstance(value, (list, tuple)):
            waiting.extend(reversed(value))
        elif isinstance(value, dict):
            waiting.extend(value[key] for key in sorted(value, reverse=True))
        elif isinstance(value, slice):
            waiting += (value.step, value.stop, value.start)
        elif isinstance(value, Call):
            waiting += (value.kwargs, *reversed(value.args))


def calls_in_order(graph: KerasGraph) -> list[tuple[KerasLayer, int]]:
    """Return all calls, as layer and number, such that each comes after those it depends on.

    Inputs need no call. Calls on a cycle, or after one, are left out.
    """
    waiting: dict[tuple[str, int], int] = {}
    users: dict[tuple[str, int], list[tuple[KerasLayer, int]]] = {}
    ready: deque[tuple[KerasLayer, int]] = deque()
    inputs = {layer.name for layer in graph.layers if is_input(layer)}
    for layer in graph.layers:
        if layer.name in inputs:
            continue
        for number, call in enumerate(layer.calls):
            needs = {ref[:2] for ref in refs_in(call) if ref.layer not in inputs}
            waiting[layer.name, number] = len(needs)
            for need in needs:
                users.setdefault(need, []).append((layer, number))
            if not needs:
                ready.append((layer, number))
    order = []
    while ready:
        order.append(done := ready.popleft())
        for layer, number in users.get((done[0].name, done[1]), ()):
            waiting[layer.name, number] -= 1
            if not waiting[layer.name, number]:
                ready.append((layer, number))
    return order


def is_input(layer: KerasLayer) -> bool:
    """Tell whether *layer* is an input of its model."""
    return layer.class_name == "InputLayer" and not layer.is_op


def redirect(graph: KerasGraph, change: Callable[[Ref], Ref]) -> None:
    """Apply *change* to all references in *graph*, in place."""
    for layer in graph.layers:
        layer.calls = [map_call(call, change) for call in layer.calls]
    graph.inputs[:] = map(change, graph.inputs)
    graph.outputs[:] = map(change, graph.outputs)


def rename(graph: KerasGraph, new_names: Mapping[str, str]) -> None:
    """Rename layers of *graph*, and all references to them, in place."""

    def change(ref: Ref) -> Ref:
        return Ref(new_names.get(ref.layer, ref.layer), ref.call, ref.tensor)

    redirect(graph, change)
    for layer in graph.layers:
        layer.name = layer.config["name"] = new_names.get(layer.name, layer.name)
        if layer.graph is not None:
            layer.graph.name = layer.name


def replace_layers(graph: KerasGraph, models: Mapping[str, KerasGraph]) -> KerasGraph:
    """Return *graph* with *models* in the place of layers, at any depth, by layer name."""
    if not models:
        return graph
    graph = graph.copy()
    for layer in list(graph.walk()):
        if layer.name in models:
            layer.graph = models[layer.name]
            layer.class_name, layer.children, layer.replaced = "Functional", {}, True
    return graph
