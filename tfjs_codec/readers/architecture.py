"""A model's config, of whatever Keras, becomes a :class:`KerasGraph` without weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from tfjs_codec.errors import Problem, TfjsCodecError, UnsupportedModelError, count, quote
from tfjs_codec.files.place import Nowhere, Place
from tfjs_codec.ir.json_types import Json
from tfjs_codec.ir.keras import Call, Config, KerasGraph, KerasLayer, Recorded, Ref
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.keras import keras1
from tfjs_codec.keras.classes import CLASSES, canonical
from tfjs_codec.keras.classes.recurrent import ZEROES_MASKED
from tfjs_codec.keras.dialect import (
    canonical_class,
    dtype_name,
    layer_config,
    plain,
)
from tfjs_codec.keras.ops import TF_OP_CLASSES, is_op, op_call, op_config, op_name
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.readers.input_shape import UNKNOWN
from tfjs_codec.readers.nodes import Linker, flat_refs, parse_call

NO_ARCHITECTURE = (
    "weights only: {tensors}, no architecture; pass the architecture with --architecture model.json"
)
_MODEL_KEYS = frozenset(("layers", "input_layers", "output_layers"))
_MODEL_CLASSES = frozenset(("Functional", "Model", "Sequential"))
# Config keys that hold a layer, per class.
_CHILD_KEYS = {
    "TimeDistributed": "layer",
    "SpectralNormalization": "layer",
    "RNN": "cell",
}


@dataclass(slots=True)
class Architecture:
    """What a config says.

    ``graph`` has no weights yet. ``python_class`` is the class of each layer as its file knows
    it: ``.keras`` files name their groups after it. ``generation`` is 1, 2 or 3.
    """

    path: str
    graph: KerasGraph
    generation: int
    keras_version: str | None
    python_class: dict[KerasLayer, str]
    shared_ids: dict[KerasLayer, int]
    warnings: list[str]

    def as_model(
        self,
        format: str,  # noqa: A002  as the model calls it
        warnings: Iterable[str],
        *,
        backend: object = None,
        training_config: object = None,
    ) -> KerasModel:
        """Return the model, whose layers have got their weights, from a file of *format*."""
        return KerasModel(
            self.path, format, self.graph, self.generation, self.keras_version,
            backend if isinstance(backend, str) else None,
            training_config if isinstance(training_config, dict) else None,
            tuple(warnings),
        )  # fmt: skip


def read_architecture(
    model: Json,
    *,
    path: str,
    where: str = "",
    keras_version: str | None = None,
    names: Sequence[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    whole: bool = False,
) -> Architecture:
    """Return the architecture of *model*, the JSON ``{"class_name", "config"}`` of a model.

    *keras_version* is what the file says beside *model*; the structure has the last word.
    *names* are the layers' names if known from elsewhere: lists of layers of Keras 1 and early 2
    do not name the models inside. *whole* configs have all keys that Keras writes, so that classes
    of other origin show.

    Raises:
        CorruptFileError: wrong types, missing or duplicate layers, bad references.
        UnsupportedModelError: a subclassed model, which has no description of its layers.
    """
    place = Place(path, where)
    entry = place.mapping(model)
    stated = entry.get("keras_version")
    if keras_version is None and isinstance(stated, str):
        keras_version = stated
    if isinstance(entry.get("model_config"), dict):  # the wrapper {model_config, keras_version, …}
        place = place.at("model_config")
        entry = place.mapping(entry["model_config"])
    generation, warnings = detect_generation(entry, keras_version)
    whole = whole and generation > 1

    def read(place: Place) -> Architecture:
        reader = _Reader(generation, limits, list(names), whole=whole, version=keras_version)
        graph = reader.model(entry, place)
        if not graph.layers:
            raise place.error("the model has no layers")
        return Architecture(
            path, graph, generation, keras_version, reader.python_class, reader.shared_ids, warnings
        )

    try:
        return read(Nowhere(*place))
    except TfjsCodecError:  # read once more, for an error that names the place
        return read(place)


def detect_generation(entry: Config, keras_version: str | None) -> tuple[int, list[str]]:
    """Return Keras's generation, 1 to 3, and warnings: the structure decides over the version.

    Only Keras 1 writes ``output_dim`` or ``nb_filter`` and nodes of three entries, only Keras 3
    ``batch_shape`` and nodes as objects, only Keras 2 (and 1) ``batch_input_shape``.
    """
    claimed = 2
    if keras_version is None or keras_version.startswith("1."):
        claimed = 1 if keras_version else 2
    elif keras_version.startswith("3."):
        claimed = 3
    seen = _structure_generation(entry)
    if seen is None or seen == claimed:
        return claimed, []
    if keras_version is None:
        return seen, []
    what = f"the file says Keras version {quote(keras_version)}"
    return seen, [f"{what}, but its structure is that of Keras {seen}"]


def _structure_generation(entry: Config) -> int | None:
    """Look through the layer entries, outermost first, for what only one generation writes."""
    level: list[Json] = [entry]
    while level:
        following: list[Json] = []
        for item in level:
            config = item.get("config") if isinstance(item, dict) else None
            nodes = item.get("inbound_nodes") if isinstance(item, dict) else None
            for node in nodes if isinstance(nodes, list) else ():
                if isinstance(node, dict) and "args" in node:
                    return 3
            if isinstance(config, list):
                following += config
            if not isinstance(config, dict):
                continue
            if "batch_shape" in config:
                return 3
            if keras1.MARKERS & config.keys() and not keras1.NOT_MARKERS & config.keys():
                return 1
            if "batch_input_shape" in config:
                return 1 if "input_dtype" in config else 2
            if isinstance(config.get("layers"), list):
                following += config["layers"]
            following += [value for value in config.values() if isinstance(value, dict)]
        level = following
    return None


# Versions of the Keras 2 that ran on Theano, too; TensorFlow's own ends in -tf up to 2.3.
_OF_MANY = r"2\.[0-3](\.\d+)?"


class _Reader:
    """Builds layers and graphs; remembers what only the weight readers need."""

    def __init__(
        self,
        generation: int,
        limits: Limits,
        names: list[str],
        *,
        whole: bool,
        version: str | None,
    ) -> None:
        self.generation = generation
        self.python_class: dict[KerasLayer, str] = {}
        self.shared_ids: dict[KerasLayer, int] = {}
        self._limits = limits
        self._whole = whole
        self._of_many_backends = generation == 1 or bool(re.fullmatch(_OF_MANY, version or ""))
        self._names = names
        self._count = 0

    def model(self, entry: Config, place: Place) -> KerasGraph:
        """Return the graph of the outermost model."""
        class_name = place.at("class_name").text(entry.get("class_name"))
        unnamed = "sequential" if class_name == "Sequential" else "model"
        config, name = _config_and_name(entry, place, unnamed)
        if not _is_model(entry, config):
            raise _subclassed(entry, name, place)
        return self._graph(entry, config, name, place.at("config"), top=True)

    def _graph(
        self, entry: Config, config: Config | list[Json], name: str, place: Place, top: bool = False
    ) -> KerasGraph:
        if isinstance(config, dict) and config.keys() >= _MODEL_KEYS:
            graph = self._functional(config, name, place)
        elif isinstance(config, list):
            graph = self._sequential({"layers": config}, entry, name, place, place, top)
        else:
            graph = self._sequential(config, entry, name, place, place.at("layers"), top)
        if isinstance(config, dict):
            graph.trainable = config.get("trainable") is not False
        return graph

    def _functional(self, config: Config, name: str, place: Place) -> KerasGraph:
        at = place.at("layers")
        entries = at.items(config["layers"])
        layers = [self._layer(entry, at.at(i)) for i, entry in enumerate(entries)]
        _check_unique(layers, at)
        graph = KerasGraph(
            name,
            layers,
            flat_refs(config["input_layers"], place.at("input_layers")),
            flat_refs(config["output_layers"], place.at("output_layers")),
            input_keys=_keys(config["input_layers"]),
            output_keys=_keys(config["output_layers"]),
        )
        Linker(graph, self.generation, place).link()
        by_name = {layer.name: layer for layer in layers}
        _record_outputs(entries, by_name)
        for ref in graph.inputs:
            if by_name[ref.layer].class_name != "InputLayer":
                raise place.at("input_layers").error(f"{quote(ref.layer)} is not an input layer")
        for index, (layer, entry) in enumerate(zip(layers, entries, strict=True)):
            self._finish_calls(layer, at.at(index).mapping(entry), at.at(index))
        return graph

    def _sequential(
        self, config: Config, entry: Config, name: str, place: Place, at: Place, top: bool
    ) -> KerasGraph:
        entries = at.items(config.get("layers"))
        if entries and self.generation == 1 and keras1.is_tower_merge(entries[0]):
            return self._functional(keras1.towers_to_functional(entries, name, at), name, place)
        names = self._names if top and len(self._names) == len(entries) else [""] * len(entries)
        layers = [
            self._layer(item, at.at(i), names[i] or f"{name}_{i}") for i, item in enumerate(entries)
        ]
        if not layers or layers[0].class_name != "InputLayer":
            first = entries[0] if entries else {}
            layers.insert(0, self._input_layer(config, entry, first, layers, place))
        _check_unique(layers, at)
        previous = layers[0]
        for layer in layers[1:]:
            if layer.class_name == "InputLayer":
                raise at.error(f"the input layer {quote(layer.name)} is not the first layer")
            layer.calls = [Call((Ref(previous.name, 0, 0),))]
            previous = layer
        inputs, outputs = [Ref(layers[0].name, 0, 0)], [Ref(previous.name, 0, 0)]
        return KerasGraph(name, layers, inputs, outputs, sequential=True)

    def _input_layer(
        self, config: Config, entry: Config, first: Json, layers: list[KerasLayer], place: Place
    ) -> KerasLayer:
        """Make the InputLayer that a Sequential of Keras 1 and 2 leaves out."""
        given = first.get("config") if isinstance(first, dict) else None
        given = plain(given) if isinstance(given, dict) else {}
        shape, dtype = given.get("batch_input_shape"), given.get("dtype")
        if shape is None and isinstance(given.get("input_shape"), list):
            shape = [None, *given["input_shape"]]
        inner = layers[0].graph if layers else None
        if shape is None and inner is not None and len(inner.inputs) == 1:
            source = next(item for item in inner.layers if item.name == inner.inputs[0].layer)
            dtype = source.config["dtype"]
            shape = None if UNKNOWN in source.config else source.config["batch_shape"]
        if shape is None:
            shape = plain(config.get("build_input_shape"))
        if shape is None and isinstance(entry.get("build_config"), dict):
            shape = plain(entry["build_config"].get("input_shape"))
        if isinstance(shape, dict):
            raise UnsupportedModelError(
                "a Sequential model whose input is a dict of tensors", path=place.path,
                where=place.where, hint="Convert it to a graph model (--to graph).",
            )  # fmt: skip
        taken = {layer.name for layer in layers}
        name = f"{layers[0].name}_input" if layers else "input"
        while name in taken:
            name += "_"
        dtype = dtype_name(dtype, place)
        if dtype.startswith("mixed_"):
            dtype = "float32"
        made = {"name": name, "batch_shape": shape or [None], "dtype": dtype}
        if shape is None:
            made[UNKNOWN] = True
        layer = KerasLayer(name, "InputLayer", layer_config("InputLayer", made, 3, place))
        self.python_class[layer] = "InputLayer"
        return layer

    def _layer(self, entry: Json, place: Place, fallback_name: str = "") -> KerasLayer:
        """Return the layer of *entry* with its children, its calls still as the file has them."""
        self._count += 1
        self._limits.check(
            "layers",
            self._count,
            "the number of layers",
            path=place.path,
            where=lambda: place.where,
        )
        entry = place.mapping(entry)
        if self.generation == 1:
            entry = keras1.convert_entry(entry, place)
        config, name = _config_and_name(entry, place, fallback_name)
        class_name, python_name, registered = canonical_class(entry, place, whole=self._whole)
        layer = KerasLayer(name, class_name, registered_name=registered)
        self.python_class[layer] = python_name
        if isinstance(shared := entry.get("shared_object_id"), int):
            self.shared_ids[layer] = shared
        if _is_model(entry, config):
            layer.graph = self._graph(entry, config, name, place.at("config"))
            layer.class_name = "Sequential" if layer.graph.sequential else "Functional"
            layer.config = {"name": name, "trainable": layer.graph.trainable}
        elif isinstance(config, list):
            raise place.at("config").expect("an object", config)
        elif class_name in _MODEL_CLASSES:
            raise place.at("config").expect("a model with layers, inputs and outputs", config)
        elif class_name in TF_OP_CLASSES or (self.generation == 3 and is_op(entry)):
            layer.is_op = True
            layer.class_name = op_name(python_name, config, place)
            layer.config = op_config(class_name, place.at("config").mapping(plain(config)))
        else:
            self._fill(layer, config, place)
        at = place.at("inbound_nodes")
        nodes = at.items(entry.get("inbound_nodes") or [])
        layer.calls = [parse_call(node, at.at(i)) for i, node in enumerate(nodes)]
        return layer

    def _fill(self, layer: KerasLayer, config: Config, place: Place) -> None:
        """Set config and children of an ordinary layer."""
        at = place.at("config")
        config = dict(config)
        self._add_children(layer, config, at)
        if self.python_class[layer] == "CuDNNGRU":
            config["reset_after"] = True
        layer.config = layer_config(layer.class_name, config, self.generation, at)

    def _add_children(self, layer: KerasLayer, config: Config, at: Place) -> None:
        """Move the layers a wrapper's *config* holds into ``children``."""
        kind = layer.class_name
        if kind == "Bidirectional":
            self._add_directions(layer, config, at)
            return
        if kind == "RNN" and isinstance(config.get("cell"), list):
            cells = config["cell"]
            config["cell"] = {
                "class_name": "StackedRNNCells",
                "config": {"name": "stacked_rnn_cells", "cells": cells},
            }
        if kind == "StackedRNNCells":
            cells = at.at("cells").items(config.pop("cells", None))
            for i, cell in enumerate(cells):
                child = self._layer(cell, at.at("cells").at(i), f"cell_{i}")
                layer.children[f"cells/{i}"] = child
            return
        key = _CHILD_KEYS.get(kind)
        if key is not None:
            layer.children[key] = self._layer(config.pop(key, None), at.at(key), key)
            return
        known = kind in CLASSES
        for key in ("activation",) if known else list(config):
            value = config.get(key)
            if _is_layer_entry(value) and not (known and value["class_name"] != "PReLU"):
                layer.children[key] = self._layer(value, at.at(key), key)

    def _add_directions(self, layer: KerasLayer, config: Config, at: Place) -> None:
        """Add both directions of a Bidirectional; Keras 2 writes the backward one only if given."""
        entry = at.at("layer").mapping(config.pop("layer", None))
        backward = config.pop("backward_layer", None)
        inner = at.at("layer").at("config").mapping(entry.get("config"))
        base = str(inner.get("name") or "layer").removeprefix("forward_")
        forward = {**entry, "config": {**inner, "name": f"forward_{base}"}}
        layer.children["forward_layer"] = self._layer(forward, at.at("layer"))
        if backward is None:
            flipped = {
                **inner, "name": f"backward_{base}",
                "go_backwards": not inner.get("go_backwards", False),
            }  # fmt: skip
            backward = {**entry, "config": flipped}
            at = at.at("layer")
        else:
            at = at.at("backward_layer")
            given = at.at("config").mapping(at.mapping(backward).get("config"))
            base = str(given.get("name") or "layer").removeprefix("backward_")
            backward = {**backward, "config": {**given, "name": f"backward_{base}"}}
        layer.children["backward_layer"] = self._layer(backward, at)
        if self._of_many_backends:
            return
        for child in layer.children.values():  # TensorFlow's Keras sets it, and does not write it
            if child.class_name in ZEROES_MASKED or self.generation > 2:
                zeroes = bool(child.config.get("return_sequences"))
                child.config["zero_output_for_mask"] = zeroes

    def _finish_calls(self, layer: KerasLayer, entry: Config, place: Place) -> None:
        """Bring arguments into their final form, now that the graph's models are known."""
        for number, call in enumerate(layer.calls):
            if layer.is_op:
                kind, config = entry["class_name"], plain(entry["config"])
                layer.calls[number] = op_call(layer.class_name, kind, config, call, place)
                continue
            at = place.at("inbound_nodes").at(number)
            if not call.args and not call.kwargs:
                raise at.error("the call has no inputs")
            call.kwargs = {  # in Keras 2, mask=None hides the input's mask
                key: value
                for key, value in call.kwargs.items()
                if value is not None or key == "mask"
            }
            if layer.graph is not None:
                if not call.args:
                    raise at.error("the model is called without inputs")
                call.args = (_model_inputs(layer.graph, call.args[0], at), *call.args[1:])
                if isinstance(mask := call.kwargs.get("mask"), dict):  # of Keras 3, some None
                    call.kwargs["mask"] = _model_inputs(layer.graph, mask, at)


def _model_inputs(graph: KerasGraph, argument: object, place: Place) -> object:
    """Return the inputs, or their masks, of a call of a nested model, in the model's order."""
    if isinstance(argument, dict):
        names = [ref.layer for ref in graph.inputs]
        keys = names if set(names) == set(argument) else sorted(argument)
        argument = [argument[key] for key in keys]
    flat: list[object] = []
    _flatten(argument, flat)
    if len(flat) != len(graph.inputs):
        raise place.error(
            f"the model {quote(graph.name)} is called with {count(len(flat), 'input')}, "
            f"it has {len(graph.inputs)}"
        )
    return flat if len(flat) > 1 else flat[0]


def _flatten(value: object, flat: list[object]) -> None:
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    if isinstance(value, list):
        for item in value:
            _flatten(item, flat)
    else:
        flat.append(value)


def _is_model(entry: Config, config: Json) -> bool:
    """Tell whether an entry describes a model by its layers.

    A subclass of Model with the layers, inputs and outputs of a functional one is that model.
    """
    if isinstance(config, dict) and config.keys() >= _MODEL_KEYS:
        return True
    name = entry.get("class_name")
    if name != "Sequential":
        return False
    return isinstance(config, list) or (isinstance(config, dict) and "layers" in config)


def _config_and_name(entry: Config, place: Place, unnamed: str) -> tuple[Config | list[Json], str]:
    """Return the config of *entry* and its name, *unnamed* if it has none."""
    config = entry.get("config")
    if not isinstance(config, dict | list):
        raise place.at("config").expect("an object", config)
    name = entry.get("name")
    if name is None and isinstance(config, dict):
        name = config.get("name")
    return config, place.at("name").text(unnamed if name is None else name)


def _subclassed(entry: Config, name: str, place: Place) -> UnsupportedModelError:
    class_name = str(entry.get("class_name"))
    if class_name not in _MODEL_CLASSES and canonical(class_name) in CLASSES:
        return UnsupportedModelError(
            f"the file describes a single layer ({class_name}), not a model",
            path=place.path, where=place.where,
        )  # fmt: skip
    problem = Problem(
        name,
        class_name,
        "a subclassed model: its file holds no description of its layers, only of its weights",
        "Convert the SavedModel that model.export('dir') writes, or rebuild it with the functional "
        "API (keras.Model(inputs, outputs)).",
    )
    what = "this model cannot be converted"
    return UnsupportedModelError(what, path=place.path, where=place.where, problems=(problem,))


def _check_unique(layers: list[KerasLayer], place: Place) -> None:
    seen: dict[str, int] = {}
    for index, layer in enumerate(layers):
        if layer.name in seen:
            raise place.at(index).error(
                f"layer {index} has the name {quote(layer.name)}, as has layer {seen[layer.name]}"
            )
        seen[layer.name] = index


def _is_layer_entry(value: Json) -> TypeGuard[Config]:
    if not (isinstance(value, dict) and isinstance(value.get("config"), dict)):
        return False
    name = value.get("class_name")
    known = isinstance(name, str) and (canonical(name) in CLASSES or name in _MODEL_CLASSES)
    # Identity is also the name of an initialiser.
    return known and ("name" in value["config"] or "layers" in value["config"])


def _record_outputs(entries: list[Json], layers: dict[str, KerasLayer]) -> None:
    """Note what calls of Keras 3 state of the tensors they take."""
    stack = [entry.get("inbound_nodes") for entry in entries if isinstance(entry, dict)]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack += value
        elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            config = value.get("config")
            if isinstance(config, dict) and "shape" in config:
                _record_output(config, layers)
        elif isinstance(value, dict):
            stack += value.values()


def _record_output(config: Config, layers: dict[str, KerasLayer]) -> None:
    history, shape, dtype = config.get("keras_history"), plain(config["shape"]), config.get("dtype")
    if not (isinstance(history, list) and len(history) == 3 and isinstance(shape, list)):
        return
    name, call, tensor = history
    layer = layers.get(name) if isinstance(name, str) else None
    if layer is not None and isinstance(call, int) and isinstance(tensor, int):
        kind = dtype if isinstance(dtype, str) else ""
        layer.recorded[call, tensor] = Recorded(tuple(shape), kind)


def _keys(structure: Json) -> tuple[str, ...]:
    """Return the keys of a dict of single tensors in tf.nest order."""
    if not isinstance(structure, dict) or not all(map(_is_ref, structure.values())):
        return ()
    return tuple(sorted(structure))


def _is_ref(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str)
