"""What ``diff`` compares: two models brought to the same level, as layers and tensors by name.

Two Keras models are compared as Keras models. If one is a tfjs Layers model, the other one is
lowered first, so that a source and what it was converted to are equal; likewise a TensorFlow graph
and a tfjs graph model. Everything else has only its tensors in common.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.files.place import Place
from tfjs_codec.files.source import graph_kind, open_source
from tfjs_codec.ir.keras import KerasGraph, KerasLayer, KerasModel, Ref
from tfjs_codec.ir.layers import TfjsGraph, TfjsLayer, Weight, scopes
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.lowered import lowered
from tfjs_codec.options import ConvertOptions
from tfjs_codec.readers import open_model
from tfjs_codec.readers.tfjs_layers import target_name
from tfjs_codec.tfjs.classes import TFJS_CLASSES
from tfjs_codec.tfjs.model_topology import infer, nodes_of, read_topology
from tfjs_codec.tfjs.topology import model_topology

AnySource = str | os.PathLike[str] | bytes | BinaryIO

# What tfjs reads of wrappers, and what it takes for keys that are not there.
_WRAPPERS = {
    "TimeDistributed": ("trainable",),
    "Bidirectional": ("merge_mode",),
    "RNN": ("return_sequences", "return_state", "go_backwards", "unroll", "stateful"),
}
_TFJS_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("return_sequences", "return_state", "go_backwards", "unroll"), False),
    **dict.fromkeys(("stateful", "mask_zero"), False),
    **dict.fromkeys(("use_bias", "center", "trainable"), True),
    "data_format": "channels_last",
    "padding": "valid",
    "merge_mode": "concat",
}
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


def two_sides(
    a: AnySource,
    b: AnySource,
    options: ConvertOptions,
    replacements: Mapping[str, AnySource],
    stack: ExitStack,
) -> tuple[Side, Side]:
    """Return both models on the first level that both have; readable until *stack* ends."""
    models = [_opened(source, options, stack) for source in (a, b)]
    has_graph = any(model.format == "tfjs-graph" for model in models)
    has_layers = any(model.format == "tfjs-layers" for model in models)
    makers: list[Callable[[AnySource, KerasModel], Side | None]] = [lambda _, model: _bare(model)]
    if has_graph:
        makers.insert(0, lambda source, model: _graph(source, model, options, stack))
    elif has_layers:

        def read(source: AnySource) -> KerasModel:
            return stack.enter_context(open_model(source, **options.reading))

        makers.insert(0, lambda _, model: _layers(model, options, replacements, read))
    else:
        makers.insert(0, lambda _, model: _keras(model))
    for make in makers:
        left, right = make(a, models[0]), make(b, models[1])
        if left is not None and right is not None:
            return left, right
    raise AssertionError("all models have tensors")


def _opened(source: AnySource, options: ConvertOptions, stack: ExitStack) -> KerasModel:
    choices = {**options.reading, "as_stored": True}
    try:
        return stack.enter_context(open_model(source, **choices))
    except UnsupportedModelError:
        if graph_kind(open_source(source)) in ("graph_def", "tar"):
            return KerasModel(open_source(source).path, "tf-graph", None)
        return stack.enter_context(open_model(source, **choices, weights_only=True))


# ---------------------------------------------------------------------------------------- levels


def _keras(model: KerasModel) -> Side | None:
    if model.graph is None:
        return None
    layers = dict(_keras_layers(model.graph, ""))
    weights = model.graph.named_weights()
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


def _layers(
    model: KerasModel,
    options: ConvertOptions,
    replacements: Mapping[str, AnySource],
    read: Callable[[AnySource], KerasModel],
) -> Side | None:
    """The Layers model that *model* is or becomes; None if it has no architecture of its own."""
    tfjs = model.tfjs
    if tfjs is None and model.graph is not None:
        try:
            tfjs, _ = lowered(model, options, replacements, read)
        except UnsupportedModelError:
            return None
    if tfjs is None or (tfjs.topology is None and tfjs.graph is None):
        return None
    # both come through their JSON, so that both have its spelling
    topology = tfjs.topology or json.loads(json.dumps(model_topology(tfjs.graph), default=plain))  # type: ignore[arg-type]
    graph = read_topology(topology, Place(model.path, "modelTopology"))
    tensors = _tfjs_tensors(graph, [weight for weight in tfjs.weights if not weight.optimizer])
    return Side(model.path, model.format, "layers", 0, dict(_tfjs_layers(graph, "")), tensors)


def _tfjs_tensors(graph: TfjsGraph, weights: list[Weight]) -> dict[str, LazyTensor]:
    """Return the weights by the names of tfjs's variables."""
    variables = infer(graph).variables
    names = {
        f"{scope}/{short}"
        for layer in graph.layers
        for scope, owner in scopes(layer)
        for short in variables.get(id(owner), ())
    }
    return {target_name(weight.name, names) or weight.name: weight.tensor for weight in weights}


def _tfjs_layers(graph: TfjsGraph, prefix: str) -> Iterator[tuple[str, Described]]:
    for layer in graph.layers:
        yield from _tfjs_layer(layer, f"{prefix}{layer.name}")


def _tfjs_layer(layer: TfjsLayer, path: str) -> Iterator[tuple[str, Described]]:
    keys = _WRAPPERS.get(layer.class_name) or tuple(layer.config)
    if layer.class_name in TFJS_CLASSES:
        keys = TFJS_CLASSES[layer.class_name].keys
    config = {key: _TFJS_DEFAULTS.get(key) for key in keys if not key.endswith(_TRAINING)}
    config |= {key: layer.config[key] for key in config.keys() & layer.config.keys()}
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    class_name = "Functional" if layer.class_name == "Model" else layer.class_name
    inputs = [[f"{ref.layer}:{ref.call}:{ref.tensor}" for ref in call] for call in layer.calls]
    yield path, Described(class_name, config, inputs)
    if layer.graph is not None:
        yield from _tfjs_layers(layer.graph, f"{path}/")
    for child in layer.children.values():
        for one in child if isinstance(child, list) else [child]:
            yield from _tfjs_layer(one, f"{path}/{one.name}")


def _graph(
    source: AnySource, model: KerasModel, options: ConvertOptions, stack: ExitStack
) -> Side | None:
    """The graph model that *model* is or becomes; None if it has no graph."""
    tensors = {weight.name: weight.tensor for weight in model.tfjs.weights} if model.tfjs else {}
    topology = model.tfjs.topology if model.tfjs and model.format == "tfjs-graph" else None
    if topology is None:
        if not graph_kind(open_source(source)):
            return None
        from tfjs_codec.graph.passes import convert  # noqa: PLC0415  (imports protobuf)
        from tfjs_codec.writers.tfjs_graph import constants, index_json  # noqa: PLC0415

        graph = convert(source, options, stack)[1]
        topology = json.loads(index_json(graph, [], options))["modelTopology"]
        tensors = constants(graph)
    layers = {
        str(node.get("name")): Described(
            str(node.get("op")), _mapping(node.get("attr")), node.get("input") or []
        )
        for node in nodes_of(topology)
    }
    return Side(model.path, model.format, "graph", 0, layers, tensors)


def _bare(model: KerasModel) -> Side:
    """All tensors, by names that do not depend on the container as far as possible."""
    tensors = dict(model.loose_weights)
    if model.graph is not None:
        tensors = model.graph.named_weights()
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
