"""Describes the operations of a graph model as layers: with shapes, constants and inputs."""

from __future__ import annotations

from dataclasses import replace

from tfjs_codec.graph.optimise.fuse import FUSED
from tfjs_codec.graph.shapes import Known
from tfjs_codec.inspection.inspection import LayerInfo
from tfjs_codec.ir.graph import Graph, Node, Ref, sort_nodes

_PLAIN = {fused: plain for plain, fused in FUSED.items()}  # of the same shape


def describe_operations(graph: Graph) -> tuple[LayerInfo, ...]:
    """Return the operations of *graph*, each after those it takes its inputs from.

    A constant is no operation: it is a tensor of the operation that takes it first.

    Raises:
        CorruptFileError: The graph has a cycle.
    """
    known = Known()
    constants = {name: node for name, node in graph.nodes.items() if node.op == "Const"}
    found = []
    for node in sort_nodes(graph.nodes, path=graph.path):
        known.learn(replace(node, op=_PLAIN.get(node.op, node.op)))
        if node.op == "Const":
            continue
        names = dict.fromkeys(ref.node for ref in node.inputs)
        own = [constants.pop(name) for name in names if name in constants]
        found.append(
            LayerInfo(
                node.name,
                node.op,
                _shapes(node, known),
                sum(const.value.size for const in own),
                inputs=tuple(name for name in names if graph.nodes[name].op != "Const"),
                tensors=tuple(const.name for const in own),
            )
        )
    return tuple(found)


def _shapes(node: Node, known: Known) -> tuple[tuple[int | None, ...], ...]:
    shape = known.shapes.get(Ref(node.name))
    return () if shape is None else (shape,)
