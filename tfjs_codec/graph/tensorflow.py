"""Expresses a graph of tfjs by TensorFlow's own operations.

==============================  =================================================================
tfjs                            TensorFlow
==============================  =================================================================
fused operations                the linear operation, ``BiasAdd``, the activation
``Prelu``                       ``relu(x) - alpha · relu(-x)``
``ClipByValue``                 ``Minimum`` and ``Maximum``, which TFLite has, too
values from outside a loop      enter it, in each of the loops around it, as constants
attributes that tfjs ignores    inferred from the inputs
==============================  =================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.graph.build import Build
from tfjs_codec.graph.importing.loops import frames
from tfjs_codec.graph.optimise.fuse import FUSED
from tfjs_codec.graph.shapes import Known
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, fresh_names, prune, redirect, sort_nodes
from tfjs_codec.tfjs.graph_ops import op_def

_LINEAR = {fused: op for op, fused in FUSED.items()}
_PLAIN = frozenset(("Elu", "Relu", "Relu6", "Sigmoid", "Tanh", "Softplus", "Selu"))


def restore(graph: Graph) -> Graph:
    """Return *graph* in operations that TensorFlow has.

    Raises:
        UnsupportedModelError: An activation is fused that is not known.
        CorruptFileError: Its loops make no sense.
    """
    return _enter(_complete(_split(graph)))


def _split(graph: Graph) -> Graph:
    """Return *graph* without the operations that only tfjs has."""
    build = Build(graph)
    moved: dict[Ref, Ref] = {}
    for node in sort_nodes(graph.nodes, path=graph.path):
        rule = _RULES.get(node.op)
        if rule is not None:
            build.begin(node)
            moved[Ref(node.name)] = rule(build, node, graph.path)
    if not moved:
        return graph
    return prune(redirect(replace(graph, nodes=build.nodes), moved))


def _unfuse(build: Build, node: Node, path: str) -> Ref:
    names = [each.decode() for each in node.attrs["fused_ops"]]
    args = list(node.inputs[2:])
    op = _LINEAR[node.op]
    definition = op_def(op)
    assert definition is not None  # noqa: S101
    attrs = {key: value for key, value in node.attrs.items() if key in definition.attrs}
    result = build.op(op, *node.inputs[:2], **attrs)
    for name in names:
        if name == "BiasAdd":
            layout = node.attrs.get("data_format", b"NHWC")
            result = build.op("BiasAdd", result, args.pop(0), data_format=layout)
        elif name == "LeakyRelu":
            result = build.op(name, result, alpha=node.attrs.get("leakyrelu_alpha", 0.2))
        elif name == "Prelu":
            result = _prelu_of(build, result, args.pop(0))
        elif name in _PLAIN:
            result = build.op(name, result)
        elif name != "NoOp":
            raise UnsupportedModelError(
                f"the fused operation {name} is not known", path=path, where=f"node '{node.name}'"
            )
    return result


def _prelu_of(build: Build, x: Ref, alpha: Ref) -> Ref:
    below = build.op("Mul", alpha, build.op("Relu", build.op("Neg", x)))
    return build.op("Sub", build.op("Relu", x), below)


def _prelu(build: Build, node: Node, path: str) -> Ref:  # noqa: ARG001
    return _prelu_of(build, *node.inputs)


def _clip(build: Build, node: Node, path: str) -> Ref:  # noqa: ARG001
    x, low, high = node.inputs
    return build.op("Maximum", build.op("Minimum", x, high), low)


_RULES: Mapping[str, Callable[[Build, Node, str], Ref]] = {
    **dict.fromkeys(_LINEAR, _unfuse), "Prelu": _prelu, "ClipByValue": _clip,
}  # fmt: skip


# ------------------------------------------------------------------------------- attributes


def _complete(graph: Graph) -> Graph:
    """Return *graph* with all attributes that TensorFlow wants.

    Those that follow from the types of the inputs are what these are: tfjs does not read them.
    """
    dtypes: dict[Ref, str] = {tensor.ref: tensor.dtype for tensor in graph.inputs.values()}
    nodes: dict[str, Node] = {}
    for node in sort_nodes(graph.nodes, path=graph.path):
        nodes[node.name] = made = _with_types(node, dtypes)
        definition = op_def(made.op)
        for number, dtype in enumerate(definition.output_dtypes(made.attrs) if definition else ()):
            dtypes.setdefault(Ref(made.name, number), dtype)
    return replace(graph, nodes=nodes)


def _with_types(node: Node, dtypes: Mapping[Ref, str]) -> Node:
    definition = op_def(node.op)
    if definition is None:
        return node
    attrs = {**definition.defaults, **node.attrs}
    if node.op == "Placeholder":
        attrs["dtype"] = dtypes.get(Ref(node.name), attrs.get("dtype"))
        attrs.setdefault("shape", Shape())
    given: Sequence[str] = [dtypes.get(ref, "") for ref in node.inputs]
    rest = len(definition.inputs)
    for arg in definition.inputs:
        rest -= 1
        several = arg.number_attr or arg.list_attr
        count = len(given) - rest if several else 1
        mine, given = given[:count], given[count:]
        if arg.number_attr:
            attrs.setdefault(arg.number_attr, count)
        known = [dtype for dtype in mine if dtype]
        if arg.list_attr and len(known) == len(mine):
            attrs[arg.list_attr] = tuple(mine)
        elif arg.type_attr and known:
            attrs[arg.type_attr] = known[0]
    return replace(node, attrs={key: value for key, value in attrs.items() if value is not None})


# ------------------------------------------------------------------------------------- loops


def _enter(graph: Graph) -> Graph:
    """Return *graph* with an Enter for each value from outside that a loop uses."""
    if not any(node.op == "Enter" for node in graph.nodes.values()):
        return graph
    homes, names = frames(graph), fresh_names(graph)
    nodes = dict(graph.nodes)
    entered: dict[tuple[Ref, str], Ref] = {}
    made: dict[str, Any] = {}

    def enter(ref: Ref, frame: tuple[str, ...]) -> Ref:
        """Return *ref* in *frame*, which is inside that of *ref*."""
        for depth in range(len(homes[ref.node]), len(frame)):
            key = (ref, frame[depth])
            if key not in entered:
                attrs = {
                    "T": Known.dtype(made.get(ref.node) or nodes[ref.node], ref.output),
                    "frame_name": frame[depth].encode(), "is_constant": True,
                    "parallel_iterations": 10,
                }  # fmt: skip
                one = Node(names.fresh(f"{ref.node}/Enter"), "Enter", (ref,), attrs)
                made[one.name] = nodes[one.name] = one
                homes[one.name] = frame[: depth + 1]
                entered[key] = Ref(one.name)
            ref = entered[key]
        return ref

    for node in graph.nodes.values():
        frame = homes[node.name][:-1] if node.op == "Enter" else homes[node.name]
        if node.op == "Exit":
            frame = homes[node.inputs[0].node]
        if not frame or node.op == "Merge":
            continue
        inputs = tuple(enter(ref, frame) for ref in node.inputs)
        if inputs != node.inputs:
            nodes[node.name] = replace(node, inputs=inputs)
    return replace(graph, nodes=nodes)
