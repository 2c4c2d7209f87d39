"""Expresses a graph of tfjs by TensorFlow's own operations.

==============================  =================================================================
tfjs                            TensorFlow
==============================  =================================================================
fused operations                the linear operation, ``BiasAdd``, the activation
``Prelu``                       ``relu(x) - alpha · relu(-x)``
``ClipByValue``                 ``Minimum`` and ``Maximum``, which TFLite has, too
``ConcatV2`` of one tensor      that tensor
values from outside a loop      enter it, in each of the loops around it, as constants
attributes that tfjs ignores    inferred from the inputs
whole numbers of 32 bits only   casts where 32 and 64 bits meet
numbers that are booleans       casts to ``int32`` and back
==============================  =================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.graph.build import Build
from tfjs_codec.graph.optimise.fuse import FUSED
from tfjs_codec.graph.plan import find_frames
from tfjs_codec.graph.shapes import Known
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, fresh_names, prune, redirect, sort_nodes
from tfjs_codec.tfjs.graph_ops import Arg, op_def

_LINEAR = {fused: op for op, fused in FUSED.items()}
_PLAIN = frozenset(("Elu", "Relu", "Relu6", "Sigmoid", "Tanh", "Softplus", "Selu"))


def restore(graph: Graph) -> Graph:
    """Return *graph* in operations that TensorFlow has.

    Raises:
        UnsupportedModelError: An activation is fused that is not known, or a table depends on the
            inputs.
        CorruptFileError: Its loops make no sense.
    """
    for node in graph.nodes.values():
        if node.op == "LookupTableImportV2":
            raise UnsupportedModelError(
                "a table is filled with what the graph computes, which TensorFlow's are not",
                path=graph.path, where=f"node '{node.name}'",
                hint="Convert the model of which this one was made.",
            )  # fmt: skip
    return enter_loops(_complete(_split(graph)))


def _split(graph: Graph) -> Graph:
    """Return *graph* without the operations that only tfjs has."""
    build = Build(graph)
    moved: dict[Ref, Ref] = {}
    for node in sort_nodes(graph.nodes, path=graph.path):
        rule = _RULES.get(node.op)
        if rule is not None:
            build.begin(node)
            moved[Ref(node.name)] = rule(build, node, graph.path)
        elif node.op == "ConcatV2" and len(node.inputs) == 2:
            moved[Ref(node.name)] = node.inputs[0]
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
    work = _Types(graph)
    for node in sort_nodes(graph.nodes, path=graph.path):
        work.add(node)
    return replace(graph, nodes=work.nodes)


class _Types:
    """The nodes so far, and the types of their results."""

    def __init__(self, graph: Graph) -> None:
        self.nodes: dict[str, Node] = {}
        self._names = fresh_names(graph)
        self._dtypes = {tensor.ref: tensor.dtype for tensor in graph.inputs.values()}

    def add(self, node: Node) -> None:
        """Add *node*, whose inputs were added before, but for those of a Merge in a loop."""
        definition = op_def(node.op)
        if definition is None:
            self.nodes[node.name] = node
            return
        attrs = {**definition.defaults, **node.attrs}
        if node.op == "Placeholder":
            attrs["dtype"] = self._dtypes.get(Ref(node.name), attrs.get("dtype"))
            attrs.setdefault("shape", Shape())
        inputs = list[Ref]()
        arguments = list(_by_argument(definition.inputs, node.inputs))
        attrs.update(self._types(arguments))
        for arg, refs in arguments:
            if arg.number_attr:
                attrs.setdefault(arg.number_attr, len(refs))
            wanted = arg.dtype or attrs.get(arg.type_attr)
            inputs += refs if wanted is None else [self._cast(ref, wanted) for ref in refs]
        attrs = {key: value for key, value in attrs.items() if value is not None}
        node = replace(node, inputs=tuple(inputs), attrs=attrs)
        if node.op in _NUMERIC and attrs.get("T") == "bool":
            node = self._count(node)
        self.nodes[node.name] = node
        for number, dtype in enumerate(definition.output_dtypes(attrs)):
            self._dtypes.setdefault(Ref(node.name, number), dtype)

    def _types(self, arguments: Sequence[tuple[Arg, Sequence[Ref]]]) -> dict[str, Any]:
        """Return the attributes that the types of the inputs tell."""
        found: dict[str, Any] = {}
        kinds: dict[str, list[str]] = {}
        for arg, refs in arguments:
            known = [self._dtypes[ref] for ref in refs if ref in self._dtypes]
            if arg.list_attr and len(known) == len(refs):
                found[arg.list_attr] = tuple(known)
            elif arg.type_attr and known:
                kinds.setdefault(arg.type_attr, []).extend(known)
        for attr, several in kinds.items():
            found[attr] = "int32" if set(several) >= _WHOLE else several[0]
        return found

    def _count(self, node: Node) -> Node:
        """Return *node*, of booleans, computed with 0 and 1."""
        inputs = tuple(self._convert(ref, "bool", "int32") for ref in node.inputs)
        name = self._names.fresh(f"{node.name}/int32")
        attrs = {**node.attrs, "T": "int32"}
        self.nodes[name] = replace(node, name=name, inputs=inputs, attrs=attrs)
        attrs = {"SrcT": "int32", "DstT": "bool", "Truncate": False}
        return replace(node, op="Cast", inputs=(Ref(name),), attrs=attrs)

    def _cast(self, ref: Ref, wanted: str) -> Ref:
        given = self._dtypes.get(ref, wanted)
        if given == wanted or given not in _WHOLE or wanted not in _WHOLE:
            return ref
        return self._convert(ref, given, wanted)

    def _convert(self, ref: Ref, given: str, wanted: str) -> Ref:
        attrs = {"SrcT": given, "DstT": wanted, "Truncate": False}
        cast = Node(self._names.fresh(f"{ref.node}/Cast"), "Cast", (ref,), attrs)
        self.nodes[cast.name] = cast
        self._dtypes[Ref(cast.name)] = wanted
        return Ref(cast.name)


_WHOLE = frozenset(("int32", "int64"))
# Operations on elements that in TensorFlow take no booleans.
_NUMERIC = frozenset((
    "Add", "AddV2", "FloorDiv", "FloorMod", "Maximum", "Minimum", "Mul", "Pow",
    "SquaredDifference", "Sub",
))  # fmt: skip


def _by_argument(
    arguments: Sequence[Arg], inputs: Sequence[Ref]
) -> Iterator[tuple[Arg, Sequence[Ref]]]:
    """Yield which of the *inputs* each of the *arguments* stands for."""
    waiting, rest = list(inputs), len(arguments)
    for arg in arguments:
        rest -= 1
        several = arg.number_attr or arg.list_attr
        count = max(0, len(waiting) - rest) if several else 1
        yield arg, waiting[:count]
        waiting = waiting[count:]


# ------------------------------------------------------------------------------------- loops


def enter_loops(graph: Graph) -> Graph:
    """Return *graph* with an Enter for each value from outside that a loop uses."""
    if not any(node.op == "Enter" for node in graph.nodes.values()):
        return graph
    homes = find_frames(sort_nodes(graph.nodes, path=graph.path), path=graph.path)
    names = fresh_names(graph)
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
