"""Which weights of a model are kernels or embeddings: nearly all of its bytes.

Inputs are multiplied with them, or rows of them are looked up, so that the errors of many elements
average out. An error of a bias, a norm or a running statistic moves a whole channel, and they are
small.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.ir.graph import Graph, Node
from tfjs_codec.ir.layers import short_name
from tfjs_codec.ir.loaded import TfjsGraph, TfjsLayers, Weights
from tfjs_codec.tfjs.graph_ops import MOVING
from tfjs_codec.tfjs.variables import KERNELS

# The arguments of operations that are a kernel, or a table to look up rows in.
_ARGUMENTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul", "Einsum"), (0, 1)),
    **dict.fromkeys(("Conv2D", "Conv3D", "DepthwiseConv2dNative", "Dilation2D"), (1,)),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInput", "Conv3DBackpropInputV2"), (1,)),
    **dict.fromkeys(("_FusedConv2D", "_FusedMatMul", "FusedDepthwiseConv2dNative"), (1,)),
    **dict.fromkeys(("Gather", "GatherNd", "GatherV2"), (0,)),
    "SparseTensorDenseMatMul": (3,),
}
_LEAST_AXES = 2


def find_kernels(model: TfjsLayers | TfjsGraph | Weights | Graph) -> frozenset[str]:
    """Return the names of the weights of *model* that are kernels or embeddings.

    Layers tell it by the names of their variables, operations by their arguments. Mere weights
    belong to no class: those of at least two axes count.
    """
    match model:
        case TfjsLayers():
            names = [weight.name for weight in model.weights]
            return frozenset(name for name in names if short_name(name) in KERNELS)
        case Graph():
            return frozenset(_find_arguments(model))
        case TfjsGraph():
            return frozenset(_find_arguments(parse(model)))
        case Weights():
            shapes = {weight.name: weight.tensor.shape for weight in model.weights}
            return frozenset(name for name, shape in shapes.items() if len(shape) >= _LEAST_AXES)


def _find_arguments(graph: Graph) -> Iterator[str]:
    """Yield the constants whose values reach such an argument, also in other places or loops."""
    parts = (graph.nodes, *(function.nodes for function in graph.functions.values()))
    for nodes in parts:
        for node in nodes.values():
            for place in _ARGUMENTS.get(node.op, ()):
                if place < len(node.inputs):
                    yield from _constants(nodes, node.inputs[place].node)


def _constants(nodes: Mapping[str, Node], name: str) -> Iterator[str]:
    waiting, seen = [name], {name}
    while waiting:
        node = nodes.get(waiting.pop())
        if node is None:  # a file may say anything
            continue
        if node.op == "Const" and len(node.value.shape) >= _LEAST_AXES:
            yield node.name
        if node.op in MOVING:
            found = [ref.node for ref in node.inputs if ref.node not in seen]
            seen.update(found)
            waiting += found
