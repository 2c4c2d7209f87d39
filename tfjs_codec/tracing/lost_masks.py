"""Masks that Keras 3.8 and later lose: MultiHeadAttention removes them from its inputs.

A tensor that a MultiHeadAttention has seen has no mask for calls that run after it
(``MultiHeadAttention.call``: "Delete the masks"). So the sum of a masked tensor and its attention
has none, and the next block of a transformer sees none. What runs after what follows from
``keras/src/ops/function.py``: calls are ordered by their distance from the outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.references import is_input, refs_in
from tfjs_codec.keras.classes import CLASSES

REMOVES_MASKS = (3, 8)
_Node = tuple[str, int]


def lost_masks(graph: KerasGraph) -> Mapping[_Node, frozenset[Ref]]:
    """Return, by layer and number of a call, the tensors whose masks the call does not see."""
    if not any(layer.class_name == "MultiHeadAttention" for layer in graph.walk()):
        return {}
    layers = {layer.name: layer for layer in graph.layers}
    place = {node: number for number, node in enumerate(_in_order(graph, layers))}
    gone: dict[Ref, int] = {}
    for (name, number), at in place.items():
        for ref in _stripped(layers[name], layers[name].calls[number]):
            ref = _same_tensor(layers, ref)  # noqa: PLW2901
            gone[ref] = min(at, gone.get(ref, at))
    return {
        (name, number): lost
        for (name, number), at in place.items()
        if (lost := frozenset(
            ref for ref in refs_in(layers[name].calls[number])
            if gone.get(_same_tensor(layers, ref), at) < at
        ))
    }  # fmt: skip


def _stripped(layer: KerasLayer, call: Call) -> Iterator[Ref]:
    """Yield the tensors from which *call* removes masks."""
    if layer.graph is not None:
        given = list(refs_in(call.args[0])) if call.args else []
        inner = {one.name: one for one in layer.graph.layers}
        inside = {
            _same_tensor(inner, ref)
            for one in layer.graph.layers for each in one.calls for ref in _stripped(one, each)
        }  # fmt: skip
        yield from (
            ref for ref, into in zip(given, layer.graph.inputs, strict=False) if into in inside
        )
    elif layer.class_name == "MultiHeadAttention" and not layer.is_op:
        named = [call.kwargs.get(name) for name in ("query", "value", "key")]
        yield from refs_in([*call.args[:3], *named])


def _same_tensor(layers: Mapping[str, KerasLayer], ref: Ref) -> Ref:
    """Return the first name of a tensor: layers that only train return what they are called on."""
    for _ in range(len(layers)):
        layer = layers.get(ref.layer)
        if layer is None or not _returns_its_input(layer) or ref.call >= len(layer.calls):
            return ref
        given = list(refs_in(layer.calls[ref.call].args[:1]))
        if len(given) != 1:
            return ref
        ref = given[0]
    return ref


def _returns_its_input(layer: KerasLayer) -> bool:
    row = None if layer.is_op or layer.graph is not None else CLASSES.get(layer.class_name)
    return row is not None and (
        row.name in ("Identity", "ActivityRegularization", "GaussianNoise")
        or row.name.endswith("Dropout")
        or "SpatialDropout" in row.name
        or (row.name == "Activation" and layer.config.get("activation") == "linear")
    )


def _in_order(graph: KerasGraph, layers: Mapping[str, KerasLayer]) -> list[_Node]:
    """Return the calls in the order in which Keras runs them, without the inputs."""
    found: list[_Node] = []
    seen: set[_Node] = set()
    for ref in graph.outputs:
        if (ref.layer, ref.call) in seen:
            continue
        seen.add((ref.layer, ref.call))
        stack = [((ref.layer, ref.call), _before(layers, (ref.layer, ref.call)))]
        while stack:
            node, before = stack[-1]
            nearest = next((one for one in before if one not in seen), None)
            if nearest is None:
                found.append(node)
                stack.pop()
            else:
                seen.add(nearest)
                stack.append((nearest, _before(layers, nearest)))
    depths: dict[_Node, int] = {}
    deepest: dict[str, int] = {}
    for node in reversed(found):
        depth = depths[node] = max(depths.setdefault(node, 0), deepest.get(node[0], 0))
        deepest[node[0]] = depth
        for one in _before(layers, node):
            depths[one] = max(depth + 1, depths.get(one, 0))
    ordered = sorted(depths, key=lambda node: -depths[node])
    return [node for node in ordered if node[0] in layers and not is_input(layers[node[0]])
            and node[1] < len(layers[node[0]].calls)]  # fmt: skip


def _before(layers: Mapping[str, KerasLayer], node: _Node) -> Iterator[_Node]:
    """Yield the calls that *node* takes tensors from."""
    layer = layers.get(node[0])
    if layer is not None and not is_input(layer) and node[1] < len(layer.calls):
        yield from ((ref.layer, ref.call) for ref in refs_in(layer.calls[node[1]]))
