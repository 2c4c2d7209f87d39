"""Conditions of TensorFlow 1, whose branches are held together by control edges.

``cond`` of TensorFlow 1 already is Switch and Merge. A branch that returns a constant has nothing
that goes through a Switch, only a control edge from the branch's pivot, an Identity of a
Switch of the predicate. tfjs has no such edges and would see the constant on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tfjs_codec.ir.graph import Graph, Node, Ref, fresh_names, sort_nodes

_PIVOTS = frozenset(("Identity", "Switch"))


def gate_merges(graph: Graph) -> Graph:
    """Return *graph* with a Switch before each Merge whose input only a control edge holds back."""
    merges = [node for node in graph.nodes.values() if node.op == "Merge"]
    if not merges:
        return graph
    held = _held(graph)
    names = fresh_names(graph)
    nodes = dict(graph.nodes)
    for merge in merges:
        inputs = list(merge.inputs)
        for number, ref in enumerate(inputs):
            pivot = None if ref.node in held else _pivot(graph.nodes, ref.node)
            if pivot is None:
                continue
            name = names.fresh(f"{merge.name}/gate_{number}")
            predicate = graph.nodes[pivot.node].inputs[1]
            nodes[name] = Node(name, "Switch", (ref, predicate), {"T": merge.attrs["T"]})
            inputs[number] = Ref(name, pivot.output)
        if tuple(inputs) != merge.inputs:
            nodes[merge.name] = replace(merge, inputs=tuple(inputs))
    return replace(graph, nodes=nodes)


def _held(graph: Graph) -> set[str]:
    """Return the nodes that a Switch or a loop holds back: whose data comes through one."""
    held: set[str] = set()
    for node in sort_nodes(graph.nodes, path=graph.path):
        before = [ref.node in held for ref in node.inputs]
        through = all(before) if node.op == "Merge" else any(before)
        if node.op in ("Switch", "Enter", "NextIteration") or (before and through):
            held.add(node.name)
    return held


def _pivot(nodes: Mapping[str, Node], name: str) -> Ref | None:
    """Return the output of a Switch that *name* waits for, through control edges."""
    seen = {name}
    stack = [name]
    while stack:
        node = nodes[stack.pop()]
        for waited in node.controls:
            pivot = nodes[waited]
            if pivot.op in _PIVOTS and pivot.inputs:
                ref = pivot.inputs[0]
                if nodes[ref.node].op == "Switch" and len(nodes[ref.node].inputs) > 1:
                    return ref
        for before in (*node.controls, *(ref.node for ref in node.inputs)):
            if before not in seen:
                seen.add(before)
                stack.append(before)
    return None
