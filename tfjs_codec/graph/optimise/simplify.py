"""Removes operations without effect in inference, and gives every output a node of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tfjs_codec.ir.graph import Graph, Node, Ref, Tensor, const, fresh_names, prune, redirect

_FORWARD = frozenset(
    (
        *("Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape"),
        *("CheckNumerics", "CheckNumericsV2", "Print", "DebugIdentityV2", "DebugGradientIdentity"),
        *("RefIdentity", "ReadVariableXlaSplitND", "OptimizationBarrier"),
    )
)
_NEVER_ITSELF = frozenset(("Placeholder", "PlaceholderWithDefault", "Const"))


def forward(graph: Graph) -> Graph:
    """Return *graph* without identities and debug operations; their inputs take their place.

    An Identity that is an output stays, because its name is known outside.
    """
    kept = {tensor.ref.node for tensor in graph.outputs.values()}
    moved: dict[Ref, Ref] = {}
    for node in graph.nodes.values():
        same_cast = node.op == "Cast" and node.attrs.get("SrcT") == node.attrs.get("DstT")
        if (node.op not in _FORWARD and not same_cast) or not node.inputs:
            continue
        if node.op == "Identity" and node.name in kept:
            continue
        count = len(node.inputs) if node.op == "IdentityN" else 1
        moved.update((Ref(node.name, number), node.inputs[number]) for number in range(count))
    return prune(redirect(graph, moved)) if moved else graph


def copy_updates(graph: Graph) -> Graph:
    """Return *graph* with copies of tensors that are updated: the cpu backend writes in place."""
    names = fresh_names(graph)
    nodes = dict(graph.nodes)
    for node in graph.nodes.values():
        if node.op != "TensorScatterUpdate":
            continue
        dtype = str(node.attrs["T"])
        copy, x = names.fresh(f"{node.name}/copy"), node.inputs[0]
        if dtype == "bool":
            nodes[copy] = Node(copy, "LogicalOr", (x, x))
        else:
            zero = const(names.fresh(f"{node.name}/zero"), np.array(0, dtype))
            nodes[zero.name] = zero
            nodes[copy] = Node(copy, "AddV2", (x, Ref(zero.name)), {"T": dtype})
        nodes[node.name] = replace(node, inputs=(Ref(copy), *node.inputs[1:]))
    return replace(graph, nodes=nodes)


def cast_inputs(graph: Graph) -> Graph:
    """Return *graph* with inputs of whole numbers that take floats, too, if it casts its inputs.

    tfjs compares the type of a tensor with that of its Placeholder, unless that has none. The
    numbers that a page makes are floats if it does not say otherwise.
    """
    if not graph.casts:
        return graph
    names = fresh_names(graph)
    changed: dict[str, Node] = {}
    moved: dict[Ref, Ref] = {}
    for tensor in graph.inputs.values():
        node = graph.nodes[tensor.ref.node]
        whole = str(node.attrs.get("dtype")).startswith(("int", "uint"))
        if node.op != "Placeholder" or not whole:
            continue
        cast = names.fresh(f"{node.name}/Cast")
        attrs = {"SrcT": "float32", "DstT": "int32", "Truncate": False}
        changed[cast] = Node(cast, "Cast", (Ref(node.name),), attrs)
        others = {key: value for key, value in node.attrs.items() if key != "dtype"}
        changed[node.name] = replace(node, attrs=others)
        moved[Ref(node.name)] = Ref(cast)
    if not moved:
        return graph
    graph = redirect(graph, moved)
    return prune(replace(graph, nodes={**graph.nodes, **changed}))


def separate_outputs(graph: Graph) -> Graph:
    """Return *graph* with every output as the first result of a node that is no other output.

    tfjs keeps one signature key per node, and an input or weight must not be disposed of with the
    results.
    """
    names = fresh_names(graph)
    nodes = dict(graph.nodes)
    outputs: dict[str, Tensor] = {}
    taken: set[str] = set()
    for key, tensor in graph.outputs.items():
        ref = tensor.ref
        if ref.output or ref.node in taken or nodes[ref.node].op in _NEVER_ITSELF:
            attrs = {"T": tensor.dtype}
            identity = Node(names.fresh("Identity"), "Identity", (ref,), attrs)
            nodes[identity.name] = identity
            ref = Ref(identity.name)
        taken.add(ref.node)
        outputs[key] = replace(tensor, ref=ref)
    return replace(graph, nodes=nodes, outputs=outputs)
