"""A flat graph: functions inlined and control flow lowered, alternately until none is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.graph.importing.control import CONTROL, ControlFlow
from tfjs_codec.graph.importing.inline import Expansion
from tfjs_codec.ir.graph import Graph, Node, Ref, reachable, sort_nodes
from tfjs_codec.limits import DEFAULT_LIMITS, Limits


def expand(graph: Graph, limits: Limits = DEFAULT_LIMITS) -> Graph:
    """Return *graph* without calls and functions, its control flow as tfjs wants it.

    Raises:
        CorruptFileError: A function is missing, calls itself, or is called wrongly; a cycle.
        LimitExceededError: ``graph_nodes``, ``references``.
    """
    work = Expansion(graph, limits)
    lowering = ControlFlow(work)
    while True:
        work.inline()
        nodes = work.settle()
        flows = {name for name, node in nodes.items() if node.op in CONTROL}
        if flows:
            roots = {work.resolve(tensor.ref).node for tensor in graph.outputs.values()}
            needed = reachable(nodes, roots & nodes.keys())
            flows &= needed
        if not flows:
            break
        for node in sort_nodes(
            {name: nodes[name] for name in nodes if name in needed}, path=graph.path
        ):
            if node.name in flows:
                lowering.lower(work.nodes[node.name])
    if work.moved:
        lowering.settle_gates()
        nodes = work.settle()
    outputs = {
        key: replace(tensor, ref=_existing(work, tensor.ref, nodes, graph))
        for key, tensor in graph.outputs.items()
    }
    return replace(
        graph, nodes=nodes, outputs=outputs, functions={}, initializer=_initializer(graph, limits)
    )


def _existing(work: Expansion, ref: Ref, nodes: Mapping[str, Node], graph: Graph) -> Ref:
    found = work.resolve(ref)
    if found.node not in nodes or nodes[found.node].op == "NoOp":
        text = f"there is no tensor {quote(str(ref))}"
        raise CorruptFileError(text, path=graph.path, where="an output")
    return found


def _initializer(graph: Graph, limits: Limits) -> Mapping[str, Node]:
    work = Expansion(replace(graph, nodes=graph.initializer), limits)
    work.inline()
    return {name: node for name, node in work.settle().items() if node.op != "NoOp"}
