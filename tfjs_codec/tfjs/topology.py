"""The ``modelTopology`` of a tfjs Layers model (spec: what ``tf.loadLayersModel`` 4.22 reads).

A model is ``{"class_name": "Functional" | "Sequential", "config": …}``, at the top and nested. A
functional model lists its layers with their calls, each call a list of
``[layer, node, tensor, {}]``. A layer's k-th call makes its node k; a nested model keeps node 0
for itself, so there the k-th call makes node k + 1. tfjs looks for a node that does not exist for
ever, so every reference is checked here.
"""

from __future__ import annotations

from typing import Any

from tfjs_codec.ir.layers import TensorRef, TfjsGraph, TfjsLayer

Json = dict[str, Any]

_FORWARD = "forward_"


def model_topology(graph: TfjsGraph) -> Json:
    """Return *graph* as JSON: its class and its config."""
    return _graph(graph, graph.name)


def _graph(graph: TfjsGraph, name: str) -> Json:
    by_name = {layer.name: layer for layer in graph.layers}
    if len(by_name) != len(graph.layers):
        raise AssertionError(f"model {name!r} has layers of the same name")
    if graph.sequential:
        layers = [_layer(layer) for layer in graph.layers]
        return {"class_name": "Sequential", "config": {"name": name, "layers": layers}}
    config = {
        "name": name,
        "layers": [
            {
                **_layer(layer),
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


def _layer(layer: TfjsLayer) -> Json:
    if layer.graph is not None:
        return _graph(layer.graph, layer.name)
    config = {"name": layer.name, **layer.config}
    for key, child in layer.children.items():
        if isinstance(child, list):  # StackedRNNCells.cells
            config[key] = [_layer(cell) for cell in child]
        elif key == "forward_layer":  # tfjs makes both directions of a Bidirectional from one
            config["layer"] = _undirected(child)
        elif key != "backward_layer":  # TimeDistributed.layer, RNN.cell
            config[key] = _layer(child)
    return {"class_name": layer.class_name, "config": config}


def _undirected(child: TfjsLayer) -> Json:
    if not child.name.startswith(_FORWARD):
        raise AssertionError(f"a forward layer is called {child.name!r}")
    json = _layer(child)
    json["config"]["name"] = child.name.removeprefix(_FORWARD)
    return json


def _node(ref: TensorRef, by_name: dict[str, TfjsLayer]) -> list[Any]:
    layer = by_name.get(ref.layer)
    if layer is None or not 0 <= ref.call < max(1, len(layer.calls)):
        raise AssertionError(f"{ref} does not exist")
    return [ref.layer, ref.call + (layer.graph is not None), ref.tensor]
