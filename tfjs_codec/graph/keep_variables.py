"""Puts Consts into variables, as TensorFlow keeps the weights of models."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from tfjs_codec.files.tf_dtypes import dtype_of_numpy
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, fresh_names

_SMALL = 1024  # elements of a Const that is no weight


def keep_variables(graph: Graph, weights: Container[str] = ()) -> Graph:
    """Return *graph* with the Consts *weights*, and all large ones, as variables.

    A Const becomes the ReadVariableOp of the same name, of a VarHandleOp. What is large does not
    fit into a GraphDef, which is less than 2 GiB and read at once.
    """
    names = fresh_names(graph)
    nodes, variables = dict(graph.nodes), dict(graph.variables)
    for node in graph.nodes.values():
        if node.op != "Const" or not (node.name in weights or _is_large(node)):
            continue
        dtype, shape = node.attrs["dtype"], Shape(node.value.shape)
        if dtype != dtype_of_numpy(node.value.dtype):
            continue  # of a tfjs model, whose values are 32 bits wide
        handle = Node(
            names.fresh(f"{node.name}/variable"), "VarHandleOp",
            attrs={"dtype": dtype, "shape": shape},
        )  # fmt: skip
        nodes[handle.name] = handle
        nodes[node.name] = Node(node.name, "ReadVariableOp", (Ref(handle.name),), {"dtype": dtype})
        variables[handle.name] = node.value
    return replace(graph, nodes=nodes, variables=variables)


def _is_large(node: Node) -> bool:
    return node.value.size > _SMALL and node.attrs["dtype"] != "string"
