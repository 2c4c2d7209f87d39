"""Parses the graph in the ``model.json`` of a tfjs graph model.

The form is that of :mod:`tfjs_codec.writers.tfjs_graph`, and of the official converter: a GraphDef
in protobuf's JSON form, Consts whose values are in the weights manifest, and a signature.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.files.tf_dtypes import dtype_of_enum
from tfjs_codec.ir.graph import Func, Graph, Node, Ref, Shape, Tensor, consumers
from tfjs_codec.ir.loaded import TfjsGraph
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.tfjs.graph_ops import op_def

Weights = Mapping[str, LazyTensor]
_Object = Mapping[str, Any]


def parse(model: TfjsGraph) -> Graph:
    """Return the graph of *model*.

    Without a signature the Placeholders go in, and what nobody takes comes out.

    Raises:
        CorruptFileError: A node, an attribute or the signature makes no sense.
    """
    path = model.path
    fields: _Object = model.fields
    metadata: _Object = model.metadata or {}
    weights = model.named_weights()
    try:
        nodes = _nodes(model.topology, weights, path)
        signature = fields.get("signature") or metadata.get("signature") or {}
        inputs = {key: _tensor(info) for key, info in (signature.get("inputs") or {}).items()}
        outputs = {key: _tensor(info) for key, info in (signature.get("outputs") or {}).items()}
        graph = Graph(
            nodes,
            inputs or _loose(node for node in nodes.values() if node.op == "Placeholder"),
            outputs or _loose(nodes[name] for name, used in consumers(nodes).items() if not used),
            initializer=_nodes(fields.get("modelInitializer") or {}, weights, path),
            path=path,
            version=model.generated_by or "",
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, CorruptFileError):
            raise
        raise CorruptFileError(
            f"the graph is not valid: {type(error).__name__} {quote(str(error))}",
            path=path,
            where="modelTopology",
        ) from error
    for tensor in (*graph.inputs.values(), *graph.outputs.values()):
        if tensor.ref.node not in nodes:
            raise CorruptFileError(
                f"there is no node {quote(tensor.ref.node)}", path=path, where="signature"
            )
    return graph


def _loose(nodes: Any) -> dict[str, Tensor]:
    return {
        node.name: Tensor(
            Ref(node.name), node.attrs.get("dtype", ""), node.attrs.get("shape", Shape())
        )
        for node in nodes
    }


def _nodes(graph: _Object, weights: Weights, path: str) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for entry in graph.get("node", ()):
        node = _node(entry, weights)
        if node.name in nodes:
            raise CorruptFileError(f"two nodes are called {quote(node.name)}", path=path)
        nodes[node.name] = node
    for node in nodes.values():
        for ref in node.inputs:
            if ref.node not in nodes:
                raise CorruptFileError(
                    f"there is no node {quote(ref.node)}",
                    path=path,
                    where=f"node {quote(node.name)}",
                )
    return nodes


def _node(entry: _Object, weights: Weights) -> Node:
    name, op = entry["name"], entry["op"]
    if op == "Const":  # the attribute ``value`` has the shape only
        dtype = _attr(entry["attr"]["dtype"])
        return Node(name, op, attrs={"dtype": dtype, "value": weights[name]})
    attrs = {key: _attr(value) for key, value in entry.get("attr", {}).items()}
    known = op_def(op)
    inputs = entry.get("input", ())
    return Node(
        name,
        op,
        tuple(_ref(each) for each in inputs if not each.startswith("^")),
        {**known.defaults, **attrs} if known else attrs,
        tuple(each[1:] for each in inputs if each.startswith("^")),
    )


def _ref(text: str) -> Ref:
    node, _, number = text.partition(":")
    return Ref(node, int(number or 0))


def _tensor(info: _Object) -> Tensor:
    shape = info.get("tensorShape")
    dtype = dtype_of_enum(info.get("dtype", ""))
    return Tensor(_ref(info["name"]), dtype, Shape() if shape is None else _shape(shape))


def _shape(shape: _Object) -> Shape:
    if shape.get("unknownRank"):
        return Shape()
    return Shape(tuple(int(dim.get("size", 0)) for dim in shape.get("dim", ())))


def _attr(value: _Object) -> Any:
    """Return an AttrValue as :mod:`tfjs_codec.ir.graph` has it."""
    if "list" in value:
        (found,) = [
            tuple(map(_FORMS[kind], items)) for kind, items in value["list"].items() if items
        ] or [()]
        return found
    ((kind, one),) = value.items()
    return _FORMS[kind](one)


_FORMS: Mapping[str, Callable[[Any], Any]] = {
    "b": bool,
    "i": int,
    "f": float,
    "s": base64.b64decode,
    "type": dtype_of_enum,
    "shape": _shape,
    "func": lambda value: Func(value["name"]),
}
