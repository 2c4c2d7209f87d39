"""SavedModels: a graph, the variables in it, and the layers that own them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tfjs_codec.conversion.destinations import Files, publish
from tfjs_codec.conversion.expression import express_keras
from tfjs_codec.conversion.job import KERAS_GRAPH, Job
from tfjs_codec.conversion.replacements import rename_layers, replace_layers
from tfjs_codec.errors import UnsupportedModelError, quote
from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.graph.keep_variables import keep_variables
from tfjs_codec.graph.tensorflow import restore
from tfjs_codec.ir.loaded import (
    KerasModel,
    Loaded,
    TensorFlowGraph,
    TfjsGraph,
    TfjsLayers,
    Weights,
)
from tfjs_codec.keras.variables import graph_slots
from tfjs_codec.operations.target import trace
from tfjs_codec.report import Report
from tfjs_codec.writers import saved_model
from tfjs_codec.writers.keras_objects import add_model
from tfjs_codec.writers.object_graph import Objects

if TYPE_CHECKING:
    from tfjs_codec.files.sink import Stage
    from tfjs_codec.ir.graph import Graph
    from tfjs_codec.operations.target import Traced
    from tfjs_codec.options import ConvertOptions
    from tfjs_codec.writers.saved_model import Plan

_SAID = 3  # problems that a warning repeats
_CONSTANTS = "_constants"  # the attribute of the root that holds variables that no layer has


def write_saved_model(job: Job, model: Loaded) -> Report:
    """Write the signature of *model* and, if tf_keras has the same layers, these."""
    heeded = () if isinstance(model, TfjsGraph) else KERAS_GRAPH
    job.check_heeded("a SavedModel", *heeded, "shard_size_bytes")
    match model:
        case TfjsGraph():
            graph = _name_outputs(parse(model), model)
            planned = _plan_graph(graph, job.options)
            optional = tuple(
                f"input {quote(key)} has a default value in tfjs; a signature must be given it"
                for key, tensor in graph.inputs.items()
                if graph.nodes[tensor.ref.node].op == "PlaceholderWithDefault"
            )
            report = Report(model.path, "", model.format, warnings=optional)
        case KerasModel() | TfjsLayers():
            planned, report = _plan_model(model, job)
        case TensorFlowGraph():
            planned, report = _plan_model(model.layers(), job)
        case Weights():
            raise UnsupportedModelError("weights without an architecture", path=model.path)

    def write(stage: Stage) -> Files:
        return saved_model.write(planned, stage, job.progress)

    report = publish(job, report, planned.files, write, saved_model.saved_model_files)
    return replace(report, weights=planned.weights)


def _name_outputs(graph: Graph, model: TfjsGraph) -> Graph:
    """Return *graph* with the outputs called by the keys of the map that ``predict`` returns."""
    keys = (model.metadata or {}).get("structuredOutputKeys")
    if not isinstance(keys, list) or len(set(map(str, keys))) != len(graph.outputs):
        return graph
    return replace(graph, outputs=dict(zip(map(str, keys), graph.outputs.values(), strict=True)))


def _plan_model(model: KerasModel | TfjsLayers, job: Job) -> tuple[Plan, Report]:
    """Plan the SavedModel of a model with layers."""
    try:
        keras, report = express_keras(model, job)
        return _plan_keras(keras, job.options, layers=True)[0], report
    except UnsupportedModelError as error:
        refusal = error
    keras = model if isinstance(model, KerasModel) else job.read_back(model)
    keras = replace_layers(rename_layers(keras, job.options.rename), job)
    planned, graph = _plan_keras(keras, job.options, layers=False)
    reasons = "; ".join([refusal.what, *map(str, refusal.problems[:_SAID])])
    warning = f"without Keras layers, so that it can be run but not trained: {reasons}"
    return planned, Report(model.path, "", model.format, warnings=(warning, *graph.warnings))


def _plan_keras(keras: KerasModel, options: ConvertOptions, *, layers: bool) -> tuple[Plan, Graph]:
    """Plan the SavedModel of *keras*; return the graph, too, for its warnings.

    Signatures are those of Keras's ``model.export()``: inputs are called as their layers, outputs
    ``output_0``, …, or both by the keys of a dict.

    Args:
        keras: The model.
        options: Those of the conversion.
        layers: Add what tf_keras makes the layers of again, which must all be in Keras 2.

    Raises:
        UnsupportedModelError: TensorFlow's operations cannot express it.
    """
    traced = trace(
        keras, outputs=options.outputs or (), allow_approximate=options.allow_approximate,
        limits=options.limits,
    )  # fmt: skip
    named = (bool(keras.graph.input_keys), bool(keras.graph.output_keys or options.outputs))
    if not named[1]:
        outputs = {f"output_{i}": one for i, one in enumerate(traced.graph.outputs.values())}
        traced = traced._replace(graph=replace(traced.graph, outputs=outputs))
    graph = keep_variables(restore(traced.graph), traced.weights)
    if layers:
        objects, metadata, numbers = add_model(keras.graph, traced.shapes)
    else:
        objects, metadata = Objects(), None
        numbers = _add_weights(objects, keras, traced)
    captured = _capture(graph, objects, {
        name: numbers[id(tensor)] for name, tensor in traced.weights.items()
    })  # fmt: skip
    return _plan(graph, objects, captured, options, named, metadata), graph


def _plan_graph(graph: Graph, options: ConvertOptions) -> Plan:
    """Plan the SavedModel of *graph*, which was read from a tfjs graph model."""
    graph = keep_variables(restore(graph))
    objects = Objects()
    captured = _capture(graph, objects, {})
    objects.listed(0, "variables", captured.values())
    return _plan(graph, objects, captured, options, (False, True), None)


def _plan(
    graph: Graph, objects: Objects, captured: Mapping[str, int], options: ConvertOptions,
    named: tuple[bool, bool], metadata: object,
) -> Plan:  # fmt: skip
    size = options.shard_size_bytes if "shard_size_bytes" in options.chosen else None
    return saved_model.plan(
        graph, objects, captured, named=named, metadata=metadata, shard_size_bytes=size
    )


def _add_weights(objects: Objects, keras: KerasModel, traced: Traced) -> dict[int, int]:
    """Add the variables that the graph reads; return their numbers by identity of the tensors."""
    used = {id(tensor): traced.graph.nodes[name].value for name, tensor in traced.weights.items()}
    numbers: dict[int, int] = {}
    trained, others = list[int](), list[int]()
    for slot in graph_slots(keras.graph, keras.generation):
        for role in slot.layer.weights if slot.role == "*" else (slot.role,):
            key = id(slot.layer.weights.get(role))
            if key not in used or key in numbers:
                continue
            trainable = slot.trained and not slot.frozen
            name = f"{slot.layer.name}/{role}"
            numbers[key] = objects.variable(name, used[key], trainable=trainable)
            (trained if trainable else others).append(numbers[key])
    objects.listed(0, "variables", numbers.values())
    objects.listed(0, "trainable_variables", trained)
    objects.listed(0, "non_trainable_variables", others)
    return numbers


def _capture(graph: Graph, objects: Objects, weights: Mapping[str, int]) -> dict[str, int]:
    """Return the numbers of the variables of *graph* by their handles; add those of no layer.

    *weights* are the numbers of those that layers have, by the names of the nodes that read them.
    """
    captured: dict[str, int] = {}
    for node in graph.nodes.values():
        if node.op == "ReadVariableOp" and node.name in weights:
            captured[node.inputs[0].node] = weights[node.name]
    made = {
        name: objects.variable(name, tensor, trainable=False)
        for name, tensor in graph.variables.items()
        if name not in captured
    }
    if made:
        objects.listed(0, _CONSTANTS, made.values())
    return {name: {**captured, **made}[name] for name in graph.variables}
