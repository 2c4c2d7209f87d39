"""The ``modelTopology`` of a tfjs Layers model, read and written, for ``tf.loadLayersModel``.

A model is ``{"class_name": "Functional" | "Sequential", "config": …}``, at the top and nested. A
functional model lists its layers with their calls, each call a list of
``[layer, node, tensor, {}]``. A layer's k-th call makes its node k; a nested model keeps node 0
for itself, so there the k-th call makes node k + 1. tfjs looks for a node that does not exist for
ever, so every reference is checked when it is written. Nothing here needs numpy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tfjs_codec.files.place import Place
from tfjs_codec.ir.json_types import Config, Json, JsonObject
from tfjs_codec.ir.layers import LayersGraph, TensorRef, TfjsLayer
from tfjs_codec.tfjs.classes import settle_flags

_FORWARD = "forward_"
MODELS = ("Model", "Functional", "Sequential")


# ----------------------------------------------------------------------------------------- write


def write_topology(graph: LayersGraph) -> JsonObject:
    """Return *graph* as JSON: its class and its config."""
    return _write_graph(graph, graph.name)


def _write_graph(graph: LayersGraph, name: str) -> JsonObject:
    by_name = {layer.name: layer for layer in graph.layers}
    if len(by_name) != len(graph.layers):
        raise AssertionError(f"model {name!r} has layers of the same name")
    if graph.sequential:
        layers = [_write_layer(layer) for layer in graph.layers]
        return {"class_name": "Sequential", "config": {"name": name, "layers": layers}}
    config: JsonObject = {
        "name": name,
        "layers": [
            {
                **_write_layer(layer),
                "name": layer.name,
                "inbound_nodes": [
                    [[*_node(ref, by_name), {}] for ref in call] for call in layer.calls
                ],
            }
            for layer in graph.layers
        ],
        "input_layers": [_node(ref, by_name) for ref in graph.inputs],
        "output_layers": [_node(ref, by_name) for ref in graph.outputs],
    }
    return {"class_name": "Functional", "config": config}


def _write_layer(layer: TfjsLayer) -> JsonObject:
    if layer.graph is not None:
        return _write_graph(layer.graph, layer.name)
    config: JsonObject = {"name": layer.name, **_plain(layer.config)}
    for key, child in layer.children.items():
        if isinstance(child, list):  # StackedRNNCells.cells
            config[key] = [_write_layer(cell) for cell in child]
        elif key == "forward_layer":  # tfjs makes both directions of a Bidirectional from one
            config["layer"] = _strip_direction(child)
        elif key != "backward_layer":  # TimeDistributed.layer, RNN.cell
            config[key] = _write_layer(child)
    return {"class_name": layer.class_name, "config": config}


def _strip_direction(child: TfjsLayer) -> JsonObject:
    if not child.name.startswith(_FORWARD):
        raise AssertionError(f"a forward layer is called {child.name!r}")
    return _write_layer(replace(child, name=child.name.removeprefix(_FORWARD)))


def _node(ref: TensorRef, by_name: dict[str, TfjsLayer]) -> list[Json]:
    layer = by_name.get(ref.layer)
    if layer is None or not 0 <= ref.call < max(1, len(layer.calls)):
        raise AssertionError(f"{ref} does not exist")
    return [ref.layer, ref.call + (layer.graph is not None), ref.tensor]


def _plain(value: Any) -> Any:
    """Return *value* with lists for tuples, and numbers for what numpy left in a config."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


# ------------------------------------------------------------------------------------------ read


def read_topology(topology: Json, place: Place) -> LayersGraph:
    """Return the model in *topology*, without weights.

    Raises:
        CorruptFileError: It is not the shape of a model.
    """
    entry = place.mapping(topology)
    if isinstance(entry.get("model_config"), dict):
        place = place.at("model_config")
        entry = place.mapping(entry["model_config"])
    return _graph(entry, place)


def _graph(entry: Config, place: Place) -> LayersGraph:
    config, at = entry.get("config"), place.at("config")
    if isinstance(config, list):  # Sequential before Keras 2.2.3
        config = {"layers": config}
    config = at.mapping(config)
    listed = at.at("layers")
    layers = [_layer(one, listed.at(i)) for i, one in enumerate(listed.items(config.get("layers")))]
    name = str(config.get("name", "model"))
    if entry.get("class_name") == "Sequential":
        return LayersGraph(name, layers, [], [], sequential=True)
    inputs, outputs = _refs(config.get("input_layers")), _refs(config.get("output_layers"))
    return LayersGraph(name, layers, inputs, outputs)


def _layer(item: Json, place: Place) -> TfjsLayer:
    entry = place.mapping(item)
    class_name = place.at("class_name").text(entry.get("class_name"))
    if class_name in MODELS:
        graph = _graph(entry, place)
        name = entry.get("name") or graph.name
        return TfjsLayer(str(name), class_name, graph=graph, calls=_calls(entry))
    at = place.at("config")
    config = at.mapping(entry.get("config"))
    name = at.at("name").text(config.get("name") or entry.get("name"))
    layer = TfjsLayer(name, class_name, settle_flags(class_name, config), calls=_calls(entry))
    for key in ("layer", "cell"):
        if isinstance(config.get(key), dict):
            layer.children[key] = _layer(config[key], at.at(key))
    if class_name == "Bidirectional" and "layer" in layer.children:  # both are made from the one
        del layer.children["layer"]
        for direction in ("forward", "backward"):
            inner = _layer(config["layer"], at.at("layer"))
            inner.name = f"{direction}_{inner.name}"
            layer.children[f"{direction}_layer"] = inner
    if isinstance(config.get("cells"), list):
        listed = at.at("cells")
        cells = enumerate(listed.items(config["cells"]))
        layer.children["cells"] = [_layer(cell, listed.at(i)) for i, cell in cells]
    return layer


def _calls(entry: Config) -> list[list[TensorRef]]:
    nodes = entry.get("inbound_nodes")
    return [_refs(node) for node in nodes] if isinstance(nodes, list) else []


def _refs(value: Any) -> list[TensorRef]:
    """Return the references in *value*: ``[layer, node, tensor, …]``, one or a list of them."""
    if not isinstance(value, list) or not value:
        return []
    if isinstance(value[0], list):
        return [ref for item in value for ref in _refs(item)]
    if len(value) < 3 or not isinstance(value[0], str):
        return []
    numbers = [n if isinstance(n, int) and n >= 0 else 0 for n in value[1:3]]
    return [TensorRef(value[0], *numbers)]
