"""What tfjs 4.22's loader refuses in a Layers model, or would wait for for ever.

It goes by the sources of tfjs-layers 4.22: ``Container.fromConfig`` and ``loadWeights`` in
``engine/container``, the constructors of the layers, the registries of activations, initialisers,
regularisers and constraints. What loads and cannot predict for any input is refused, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tfjs_codec.errors import quote, visible
from tfjs_codec.files.place import Place
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.ir.layers import LayersGraph, scopes
from tfjs_codec.tfjs.classes import OTHER_CLASSES, TFJS_CLASSES, missing_keys
from tfjs_codec.tfjs.inference import Shapes, calls_in_order, infer
from tfjs_codec.tfjs.names import target_name
from tfjs_codec.tfjs.shapes import Shape
from tfjs_codec.tfjs.topology import MODELS, read_topology
from tfjs_codec.tfjs.values import check_values
from tfjs_codec.tfjs.variables import nothing

# Where a class holds other layers.
_INNER = {"TimeDistributed": "layer", "Bidirectional": "layer", "RNN": "cell",
          "StackedRNNCells": "cells"}  # fmt: skip


@dataclass(slots=True)
class Findings:
    """What was found: why tfjs fails, what could not be checked, the variables tfjs creates.

    ``foreign`` names the layers of classes that tfjs has not: it fails if a page does not
    register them.
    """

    failures: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    variables: dict[str, Shape] = field(default_factory=dict)


def check_layers_model(topology: JsonObject, weights: Mapping[str, Shape], path: str) -> Findings:
    """Check the topology of a Layers model, and its *weights* by name against its variables.

    Raises:
        CorruptFileError: It is not the shape of a model.
    """
    found = Findings()
    entry = topology.get("model_config", topology)
    if isinstance(entry, dict):
        found.failures += _model(entry)
        if entry.get("class_name") not in MODELS:
            found.failures.append(f"{quote(entry.get('class_name'))} is no class of a model")
    graph = read_topology(topology, Place(path, "modelTopology"))
    if not graph.layers:
        found.failures.append("the model has no layers")
    if not graph.sequential:
        calls = sum(max(1, len(layer.calls)) for layer in graph.layers)
        if len(list(calls_in_order(graph))) != calls:
            found.failures.append("some layers depend on each other, and tfjs waits for ever")
    _check_weights(graph, weights, found)
    return found


def _check_weights(graph: LayersGraph, weights: Mapping[str, Shape], found: Findings) -> None:
    inferred = infer(graph)
    found.failures += [*inferred.failures, *_tensors(graph, inferred)]
    unknown: set[str] = set()
    for layer in graph.layers:
        for scope, owner in scopes(layer):
            variables = inferred.variables.get(id(owner))
            if variables is not None:
                named = {f"{scope}/{short}": shape for short, shape in variables.items()}
                repeated = named.keys() & found.variables.keys()
                found.failures += [f"two variables are called {quote(name)}" for name in repeated]
                found.variables.update(named)
            elif not owner.children:
                unknown.add(scope)
                known = owner.class_name in TFJS_CLASSES or owner.class_name in OTHER_CLASSES
                why = (
                    "its input shape is not known"
                    if known
                    else f"tfjs has no {visible(owner.class_name)}"
                )
                found.notes.append(f"variables of layer {quote(scope)}: {why}")
                if not known:
                    found.foreign.append(f"layer {quote(scope)}: {why}, unless a page registers it")
    missing = dict(found.variables)
    for weight, given in weights.items():
        name = target_name(weight, found.variables)
        if name is None:
            if weight.rpartition("/")[0] not in unknown:
                found.failures.append(f"tfjs creates no variable {quote(weight)}")
            continue
        shape = missing.pop(name, None)
        if shape is None:
            found.failures.append(f"two weights are for the variable {quote(name)}")
        elif tuple(shape) != tuple(given):
            found.failures.append(
                f"{quote(name)} has shape {list(given)}, tfjs creates {list(shape)}"
            )
    found.failures += [f"there is no weight for the variable {quote(name)}" for name in missing]


def _tensors(graph: LayersGraph, inferred: Shapes) -> Iterator[str]:
    """Yield the references to outputs that a layer does not have, in *graph* and models inside."""
    by_name = {layer.name: layer for layer in graph.layers}
    users = [
        (f"layer {quote(one.name)} is called", call) for one in graph.layers for call in one.calls
    ]
    for where, refs in (*users, ("output_layers are", graph.outputs)):
        for ref in refs:
            outputs = inferred.outputs.get(id(by_name.get(ref.layer)))
            if outputs is not None and ref.tensor >= len(outputs):
                what = f"tensor {ref.tensor} of layer {quote(ref.layer)}"
                yield f"{where} on {what}, which does not exist"
    for layer in graph.layers:
        if layer.graph is not None:
            yield from _tensors(layer.graph, inferred)


# ---------------------------------------------------------------------------------- the topology


def _model(entry: JsonObject) -> Iterator[str]:
    """Yield what is wrong with a model and the models inside."""
    config = entry.get("config")
    layers = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(layers, list):
        yield "a model has no list of layers"
        return
    entries = [layer for layer in layers if isinstance(layer, dict)]
    for layer in entries:
        yield from _layer(layer)
    if entry.get("class_name") == "Sequential" or not isinstance(config, dict):
        return
    counts = Counter(str(layer.get("name")) for layer in entries)
    yield from (f"{n} layers are called {quote(name)}" for name, n in counts.items() if n > 1)
    nodes = {str(layer.get("name")): _node_count(layer) for layer in entries}
    for layer in entries:
        calls = layer.get("inbound_nodes")
        if not isinstance(calls, list):
            yield f"layer {quote(layer.get('name'))} has no list of inbound_nodes"
            continue
        for call in calls:
            where = f"layer {quote(layer.get('name'))} is called"
            yield from _references(call, nodes, where)
    for key in ("input_layers", "output_layers"):
        if config.get(key) == []:
            yield f"the model has no {key}"
        yield from _references(config.get(key), nodes, f"{key} are")


def _node_count(layer: JsonObject) -> int:
    """Return how many nodes tfjs makes for *layer*: an input and a model have one of their own."""
    calls = layer.get("inbound_nodes")
    own = layer.get("class_name") in ("InputLayer", *MODELS)
    return own + (len(calls) if isinstance(calls, list) else 0)


def _references(refs: Json, nodes: Mapping[str, int], where: str) -> Iterator[str]:
    if not isinstance(refs, list) or not all(isinstance(ref, list) for ref in refs):
        yield f"{where} in another form than lists of [layer, node, tensor]"
        return
    for ref in refs:
        name, node, tensor = (*ref, None, None, None)[:3]
        if not isinstance(name, str) or name not in nodes:
            yield f"{where} on layer {quote(name)}, which does not exist"
        elif not isinstance(node, int) or not 0 <= node < nodes[name]:
            yield f"{where} on node {quote(node)} of layer {quote(name)}, which does not exist"
        elif not isinstance(tensor, int) or tensor < 0:
            yield f"{where} on tensor {quote(tensor)} of layer {quote(name)}, which does not exist"


def _layer(entry: JsonObject, *, scoped: bool = True) -> Iterator[str]:
    """Yield what is wrong with a layer and the layers inside.

    ``scoped`` tells whether its name is part of the names of its variables.
    """
    class_name, config = entry.get("class_name"), entry.get("config")
    if class_name in MODELS:
        yield from _model(entry)
        return
    if not isinstance(config, dict) or not isinstance(class_name, str):
        return  # reading the topology tells
    who = f"layer {quote(config.get('name'))} ({quote(class_name)})"
    if class_name == "InputLayer" and config.get("input_shape") is not None:
        config = {**config, "batch_input_shape": config["input_shape"]}
    yield from (f"{who} has no {key}" for key in missing_keys(class_name, config))
    yield from (f"{who}: {text}" for text in check_values(class_name, config))
    if not config.get("name") and scoped and _has_variables(class_name):
        yield f"{who} has no name, and tfjs calls its variables by one that it makes up"
    if key := _INNER.get(class_name):
        inner = config.get(key) if key == "cells" else [config.get(key)]
        if not isinstance(inner, list) or not all(isinstance(one, dict) for one in inner):
            yield f"{who} has no {key}"
            return
        for one in inner:
            yield from _layer(one, scoped=class_name == "Bidirectional")


def _has_variables(class_name: str) -> bool:
    row = TFJS_CLASSES.get(class_name)
    return class_name in _INNER if row is None else row.weights is not nothing
