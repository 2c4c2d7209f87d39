"""Parses the graph in the ``model.json`` of a tfjs graph model.

The form is that of :mod:`tfjs_codec.writers.tfjs_graph`, and of the official converter: a GraphDef
in protobuf's JSON form, Consts whose values are in the weights manifest, and a signature. With
``control_flow_v2`` the official converter leaves functions in the ``library``; inside them an input
is ``argument`` or ``node:result:number``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.files.tf_dtypes import dtype_of_enum
from tfjs_codec.ir.graph import ARGUMENT, Func, Function, Graph, Node, Ref, Shape, Tensor, consumers
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
    topology: _Object = model.topology
    weights = model.named_weights()
    try:
        nodes = _nodes(topology.get("node", ()), weights, path)
        functions = [
            _function(each, weights, path)
            for each in (topology.get("library") or {}).get("function", ())
        ]
        signature = fields.get("signature") or metadata.get("signature") or {}
        inputs = {key: _tensor(info) for key, info in (signature.get("inputs") or {}).items()}
        outputs = {key: _tensor(info) for key, info in (signature.get("outputs") or {}).items()}
        graph = Graph(
            nodes,
            inputs or _loose(node for node in nodes.values() if node.op == "Placeholder"),
            outputs or _loose(nodes[name] for name, used in consumers(nodes).items() if not used),
            functions={each.name: each for each in functions},
            initializer=_nodes(
                (fields.get("modelInitializer") or {}).get("node", ()), weights, path
            ),
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


def _nodes(
    entries: Any, weights: Weights, path: str, arguments: Mapping[str, Node] | None = None
) -> dict[str, Node]:
    """Return the nodes by name; those of a function if there are *arguments*."""
    nodes = dict(arguments or {})
    for entry in entries:
        node = _node(entry, weights)
        if node.name in nodes:
            raise CorruptFileError(f"two nodes are called {quote(node.name)}", path=path)
        nodes[node.name] = node
    for entry in entries:
        name, inputs = entry["name"], entry.get("input", ())
        refs = tuple(
            _ref(text) if arguments is None else _function_ref(text, nodes)
            for text in inputs
            if not text.startswith("^")
        )
        _check(refs, nodes, path, f"node {quote(name)}")
        controls = tuple(text[1:] for text in inputs if text.startswith("^"))
        nodes[name] = replace(nodes[name], inputs=refs, controls=controls)
    return nodes


def _check(refs: Iterable[Ref], nodes: Mapping[str, Node], path: str, where: str) -> None:
    for ref in refs:
        if ref.node not in nodes:
            raise CorruptFileError(f"there is no node {quote(ref.node)}", path=path, where=where)


def _function(entry: _Object, weights: Weights, path: str) -> Function:
    signature = entry["signature"]
    name: str = signature["name"]
    arguments = {
        arg["name"]: Node(arg["name"], ARGUMENT, attrs={"T": dtype_of_enum(arg["type"])})
        for arg in signature.get("inputArg", ())
    }
    nodes = _nodes(entry.get("nodeDef", ()), weights, path, arguments)
    results = [entry["ret"][arg["name"]] for arg in signature.get("outputArg", ())]
    returns = tuple(_function_ref(text, nodes) for text in results)
    _check(returns, nodes, path, f"function {quote(name)}")
    return Function(name, tuple(arguments), returns, nodes)


def _node(entry: _Object, weights: Weights) -> Node:
    name, op = entry["name"], entry["op"]
    if not (isinstance(name, str) and isinstance(op, str)):
        raise TypeError(f"{name!r} of {op!r}: names and operations are texts")
    if op == "Const":  # the attribute ``value`` has the shape only
        dtype = _attr(entry["attr"]["dtype"])
        return Node(name, op, attrs={"dtype": dtype, "value": weights[name]})
    attrs = {key: _attr(value) for key, value in entry.get("attr", {}).items()}
    known = op_def(op)
    return Node(name, op, attrs={**known.defaults, **attrs} if known else attrs)


def _ref(text: str) -> Ref:
    node, _, number = text.partition(":")
    return Ref(node, int(number or 0))


def _function_ref(text: str, nodes: Mapping[str, Node]) -> Ref:
    name, _, rest = text.partition(":")
    if not rest or name not in nodes:
        return Ref(name)
    result, _, number = rest.partition(":")
    known = op_def(nodes[name].op)
    start = known.first_output(result, nodes[name].attrs) if known else None
    return Ref(name, (start or 0) + int(number or 0))


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
