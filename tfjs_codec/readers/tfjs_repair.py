"""Layers models in the dialect of Keras 3, which tfjs cannot load, read as Keras models.

The official converter 4.22 copies a Keras 3 config as it is: ``batch_shape``, dtype policies and
nodes as objects, ``module`` beside every class; and the names of its variables, which tfjs knows
otherwise: paths (``sequential/dense/kernel``) of an HDF5 file, whose layers it takes in the order
of their names, or places in a tree (``layers/dense/vars/0``) of a ``.keras`` file of any Keras.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.files.place import Place
from tfjs_codec.ir.json_types import Json
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import KerasModel, TfjsLayers
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.limits import Limits
from tfjs_codec.readers.architecture import Architecture, read_architecture
from tfjs_codec.readers.h5_weights import assign, convert
from tfjs_codec.readers.input_shape import infer_input_shapes
from tfjs_codec.readers.keras_v3 import Store, is_variable, load_tree

_TREE = re.compile(r"(^|/)vars/[0-9]+$")
_WARNING = (
    "this model.json is in the dialect of Keras, which tf.loadLayersModel cannot read; it was read "
    "as the Keras model that it was made of"
)
_KERAS_3_KEYS = frozenset(("module", "registered_name", "build_config", "batch_shape"))


def repair(model: TfjsLayers, limits: Limits) -> TfjsLayers | KerasModel:
    """Return *model* itself, or if it is in a dialect of Keras, the Keras model.

    Raises:
        CorruptFileError: Config and weights contradict each other.
        UnsupportedModelError: A subclassed model.
    """
    weights = model.model_weights
    in_tree = any(_TREE.search(weight.name) for weight in weights)
    entry = model.topology.get("model_config", model.topology)
    if not in_tree and not _is_keras_3(entry):
        return model
    if (model.keras_version or "").startswith("3."):
        entry = _with_batch_shapes(entry)
    found = read_architecture(
        entry, path=model.path, where="modelTopology", keras_version=model.keras_version,
        limits=limits,
    )  # fmt: skip
    warnings = [_WARNING, *found.warnings]
    if in_tree:
        store = Store(model.path, "weightsManifest")
        store.add((one.name, one.tensor) for one in weights if is_variable(one.name))
        warnings += load_tree(found, store)
    else:
        _assign_paths(found, weights, model.path)
    warnings += infer_input_shapes(found.graph, model.path)
    return found.as_model(model.format, warnings, training_config=model.training_config)


def _is_keras_3(value: Json) -> bool:
    """Tell whether only Keras 3 writes such a config."""
    if isinstance(value, list):
        return any(map(_is_keras_3, value))
    if not isinstance(value, dict):
        return False
    named = "class_name" in value or "name" in value
    return (named and not _KERAS_3_KEYS.isdisjoint(value)) or any(map(_is_keras_3, value.values()))


def _with_batch_shapes(value: Json) -> Json:
    """Return *value* with the key of input shapes that Keras 3 has, where a user changed it."""
    if isinstance(value, list):
        return [_with_batch_shapes(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        "batch_shape" if key == "batch_input_shape" else key: _with_batch_shapes(item)
        for key, item in value.items()
    }


def _assign_paths(found: Architecture, weights: Iterable[Weight], path: str) -> None:
    """Give the layers the weights whose names are paths of variables."""
    owners = _owners(found.graph)
    groups: dict[str, list[tuple[str, LazyTensor]]] = {}
    for weight in weights:
        parts = weight.name.split("/")
        owner = next((owners[part] for part in parts[:-1] if part in owners), None)
        if owner is None:
            raise CorruptFileError(
                f"the weight {quote(weight.name)} belongs to no layer by its name", path=path,
                where="weightsManifest", hint="Convert the Keras file that the model was made of.",
            )  # fmt: skip
        groups.setdefault(owner, []).append((weight.name, weight.tensor))
    for layer in found.graph.layers:
        assign(layer, groups.get(layer.name, []), found.generation, Place(path, layer.name))
        convert(layer, found.python_class)


def _owners(graph: KerasGraph) -> dict[str, str]:
    """Return by the name of a layer the outermost layer that it is in; only names used once."""
    owners: dict[str, str] = {}
    repeated: set[str] = set()

    def add(layer: KerasLayer, outermost: str) -> None:
        if owners.setdefault(layer.name, outermost) != outermost:
            repeated.add(layer.name)
        for inner in layer.inner:
            add(inner, outermost)

    for layer in graph.layers:
        add(layer, layer.name)
    outermost = {layer.name: layer.name for layer in graph.layers}
    return {
        **{name: owner for name, owner in owners.items() if name not in repeated},
        **outermost,
    }
