"""Batch-norm folding: per-channel arithmetic after a linear operation goes into its weights.

Behind a convolution or matrix product with constant weights, every ``Mul``, ``AddV2``, ``BiasAdd``,
``Sub``, ``RealDiv`` and ``FusedBatchNorm`` whose other operands are constants of one value for each
output channel is part of one map ``y · scale + offset``. The scale is multiplied into the weights,
the offset becomes one ``BiasAdd``. That covers batch normalisation however its Keras spells it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.graph import Graph, Node, Ref, Uses, const, fresh_names, prune, redirect
from tfjs_codec.ir.tensors import Array, LazyTensor, map_float32

Vector = NDArray[np.float64]


def channel_shape(node: Node, weights: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape that one value for each output channel has beside *weights*.

    None if *node* is no linear operation whose last output dimension is the channels.
    """
    if node.op == "MatMul" and len(weights) == 2:
        return (weights[0], 1) if node.attrs["transpose_b"] else (1, weights[1])
    kept = _CHANNEL_AXES.get(node.op)
    if kept is None or len(weights) != len(node.attrs["strides"]):
        return None
    if not node.attrs["data_format"].endswith(b"C"):
        return None
    return tuple(size if axis in kept else 1 for axis, size in enumerate(weights))


_CHANNEL_AXES = {
    "Conv2D": (3,),
    "Conv2DBackpropInput": (2,),  # the filter of the convolution that it reverses
    "Conv3D": (4,),
    "DepthwiseConv2dNative": (2, 3),
}


@dataclass(frozen=True, slots=True)
class _Affine:
    """``y · scale + offset``, per channel, computed in float64."""

    scale: Vector
    offset: Vector

    def then(self, scale: Any = 1.0, offset: Any = 0.0) -> _Affine:
        """Return this followed by another such map."""
        return _Affine(self.scale * scale, self.offset * scale + offset)

    def shift(self, offset: Any) -> _Affine:
        """Return this followed by an addition."""
        return _Affine(self.scale, self.offset + offset)


def fold_affine(graph: Graph) -> Graph:
    """Return *graph* with per-channel arithmetic after linear operations in their weights."""
    names, uses = fresh_names(graph), Uses(graph)
    nodes = dict(graph.nodes)
    moved: dict[Ref, Ref] = {}
    scaled: dict[tuple[Ref, bytes], Ref] = {}  # a layer called twice keeps one set of weights
    for node in graph.nodes.values():
        channels = _channels(graph, node)
        if channels is None:
            continue
        chain, affine = _chain(graph, uses, node, channels)
        volume = len(channels) > 4  # webgpu adds no vector to that many axes
        if not chain or [each.op for each in chain] == ["AddV2" if volume else "BiasAdd"]:
            continue
        result = Ref(node.name)
        if (affine.scale != 1).any():
            weights = graph.nodes[node.inputs[1].node]
            key = (node.inputs[1], affine.scale.tobytes())
            if key not in scaled:
                name = names.fresh(f"{weights.name}/scaled")
                nodes[name] = _scale(name, weights, affine.scale.reshape(channels))
                scaled[key] = Ref(name)
            inputs = (node.inputs[0], scaled[key], *node.inputs[2:])
            nodes[node.name] = replace(node, inputs=inputs)
        if affine.offset.any():
            offset = affine.offset.astype(np.float32)
            values = offset.reshape(1, -1) if volume else offset
            bias = const(names.fresh(f"{node.name}/bias"), values, "float32")
            nodes[bias.name] = bias
            name, op = chain[-1].name, "AddV2" if volume else "BiasAdd"
            attrs = {"T": "float32"} if volume else {"T": "float32", "data_format": b"NHWC"}
            nodes[name] = Node(name, op, (result, Ref(bias.name)), attrs)
        else:
            moved[Ref(chain[-1].name)] = result
    return prune(redirect(replace(graph, nodes=nodes), moved))


def _channels(graph: Graph, node: Node) -> tuple[int, ...] | None:
    if node.op != "MatMul" and node.op not in _CHANNEL_AXES:
        return None
    weights = graph.nodes[node.inputs[1].node]
    if weights.op != "Const" or node.attrs["T"] != "float32":
        return None
    return channel_shape(node, weights.value.shape)


def _chain(
    graph: Graph, uses: Uses, node: Node, channels: tuple[int, ...]
) -> tuple[list[Node], _Affine]:
    """Return the operations after *node* that are affine per channel, and their composition."""
    count = prod(channels)
    rank = 2 if node.op == "MatMul" else len(channels)
    affine = _Affine(np.ones(count), np.zeros(count))
    chain: list[Node] = []
    last = node
    while (following := uses.only(last.name)) is not None:
        rule = _RULES.get(following.op)
        if rule is None:
            break
        position = [ref.node for ref in following.inputs].index(last.name)
        others = [
            _per_channel(graph, ref, count, rank)
            for place, ref in enumerate(following.inputs)
            if place != position
        ]
        if any(each is None for each in others):
            break
        after = rule(affine, following, position, others)
        if after is None or not np.isfinite([after.scale, after.offset]).all():
            break
        affine, last = after, following
        chain.append(following)
    return chain, affine


def _per_channel(graph: Graph, ref: Ref, count: int, rank: int) -> Any:
    """Return the constant *ref* as float64, one value or *count*; None if it is not that."""
    node = graph.nodes[ref.node]
    if node.op != "Const":
        return None
    tensor = node.value
    wide = tensor.shape and prod(tensor.shape[:-1]) == 1 and tensor.shape[-1] == count
    if len(tensor.shape) > rank or tensor.dtype != np.float32 or not (wide or tensor.size == 1):
        return None
    return tensor.numpy().astype(np.float64).reshape(-1)


def _scale(name: str, weights: Node, scale: Vector) -> Node:
    def multiplied(values: Array) -> Array:
        out = np.empty_like(values)  # float32: of float64 products only some lie in memory
        return np.multiply(values, scale, out=out, casting="same_kind")

    tensor: LazyTensor = map_float32(weights.value, weights.value.shape, multiplied)
    return Node(name, "Const", (), {"dtype": "float32", "value": tensor})


# What an operation does to the map before it: (map, node, position of the map's input, constants).
_Rule = Callable[[_Affine, Node, int, list[Any]], "_Affine | None"]


def _batch_norm(before: _Affine, node: Node, position: int, constants: list[Any]) -> _Affine | None:
    if node.attrs["is_training"] or position or not node.attrs["data_format"].endswith(b"C"):
        return None
    gamma, beta, mean, variance = constants
    scale = gamma / np.sqrt(variance + node.attrs["epsilon"])
    return before.then(scale, beta - mean * scale)


def _difference(before: _Affine, _: Node, position: int, constants: list[Any]) -> _Affine:
    return before.then(-1.0, constants[0]) if position else before.shift(-constants[0])


def _quotient(before: _Affine, _: Node, position: int, constants: list[Any]) -> _Affine | None:
    return None if position else before.then(1 / constants[0])


def _bias_add(before: _Affine, node: Node, _: int, constants: list[Any]) -> _Affine | None:
    last = node.attrs["data_format"].endswith(b"C")
    return before.shift(constants[0]) if last else None


_RULES: dict[str, _Rule] = {
    "Add": lambda before, _node, _at, constants: before.shift(constants[0]),
    "AddV2": lambda before, _node, _at, constants: before.shift(constants[0]),
    "BiasAdd": _bias_add,
    "FusedBatchNorm": _batch_norm,
    "FusedBatchNormV2": _batch_norm,
    "FusedBatchNormV3": _batch_norm,
    "Mul": lambda before, _node, _at, constants: before.then(constants[0]),
    "RealDiv": _quotient,
    "Sub": _difference,
}
