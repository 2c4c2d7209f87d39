"""Writes a tfjs graph model: ``model.json`` and its weight files.

``model.json`` holds ``format``, ``generatedBy``, ``convertedBy``, ``signature``,
``userDefinedMetadata``, ``modelTopology``, ``modelInitializer`` (if there are hash tables) and
``weightsManifest``. The topology is a GraphDef in protobuf's JSON form: 64-bit integers and bytes
(base64) are strings, enums their names, fields with their default value are absent except in
attributes. A weight is called like its Const, whose values are only in the manifest. The order of
the signature's keys is the order of ``model.inputs`` and ``model.outputs``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from tfjs_codec import __version__
from tfjs_codec.files.stage import Stage
from tfjs_codec.files.tf_dtypes import enum_name
from tfjs_codec.ir.graph import Func, Graph, Node, Shape, Tensor, sort_nodes
from tfjs_codec.ir.json_types import Json, JsonObject, compact, plain_float
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import OUTPUT_KEYS
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.options import ConvertOptions
from tfjs_codec.progress import Progress
from tfjs_codec.writers.quantize_choice import Choice
from tfjs_codec.writers.weights import (
    Plan,
    Written,
    plan_weights,
    write_index,
    write_weights,
)

_PRODUCER = 1882  # GraphDef version of TensorFlow 2.19; tfjs wants one, and reads none of it


def plan(
    graph: Graph, options: ConvertOptions, choice: Choice, source: Iterable[Weight] = ()
) -> Plan:
    """Decide which weight goes where, from names, shapes and dtypes.

    Quantised weights of *source* that are constants of *graph* stay as they are stored.
    """
    stored = {id(weight.tensor): weight.quantized for weight in source}
    weights = [
        Weight(name, tensor, stored.get(id(tensor))) for name, tensor in constants(graph).items()
    ]
    groups: list[list[Weight]]
    if options.split_weights_by_layer:
        scopes: dict[str, list[Weight]] = {}
        for weight in weights:
            scopes.setdefault(weight.name.rpartition("/")[0], []).append(weight)
        groups = list(scopes.values())
    else:
        groups = [weights]
    return plan_weights(groups or [[]], options, choice)


def write(
    graph: Graph,
    planned: Plan,
    stage: Stage,
    options: ConvertOptions,
    progress: Progress | None = None,
) -> Written:
    """Write *graph*, which *planned* was made of, into *stage*, the weights first.

    Raises:
        UsageError, OutputError, InputError: See :func:`tfjs_codec.writers.weights.write_weights`.
    """
    manifest, written = write_weights(planned, stage, progress)
    if written.metadata:
        options = replace(options, metadata={**(options.metadata or {}), **written.metadata})
    write_index(index_json(graph, manifest, options), stage, written)
    return written


def index_json(graph: Graph, manifest: Sequence[Json], options: ConvertOptions) -> bytes:
    """Return the bytes of ``model.json``: ASCII, without white space, same input same bytes."""
    content: JsonObject = {
        "format": "graph-model",
        "generatedBy": graph.version or None,
        "convertedBy": f"tfjs_codec {__version__}",
        "signature": {
            "inputs": {key: _tensor_info(tensor) for key, tensor in graph.inputs.items()},
            "outputs": {key: _tensor_info(tensor) for key, tensor in graph.outputs.items()},
        },
    }
    metadata = dict(options.metadata or {})
    if options.structured_outputs:
        metadata[OUTPUT_KEYS] = list(graph.outputs)
    if metadata:
        content["userDefinedMetadata"] = metadata
    content["modelTopology"] = _graph_def(sort_nodes(graph.nodes))
    if graph.initializer:
        content["modelInitializer"] = _graph_def(graph.initializer.values())
    content["weightsManifest"] = list(manifest)
    return compact(content).encode("ascii")


def constants(graph: Graph) -> dict[str, LazyTensor]:
    """Return all weights by name in the order in which they are written."""
    nodes = (*sort_nodes(graph.nodes), *graph.initializer.values())
    return {node.name: node.value for node in nodes if node.op == "Const"}


def _graph_def(nodes: Iterable[Node]) -> JsonObject:
    return {"node": [_node(node) for node in nodes], "versions": {"producer": _PRODUCER}}


def _node(node: Node) -> JsonObject:
    described: JsonObject = {"name": node.name, "op": node.op}
    if node.inputs:
        described["input"] = [str(ref) for ref in node.inputs]
    attrs: dict[str, JsonObject] = {key: _attr(node.attrs[key]) for key in sorted(node.attrs)}
    if node.op == "Const":
        shape = _shape(Shape(node.value.shape))
        attrs["value"] = {"tensor": {"dtype": attrs["dtype"]["type"], "tensorShape": shape}}
    if attrs:
        described["attr"] = attrs
    return described


def _attr(value: object) -> JsonObject:
    """Return an attribute as an AttrValue, see :mod:`tfjs_codec.ir.graph` for the types."""
    if type(value) is tuple:
        listed: dict[str, list[Json]] = {}
        for item in value:
            key, form = _form(item)
            listed.setdefault(key, []).append(form(item))
        return {"list": listed}
    key, form = _form(value)
    return {key: form(value)}


def _form(value: object) -> tuple[str, Callable[..., Json]]:
    kind = type(value)
    return _FORMS.get(kind) or next(_FORMS[each] for each in kind.__mro__ if each in _FORMS)


def _shape(shape: Shape) -> JsonObject:
    if shape.dims is None:
        return {"unknownRank": True}
    return {"dim": [{"size": str(size)} for size in shape.dims]} if shape.dims else {}


@lru_cache(256)  # a model has few words, and each of them often
def _encode(text: bytes) -> str:
    return base64.b64encode(text).decode()


def _tensor_info(tensor: Tensor) -> JsonObject:
    return {
        "name": f"{tensor.ref.node}:{tensor.ref.output}",
        "dtype": enum_name(tensor.dtype),
        "tensorShape": _shape(tensor.shape),
    }


# By the Python type of the value: the field of AttrValue, and how to write it.
_FORMS: dict[type, tuple[str, Callable[..., Json]]] = {
    bool: ("b", bool),
    int: ("i", str),
    float: ("f", plain_float),
    bytes: ("s", _encode),
    str: ("type", enum_name),
    Shape: ("shape", _shape),
    Func: ("func", lambda value: {"name": value.name}),
    LazyTensor: ("tensor", lambda tensor: {"tensorShape": _shape(Shape(tensor.shape))}),
}
