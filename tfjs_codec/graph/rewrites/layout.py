"""Channels first: tfjs computes channels last only, so tensors are transposed before and after.

Then turns that follow each other are joined, behind what treats all elements alike, so that a
network of convolutions is turned at its ends only. Keras writes such turns around every layer,
too, when a model with ``channels_first`` is traced on a processor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.ir.graph import (
    Graph,
    Node,
    Ref,
    Shape,
    const,
    fresh_names,
    prune,
    redirect,
    sort_nodes,
)
from tfjs_codec.ir.tensors import Array

Perm = tuple[int, ...]

_LAYOUTS = {b"NCHW": 4, b"NCDHW": 5}  # rank
_FIRST_INPUT = frozenset(
    (
        *("AvgPool", "AvgPool3D", "BiasAdd", "Conv2D", "Conv3D", "DepthToSpace"),
        *("DepthwiseConv2dNative", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"),
        *("MaxPool", "MaxPool3D", "SpaceToDepth"),
    )
)
_REVERSED = frozenset(("Conv2DBackpropInput", "Conv3DBackpropInputV2"))
_SMALL = 1 << 20  # elements of a constant that is turned


def move_channels_last(graph: Graph) -> Graph:
    """Return *graph* with transpositions around its operations with channels first.

    Layouts that are no order of axes, and unknown ranks, are added to its problems.
    """
    build: Build | None = None
    moved: dict[Ref, Ref] = {}
    for node in graph.nodes.values():
        if not node.attrs.get("data_format", b"").startswith(b"NC"):
            continue
        build = build or Build(graph)
        build.begin(node)
        for number, ref in enumerate(_switch(build, node)[1:], start=1):
            moved[Ref(node.name, number)] = ref
    if build is None:
        return graph
    graph = replace(graph, nodes=build.nodes, problems=(*graph.problems, *build.problems))
    return prune(redirect(graph, moved))


def _switch(build: Build, node: Node) -> list[Ref]:
    """Return the new references of the results of *node*."""
    layout = node.attrs["data_format"]
    data = 2 if node.op in _REVERSED else 0
    rank = build.rank(node.inputs[data]) if node.op == "BiasAdd" else _LAYOUTS.get(layout)
    if rank is None or not (data or node.op in _FIRST_INPUT):
        build.refuse(
            "tfjs supports it for channels_last only", "Save the model with channels_last."
        )
        return []
    to_last, to_first = (0, *range(2, rank), 1), (0, rank - 1, *range(1, rank - 1))

    inputs = list(node.inputs)
    inputs[data] = build.op("Transpose", inputs[data], build.ints(*to_last))
    if data:
        axis = build.scalar(0)
        inputs[0] = build.op("GatherV2", inputs[0], build.ints(*to_last), axis, Tparams="int32")
    attrs: dict[str, Any] = {**node.attrs, "data_format": layout[:1] + layout[2:] + b"C"}
    for key in ("dilations", "ksize", "strides"):
        if key in attrs:
            attrs[key] = tuple(attrs[key][axis] for axis in to_last)
    if attrs.get("explicit_paddings"):
        pads = attrs["explicit_paddings"]
        attrs["explicit_paddings"] = tuple(pads[2 * a + k] for a in to_last for k in (0, 1))
    made = build.op(node.op, *inputs, **attrs)
    said = node.shapes[0].dims if node.shapes else None
    if said is not None and len(said) == rank:
        shapes = (Shape(tuple(said[axis] for axis in to_last)), *node.shapes[1:])
        build.nodes[made.node] = replace(build.nodes[made.node], shapes=shapes)
    others = [Ref(made.node, number) for number in range(1, 6)]
    return [*build.same("Transpose", made, build.ints(*to_first)), *others]


def join_transposes(graph: Graph) -> Graph:
    """Return *graph* with transpositions moved towards its outputs, if that leaves fewer."""
    if not any(node.op == "Transpose" for node in graph.nodes.values()):
        return graph
    joined = _Joiner(graph).graph()
    before, after = (
        sum(node.op == "Transpose" for node in each.nodes.values()) for each in (graph, joined)
    )
    return joined if after < before else graph


class _Joiner:
    """Knows of tensors that they are others, transposed."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._names = fresh_names(graph)
        self._nodes = dict(graph.nodes)
        self._behind: dict[Ref, tuple[Ref, Perm]] = {}
        self._moved: dict[Ref, Ref] = {}

    def graph(self) -> Graph:
        for read in sort_nodes(self._graph.nodes, path=self._graph.path):
            inputs = tuple(self._moved.get(ref, ref) for ref in read.inputs)
            node = self._nodes[read.name] = replace(read, inputs=inputs)
            rule = _RULES.get(node.op)
            if rule is not None:
                rule(self, node)
        return prune(redirect(replace(self._graph, nodes=self._nodes), self._moved))

    def known(self, ref: Ref) -> Array | None:
        """Return the value of *ref* if it is a small constant."""
        node = self._nodes[ref.node]
        if node.op != "Const" or node.attrs["value"].size > _SMALL:
            return None
        value: Array = node.attrs["value"].numpy()
        return value

    def constant(self, like: Ref, value: Array) -> Ref:
        """Add a constant of the type of the constant *like*."""
        name = self._names.fresh(like.node)
        self._nodes[name] = const(name, value, self._nodes[like.node].attrs["dtype"])
        return Ref(name)

    def behind(self, refs: tuple[Ref, ...]) -> tuple[list[Ref], Perm] | None:
        """Return what *refs* are transpositions of, and the one permutation of all of them."""
        found = [self._behind.get(ref) for ref in refs]
        perms = {each[1] for each in found if each is not None}
        if len(perms) != 1:
            return None
        (perm,) = perms
        sources = []
        for ref, each in zip(refs, found, strict=True):
            if each is not None:
                sources.append(each[0])
                continue
            value = self.known(ref)  # a constant that is spread over the others
            if value is None or value.ndim > len(perm):
                return None
            whole = value.reshape((1,) * (len(perm) - value.ndim) + value.shape)
            turned = self.constant(ref, whole.transpose(np.argsort(perm)))
            sources.append(turned if value.ndim else ref)
        return sources, perm

    def put(self, node: Node, inputs: list[Ref], perm: Perm) -> None:
        """Compute *node* from *inputs* and transpose the result by *perm*."""
        inner = Ref(self._names.fresh(f"{node.name}/first"))
        self._nodes[inner.node] = Node(inner.node, node.op, tuple(inputs), node.attrs)
        self.transpose(node.name, inner, perm, str(node.attrs.get("DstT") or node.attrs["T"]))

    def transpose(self, name: str, x: Ref, perm: Perm, dtype: str) -> None:
        """Let the node *name* be *x*, transposed by *perm*."""
        if perm == tuple(range(len(perm))):
            self._moved[Ref(name)] = x
            return
        order = self._names.fresh(f"{name}/perm")
        self._nodes[order] = const(order, np.array(perm, np.int32))
        attrs = {"T": dtype, "Tperm": "int32"}
        self._nodes[name] = Node(name, "Transpose", (x, Ref(order)), attrs)
        self._behind[Ref(name)] = (x, perm)


def _transpose(joiner: _Joiner, node: Node) -> None:
    value = joiner.known(node.inputs[1])
    if value is None:
        return
    rank = value.size
    perm = tuple(int(axis) % rank for axis in value.ravel())
    if sorted(perm) != list(range(rank)):
        return
    found = joiner.behind(node.inputs[:1])
    sources, first = found or (list(node.inputs[:1]), tuple(range(rank)))
    if len(first) == rank:
        joined = tuple(first[axis] for axis in perm)
        joiner.transpose(node.name, sources[0], joined, node.attrs["T"])


def _alike(joiner: _Joiner, node: Node) -> None:
    found = joiner.behind(node.inputs)
    if found:
        joiner.put(node, *found)


def _axes(joiner: _Joiner, node: Node) -> None:
    """Operations whose last input is axes: reductions, and concatenation along one."""
    *data, last = node.inputs
    found, value = joiner.behind(tuple(data)), joiner.known(last)
    if not found or value is None:
        return
    sources, perm = found
    axes = [int(axis) % len(perm) for axis in value.ravel()]
    turned = np.reshape([perm[axis] for axis in axes], value.shape).astype(value.dtype)
    kept = perm
    if node.attrs.get("keep_dims") is False:
        left = [perm[axis] for axis in range(len(perm)) if axis not in axes]
        kept = tuple(sorted(left).index(axis) for axis in left)
    joiner.put(node, [*sources, joiner.constant(last, turned)], kept)


def _pad(joiner: _Joiner, node: Node) -> None:
    found, value = joiner.behind(node.inputs[:1]), joiner.known(node.inputs[1])
    if not found or value is None:
        return
    sources, perm = found
    turned = joiner.constant(node.inputs[1], value[np.argsort(perm)])
    joiner.put(node, [*sources, turned, *node.inputs[2:]], perm)


_RULES: dict[str, Callable[[_Joiner, Node], None]] = {
    "Transpose": _transpose,
    **dict.fromkeys(
        (
            *("Abs", "Add", "AddN", "AddV2", "Cast", "Elu", "Erf", "Exp", "LeakyRelu", "Log"),
            *("Maximum", "Minimum", "Mul", "Neg", "RealDiv", "Relu", "Relu6", "Rsqrt", "Selu"),
            *("Sigmoid", "Softplus", "Sqrt", "Square", "SquaredDifference", "Sub", "Tanh"),
        ),
        _alike,
    ),
    **dict.fromkeys(("ConcatV2", "Max", "Mean", "Min", "Sum"), _axes),
    **dict.fromkeys(("MirrorPad", "Pad", "PadV2"), _pad),
}
