"""TensorFlow.js models: a ``model.json`` and its weight files, or a bare weight manifest.

A Layers model's ``modelTopology`` is the config of a Keras 2 model, ``{"class_name", "config"}``,
often wrapped as ``{"model_config", "keras_version", …}``; a graph model's is a GraphDef as JSON.
Weights find their layers by the names that tfjs gives its variables:
a nested model adds no prefix, TimeDistributed drops the inner layer's name. A name that fits no
variable is tried without its last but one part, as tfjs does (``lstm/lstm_cell/kernel``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from tfjs_codec.errors import CorruptFileError, UnsupportedModelError, quote
from tfjs_codec.files import strict_json
from tfjs_codec.files.place import Place
from tfjs_codec.files.source import Source, unknown_format
from tfjs_codec.ir.keras import KerasGraph, KerasLayer, KerasModel
from tfjs_codec.ir.layers import TfjsModel, Weight
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.keras.variables import own_variables
from tfjs_codec.limits import Limits
from tfjs_codec.readers.architecture import read_architecture
from tfjs_codec.readers.manifest import read_manifest
from tfjs_codec.readers.tfjs_gru import restore_grus

_OURS = ("modelTopology", "weightsManifest", "trainingConfig", "userDefinedMetadata", "generatedBy")
# What tfjs takes for a key that is not there, where Keras 2 takes something else.
_TFJS_DEFAULTS: dict[str, dict[str, Any]] = {
    "LSTM": {"recurrent_activation": "hard_sigmoid"},
    "GRU": {"recurrent_activation": "hard_sigmoid"},
    "ConvLSTM2D": {"recurrent_activation": "hard_sigmoid"},
    "Softmax": {"axis": 1},
}


def read(source: Source, limits: Limits, *, as_stored: bool) -> KerasModel:
    """Return the tfjs model in *source*, a ``model.json`` or a bare manifest.

    *as_stored* leaves the topology as the JSON it is; else a Layers model's becomes a graph.

    Raises:
        CorruptFileError, UnsafeFileError: the model is damaged or reaches outside its directory.
        UnknownFormatError: the JSON is something else.
    """
    content = strict_json.loads(source.read("json_bytes", limits), path=source.path, limits=limits)
    directory = None if source.file_path is None else source.file_path.parent
    if _is_manifest(content):
        weights = read_manifest(content, directory, Place(source.path), limits)
        return _stored(source.path, "tfjs-weights", TfjsModel(None, weights))
    place = Place(source.path)
    topology, kind = _topology(content, source)
    manifest = content.get("weightsManifest")
    weights = []
    if manifest is not None:
        weights = read_manifest(manifest, directory, place.at("weightsManifest"), limits)
    generated = content.get("generatedBy")
    model = TfjsModel(
        None,
        weights,
        _mapping(content.get("trainingConfig")),
        _mapping(content.get("userDefinedMetadata")),
        generated if isinstance(generated, str) else None,
        topology,
        {key: value for key, value in content.items() if key not in _OURS},
    )
    if as_stored or kind != "tfjs-layers":
        return _stored(source.path, kind, model)
    return keras_model(model, source.path, limits)


def _is_manifest(content: Any) -> bool:
    """Whether *content* is a list of groups, as face-api.js keeps beside its shards."""
    return (
        isinstance(content, list)
        and len(content) > 0
        and all(
            isinstance(group, dict) and {"paths", "weights"} <= group.keys() for group in content
        )
    )


def _topology(content: Any, source: Source) -> tuple[dict[str, Any] | None, str]:
    """Return the topology of a ``model.json`` and what kind of model it is."""
    if not isinstance(content, dict) or not {"modelTopology", "weightsManifest"} & content.keys():
        if isinstance(content, dict) and "class_name" in content and "config" in content:
            raise UnsupportedModelError(
                "an architecture without weights", path=source.path,
                hint="Convert the weights file and pass this one with --architecture.",
            )  # fmt: skip
        raise unknown_format(source)
    topology = content.get("modelTopology")
    if topology is None:
        return None, "tfjs-weights"
    place = Place(source.path, "modelTopology")
    topology = place.mapping(topology)
    is_graph = "node" in topology or "library" in topology
    is_layers = "model_config" in topology or "class_name" in topology
    if is_graph == is_layers:
        raise place.error("neither the layers of a Layers model nor the nodes of a graph model")
    kind = "tfjs-graph" if is_graph else "tfjs-layers"
    claimed = content.get("format")
    if claimed in ("graph-model", "layers-model") and (claimed == "graph-model") != is_graph:
        raise Place(source.path, "format").error(
            f"says {quote(claimed)}, but the topology is that of a {_KINDS[kind]}",
            f"Load it with {_LOADERS[kind]}.",
        )
    return topology, kind


_KINDS = {"tfjs-layers": "Layers model", "tfjs-graph": "graph model"}
_LOADERS = {"tfjs-layers": "tf.loadLayersModel", "tfjs-graph": "tf.loadGraphModel"}


def _mapping(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _stored(path: str, kind: str, model: TfjsModel) -> KerasModel:
    loose = {weight.name: weight.tensor for weight in model.weights}
    return KerasModel(path, kind, None, loose_weights=loose, tfjs=model)


def keras_model(model: TfjsModel, path: str, limits: Limits) -> KerasModel:
    """Return the Layers model *model*, whose ``topology`` is set, as a Keras model.

    Raises:
        CorruptFileError: weights and topology that contradict each other.
        UnsupportedModelError: a subclassed model.
    """
    place = Place(path, "modelTopology")
    entry = place.mapping(model.topology)
    if isinstance(entry.get("model_config"), dict):
        entry = entry["model_config"]
    found = read_architecture(
        _with_defaults(entry), path=path, where=place.where, keras_version="2", limits=limits
    )
    stored = [weight for weight in model.weights if not weight.optimizer]
    _assign(found.graph, stored, path)
    restore_grus(found.graph)
    result = _stored(path, "tfjs-layers", model)
    result.graph = found.graph
    result.generation = found.generation
    result.training_config = model.training_config
    result.loose_weights = {}
    return result


def _with_defaults(value: Any) -> Any:
    """Return the topology *value* with tfjs's defaults written out, where Keras has others."""
    if isinstance(value, list):
        return [_with_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: _with_defaults(item) for key, item in value.items()}
    kind, config = value.get("class_name"), value.get("config")
    if isinstance(kind, str) and isinstance(config, dict):
        value["config"] = {**_TFJS_DEFAULTS.get(kind, {}), **config}
    return value


def _assign(graph: KerasGraph, weights: list[Weight], path: str) -> None:
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


def target_name(name: str, slots: Collection[str]) -> str | None:
    """Return the variable that the manifest's *name* stands for."""
    if name in slots:
        return name
    parts = name.split("/")
    shorter = "/".join((*parts[:-2], parts[-1]))
    return shorter if len(parts) > 2 and shorter in slots else None


def _variables(graph: KerasGraph) -> Iterator[tuple[str, KerasLayer, str]]:
    """Yield (name, layer, role) of all variables of *graph*."""
    for layer in graph.layers:
        yield from _scoped(layer, layer.name)


def _scoped(layer: KerasLayer, scope: str) -> Iterator[tuple[str, KerasLayer, str]]:
    """The variables of a layer whose name scope in tfjs is *scope*."""
    if layer.graph is not None:
        yield from _variables(layer.graph)
        return
    for variable in own_variables(layer) or ():
        yield f"{scope}/{variable.role}", layer, variable.role
    for key, child in layer.children.items():
        if key.startswith("cells/"):
            yield from _scoped(child, f"{scope}/RNNCell_{key[6:]}")
        elif key in ("forward_layer", "backward_layer"):
            yield from _scoped(child, f"{scope}/{child.name}")
        else:  # TimeDistributed.layer, RNN.cell
            yield from _scoped(child, scope)
