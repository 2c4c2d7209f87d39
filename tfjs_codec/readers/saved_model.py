"""SavedModel directories, as graphs or as the Keras models in them; variables of any checkpoint.

:mod:`tfjs_codec.readers.signatures` makes graphs of signatures. A Keras model's architecture is
in the Keras metadata of the object graph's root, with the same ``model_config`` that HDF5 files
have; :mod:`tfjs_codec.readers.object_graph` finds the weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from tfjs_codec.errors import UnsupportedModelError, UsageError, quote
from tfjs_codec.files.saved_model import (
    SavedModelDir,
    open_saved_model,
    open_variables,
    signatures,
    tag_text,
)
from tfjs_codec.files.source import Source
from tfjs_codec.files.tensor_bundle import OBJECT_GRAPH_KEY, open_bundle
from tfjs_codec.ir.graph import Graph
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import KerasModel, TensorFlowGraph, Weights
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.options import ConvertOptions
from tfjs_codec.readers.architecture import read_architecture
from tfjs_codec.readers.object_graph import attach_weights
from tfjs_codec.readers.signatures import read_graph

_WHERE = "Keras metadata of node 0"


def read(path: Path, options: ConvertOptions, name: str | None = None) -> TensorFlowGraph:
    """Return the SavedModel in directory *path*, called *name*; its files are read when needed.

    Raises:
        UnknownFormatError: there is no SavedModel in *path*.
    """
    limits, verify = options.limits, options.verify_checksums
    called = name or str(path)

    @cache
    def model() -> SavedModelDir:
        return open_saved_model(path, tags=options.tags, limits=limits)

    @cache
    def graph() -> Graph:
        if options.output_node_names:
            raise UsageError(
                "a SavedModel's outputs are those of its signature", path=called,
                hint="--output-node-names is for frozen graphs; choose with --signature-name.",
            )  # fmt: skip
        found = read_graph(model(), options.signature_name, verify=verify)
        return replace(found, path=called)

    def weights() -> Weights:
        # The graphs of a directory share its variables: it does not matter which one is meant.
        return _variables(called, "savedmodel", open_variables(path, verify=verify, limits=limits))

    return TensorFlowGraph(
        called,
        "tf-saved-model",
        graph,
        lambda: _read_layers(model(), called, options),
        weights,
        lambda: tuple(_facts(model())),
    )


def _read_layers(model: SavedModelDir, path: str, options: ConvertOptions) -> KerasModel:
    """Return the Keras model in *model*.

    Raises:
        UnsupportedModelError: no Keras architecture; the error tells what is there instead.
        CorruptFileError: the architecture and the variables contradict each other.
    """
    metadata = model.json(0)
    config = keras_config(metadata)
    if config is None:
        raise _not_keras(model, metadata)
    version = metadata.get("keras_version")
    version = version if isinstance(version, str) else None
    found = read_architecture(
        config,
        path=path,
        where=_WHERE,
        keras_version=version,
        limits=options.limits,
        whole=True,
    )
    attach_weights(found.graph, model, verify=options.verify_checksums)
    return found.as_model(
        "keras-savedmodel",
        found.warnings,
        backend=metadata.get("backend"),
        training_config=metadata.get("training_config"),
    )


def keras_config(metadata: Json) -> JsonObject | None:
    """Return ``{"class_name", "config"}`` of the model that root *metadata* describes by layers.

    TensorFlow 2.0 and 2.1 may leave ``model_config`` out and describe the root like a layer.
    """
    if not isinstance(metadata, dict):
        return None
    config = metadata.get("model_config")
    if not isinstance(config, dict):
        config = {key: metadata.get(key) for key in ("class_name", "config")}
    inner = config.get("config")
    described = isinstance(inner, dict) and "layers" in inner
    listed = isinstance(inner, list) and config.get("class_name") == "Sequential"
    return config if described or listed else None


def read_checkpoint(source: Source, options: ConvertOptions) -> Weights:
    """Return the variables of a checkpoint by their keys; *source* is its index.

    Raises:
        UsageError: the shards cannot be found, because *source* is no file ``PREFIX.index``.
        CorruptFileError, UnsafeFileError, LimitExceededError: see
            :func:`tfjs_codec.files.tensor_bundle.open_bundle`.
    """
    index = source.file_path
    if index is None or index.suffix != ".index":
        raise UsageError(
            "the index of a checkpoint, whose values are in files beside it",
            path=source.path,
            hint="Pass the path of the checkpoint, PREFIX or PREFIX.index.",
        )
    prefix = index.with_suffix("")
    tensors = open_bundle(prefix, verify=options.verify_checksums, limits=options.limits)
    return _variables(source.path, "checkpoint", tensors)


def _variables(path: str, kind: str, tensors: Mapping[str, LazyTensor]) -> Weights:
    """Return all variables by their keys. Strings come as arrays of bytes objects."""
    weights = tuple(Weight(key, one) for key, one in tensors.items() if key != OBJECT_GRAPH_KEY)
    return Weights(path=path, format=kind, weights=weights, named_by="checkpoint")


def _facts(model: SavedModelDir) -> Iterator[tuple[str, str]]:
    version = model.meta_graph.meta_info_def.tensorflow_version
    if version:
        yield "tensorflow version", version
    yield "tags", "; ".join(map(tag_text, model.all_tags))
    for signature in signatures(model):
        yield f"signature {quote(signature.name)}", str(signature)
    graph = model.meta_graph.graph_def
    counts = Counter(node.op for node in graph.node)  # those that save and restore included
    for function in graph.library.function:
        counts.update(node.op for node in function.node_def)
    listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    yield "operations", ", ".join(f"{count} {op}" for op, count in listed)


def _not_keras(model: SavedModelDir, metadata: Json) -> UnsupportedModelError:
    """Return the error for a SavedModel without a usable Keras architecture."""
    offered = [f"{quote(signature.name)} ({signature})" for signature in signatures(model)[:10]]
    text = f"{what_is_it(model, metadata)}, so it has no layers to convert; "
    text += f"it offers the signatures {', '.join(offered)}" if offered else "it has no signatures"
    hint = "Convert it to a graph model (--to graph)."
    return UnsupportedModelError(text, path=model.path, hint=hint)


def what_is_it(model: SavedModelDir, metadata: Json) -> str:
    """Say in a clause what kind of SavedModel *model* is and what its architecture lacks."""
    if isinstance(metadata, dict):
        name = metadata.get("class_name")
        return f"a subclassed Keras model ({quote(name)}): its layers are not described"
    if (model.path / "tfhub_module.pb").exists():
        return "a TensorFlow 1 Hub module without Keras architecture"
    if not model.nodes:
        return "a TensorFlow 1 SavedModel without Keras architecture"
    root = {child.local_name for child in model.nodes[0].children}
    if "_all_variables" in root:
        return "a SavedModel of Keras 3's model.export() without Keras architecture"
    identifiers = (node.user_object.identifier for node in model.nodes)
    if any(each.startswith("_tf_keras") for each in identifiers):
        return "a Keras model saved by tf.saved_model.save, without its architecture"
    return "a TensorFlow SavedModel without Keras architecture"
