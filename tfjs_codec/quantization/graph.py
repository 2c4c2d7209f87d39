"""The groups of channels in a graph of operations, by a rule for each operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from tfjs_codec.graph.shapes import Known
from tfjs_codec.ir.graph import Graph, Node, Ref, consumers, sort_nodes
from tfjs_codec.quantization.channels import Channels, Flow
from tfjs_codec.quantization.norms import Norm

# Functions f with f(c x) = c f(x) for c > 0, also as activations of fused operations.
_HOMOGENEOUS = frozenset(("Relu", "LeakyRelu", "Prelu"))
# The axes of a kernel that are the channels of the input, and of the output.
_KERNELS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    **dict.fromkeys(("Conv2D", "Conv3D", "_FusedConv2D"), ((-2,), (-1,))),
    **dict.fromkeys(("MatMul", "_FusedMatMul"), ((-2,), (-1,))),
    **dict.fromkeys(("DepthwiseConv2dNative", "FusedDepthwiseConv2dNative"), ((-2,), (-2, -1))),
    "Conv2DBackpropInput": ((-1,), (-2,)),
}
_NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_SUMS = ("Add", "AddV2", "AddN", "Sub")
# Operations whose first input keeps its last axis; what they take besides are sizes and slopes.
_SAME = frozenset(
    (
        *_HOMOGENEOUS,
        *("Identity", "StopGradient", "Snapshot", "EnsureShape"),
        *("AvgPool", "AvgPool3D", "MaxPool", "MaxPool3D", "MirrorPad", "Pad"),
        *("ResizeBilinear", "ResizeNearestNeighbor"),
    )
)
_REDUCTIONS = frozenset(("Max", "Mean", "Min", "Sum"))


def read_channels(graph: Graph) -> Channels:
    """Return the groups of channels in *graph*, whose weights are its constants."""
    reader = _Reader(graph)
    reader.read()
    return reader.channels


class _Reader:
    """Follows the tensors of a graph from operation to operation."""

    def __init__(self, graph: Graph) -> None:
        self.channels = Channels()
        self._graph = graph
        self._shapes = Known(graph).shapes
        outputs = {tensor.ref.node for tensor in graph.outputs.values()}
        # A constant of two operations would have to take up the factors of both.
        self._own = {
            name
            for name, takers in consumers(graph.nodes).items()
            if len(takers) == 1 and graph.nodes[name].op == "Const" and name not in outputs
        }
        self._flows: dict[Ref, Flow | None] = {}

    def read(self) -> None:
        """Read all nodes; nobody scales inputs and outputs."""
        for node in sort_nodes(self._graph.nodes, path=self._graph.path):
            rule = _RULES.get(node.op)
            last = str(node.attrs.get("data_format", b"C"), "ascii", "replace").endswith("C")
            if rule is None or not last or node.attrs.get("T", "float32") != "float32":
                self.fix(node)
            else:
                self._flows[Ref(node.name)] = rule(self, node)
        for tensor in self._graph.outputs.values():
            self.channels.fix(self._flows.get(tensor.ref))

    def flow(self, node: Node, place: int = 0) -> Flow | None:
        """Return the tensor that *node* takes at *place*."""
        return self._flows.get(node.inputs[place])

    def fix(self, node: Node) -> Flow | None:
        """Note that *node* takes up no factors of its inputs, and makes no tensor that can."""
        return self.channels.fix(*(self._flows.get(ref) for ref in node.inputs))

    def constant(self, node: Node, place: int) -> Node | None:
        """Return the constant at *place* if it belongs to *node* alone."""
        ref = node.inputs[place]
        found = self._graph.nodes[ref.node]
        return found if ref.node in self._own and found.value.dtype == np.float32 else None

    def is_constant(self, node: Node, place: int) -> bool:
        """Tell whether *node* takes a constant at *place*, whoever else takes it."""
        return self._graph.nodes[node.inputs[place].node].op == "Const"

    def ints(self, node: Node, place: int) -> list[int] | None:
        """Return the whole numbers of the constant at *place*."""
        found = self._graph.nodes[node.inputs[place].node]
        if found.op != "Const" or found.value.dtype.kind not in "iu":
            return None
        return [int(each) for each in found.value.numpy().reshape(-1)]

    def rank(self, node: Node) -> int | None:
        """Return the rank of the first input of *node*, if it is known."""
        shape = self._shapes.get(node.inputs[0])
        return None if shape is None else len(shape)


_Rule: TypeAlias = Callable[[_Reader, Node], "Flow | None"]


def _is_vector(shape: Sequence[int]) -> bool:
    """Whether a tensor of *shape* has one number for each channel, beside any other."""
    return len(shape) > 0 and all(size == 1 for size in shape[:-1])


def _product(reader: _Reader, node: Node) -> Flow | None:
    into, out = _KERNELS[node.op]
    place = 2 if node.op == "Conv2DBackpropInput" else 0
    kernel = reader.constant(node, 1)
    if kernel is None or node.attrs.get("transpose_a"):
        return reader.fix(node)
    if node.attrs.get("transpose_b"):
        into, out = out, into
    shape = kernel.value.shape
    reader.channels.divide(reader.flow(node, place), kernel.name, shape, into)
    flow = reader.channels.multiply(kernel.name, shape, out)
    operations = [each.decode() for each in node.attrs.get("fused_ops", ())]
    if operations and operations[0] == "BiasAdd":
        bias = reader.constant(node, 2)
        if bias is None:
            return reader.channels.fix(flow)
        reader.channels.shift(flow, bias.name, bias.value.shape)
    unknown = set(operations[1:]) - _HOMOGENEOUS or set(operations[:1]) - {"BiasAdd", "NoOp"}
    return reader.channels.fix(flow) if unknown else flow


def _sum(reader: _Reader, node: Node) -> Flow | None:
    places = [n for n in range(len(node.inputs)) if not reader.is_constant(node, n)]
    if len(places) == len(node.inputs):
        return reader.channels.tie([reader.flow(node, place) for place in places])
    constant = reader.constant(node, 1 - places[0]) if len(node.inputs) == 2 and places else None
    if constant is None or not _is_vector(constant.value.shape):
        return reader.fix(node)
    flow = reader.flow(node, places[0])
    reader.channels.shift(flow, constant.name, constant.value.shape)
    return flow


def _bias(reader: _Reader, node: Node) -> Flow | None:
    return _sum(reader, node) if not reader.is_constant(node, 0) else reader.fix(node)


def _gain(reader: _Reader, node: Node) -> Flow | None:
    """A constant gain takes up the factors of its input, and makes new ones."""
    place = 0 if reader.is_constant(node, 0) else 1
    constant = reader.constant(node, place)
    if constant is None or not _is_vector(constant.value.shape):
        return reader.fix(node)
    flow, shape = reader.flow(node, 1 - place), constant.value.shape
    reader.channels.divide(flow, constant.name, shape, (-1,))
    return reader.channels.multiply(constant.name, shape, (-1,))


def _batch_norm(reader: _Reader, node: Node) -> Flow | None:
    vectors = [reader.constant(node, place) for place in range(1, 5)]
    gain, centre, mean, variance = vectors
    if gain is None or centre is None or mean is None or node.attrs["is_training"]:
        return reader.fix(node)
    shape, flow = gain.value.shape, reader.flow(node)
    if variance is not None:
        names, epsilon = (gain.name, centre.name, mean.name, variance.name), node.attrs["epsilon"]
        reader.channels.norms.append(Norm(*names, epsilon))
    reader.channels.divide(flow, gain.name, shape, (-1,))
    reader.channels.shift(flow, mean.name, shape)
    result = reader.channels.multiply(gain.name, shape, (-1,))
    reader.channels.shift(result, centre.name, shape)
    return result


def _same(reader: _Reader, node: Node) -> Flow | None:
    reader.channels.fix(*(reader.flow(node, place) for place in range(1, len(node.inputs))))
    return reader.flow(node)


def _reduction(reader: _Reader, node: Node) -> Flow | None:
    """Other axes than the last one are reduced, inserted or removed."""
    axes, rank = reader.ints(node, 1), reader.rank(node)
    kept = axes is not None and rank is not None and all(a % rank != rank - 1 for a in axes)
    return reader.flow(node) if kept else reader.fix(node)


def _insertion(reader: _Reader, node: Node) -> Flow | None:
    axes, rank = reader.ints(node, 1), reader.rank(node)
    kept = axes is not None and rank is not None and axes[0] % (rank + 1) != rank
    return reader.flow(node) if kept else reader.fix(node)


def _removal(reader: _Reader, node: Node) -> Flow | None:
    axes, rank = node.attrs.get("squeeze_dims", ()), reader.rank(node)
    kept = axes and rank is not None and all(axis % rank != rank - 1 for axis in axes)
    return reader.flow(node) if kept else reader.fix(node)


def _concatenation(reader: _Reader, node: Node) -> Flow | None:
    """Along the channels; all that is joined must have factors."""
    axes, rank = reader.ints(node, len(node.inputs) - 1), reader.rank(node)
    if axes is None or rank is None or axes[0] % rank != rank - 1:
        return reader.fix(node)
    return reader.channels.join([reader.flow(node, n) for n in range(len(node.inputs) - 1)])


def _reshape(reader: _Reader, node: Node) -> Flow | None:
    sizes = reader.ints(node, 1)
    return reader.channels.reshape(reader.flow(node), sizes[-1] if sizes else 0)


_RULES: dict[str, _Rule] = {
    **dict.fromkeys(_KERNELS, _product),
    **dict.fromkeys((*_SUMS, "Maximum", "Minimum"), _sum),
    "BiasAdd": _bias,
    "Mul": _gain,
    **dict.fromkeys(_NORMS, _batch_norm),
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    "ConcatV2": _concatenation,
    "ExpandDims": _insertion,
    "Squeeze": _removal,
    "Reshape": _reshape,
}
