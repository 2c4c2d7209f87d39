"""Describes frozen TensorFlow graphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from tfjs_codec.errors import UnsupportedModelError, UsageError, quote
from tfjs_codec.files.source import Source
from tfjs_codec.graph.importing.sources import read
from tfjs_codec.graph.passes import run
from tfjs_codec.inspection.inspection import Inspection
from tfjs_codec.inspection.keras import tensor_info
from tfjs_codec.ir.graph import Graph, Tensor
from tfjs_codec.options import ConvertOptions


def describe(source: Source, options: ConvertOptions) -> Inspection:
    """Return what is in *source* and why tfjs cannot execute it, if it cannot.

    Raises:
        InputError: The source is damaged or unsafe.
    """
    with ExitStack() as stack:
        try:
            kind, graph = read(source, options, stack)
        except UsageError as error:  # it does not say what it returns
            return Inspection(
                source.path, "tf-frozen-graph", warnings=(f"{error.what}. {error.hint}",)
            )
        tensors = [
            tensor_info(node.name, node.value)
            for node in graph.nodes.values()
            if node.op == "Const"
        ]
        found = Inspection(
            source.path, kind, tuple(_facts(graph)), tensors=tuple(tensors), warnings=graph.warnings
        )
        try:
            run(graph, options.limits)
        except UnsupportedModelError as error:
            return replace(found, problems=error.problems)
        return found


def _facts(graph: Graph) -> Iterator[tuple[str, str]]:
    if graph.version:
        yield "tensorflow version", graph.version
    counts = Counter(node.op for node in graph.nodes.values())
    for function in graph.functions.values():
        counts.update(node.op for node in function.nodes.values())
    listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    yield "operations", ", ".join(f"{count} {op}" for op, count in listed)
    for kind, ends in (("input", graph.inputs), ("output", graph.outputs)):
        yield from ((f"{kind} {quote(key)}", _end(tensor)) for key, tensor in ends.items())


def _end(tensor: Tensor) -> str:
    dims = tensor.shape.dims
    if dims is None:
        return tensor.dtype
    return f"{tensor.dtype} [{', '.join('?' if size < 0 else str(size) for size in dims)}]"
