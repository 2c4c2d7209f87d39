"""Describes TensorFlow graphs: SavedModels by layers or variables, frozen ones by operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from tfjs_codec.conversion.expression import express_graph
from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import UnsupportedModelError, UsageError, quote
from tfjs_codec.graph.passes import run
from tfjs_codec.inspection.inspection import Inspection, show_shape
from tfjs_codec.inspection.keras import describe_model, describe_weights, tensor_info
from tfjs_codec.ir.graph import Graph, Tensor
from tfjs_codec.ir.loaded import TensorFlowGraph
from tfjs_codec.options import ConvertOptions


def describe(model: TensorFlowGraph, options: ConvertOptions) -> Inspection:
    """Return what is in *model*, and why it cannot be expressed, if it cannot.

    Raises:
        InputError: The source is damaged or unsafe.
    """
    try:
        found = describe_model(model.layers(), options)
    except UnsupportedModelError as error:
        problems = error.reasons()
        try:
            found = replace(describe_weights(model.weights()), problems=problems)
        except UnsupportedModelError:
            return _describe_operations(model, options)
    if found.problems:
        found = _explain_graph(found, model, options)
    try:
        return replace(found, facts=(*found.facts, *model.facts()))
    except UnsupportedModelError:  # which MetaGraph? The problems tell
        return found


def _explain_graph(
    found: Inspection, model: TensorFlowGraph, options: ConvertOptions
) -> Inspection:
    """Return *found*, a model without exact layers, with what ``convert`` makes of its graph."""
    with ExitStack() as stack:
        try:
            express_graph(model, Job(options, stack))
        except UsageError as error:  # it does not say what it returns
            return replace(found, warnings=(*found.warnings, f"{error.what}. {error.hint}"))
        except UnsupportedModelError as error:
            return replace(found, problems=(*found.problems, *error.reasons("graph")))
    why = f"it becomes a graph model, not a Layers model: {found.problems[0]}"
    return replace(found, problems=(), target="graph", warnings=(*found.warnings, why))


def _describe_operations(model: TensorFlowGraph, options: ConvertOptions) -> Inspection:
    try:
        graph = model.graph()
    except UsageError as error:  # it does not say what it returns
        return Inspection(model.path, model.format, warnings=(f"{error.what}. {error.hint}",))
    tensors = [
        tensor_info(node.name, node.value) for node in graph.nodes.values() if node.op == "Const"
    ]
    found = Inspection(
        model.path,
        model.format,
        tuple(_facts(graph)),
        tensors=tuple(tensors),
        warnings=graph.warnings,
    )
    try:
        run(graph, options.limits)
    except UnsupportedModelError as error:
        return replace(found, problems=error.problems)
    return replace(found, target="graph")


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
    return tensor.dtype if dims is None else f"{tensor.dtype} {show_shape(dims)}"
