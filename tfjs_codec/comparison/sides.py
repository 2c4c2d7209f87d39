"""What ``diff`` compares: two models brought to the same level, as layers and tensors by name.

Two Keras models are compared as Keras models. If one is a tfjs Layers model, the other one is
lowered first, so that a source and what it was converted to are equal; else the tfjs model is taken
back to Keras. Likewise for a TensorFlow graph and a tfjs graph model. Everything else has only its
tensors in common.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tfjs_codec.back.names import legal
from tfjs_codec.conversion.expression import express_graph, express_keras, express_layers
from tfjs_codec.conversion.job import Job
from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.files.place import Place
from tfjs_codec.ir.json_types import Json
from tfjs_codec.ir.keras import KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.layers import LayersGraph, TfjsLayer, Weight, scopes
from tfjs_codec.ir.loaded import KerasModel, Loaded, TensorFlowGraph, TfjsGraph, TfjsLayers
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.tfjs.classes import DEFAULTS, DEFAULTS_OF, TFJS_CLASSES
from tfjs_codec.tfjs.graph_topology import nodes_of
from tfjs_codec.tfjs.inference import WRAPPERS, Shapes, infer
from tfjs_codec.tfjs.names import target_name
from tfjs_codec.tfjs.topology import read_topology
from tfjs_codec.writers.tfjs_graph import constants, index_json

_TRAINING = ("_initializer", "_regularizer", "_constraint")  # ends of keys predicting ignores


@dataclass(frozen=True, slots=True)
class Described:
    """A layer or node: its class, its config, and what it is called on, as what JSON has."""

    class_name: str
    config: Mapping[str, Any]
    inputs: Any


@dataclass(slots=True)
class Side:
    """One of the two models. ``level`` is ``keras``, ``layers``, ``graph`` or ``weights``.

    ``generation`` is that of a Keras model: others have other keys in their configs.
    """

    path: str
    format: str
    level: str
    generation: int = 0
    layers: dict[str, Described] = field(default_factory=dict)
    tensors: dict[str, LazyTensor] = field(default_factory=dict)


def two_sides(a: Loaded, b: Loaded, job: Job) -> tuple[Side, Side]:
    """Return both models on the first level on which their layers have the same names.

    Without such a level they are compared on the last one that both have.
    """
    levels: list[Callable[[Loaded, Job], Side | None]] = [_keras]
    if any(isinstance(model, TfjsGraph) for model in (a, b)):
        levels = [_graph]
    elif any(isinstance(model, TfjsLayers) for model in (a, b)):
        levels = [_layers, _back, _portable]
    sides = None
    for level in levels:
        left, right = level(a, job), level(b, job)
        if left is not None and right is not None:
            sides = left, right
            if left.layers.keys() == right.layers.keys():
                break
    return sides or (_bare(a), _bare(b))


# ---------------------------------------------------------------------------------------- levels


def _keras(model: Loaded, job: Job) -> Side | None:  # noqa: ARG001  as the other levels
    if isinstance(model, TensorFlowGraph):
        model = model.layers_or_weights()
    if not isinstance(model, KerasModel):
        return None
    layers = dict(_keras_layers(model.graph, ""))
    weights = model.named_weights()
    return Side(model.path, model.format, "keras", model.generation, layers, weights)


def _keras_layers(graph: KerasGraph, prefix: str) -> Iterator[tuple[str, Described]]:
    for layer in graph.layers:
        yield from _keras_layer(layer, f"{prefix}{layer.name}")


def _keras_layer(layer: KerasLayer, path: str) -> Iterator[tuple[str, Described]]:
    config = {
        key: plain(value)
        for key, value in layer.config.items()
        if key != "name" and not key.endswith(_TRAINING)
    }
    config["trainable"] = layer.trainable  # Keras's default is True
    inputs = [plain([call.args, call.kwargs]) for call in layer.calls]
    yield path, Described(layer.registered_name or layer.class_name, config, inputs)
    if layer.graph is not None:
        yield from _keras_layers(layer.graph, f"{path}/")
        return
    for child in layer.children.values():
        yield from _keras_layer(child, f"{path}/{child.name}")


def _layers(model: Loaded, job: Job) -> Side | None:
    """The Layers model that *model* is or becomes; None if it has no architecture of its own."""
    if isinstance(model, TfjsLayers):
        layers: Loaded = model
    else:
        try:
            layers, _ = express_layers(model, job)
        except UnsupportedModelError:
            return None
    if not isinstance(layers, TfjsLayers):
        return None
    graph = read_topology(layers.topology, Place(model.path, "modelTopology"))
    tensors = _tfjs_tensors(graph, layers.model_weights)
    described = dict(_tfjs_layers(graph, "", infer(graph)))
    return Side(model.path, model.format, "layers", 0, described, tensors)


def _back(model: Loaded, job: Job) -> Side | None:
    """The Keras model that *model* is or becomes; None if it becomes none.

    The way back makes one layer of compositions that the lowering may write otherwise, or not at
    all.
    """
    if not isinstance(model, TfjsLayers):
        return _keras(model, job)
    try:
        keras, _ = express_keras(model, job)
    except UnsupportedModelError:
        return None
    made = _keras(keras, job)  # its configs lack defaults
    return made and replace(made, path=model.path, format=model.format, generation=0)


def _portable(model: Loaded, job: Job) -> Side | None:
    """As :func:`_layers`, with names as the way back writes them: without ``/`` and ``.``."""
    side = _layers(model, job)
    if side is None:
        return None
    layers = {
        legal(path): Described(
            one.class_name, one.config, [[legal(ref) for ref in call] for call in one.inputs]
        )
        for path, one in side.layers.items()
    }
    tensors = {}
    for name, tensor in side.tensors.items():
        scope, _, short = name.rpartition("/")
        tensors[f"{legal(scope)}/{short}"] = tensor
    if len(layers) != len(side.layers) or len(tensors) != len(side.tensors):
        return side
    return replace(side, layers=layers, tensors=tensors)


def _tfjs_tensors(graph: LayersGraph, weights: Iterable[Weight]) -> dict[str, LazyTensor]:
    """Return the weights by the names of tfjs's variables."""
    variables = infer(graph).variables
    names = {
        f"{scope}/{short}"
        for layer in graph.layers
        for scope, owner in scopes(layer)
        for short in variables.get(id(owner), ())
    }
    return {target_name(weight.name, names) or weight.name: weight.tensor for weight in weights}


def _tfjs_layers(
    graph: LayersGraph, prefix: str, shapes: Shapes
) -> Iterator[tuple[str, Described]]:
    first = graph.layers[0] if graph.sequential and graph.layers else None
    shape = first.config.get("batch_input_shape") if first is not None else None
    if first is not None and shape is not None and first.class_name != "InputLayer":
        # tfjs makes the layer
        config = {"batch_input_shape": shape, "dtype": first.config.get("dtype", "float32")}
        made = TfjsLayer(f"{first.name}_input", "InputLayer", config)
        yield from _tfjs_layer(made, f"{prefix}{made.name}", shapes)
    for layer in graph.layers:
        yield from _tfjs_layer(layer, f"{prefix}{layer.name}", shapes)


def _tfjs_layer(layer: TfjsLayer, path: str, shapes: Shapes) -> Iterator[tuple[str, Described]]:
    row = TFJS_CLASSES.get(layer.class_name) or WRAPPERS.get(layer.class_name)
    keys = tuple(layer.config) if row is None else row.keys
    defaults = {**DEFAULTS, **DEFAULTS_OF.get(layer.class_name, {})}
    config = {key: defaults.get(key) for key in keys if not key.endswith(_TRAINING)}
    config |= {key: layer.config[key] for key in config.keys() & layer.config.keys()}
    if "axis" in config:
        outputs = shapes.outputs.get(id(layer))
        config["axis"] = _count_axes(config["axis"], len(outputs[0]) if outputs else None)
    class_name = "Functional" if layer.class_name == "Model" else layer.class_name
    inputs = [[f"{ref.layer}:{ref.call}:{ref.tensor}" for ref in call] for call in layer.calls]
    yield path, Described(class_name, config, inputs)
    if layer.graph is not None:
        yield from _tfjs_layers(layer.graph, f"{path}/", shapes)
    for one in layer.owned:
        yield from _tfjs_layer(one, f"{path}/{one.name}", shapes)


def _count_axes(axis: Json, rank: int | None) -> Json:
    """Return *axis* as one number if it is one, counted from the first axis."""
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if isinstance(axis, list):
        return [_count_axes(one, rank) for one in axis]
    return axis % rank if rank and isinstance(axis, int) else axis


def _graph(model: Loaded, job: Job) -> Side | None:
    """The graph model that *model* is or becomes; None if it has no graph."""
    if isinstance(model, TfjsGraph):
        topology, tensors = model.topology, model.named_weights()
    elif isinstance(model, TensorFlowGraph):
        graph = express_graph(model, job)
        topology = json.loads(index_json(graph, [], job.options))["modelTopology"]
        tensors = constants(graph)
    else:
        return None
    layers = {
        str(node.get("name")): Described(
            str(node.get("op")), _mapping(node.get("attr")), node.get("input") or []
        )
        for node in nodes_of(topology)
    }
    return Side(model.path, model.format, "graph", 0, layers, tensors)


def _bare(model: Loaded) -> Side:
    """All tensors, by names that do not depend on the container as far as possible."""
    if isinstance(model, TensorFlowGraph):
        model = model.layers_or_weights()
    tensors = model.named_weights()
    names = {name: _short(name) for name in tensors}
    if len(set(names.values())) == len(names):
        tensors = {names[name]: tensor for name, tensor in tensors.items()}
    return Side(model.path, model.format, "weights", 0, {}, tensors)


def _short(name: str) -> str:
    """Drop TensorFlow's output number and parts that repeat: ``d/d/kernel:0`` is ``d/kernel``."""
    parts = name.removesuffix(":0").split("/")
    return "/".join(part for i, part in enumerate(parts) if i == 0 or part != parts[i - 1])


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def plain(value: Any) -> Any:
    """Return *value* as lists, dicts and scalars, which can be compared."""
    if isinstance(value, Ref):
        return f"{value.layer}:{value.call}:{value.tensor}"
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
