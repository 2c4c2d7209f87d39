"""The objects of a Keras model in a SavedModel, of which tf_keras makes its layers again.

A model's object has an attribute ``layer-N`` for each layer, which has its variables by the names
of its attributes. ``keras_metadata.pb`` describes models and layers as JSON: the config, and
``build_input_shape``, the shapes on which the layer is built. A config that has no such shape
would need the layer's traced functions in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfjs_codec.errors import UnsupportedModelError, quote
from tfjs_codec.ir.json_types import Json, JsonObject, compact
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.ir.tensors import as_float32
from tfjs_codec.keras.classes import is_a
from tfjs_codec.keras.variables import own_variables
from tfjs_codec.pb import messages
from tfjs_codec.writers.keras_config import KERAS_2, Writer
from tfjs_codec.writers.object_graph import Objects

Shapes = Mapping[str, Sequence[Json]]  # by the path of a layer: a shape, or a list of these

_NETWORK, _SEQUENTIAL, _LAYER = "_tf_keras_network", "_tf_keras_sequential", "_tf_keras_layer"
_INPUT, _RECURRENT = "_tf_keras_input_layer", "_tf_keras_rnn_layer"


def add_model(
    graph: KerasGraph, shapes: Shapes, configs: Writer
) -> tuple[Objects, messages.SavedMetadata, dict[int, int]]:
    """Return the objects of the model *graph*, whose classes Keras 2 has.

    Args:
        graph: The model.
        shapes: What its layers are called on.
        configs: Writes the configs.

    Returns:
        The objects, the ``keras_metadata.pb``, and the numbers of the variables by the identity of
        their tensors.

    Raises:
        UnsupportedModelError: Keras cannot build a layer, whose inputs have no known size.
    """
    adding = _Adding(shapes, configs, Objects(_identifier(graph)))
    adding.model(graph, 0, "root", "")
    objects, numbers = adding.objects, list(adding.trainable)
    trained = [number for number in numbers if adding.trainable[number]]
    objects.listed(0, "variables", numbers)
    objects.listed(0, "trainable_variables", trained)
    objects.listed(0, "non_trainable_variables", [n for n in numbers if n not in set(trained)])
    return objects, adding.metadata, adding.numbers


class _Adding:
    def __init__(self, shapes: Shapes, configs: Writer, objects: Objects) -> None:
        self._configs = configs
        self.objects = objects
        self.metadata = messages.SavedMetadata()
        self.numbers: dict[int, int] = {}
        self.trainable: dict[int, bool] = {}  # by number, in Keras's order
        self._shapes = shapes
        self._known: dict[int, int] = {}  # layers that several models share, by identity

    def model(self, graph: KerasGraph, number: int, path: str, place: str) -> None:
        """Describe object *number* as the model *graph*, and add its layers."""
        entry = self._configs.model(graph, graph.name)
        described: JsonObject = {
            **entry, "name": graph.name, "trainable": graph.trainable, "is_graph_network": True,
            "model_config": entry, "keras_version": KERAS_2, "backend": "tensorflow",
        }  # fmt: skip
        self._describe(number, path, _identifier(graph), described)
        layers = graph.layers[1:] if graph.sequential else graph.layers
        weighted = 0
        for index, layer in enumerate(layers):
            name = f"layer-{index}"
            child = self._layer(layer, f"{path}.{name}", place)
            self.objects.link(number, name, child)
            if layer.weights or layer.children or layer.graph:
                self.objects.link(number, f"layer_with_weights-{weighted}", child)
                weighted += 1

    def _layer(self, layer: KerasLayer, path: str, place: str, frozen: bool = False) -> int:
        """Add *layer*, which is in the model called *place*; return its number."""
        known = self._known.get(id(layer))
        if known is not None:
            return known
        if layer.graph is not None:
            number = self._known[id(layer)] = self.objects.user(_identifier(layer.graph))
            self.model(layer.graph, number, path, f"{place}{layer.name}/")
            return number
        kind = layer.class_name
        identifier = _INPUT if kind == "InputLayer" else _LAYER
        identifier = _RECURRENT if is_a(kind, "recurrent") else identifier
        number = self._known[id(layer)] = self.objects.user(identifier)
        described: JsonObject = {
            "name": layer.name, "class_name": kind, "trainable": layer.trainable and not frozen,
            "config": self._configs.layer(layer)["config"],
        }  # fmt: skip
        shape = self._shapes.get(f"{place}{layer.name}")
        if shape == (None, None) and layer.weights and kind != "Embedding":
            raise UnsupportedModelError(
                f"no file says how many features layer {quote(layer.name)} is called on"
            )
        if shape is not None:
            described["build_input_shape"] = _shape(shape)
        self._describe(number, path, identifier, described)
        frozen = frozen or not layer.trainable
        self._variables(layer, number, frozen=frozen)
        for key, child in layer.children.items():
            home = number
            *lists, name = key.split("/")
            for each in lists:  # cells/0
                home = self._child(home, each, "trackable_list_wrapper")
            self.objects.link(
                home, name, self._layer(child, f"{path}.{key.replace('/', '.')}", place, frozen)
            )
        return number

    def _variables(self, layer: KerasLayer, number: int, *, frozen: bool) -> None:
        for variable in own_variables(layer, 2) or ():
            tensor = layer.weights[variable.role]
            home = self._child(number, variable.path, _LAYER) if variable.path else number
            trainable = variable.trainable and not frozen
            name = f"{layer.name}/{variable.role}"
            one = self.objects.variable(name, as_float32(tensor), trainable=variable.trainable)
            self.objects.link(home, variable.role.rpartition("/")[2], one)
            self.numbers.setdefault(id(tensor), one)
            self.trainable[one] = trainable

    def _child(self, number: int, name: str, identifier: str) -> int:
        """Return the attribute *name* of object *number*; add it if it is not there."""
        for child in self.objects.saved.nodes[number].children:
            if child.local_name == name:
                return child.node_id
        made = self.objects.user(identifier)
        self.objects.link(number, name, made)
        return made

    def _describe(self, number: int, path: str, identifier: str, described: JsonObject) -> None:
        node = self.metadata.nodes.add(
            node_id=number, node_path=path, identifier=identifier,
            metadata=compact(described),
        )  # fmt: skip
        node.version.producer, node.version.min_consumer = 2, 1


def _identifier(graph: KerasGraph) -> str:
    return _SEQUENTIAL if graph.sequential else _NETWORK


def _shape(shape: Sequence[Json]) -> Json:
    """Return *shape*, or a list of shapes, as Keras 2 writes it."""
    if shape and isinstance(shape[0], tuple):
        return [_shape(each) for each in shape if isinstance(each, tuple)]
    return {"class_name": "TensorShape", "items": list(shape)}
