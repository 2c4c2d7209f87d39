"""Makes the nodes that replace another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tfjs_codec.errors import Problem
from tfjs_codec.graph.shapes import UNKNOWN, Known
from tfjs_codec.ir.graph import MASKS, Graph, Node, Ref, const, fill_table, fresh_names
from tfjs_codec.ir.shapes import Dims
from tfjs_codec.ir.tensors import Array
from tfjs_codec.tracing.refusal import Refusal

NO_MASKS = dict.fromkeys(MASKS, 0)
# What attributes are if a rule does not give them.
_USUAL: Mapping[str, Mapping[str, Any]] = {
    op: attrs
    for ops, attrs in (
        (("ArgMax", "BroadcastTo", "ConcatV2", "Range"), {"Tidx": "int32"}),
        (
            ("All", "Any", "Max", "Mean", "Min", "Prod", "Sum"),
            {"keep_dims": False, "Tidx": "int32"},
        ),
        (("BatchMatMulV2",), {"adj_x": False, "adj_y": False}),
        (("Cast",), {"Truncate": False}),
        (("Equal", "NotEqual"), {"incompatible_shape_error": True}),
        (("ExpandDims",), {"Tdim": "int32"}),
        (("GatherV2",), {"Tindices": "int32", "Taxis": "int32", "batch_dims": 0}),
        (("Pad", "PadV2"), {"Tpaddings": "int32"}),
        (("Reshape",), {"Tshape": "int32"}),
        (("ScatterNd",), {"bad_indices_policy": b""}),
        (("Shape", "Size"), {"out_type": "int32"}),
        (("Slice",), {"Index": "int32"}),
        (("SplitV",), {"Tlen": "int32"}),
        (("StridedSlice",), {**NO_MASKS, "Index": "int32"}),
        (("Tile",), {"Tmultiples": "int32"}),
        (("Transpose",), {"Tperm": "int32"}),
    )
    for op in ops
}


class Build:
    """Makes nodes for a rule; *dtype* is the type of the replaced node's operands.

    ``made`` lists the nodes that were made for it. Who takes the nodes in order may let it
    :meth:`learn` their shapes on the way: *known* are those to begin with, by default all.
    """

    def __init__(self, graph: Graph, known: Known | None = None) -> None:
        self.path = graph.path
        self._limits = graph.limits
        self.nodes = dict(graph.nodes)
        self.initializer: dict[str, Node] = {}
        self.problems: list[Problem] = []
        self.made: list[str] = []
        self._known = Known(graph) if known is None else known
        self._names = fresh_names(graph)
        self._node = self._origin = Node("", "")
        self._taken = {tensor.ref for tensor in graph.outputs.values()}
        self._taken.update(ref for node in graph.nodes.values() for ref in node.inputs)

    def begin(self, node: Node, origin: Node | None = None) -> None:
        """Name the nodes that follow after *node*, and problems after *origin* of the graph."""
        self._node = node
        self._origin = origin or node
        self.made = []

    @property
    def given(self) -> bool:
        """Whether the graph has the node, and no other rule made it."""
        return (self._origin.name, self._origin.op) == (self._node.name, self._node.op)

    @property
    def dtype(self) -> str:
        """The type of the node that is replaced: its attribute ``T`` or ``Tparams``."""
        attrs = self._node.attrs
        return str(attrs.get("T") or attrs.get("Tparams", "float32"))

    def shape(self, ref: Ref) -> Dims | None:
        """Return the shape of *ref*, as far as it is known before the graph runs."""
        return self._known.shapes.get(ref)

    def type_of(self, ref: Ref) -> str:
        """Return the dtype of *ref*, "" if it is not known."""
        return self._known.dtype(self.nodes[ref.node], ref.output)

    def known_rank(self, ref: Ref) -> int:
        """Return the number of dimensions of *ref*.

        Raises:
            Refusal: It is known only when the graph runs.
        """
        rank = self.rank(ref)
        if rank is None:
            raise Refusal("only a known rank is supported")
        return rank

    def rank(self, ref: Ref) -> int | None:
        """Return the number of dimensions of *ref*, if it is known before the graph runs."""
        shape = self.shape(ref)
        return None if shape is None else len(shape)

    def numbers(self, ref: Ref) -> list[Any] | None:
        """Return the numbers of *ref* if it is a Const."""
        node = self.nodes[ref.node]
        return node.value.numpy().reshape(-1).tolist() if node.op == "Const" else None

    def content(self, ref: Ref) -> list[int] | None:
        """Return the whole numbers in *ref*, a small tensor, if all are known."""
        content = self._known.contents.get(ref)
        if content is None or (content == UNKNOWN).any():
            return None
        return [int(item) for item in content.reshape(-1)]

    def op(self, op: str, *inputs: Ref, **attrs: Any) -> Ref:
        """Add a node of *op* with the type of the replaced one, and the usual attributes."""
        name = self._names.fresh(f"{self._node.name}/{op}")
        return self._add(Node(name, op, inputs, self._attrs(op, attrs)))

    def _attrs(self, op: str, attrs: Mapping[str, Any]) -> dict[str, Any]:
        kind = {"T": self.dtype} | ({"Tparams": self.dtype} if op == "GatherV2" else {})
        return {**kind, **_USUAL.get(op, {}), **attrs}

    def number(self, value: float | np.floating[Any]) -> Ref:
        """Add a scalar of the type of the replaced node."""
        return self.value(value, self.dtype)

    def value(self, value: float | np.floating[Any], dtype: str) -> Ref:
        """Add a scalar of *dtype*."""
        return self.const(np.array(value, _numpy(dtype)), dtype)

    def ints(self, *values: int) -> Ref:
        """Add a vector of int32."""
        return self.const(np.array(values, np.int32), "int32")

    def scalar(self, value: int) -> Ref:
        """Add a scalar of int32."""
        return self.const(np.array(value, np.int32), "int32")

    def const(self, array: Any, dtype: str) -> Ref:
        """Add a Const."""
        return self._add(const(self._names.fresh(f"{self._node.name}/Const"), array, dtype))

    def uses(self, node: Node, output: int) -> bool:
        """Tell whether anything takes result number *output* of *node*."""
        return Ref(node.name, output) in self._taken

    def sizes(self, x: Ref, first: int, count: int) -> Ref:
        """Return a vector of the sizes at run time of *count* axes of *x* from *first* on."""
        shape = self.op("Shape", x)
        begin, size = self.ints(first), self.ints(count)
        return self.op("Slice", shape, begin, size, T="int32")

    def concat(self, *vectors: Ref) -> Ref:
        """Join vectors of int32."""
        return self.op("ConcatV2", *vectors, self.scalar(0), T="int32", N=len(vectors))

    def cast(self, x: Ref, given: str, wanted: str) -> Ref:
        """Cast *x* from the type *given* to *wanted*; floats lose their fraction."""
        return self.op("Cast", x, SrcT=given, DstT=wanted)

    def expand_dims(self, x: Ref, axis: int, dtype: str = "int32") -> Ref:
        """Insert an axis of size 1 before *axis* of *x*, whose type is *dtype*."""
        return self.op("ExpandDims", x, self.scalar(axis), T=dtype)

    def count(self, size: Ref) -> Ref:
        """Return the vector 0, 1, … below the number in the vector *size* of int32."""
        end = self.op("Squeeze", size, T="int32", squeeze_dims=(0,))
        return self.op("Range", self.scalar(0), end, self.scalar(1), T="int32")

    def enumerate(self, vector: Ref, dtype: str = "int32") -> Ref:
        """Return the vector 0, 1, … of the positions in *vector*, whose type is *dtype*."""
        return self.count(self.op("Shape", vector, T=dtype))

    def strided_slice(self, x: Ref, begin: Ref, end: Ref, strides: Ref, **masks: int) -> Ref:
        """Slice a vector of int32; *masks* are zero if they are not given."""
        return self.op("StridedSlice", x, begin, end, strides, T="int32", **masks)

    def table(self, keys: Array, values: Array, kinds: Mapping[str, str]) -> Ref:
        """Add a hash table that is filled from two vectors when the model is loaded."""
        table = self.op("HashTableV2", **kinds)
        name = table.node
        sides = [
            const(self._names.fresh(f"{name}/{role}"), array)
            for role, array in (("keys", keys), ("values", values))
        ]
        given = [Ref(side.name) for side in sides]
        filling = fill_table(self._names.fresh(f"{name}/import"), self.nodes[name], *given)
        for node in (self.nodes[name], *sides, filling):
            self.initializer[node.name] = node
        return table

    def same(self, op: str, *inputs: Ref, **attrs: Any) -> list[Ref]:
        """Put a node of *op* with the name of the replaced one in its place."""
        name, shapes = self._node.name, self._node.shapes[:1]
        return [self._add(Node(name, op, inputs, self._attrs(op, attrs), shapes=shapes))]

    def copy(self, node: Node, name: str, inputs: tuple[Ref, ...]) -> Ref:
        """Add *node* once more, called *name* or similar, with other *inputs*."""
        return self._keep(replace(node, name=self._names.fresh(name), inputs=inputs))

    def learn(self, node: Node) -> None:
        """Learn the shape of *node*, whose inputs may have changed."""
        self._known.learn(node)

    def _add(self, node: Node) -> Ref:
        what = "the number of nodes that operations become"
        self._limits.spend("graph_nodes", 1, what, path=self.path)
        return self._keep(node)

    def _keep(self, node: Node) -> Ref:
        self.nodes[node.name] = node
        self.made.append(node.name)
        self._known.learn(node)
        return Ref(node.name)

    def refuse(self, reason: str, hint: str = "") -> None:
        """Note that the node cannot be expressed."""
        node = self._origin
        self.problems.append(Problem(node.name, node.op, reason, hint, kind="node"))


def _numpy(dtype: str) -> np.dtype[Any]:
    return np.dtype("float32" if dtype == "bfloat16" else dtype)
