"""SavedModels: a graph, the variables in it, and the layers that own them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tfjs_codec.conversion.destinations import Files, publish
from tfjs_codec.conversion.expression import express_keras, trace_graph, without_architecture
from tfjs_codec.conversion.job import KERAS_GRAPH, Job
from tfjs_codec.conversion.replacements import rename_layers, replace_layers
from tfjs_codec.errors import UnsupportedModelError, quote
from tfjs_codec.graph.keep_variables import keep_variables
from tfjs_codec.graph.tensorflow import enter_loops, restore
from tfjs_codec.ir.graph import Names
from tfjs_codec.ir.keras import Call, KerasLayer, Ref
from tfjs_codec.ir.loaded import (
    KerasModel,
    Loaded,
    TensorFlowGraph,
    TfjsGraph,
    TfjsLayers,
    Weights,
)
from tfjs_codec.ir.references import refs_in
from tfjs_codec.keras.variables import graph_slots
from tfjs_codec.operations.target import trace
from tfjs_codec.pb import messages
from tfjs_codec.report import Report
from tfjs_codec.writers import saved_model
from tfjs_codec.writers.keras_config import KERAS_2, Writer
from tfjs_codec.writers.keras_objects import add_model
from tfjs_codec.writers.object_graph import Objects
from tfjs_codec.writers.tf_keras_config import TfKerasWriter, has_layers

if TYPE_CHECKING:
    from tfjs_codec.files.stage import Stage
    from tfjs_codec.ir.graph import Graph
    from tfjs_codec.ir.tensors import LazyTensor
    from tfjs_codec.operations.target import Traced
    from tfjs_codec.options import ConvertOptions
    from tfjs_codec.writers.saved_model import Plan

_SIZES = ("shard_size_bytes",)
_LARGEST = 3.4e38  # of float32
_PRECISE = 1e4  # float32 rounds sums of larger numbers by more than 1e-3
_COMPARED = 1 << 16  # elements of constants whose values are compared
Parts: TypeAlias = "tuple[Objects, messages.SavedMetadata, dict[int, int]]"  # see add_model
_CONSTANTS = "_constants"  # the attribute of the root that holds variables that no layer has


def write_saved_model(job: Job, model: Loaded) -> Report:
    """Write the signature of *model* and, if tf_keras has the same layers, these."""
    match model:
        case TfjsGraph():
            from tfjs_codec.graph.importing.tfjs_graph import parse

            job.check_heeded("a SavedModel", *_SIZES)
            graph = _name_outputs(parse(model), model)
            planned = _plan_graph(restore(graph), job.options)
            report = Report(model.path, "", model.format, warnings=_optional(graph))
        case KerasModel() | TfjsLayers():
            planned, report = _plan_model(model, job)
        case TensorFlowGraph():
            planned, report = _plan_tensorflow(model, job)
        case Weights():
            raise without_architecture(model)

    def write(stage: Stage) -> Files:
        return saved_model.write(planned, stage, job.progress)

    report = publish(job, report, planned.files, write, saved_model.saved_model_files)
    return replace(report, weights=planned.weights)


def _plan_tensorflow(model: TensorFlowGraph, job: Job) -> tuple[Plan, Report]:
    """Plan the SavedModel of the layers of *model*, or of its graph if it has none to be written.

    Raises:
        UnsupportedModelError: It has neither.
        UsageError: As for :func:`trace_graph`.
    """
    warnings: tuple[str, ...] = ()
    if not job.options.signature_name:
        try:
            layers = model.layers()
        except UnsupportedModelError:
            layers = None
        try:
            if layers is not None:
                return _plan_model(layers, job)
        except UnsupportedModelError as error:
            warnings = (_without_layers(error),)
    from tfjs_codec.graph.passes import settle
    from tfjs_codec.readers.signatures import warn_of_order

    job.check_heeded("a SavedModel without layers", *_SIZES, "signature_name")
    read = trace_graph(model, job)
    graph = _move_channels_last(settle(read, job.options.limits))
    variables = set(map(id, read.variables.values()))
    weights = {
        name for name, node in graph.nodes.items()
        if node.op == "Const" and id(node.value) in variables
    }  # fmt: skip
    unordered = warn_of_order(graph.inputs, graph.outputs)  # a signature has names only
    warnings += (*_optional(graph), *(one for one in graph.warnings if one not in unordered))
    report = Report(model.path, "", model.format, warnings=warnings)
    return _plan_graph(enter_loops(graph), job.options, weights), report


def _move_channels_last(graph: Graph) -> Graph:
    """Return *graph* as processors and TFLite compute it, too, if all its operations can be."""
    from tfjs_codec.graph.rewrites.layout import move_channels_last

    moved = move_channels_last(graph)
    return graph if moved.problems else moved


def _optional(graph: Graph) -> tuple[str, ...]:
    return tuple(
        f"input {quote(key)} has a default value; tf.saved_model.load must be given it"
        for key, tensor in graph.inputs.items()
        if graph.nodes[tensor.ref.node].op == "PlaceholderWithDefault"
    )


def _without_layers(error: UnsupportedModelError) -> str:
    return f"without Keras layers, so that it can be run but not trained: {error.summary()}"


def _name_outputs(graph: Graph, model: TfjsGraph) -> Graph:
    """Return *graph* with the outputs called by the keys of the map that ``predict`` returns."""
    keys = model.output_keys
    if keys is None or len(set(keys)) != len(graph.outputs):
        return graph
    return replace(graph, outputs=dict(zip(keys, graph.outputs.values(), strict=True)))


def _plan_model(model: KerasModel | TfjsLayers, job: Job) -> tuple[Plan, Report]:
    """Plan the SavedModel of a model with layers.

    Signatures are those of Keras's ``model.export()``: inputs are called as their layers, outputs
    ``output_0``, …, or both by the keys of a dict.

    Raises:
        UnsupportedModelError: TensorFlow's operations cannot express it.
    """
    job.check_heeded("a SavedModel", *KERAS_GRAPH, *_SIZES)
    if isinstance(model, TfjsLayers):  # whose masks are those of tfjs
        keras, report = express_keras(model, job)
        keras = _shift_masks(keras)
    else:
        keras = replace_layers(rename_layers(model, job.options.rename), job)
        report = Report(model.path, "", model.format)
    traced = _trace(keras, job.options)
    named = (bool(keras.graph.input_keys), bool(keras.graph.output_keys or job.options.outputs))
    if not named[1]:
        outputs = {f"output_{i}": one for i, one in enumerate(traced.graph.outputs.values())}
        traced = traced._replace(graph=replace(traced.graph, outputs=outputs))
    said = dict.fromkeys((*report.warnings, *traced.graph.warnings))
    report = replace(report, warnings=tuple(said))
    try:
        found = _as_keras_2(keras, traced, job.options)
        if found is None:
            found, lowered = _as_layers(model, job)
            said = dict.fromkeys((*lowered.warnings, *traced.graph.warnings))
            report = replace(lowered, warnings=tuple(said))
        objects, metadata, numbers = found
    except UnsupportedModelError as error:
        report = replace(report, warnings=(_without_layers(error), *report.warnings))
        objects, metadata = Objects(), None
        numbers = _add_weights(objects, keras, traced)
    graph = keep_variables(restore(traced.graph), traced.weights)
    weights = {
        name: numbers[id(tensor)]
        for name, tensor in traced.weights.items()
        if id(tensor) in numbers
    }
    captured = _capture(graph, objects, weights)
    return _plan(graph, objects, captured, job.options, named, metadata), report


def _as_keras_2(keras: KerasModel, traced: Traced, options: ConvertOptions) -> Parts | None:
    """Return the objects of *keras* with every layer as it is; None if Keras 2 has not all of them.

    Whether Keras 2 computes the same tells the graph that it would become then.
    """
    if not has_layers(keras):
        return None
    try:
        graph = keras.graph.copy()
        for layer in graph.walk():  # written without arguments, of which mask=None means something
            layer.calls = [Call(call.args) for call in layer.calls]
        twin = replace(
            keras, graph=graph, generation=2, keras_version=KERAS_2, backend=None, warnings=()
        )
        older = _trace(twin, options.begin())
    except UnsupportedModelError:
        return None
    if not _is_same(older.graph, traced.graph):
        return None
    return add_model(keras.graph, traced.shapes, TfKerasWriter())


def _is_same(one: Graph, other: Graph) -> bool:
    """Tell whether two graphs have the same nodes; large constants are compared by their shapes."""
    if one.nodes.keys() != other.nodes.keys():
        return False
    for name, node in one.nodes.items():
        twin = other.nodes[name]
        if (node.op, node.inputs, node.attrs.keys()) != (twin.op, twin.inputs, twin.attrs.keys()):
            return False
        if node.op != "Const" and node.attrs != twin.attrs:
            return False
        if node.op == "Const" and not _is_same_value(node.value, twin.value):
            return False
    return True


def _is_same_value(one: LazyTensor, other: LazyTensor) -> bool:
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    if one is other or one.size > _COMPARED:
        return True
    return bool(np.array_equal(one.numpy(), other.numpy(), equal_nan=one.dtype.kind == "f"))


def _as_layers(model: KerasModel | TfjsLayers, job: Job) -> tuple[Parts, Report]:
    """Return the objects of *model* in layers of tfjs.

    Raises:
        UnsupportedModelError: It has none, or TensorFlow would compute otherwise.
    """
    layers, report = express_keras(model, job)
    layers = _shift_masks(layers)
    _check_scales(layers)
    shapes = _trace(layers, replace(job.options, outputs=None).begin()).shapes
    return add_model(layers.graph, shapes, Writer(2)), report


def _trace(keras: KerasModel, options: ConvertOptions) -> Traced:
    return trace(
        keras, outputs=options.outputs or (), allow_approximate=options.allow_approximate,
        limits=options.limits,
    )  # fmt: skip


def _shift_masks(keras: KerasModel) -> KerasModel:
    """Return *keras* with ``(x - 1) * scale`` in place of ``x * scale - scale``, if that is large.

    TensorFlow reorders sums: scores to which it is added to mask them would be added to
    ``x * scale`` first, where they are lost by rounding.
    """
    shifted = keras.graph.copy()
    for graph in shifted.graphs():
        names, layers = Names(layer.name for layer in graph.layers), list[KerasLayer]()
        for layer in graph.layers:
            scale, offset = layer.config.get("scale"), layer.config.get("offset")
            if (
                layer.class_name == "Rescaling"
                and isinstance(scale, int | float)
                and offset == -scale
                and abs(scale) > _PRECISE
            ):
                config = {**layer.config, "scale": 1.0, "offset": -1.0}
                name = names.fresh(f"{layer.name}_shift")
                layers.append(replace(layer, name=name, config=config))
                layer.calls = [Call((Ref(name, call, 0),)) for call in range(len(layer.calls))]
                layer.config["offset"] = 0.0
            layers.append(layer)
        graph.layers = layers
    return replace(keras, graph=shifted)


def _check_scales(keras: KerasModel) -> None:
    """Refuse layers that scale twice, beyond float32 if both are joined, as TensorFlow does.

    Comparisons are lowered so, which tfjs computes one after the other.
    """
    for graph in keras.graph.graphs():
        scales = {
            layer.name: float(np.abs(layer.config["scale"]).max(initial=0))
            for layer in graph.layers
            if layer.class_name == "Rescaling"
        }
        for layer in graph.layers:
            for ref in refs_in([call.args for call in layer.calls]):
                product = scales.get(layer.name, 0.0) * scales.get(ref.layer, 0.0)
                if product > _LARGEST:
                    raise UnsupportedModelError(
                        f"layer {quote(layer.name)} compares numbers in a way that TensorFlow "
                        "would optimise into another result", path=keras.path,
                    )  # fmt: skip


def _plan_graph(graph: Graph, options: ConvertOptions, weights: Collection[str] = ()) -> Plan:
    """Plan the SavedModel of *graph*, of TensorFlow's operations, which has no layers.

    Its Consts *weights*, and all large ones, become variables.
    """
    graph = keep_variables(graph, weights)
    objects = Objects()
    captured = _capture(graph, objects, {})
    objects.listed(0, "variables", captured.values())
    return _plan(graph, objects, captured, options, (False, True), None)


def _plan(
    graph: Graph, objects: Objects, captured: Mapping[str, int], options: ConvertOptions,
    named: tuple[bool, bool], metadata: messages.SavedMetadata | None,
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
