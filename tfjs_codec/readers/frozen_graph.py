"""Frozen GraphDefs: graphs whose variables are constants, and which do not name their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import NoReturn

from tfjs_codec import pb
from tfjs_codec.errors import (
    CorruptFileError,
    UnknownFormatError,
    UnsupportedModelError,
    UsageError,
    quote,
    suggest,
)
from tfjs_codec.files import strict_json
from tfjs_codec.files.place import Place
from tfjs_codec.files.source import OLD_MANIFEST, Source
from tfjs_codec.files.tensor_proto import is_blank
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor, consumers, reachable
from tfjs_codec.ir.loaded import TensorFlowGraph
from tfjs_codec.limits import Limits
from tfjs_codec.options import ConvertOptions
from tfjs_codec.pb import messages
from tfjs_codec.readers.graph_def import GraphReader
from tfjs_codec.readers.manifest import read_manifest
from tfjs_codec.readers.signatures import warn_of_order
from tfjs_codec.tfjs.graph_ops import op_def

_INPUTS = frozenset(("Placeholder", "PlaceholderWithDefault"))
_LISTED = 10


def read(source: Source, options: ConvertOptions) -> TensorFlowGraph:
    """Return the graph in *source*; it is parsed when it is asked for."""

    def refuse() -> NoReturn:
        raise UnsupportedModelError(
            "a TensorFlow graph, which has no Keras layers", path=source.path,
            hint="Convert it to a graph model: --to graph.",
        )  # fmt: skip

    @cache
    def graph() -> Graph:
        return read_graph(source, options)

    return TensorFlowGraph(source.path, "tf-frozen-graph", graph, refuse, refuse, tuple)


def read_graph(source: Source, options: ConvertOptions) -> Graph:
    """Return the graph in *source*.

    Raises:
        UsageError: The options name an output that does not exist, or none where there are several.
        InputError: The source is damaged.
    """
    message = pb.parse(messages.GraphDef, source.read("pb_bytes", options.limits), path=source.path)
    reader = GraphReader(source.path, limits=options.limits)
    nodes = _with_values(reader.nodes(message), source, options.limits)
    if not nodes:
        raise UnknownFormatError("the file holds no graph", path=source.path)
    outputs = {
        name: _output(nodes, name, source.path)
        for name in options.output_node_names or _ends(nodes, source.path)
    }
    needed = reachable(nodes, [tensor.ref.node for tensor in outputs.values()])
    inputs = {
        name: Tensor(
            Ref(name), node.attrs.get("dtype", "float32"), node.attrs.get("shape", Shape())
        )
        for name, node in nodes.items()
        if node.op in _INPUTS and name in needed
    }
    functions = reader.functions(message.library)
    warnings = warn_of_order(inputs, outputs)
    return Graph(nodes, inputs, outputs, functions=functions, path=source.path, warnings=warnings)


def _with_values(nodes: dict[str, Node], source: Source, limits: Limits) -> dict[str, Node]:
    """Return *nodes* with the values of constants that a graph of TensorFlow.js 0.x lacks.

    They are in a weight manifest beside it. TensorFlow leaves out values only of constants that
    are all zeros, so a graph most of whose constants have none has lost them.

    Raises:
        UnsupportedModelError: The values are missing, and there is no manifest.
        CorruptFileError: The manifest does not fit the graph, or its files.
    """
    constants = [node for node in nodes.values() if node.op == "Const" and node.value.size > 1]
    empty = [node for node in constants if is_blank(node.value)]
    if 2 * len(empty) <= len(constants):
        return nodes
    folder = source.folder
    if folder is None or OLD_MANIFEST not in folder:
        raise UnsupportedModelError(
            f"{len(empty)} of {len(constants)} constants have no values",
            path=source.path, where=f"node {quote(empty[0].name)}",
            hint=f"A graph of TensorFlow.js 0.x needs its {OLD_MANIFEST} and shards beside it.",
        )  # fmt: skip
    manifest = folder.find(OLD_MANIFEST, path=source.path, limits=limits)
    content = strict_json.read(manifest, limits)
    weights = {w.name: w for w in read_manifest(content, folder, Place(manifest.path), limits)}
    filled = dict(nodes)
    for node in nodes.values():
        if node.op != "Const" or (node.name not in weights and not is_blank(node.value)):
            continue
        weight = weights.get(node.name)
        if weight is None or weight.tensor.shape != node.value.shape:
            found = "no weight" if weight is None else f"shape {list(weight.tensor.shape)}"
            raise CorruptFileError(
                f"expected a weight {quote(node.name)} of shape {list(node.value.shape)}, "
                f"found {found}",
                path=manifest.path,
            )
        filled[node.name] = replace(node, attrs={**node.attrs, "value": weight.tensor})
    return filled


def _output(nodes: dict[str, Node], name: str, path: str) -> Tensor:
    node, _, number = name.rpartition(":") if name not in nodes else (name, "", "")
    if node not in nodes or not (number or "0").isdecimal():
        raise UsageError(
            f"the graph has no node {quote(name)}", path=path,
            hint=suggest(name, _candidates(nodes)),
        )  # fmt: skip
    ref = Ref(node, int(number or 0))
    known = op_def(nodes[node].op)
    dtypes = known.output_dtypes(nodes[node].attrs) if known else ()
    return Tensor(ref, dtypes[ref.output] if ref.output < len(dtypes) else "float32")


def _ends(nodes: dict[str, Node], path: str) -> list[str]:
    """Return the one node that nothing follows."""
    found = _candidates(nodes)
    if len(found) == 1:
        return found
    raise UsageError(
        "the graph does not say what it returns", path=path,
        hint=f"Name it with --output-node-names; nothing follows {_list_names(found)}.",
    )  # fmt: skip


def _candidates(nodes: dict[str, Node]) -> list[str]:
    users = consumers(nodes)
    return [name for name, node in nodes.items() if node.inputs and not users[name]]


def _list_names(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _LISTED else ""
    return ", ".join(map(quote, names[:_LISTED])) + more
