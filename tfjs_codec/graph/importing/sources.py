"""Where graphs come from: SavedModel directories, the same in a tar archive, frozen GraphDefs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfjs_codec import pb
from tfjs_codec.errors import UnknownFormatError, UnsupportedModelError, UsageError, quote
from tfjs_codec.files.source import Source, graph_kind, open_source, sniff, unknown_format
from tfjs_codec.files.tarball import unpacked_saved_model
from tfjs_codec.graph.importing import saved_model
from tfjs_codec.graph.importing.graph_def import GraphReader
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor, consumers, reachable
from tfjs_codec.options import ConvertOptions
from tfjs_codec.tfjs.graph_ops import op_def

_INPUTS = frozenset(("Placeholder", "PlaceholderWithDefault"))
_LISTED = 10


def read(source: Any, options: ConvertOptions, stack: ExitStack) -> tuple[str, Graph]:
    """Return what *source* is called and its graph, whose values can be read until *stack* ends.

    Raises:
        InputError: The source is damaged, unsafe, or holds no TensorFlow graph.
        UsageError: The options name a signature or output that does not exist, or none where
            there are several.
    """
    opened = open_source(source)
    kind = graph_kind(opened)
    if kind == "graph_def":
        return "tf-frozen-graph", _frozen(opened, options)
    if not kind:
        if sniff(opened) == "unknown" or opened.is_dir:
            raise unknown_format(opened)
        raise UnsupportedModelError(
            "a graph model is made from TensorFlow's graphs, and this file holds none",
            path=opened.path, hint="Leave out --to graph: it becomes a Layers model.",
        )  # fmt: skip
    if options.output_node_names:
        raise UsageError(
            "a SavedModel's outputs are those of its signature", path=opened.path,
            hint="--output-node-names is for frozen graphs; choose with --signature-name.",
        )  # fmt: skip
    path = Path(opened.path)
    if kind == "tar":
        path = stack.enter_context(unpacked_saved_model(opened, options.limits))
    graph = saved_model.read(
        path,
        tags=options.tags,
        signature_name=options.signature_name,
        verify=options.verify_checksums,
        limits=options.limits,
    )
    return "tf-saved-model", replace(graph, path=opened.path)


def _frozen(source: Source, options: ConvertOptions) -> Graph:
    message = pb.parse("GraphDef", source.read("pb_bytes", options.limits), path=source.path)
    reader = GraphReader(source.path, limits=options.limits)
    nodes = reader.nodes(message.node)
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
    return Graph(nodes, inputs, outputs, functions=functions, path=source.path)


def _output(nodes: dict[str, Node], name: str, path: str) -> Tensor:
    node, _, number = name.rpartition(":") if name not in nodes else (name, "", "")
    if node not in nodes or not (number or "0").isdecimal():
        raise UsageError(
            f"the graph has no node {quote(name)}", path=path,
            hint=f"Nodes that nothing follows: {_named(_candidates(nodes))}.",
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
        hint=f"Name it with --output-node-names; nothing follows {_named(found)}.",
    )  # fmt: skip


def _candidates(nodes: dict[str, Node]) -> list[str]:
    users = consumers(nodes)
    return [name for name, node in nodes.items() if node.inputs and not users[name]]


def _named(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _LISTED else ""
    return ", ".join(map(quote, names[:_LISTED])) + more
