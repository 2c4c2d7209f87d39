"""The order in which Keras keeps the layers of a functional model.

Both Kerases load weights by it, and neither goes by the config: layers are sorted by their depth,
the longest way to an output, deepest first; within a depth by when a depth-first search from the
outputs comes to them (``map_graph`` of Keras 3's ``ops/function.py``, ``_map_graph_network`` of
Keras 2's ``engine/functional.py``).
"""

from __future__ import annotations

from tfjs_codec.ir.keras import KerasGraph, Ref
from tfjs_codec.ir.references import refs_in

_Node = tuple[str, int]  # a layer's name, the number of its call


def sort_layers(graph: KerasGraph) -> None:
    """Sort the layers of *graph* in place; those on no way to an output are no part of a model."""
    if graph.sequential:
        return
    by_name = {layer.name: layer for layer in graph.layers}
    before = {
        (layer.name, number): list(dict.fromkeys(_node(ref) for ref in refs_in([*call.args])))
        for layer in graph.layers
        for number, call in enumerate(layer.calls)
    }
    found, seen = _search(graph, before)
    depths: dict[_Node, int] = {}
    layer_depths: dict[str, int] = {}
    for node in reversed(found):
        depth = max(depths.get(node, 0), layer_depths.get(node[0], 0))
        depths[node] = layer_depths[node[0]] = depth
        for parent in before.get(node, ()):
            depths[parent] = max(depth + 1, depths.get(parent, 0))
    for ref in graph.inputs:
        if ref.layer not in layer_depths:
            layer_depths[ref.layer], seen[ref.layer] = 0, -1
    graph.layers[:] = sorted(
        (by_name[name] for name in layer_depths),
        key=lambda layer: (-layer_depths[layer.name], seen[layer.name]),
    )


def _search(
    graph: KerasGraph, before: dict[_Node, list[_Node]]
) -> tuple[list[_Node], dict[str, int]]:
    """Return the calls, each after those it needs, and when each layer was first met."""
    finished: dict[_Node, None] = {}
    seen: dict[str, int] = {}
    for ref in graph.outputs:
        stack = [(_node(ref), False)]
        while stack:
            node, is_done = stack.pop()
            if node in finished:
                continue
            if is_done:
                finished[node] = None
                continue
            seen.setdefault(node[0], len(seen))
            stack.append((node, True))
            stack += [(parent, False) for parent in reversed(before.get(node, ()))]
    return list(finished), seen


def _node(ref: Ref) -> _Node:
    return ref.layer, ref.call
