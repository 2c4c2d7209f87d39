"""TensorFlow.js models: a ``model.json`` and its weight files, or a bare weight manifest.

A Layers model's ``modelTopology`` is the config of a Keras 2 model, ``{"class_name", "config"}``,
often wrapped as ``{"model_config", "keras_version", …}``; a graph model's is a GraphDef as JSON.
Both are kept as the JSON they are.
"""

from __future__ import annotations

from typing import Any

from tfjs_codec.errors import UnsupportedModelError, quote
from tfjs_codec.files import strict_json
from tfjs_codec.files.detection import unknown_format
from tfjs_codec.files.place import Place
from tfjs_codec.files.source import Source
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import TfjsGraph, TfjsLayers, Weights
from tfjs_codec.limits import Limits
from tfjs_codec.readers.manifest import read_manifest

_OURS = ("modelTopology", "weightsManifest", "trainingConfig", "userDefinedMetadata", "generatedBy")


def read(source: Source, limits: Limits) -> TfjsLayers | TfjsGraph | Weights:
    """Return the tfjs model in *source*, a ``model.json`` or a bare manifest.

    Raises:
        CorruptFileError, UnsafeFileError: the model is damaged or reaches outside its directory.
        UnsupportedModelError: an architecture without weights.
        UnknownFormatError: the JSON is something else.
    """
    content = strict_json.read(source, limits)
    folder = source.folder
    place = Place(source.path)
    if _is_manifest(content):
        weights = read_manifest(content, folder, place, limits)
        return Weights(path=source.path, format="tfjs-weights", weights=tuple(weights))
    if not isinstance(content, dict) or not {"modelTopology", "weightsManifest"} & content.keys():
        if isinstance(content, dict) and "class_name" in content and "config" in content:
            raise UnsupportedModelError(
                "an architecture without weights", path=source.path,
                hint="Convert the weights file and pass this one with --architecture.",
            )  # fmt: skip
        raise unknown_format(source)
    weights = list[Weight]()
    if (manifest := content.get("weightsManifest")) is not None:
        weights = read_manifest(manifest, folder, place.at("weightsManifest"), limits)
    generated = content.get("generatedBy")
    common: dict[str, Any] = {
        "path": source.path,
        "weights": tuple(weights),
        "training_config": _mapping(content.get("trainingConfig")),
        "metadata": _mapping(content.get("userDefinedMetadata")),
        "generated_by": generated if isinstance(generated, str) else None,
        "fields": {key: value for key, value in content.items() if key not in _OURS},
    }
    topology = content.get("modelTopology")
    if topology is None:
        return Weights(format="tfjs-weights", **common)
    topology = place.at("modelTopology").mapping(topology)
    if _is_graph(topology, content.get("format"), place):
        return TfjsGraph(topology=topology, **common)
    return TfjsLayers(topology=topology, **common)


def _is_manifest(content: Json) -> bool:
    """Whether *content* is a list of groups, as face-api.js keeps beside its shards."""
    return (
        isinstance(content, list)
        and len(content) > 0
        and all(
            isinstance(group, dict) and {"paths", "weights"} <= group.keys() for group in content
        )
    )


def _is_graph(topology: JsonObject, claimed: Json, place: Place) -> bool:
    """Tell whether *topology* is that of a graph model; it is that of a Layers model if not."""
    is_graph = "node" in topology or "library" in topology
    is_layers = "model_config" in topology or "class_name" in topology
    if is_graph == is_layers:
        raise place.at("modelTopology").error(
            "neither the layers of a Layers model nor the nodes of a graph model"
        )
    if claimed in ("graph-model", "layers-model") and (claimed == "graph-model") != is_graph:
        is_a, loader = ("graph", "Graph") if is_graph else ("Layers", "Layers")
        raise place.at("format").error(
            f"says {quote(claimed)}, but the topology is that of a {is_a} model",
            f"Load it with tf.load{loader}Model.",
        )
    return is_graph


def _mapping(value: Json) -> JsonObject | None:
    return value if isinstance(value, dict) else None
