"""Describes Keras models and named weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from tfjs_codec.conversion.expression import has_graph
from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import Problem, UnsupportedModelError
from tfjs_codec.files.bundle_tensors import BundleTensor
from tfjs_codec.inspection.inspection import Inspection, LayerInfo, TensorInfo
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.ir.loaded import KerasModel, Weights
from tfjs_codec.ir.references import refs_in
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.keras.variables import own_variables
from tfjs_codec.layers.engine.log import LoweringLog
from tfjs_codec.layers.lower import lower
from tfjs_codec.options import ConvertOptions


def describe_model(model: KerasModel, options: ConvertOptions) -> Inspection:
    """Return what is in *model*, and what a conversion to a Layers model does to it."""
    log, problems, hints = LoweringLog(), tuple[Problem, ...](), list[str]()
    try:
        lower(
            model,
            allow_approximate=options.allow_approximate,
            keep_training_config=options.training_config,
            limits=options.limits,
            log=log,
        )
    except UnsupportedModelError as error:
        problems = error.problems
        with ExitStack() as stack:
            if has_graph(model, Job(options, stack)):
                hints.append("it can become a graph model: --to graph")
    return Inspection(
        model.path,
        model.format,
        tuple(_facts(model)),
        _Layers(model.generation, log).graph(model.graph, ""),
        tuple(tensor_info(name, tensor) for name, tensor in model.named_weights().items()),
        problems,
        tuple(log.dropped),
        tuple(dict.fromkeys((*log.warnings, *hints))),
        "" if problems else "layers",
    )


def describe_weights(model: Weights) -> Inspection:
    """Return what is in *model*."""
    return Inspection(
        model.path,
        model.format,
        (("keras version", model.keras_version),) if model.keras_version else (),
        tensors=tuple(tensor_info(one.name, one.tensor) for one in model.weights),
        warnings=model.warnings,
        target="" if model.named_by == "checkpoint" else "weights",
    )


def _facts(model: KerasModel) -> Iterator[tuple[str, str]]:
    yield "model", model.graph.name
    if model.keras_version:
        yield "keras version", model.keras_version
    if model.backend:
        yield "backend", model.backend
    if model.training_config:
        yield "compiled", "yes"


def tensor_info(name: str, tensor: LazyTensor) -> TensorInfo:
    """Return what is known of *tensor* without its values."""
    is_text = tensor.dtype.kind == "O"
    dtype = "string" if is_text else tensor.dtype.name
    if isinstance(tensor, BundleTensor):
        stored = tensor.tf_dtype if tensor.tf_dtype != dtype else None
        return TensorInfo(name, tensor.shape, dtype, tensor.stored_bytes, stored)
    return TensorInfo(name, tensor.shape, dtype, None if is_text else tensor.nbytes)


class _Layers:
    """Describes layers, with what *log* tells of their shapes and lowering."""

    def __init__(self, generation: int, log: LoweringLog) -> None:
        self._generation = generation
        self._shapes = log.shapes
        self._becomes = {name: tuple(into) for name, _, into in reversed(log.lowered)}

    def graph(self, graph: KerasGraph, prefix: str) -> tuple[LayerInfo, ...]:
        return tuple(self.layer(layer, prefix) for layer in graph.layers)

    def layer(self, layer: KerasLayer, prefix: str) -> LayerInfo:
        path = f"{prefix}{layer.name}"
        if layer.graph is not None:
            inner = self.graph(layer.graph, f"{path}/")
        else:
            inner = tuple(self.layer(child, f"{path}/") for child in layer.children.values())
        variables = own_variables(layer, self._generation) or ()
        trained = {variable.role: variable.trainable for variable in variables}
        sizes = {role: tensor.size for role, tensor in layer.weights.items()}
        parameters = sum(sizes.values()) + sum(one.parameters for one in inner)
        frozen = sum(size for role, size in sizes.items() if not trained.get(role, True))
        frozen += sum(one.frozen for one in inner)
        shapes = self._shapes.get(path, [])
        if layer.class_name == "InputLayer" and isinstance(layer.config.get("batch_shape"), list):
            shapes = [tuple(layer.config["batch_shape"])]
        names = dict.fromkeys(ref.layer for call in layer.calls for ref in refs_in(list(call.args)))
        return LayerInfo(
            layer.name,
            layer.registered_name or layer.class_name,
            tuple(shapes),
            parameters,
            frozen if layer.trainable else parameters,
            tuple(names),
            inner,
            () if layer.graph is not None else self._becomes.get(path, ()),
            tuple(f"{path}/{role}" for role in layer.weights),
        )
