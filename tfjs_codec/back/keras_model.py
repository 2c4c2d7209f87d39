"""A tfjs Layers model as the Keras 2 model that its topology describes.

Weights find their layers by the names that tfjs gives its variables:
a nested model adds no prefix, TimeDistributed drops the inner layer's name. A name that fits no
variable is tried without its last but one part, as tfjs does (``lstm/lstm_cell/kernel``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tfjs_codec.back.gru import restore_grus
from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.files.place import Place
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import KerasModel, TfjsLayers
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.keras.variables import own_variables
from tfjs_codec.limits import Limits
from tfjs_codec.readers.architecture import read_architecture
from tfjs_codec.tfjs.classes import DEFAULTS_OF, settle_flags
from tfjs_codec.tfjs.names import target_name

_KERAS = "2.1"  # tfjs computes what this one did, which ran on Theano, too


def read_keras_model(model: TfjsLayers, limits: Limits) -> KerasModel:
    """Return *model* as a Keras model.

    Raises:
        CorruptFileError: weights and topology that contradict each other.
        UnsupportedModelError: a subclassed model.
    """
    place = Place(model.path, "modelTopology")
    entry = model.topology
    if isinstance(inner := entry.get("model_config"), dict):
        entry = inner
    found = read_architecture(
        _with_defaults(entry),
        path=model.path,
        where=place.where,
        keras_version=_KERAS,
        limits=limits,
    )
    _assign(found.graph, model.model_weights, model.path)
    restore_grus(found.graph)
    return KerasModel(
        model.path,
        model.format,
        found.graph,
        found.generation,
        training_config=model.training_config,
    )


def _with_defaults(value: Any) -> Any:
    """Return the topology *value* as Keras takes it: with tfjs's defaults, and true or false."""
    if isinstance(value, list):
        return [_with_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: _with_defaults(item) for key, item in value.items()}
    kind, config = value.get("class_name"), value.get("config")
    if isinstance(kind, str) and isinstance(config, dict):
        value["config"] = settle_flags(kind, {**DEFAULTS_OF.get(kind, {}), **config})
        if kind == "Reshape" and isinstance(target := config.get("target_shape"), list):
            # tfjs saves an open size as null, for which Keras writes -1
            sizes = [-1 if size is None else size for size in target]
            value["config"]["target_shape"] = sizes
        if kind == "Concatenate" and isinstance(axis := value["config"]["axis"], int):
            value["config"]["axis"] = max(axis, -1)  # so tfjs takes negative ones
    return value


def _assign(graph: KerasGraph, weights: Iterable[Weight], path: str) -> None:
    """Give the layers of *graph* their weights, by the rules of tfjs's strict loading."""
    slots = {name: (layer, role) for name, layer, role in _variables(graph)}
    unknown = {layer.name: layer for layer in graph.walk() if own_variables(layer) is None}
    values: dict[str, LazyTensor] = {}
    for weight in weights:
        name = target_name(weight.name, slots)
        if name is None:
            owner, _, role = weight.name.rpartition("/")
            if owner not in unknown:
                raise CorruptFileError(
                    f"the weight {quote(weight.name)} belongs to no layer", path=path,
                    where="weightsManifest",
                )  # fmt: skip
            unknown[owner].weights[role] = weight.tensor
            continue
        values[name] = weight.tensor
    missing = [name for name in slots if name not in values]
    if missing:
        raise CorruptFileError(
            f"there is no value for {', '.join(map(quote, missing[:3]))}"
            + (f" and {len(missing) - 3} more" if len(missing) > 3 else ""),
            path=path, where="weightsManifest",
        )  # fmt: skip
    for name, (layer, role) in slots.items():
        layer.weights[role] = values[name]


def _variables(graph: KerasGraph) -> Iterator[tuple[str, KerasLayer, str]]:
    """Yield (name, layer, role) of all variables of *graph*."""
    for layer in graph.layers:
        yield from _scoped_variables(layer, layer.name)


def _scoped_variables(layer: KerasLayer, scope: str) -> Iterator[tuple[str, KerasLayer, str]]:
    """The variables of a layer whose name scope in tfjs is *scope*."""
    if layer.graph is not None:
        yield from _variables(layer.graph)
        return
    for variable in own_variables(layer) or ():
        yield f"{scope}/{variable.role}", layer, variable.role
    for key, child in layer.children.items():
        if key.startswith("cells/"):
            yield from _scoped_variables(child, f"{scope}/RNNCell_{key[6:]}")
        elif key in ("forward_layer", "backward_layer"):
            yield from _scoped_variables(child, f"{scope}/{child.name}")
        else:  # TimeDistributed.layer, RNN.cell
            yield from _scoped_variables(child, scope)
