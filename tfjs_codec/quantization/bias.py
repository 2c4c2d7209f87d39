"""Biases that take back what rounding a kernel does to the mean of its outputs.

Rounding adds errors E to a kernel, and for inputs x the product of x and E to what it makes. The
mean of that over samples of inputs is one number for each output channel, and a bias that is added
to the product can take it back, at no cost. The x of each kernel are those of the unrounded model.

The products are computed in the graph itself: each gets a twin whose kernel is E, so that no
activation lives longer than in a prediction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.graph.interpreter import Program
from tfjs_codec.ir.graph import Graph, Node, Ref, Tensor, consumers
from tfjs_codec.ir.tensors import Array, ArrayTensor, LazyTensor, map_float32
from tfjs_codec.quantization.samples import run_rows

_PLAIN = {
    "Conv2D": "Conv2D",
    "DepthwiseConv2dNative": "DepthwiseConv2dNative",
    "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative",
    "MatMul": "MatMul",
    "_FusedConv2D": "Conv2D",
    "_FusedMatMul": "MatMul",
}
_SUMS = frozenset(("Add", "AddV2", "BiasAdd"))
_LOOPS = frozenset(("Enter", "Switch", "Merge"))


class _Product(NamedTuple):
    """An operation that multiplies with *kernel*, and the constant *bias* that is added."""

    node: Node
    kernel: LazyTensor
    bias: LazyTensor


def correct_biases(
    graph: Graph,
    weights: Mapping[str, LazyTensor],
    rounded: Mapping[str, LazyTensor],
    samples: Mapping[str, Array],
) -> dict[str, LazyTensor]:
    """Return the biases that change, by name.

    Args:
        graph: The model before rounding; its constants that are *weights* have the same tensors.
            Nothing changes in a graph with loops or branches.
        weights: All weights that may change or are rounded, by name.
        rounded: Those that are rounded, with the values that they are restored to.
        samples: Inputs, see :mod:`tfjs_codec.quantization.samples`.

    Raises:
        UsageError: *samples* are not the inputs of the graph.
        UnsupportedModelError: numpy cannot run it.
    """
    names = {id(tensor): name for name, tensor in weights.items()}
    products = [
        product
        for product in _find_products(graph)
        if names.get(id(product.kernel)) in rounded
        and names.get(id(product.bias), "") in weights.keys() - rounded.keys()
    ]
    if not products:
        return {}
    nodes, outputs = dict(graph.nodes), dict[str, Tensor]()
    for product in products:
        made = _measure_shift(product, rounded[names[id(product.kernel)]])
        nodes |= {node.name: node for node in made}
        outputs[names[id(product.bias)]] = Tensor(Ref(made[-1].name), "float32")
    rows, sums = 0, dict[str, NDArray[np.float64]]()
    for count, found in run_rows(Program(replace(graph, nodes=nodes, outputs=outputs)), samples):
        rows += count
        for name, shift in found.items():
            sums[name] = sums.get(name, np.zeros(shift.shape)) + count * shift.astype(np.float64)
    return {name: _subtract(weights[name], total / max(rows, 1)) for name, total in sums.items()}


def _find_products(graph: Graph) -> Iterator[_Product]:
    """Yield the products with a bias of their own, the channels of which are its elements."""
    nodes = graph.nodes
    if any(node.op in _LOOPS for node in nodes.values()):
        return
    takers = consumers(nodes)
    uses = Counter(
        id(nodes[ref.node].value)
        for ref in (
            *(ref for node in nodes.values() for ref in node.inputs),
            *(tensor.ref for tensor in graph.outputs.values()),
        )
        if nodes[ref.node].op == "Const"
    )
    for node in nodes.values():
        if node.op not in _PLAIN or not _is_last(node):
            continue
        kernel, bias = _constant(nodes, node.inputs[1]), None
        if node.op != _PLAIN[node.op]:
            if node.attrs.get("fused_ops", ())[:1] == (b"BiasAdd",):
                bias = _constant(nodes, node.inputs[2])
        elif kernel is not None:
            bias = _find_bias(nodes, takers, node, _count_channels(node, kernel))
        if kernel is None or bias is None or uses[id(bias)] != 1:
            continue
        if bias.dtype == np.float32 and bias.size == _count_channels(node, kernel):
            yield _Product(node, kernel, bias)


def _is_last(node: Node) -> bool:
    """Tell whether the channels of *node* are the last axis of what it makes."""
    formatted = node.attrs.get("data_format", b"NHWC") == b"NHWC"
    return bool(formatted and node.attrs.get("T", "float32") == "float32")


def _count_channels(node: Node, kernel: LazyTensor) -> int:
    if "Depthwise" in node.op:
        return kernel.shape[-2] * kernel.shape[-1]
    return kernel.shape[-2 if node.attrs.get("transpose_b") else -1]


def _find_bias(
    nodes: Mapping[str, Node], takers: Mapping[str, list[str]], node: Node, channels: int
) -> LazyTensor | None:
    """Return what is added to the *channels* of *node* and nothing else takes, perhaps reshaped."""
    last: tuple[int, ...] = (channels,)
    while True:
        (taker, *others) = takers.get(node.name) or [""]
        if others or taker not in nodes:
            return None
        before, node = node, nodes[taker]
        if node.op == "Reshape" and node.inputs[0].node == before.name:
            sizes = _constant(nodes, node.inputs[1])
            last = () if sizes is None else tuple(sizes.numpy().tolist())
        elif node.op not in ("Identity", "Squeeze"):
            break
    if node.op not in _SUMS or not _is_last(node):
        return None
    (other,) = [ref for ref in node.inputs if ref.node != before.name] or [Ref("")]
    bias = _constant(nodes, other)
    if bias is None or bias.size != channels:
        return None
    shape = bias.shape
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return bias if last[-len(shape) :] == shape else None


def _constant(nodes: Mapping[str, Node], ref: Ref) -> LazyTensor | None:
    node = nodes.get(ref.node)
    return node.value if node is not None and node.op == "Const" else None


def _measure_shift(product: _Product, rounded: LazyTensor) -> tuple[Node, ...]:
    """Return nodes, of which the last is the mean by channel of what rounding adds."""
    node, kernel = product.node, product.kernel

    def subtract(values: Array) -> Array:
        errors: NDArray[np.float32] = values.astype(np.float32) - kernel.numpy().astype(np.float32)
        return errors

    error = map_float32(rounded, kernel.shape, subtract)
    rows, first = np.array([-1, product.bias.size], np.int32), np.zeros(1, np.int32)
    name = f"{node.name}/rounding"
    plain = {key: value for key, value in node.attrs.items() if key != "fused_ops"}
    integers = {"T": "float32", "Tshape": "int32", "Tidx": "int32", "keep_dims": False}
    return (
        Node(f"{name}/error", "Const", (), {"value": error, "dtype": "float32"}),
        Node(f"{name}/product", _PLAIN[node.op], (node.inputs[0], Ref(f"{name}/error")), plain),
        _make_const(f"{name}/shape", rows),
        Node(f"{name}/rows", "Reshape", (Ref(f"{name}/product"), Ref(f"{name}/shape")), integers),
        _make_const(f"{name}/axis", first),
        Node(f"{name}/mean", "Mean", (Ref(f"{name}/rows"), Ref(f"{name}/axis")), integers),
    )


def _make_const(name: str, array: Array) -> Node:
    return Node(name, "Const", (), {"value": ArrayTensor(name, array), "dtype": "int32"})


def _subtract(bias: LazyTensor, shift: NDArray[np.float64]) -> LazyTensor:
    values = bias.numpy().astype(np.float64) - shift.reshape(bias.shape)
    return ArrayTensor(bias.name, values.astype(np.float32))
