"""Fusion: a linear operation, its bias and its activation become one node.

tfjs reads the fused nodes of TensorFlow's Grappler: ``_FusedConv2D``, ``_FusedMatMul`` and, its
own, ``FusedDepthwiseConv2dNative``. ``fused_ops`` is ``[BiasAdd, activation]``, with ``NoOp`` when
there is no bias; ``args`` are the bias and the slopes of a Prelu, ``num_args`` their number. Only
the activations that all of tfjs's backends can fuse are fused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import dropwhile
from math import prod

import numpy as np

from tfjs_codec.graph.optimise.affine import channel_shape
from tfjs_codec.ir.graph import Graph, Node, Ref, Uses, const, fresh_names, prune
from tfjs_codec.ir.tensors import LazyTensor, map_float32

FUSED = {
    "Conv2D": "_FusedConv2D",
    "DepthwiseConv2dNative": "FusedDepthwiseConv2dNative",
    "MatMul": "_FusedMatMul",
}
_ACTIVATIONS = frozenset({"Elu", "LeakyRelu", "Prelu", "Relu", "Relu6"})

# tfjs's converter does not pass the slope on, and every backend takes another number for it.
_UNFUSED = {("DepthwiseConv2dNative", "LeakyRelu")}


def find_prelus(graph: Graph) -> Graph:
    """Return *graph* with ``relu(x) + c · relu(-x)``, which is Keras's PReLU, as ``Prelu(x, -c)``.

    The constant's shape must be one that tfjs's kernels read as they should: full dimensions at
    its end, none of size 1 between them.
    """
    names = fresh_names(graph)
    nodes = dict(graph.nodes)
    for node in graph.nodes.values():
        found = _prelu(graph.nodes, node)
        if found is None:
            continue
        x, slopes = found
        shape = tuple(dropwhile(lambda size: size == 1, slopes.value.shape))
        if 1 in shape or (len(slopes.value.shape) > 3 and len(shape) == 1):
            continue  # webgpu cannot compute it of more than four axes and a vector
        values = np.negative(slopes.value.numpy()).reshape(shape)
        alpha = const(names.fresh(f"{node.name}/alpha"), values)
        nodes[alpha.name] = alpha
        nodes[node.name] = Node(node.name, "Prelu", (x, Ref(alpha.name)), {"T": "float32"})
    return graph if len(nodes) == len(graph.nodes) else prune(replace(graph, nodes=nodes))


def _prelu(nodes: Mapping[str, Node], node: Node) -> tuple[Ref, Node] | None:
    """Return x and the Const c if *node* adds ``relu(x)`` and ``c · relu(-x)``."""
    if node.op not in ("Add", "AddV2") or node.attrs["T"] != "float32":
        return None
    terms = [nodes[ref.node] for ref in node.inputs]
    for positive, negative in (terms, terms[::-1]):
        if positive.op != "Relu" or negative.op != "Mul":
            continue
        factors = [nodes[ref.node] for ref in negative.inputs]
        for slopes, relu in (factors, factors[::-1]):
            negated = nodes[relu.inputs[0].node] if relu.op == "Relu" else None
            if (
                slopes.op == "Const"
                and negated is not None
                and negated.op == "Neg"
                and negated.inputs == positive.inputs
            ):
                return positive.inputs[0], slopes
    return None


def fuse(graph: Graph) -> Graph:
    """Return *graph* with biases and activations in the linear operations before them."""
    uses, names = Uses(graph), fresh_names(graph)
    nodes = dict(graph.nodes)
    for node in graph.nodes.values():
        channels = _channels(graph, node)
        if not channels:
            continue
        bias = _bias(graph, uses.only(node.name), node.name, channels)
        last = node if bias is None else graph.nodes[bias.name]
        activation = _activation(graph, uses.only(last.name), last.name, channels)
        if activation is not None and (node.op, activation.op) in _UNFUSED:
            activation = None
        if bias is None and activation is None:
            continue
        if node.attrs.get("transpose_b"):  # the fused product of wasm ignores it
            weights = graph.nodes[node.inputs[1].node]
            if not uses.only(weights.name):
                continue  # rather than to store them twice
            turned = _transpose(names.fresh(f"{node.name}/weights"), weights)
            nodes[turned.name] = turned
            attrs = {**node.attrs, "transpose_b": False}
            inputs = (node.inputs[0], Ref(turned.name))
            one = _fuse(replace(node, inputs=inputs, attrs=attrs), bias, activation)
        else:
            one = _fuse(node, bias, activation)
        nodes[one.name] = one
    return prune(replace(graph, nodes=nodes))


def _channels(graph: Graph, node: Node) -> int:
    """Return how many values a bias has, 0 if *node* cannot be fused."""
    weights = graph.nodes[node.inputs[1].node] if node.op in FUSED else None
    if weights is None or weights.op != "Const" or node.attrs["T"] != "float32":
        return 0
    if node.attrs.get("transpose_a"):  # the fused product of wasm ignores it
        return 0
    return prod(channel_shape(node, weights.value.shape) or (0,))


def _transpose(name: str, weights: Node) -> Node:
    shape = weights.value.shape[::-1]
    tensor: LazyTensor = map_float32(weights.value, shape, np.transpose)
    return Node(name, "Const", (), {**weights.attrs, "value": tensor})


def _bias(graph: Graph, node: Node | None, source: str, channels: int) -> Node | None:
    """Return *node* if it adds a constant vector of *channels* values to *source*."""
    if node is None or node.op != "BiasAdd" or node.inputs[0].node != source:
        return None
    value = graph.nodes[node.inputs[1].node]
    if value.op != "Const" or value.value.shape != (channels,):
        return None
    return node if node.attrs["data_format"] == b"NHWC" else None


def _activation(graph: Graph, node: Node | None, source: str, channels: int) -> Node | None:
    """Return *node* if it is an activation of *source* that can be fused."""
    if node is None or node.op not in _ACTIVATIONS or node.inputs[0].node != source:
        return None
    if node.op == "Prelu":
        slopes = graph.nodes[node.inputs[1].node]
        if slopes.op != "Const" or slopes.value.shape != (channels,):
            return None
    return node


def _fuse(node: Node, bias: Node | None, activation: Node | None) -> Node:
    args = [each.inputs[1] for each in (bias, activation) if each and len(each.inputs) > 1]
    ops = ["BiasAdd" if bias else "NoOp"]
    alpha = 0.2  # TensorFlow's default
    if activation:
        ops.append(activation.op)
        alpha = activation.attrs.get("alpha", alpha)
    attrs = {
        **node.attrs,
        "fused_ops": tuple(op.encode() for op in ops),
        "num_args": len(args),
        "TArgs": ("float32",) * len(args),
        "epsilon": 0.0,
        "leakyrelu_alpha": alpha,
    }
    name = (activation or bias or node).name
    return Node(name, FUSED[node.op], (*node.inputs, *args), attrs)
