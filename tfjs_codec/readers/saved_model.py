"""Keras models in SavedModel directories, and the variables of any checkpoint.

The architecture is in the Keras metadata of the object graph's root, with the same ``model_config``
that HDF5 files have; :mod:`tfjs_codec.readers.object_graph` finds the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfjs_codec.errors import UnsupportedModelError, UsageError, quote
from tfjs_codec.files.saved_model import SavedModelDir, open_saved_model, open_variables, signatures
from tfjs_codec.files.source import Source
from tfjs_codec.files.tensor_bundle import OBJECT_GRAPH_KEY, open_bundle
from tfjs_codec.ir.keras import Config, KerasModel
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.readers.architecture import read_architecture
from tfjs_codec.readers.object_graph import attach_weights

_WHERE = "Keras metadata of node 0"


def read(
    path: Path,
    tags: Sequence[str] | None = None,
    *,
    verify: bool = True,
    limits: Limits = DEFAULT_LIMITS,
) -> KerasModel:
    """Return the Keras model in SavedModel directory *path*.

    Without *verify* the values are not compared with their checksums.

    Raises:
        UnsupportedModelError: no Keras architecture; the error tells what is there instead.
        CorruptFileError, UnsafeFileError, LimitExceededError, UsageError: see
            :func:`tfjs_codec.files.saved_model.open_saved_model`.
    """
    model = open_saved_model(path, tags=tags, limits=limits)
    metadata = model.json(0)
    config = keras_config(metadata)
    if config is None:
        raise _not_keras(model, metadata)
    version = metadata.get("keras_version")
    version = version if isinstance(version, str) else None
    found = read_architecture(
        config, path=str(path), where=_WHERE, keras_version=version, limits=limits
    )
    attach_weights(found.graph, model, verify=verify)
    training, backend = metadata.get("training_config"), metadata.get("backend")
    return KerasModel(
        str(path),
        "keras-savedmodel",
        found.graph,
        generation=found.generation,
        keras_version=version,
        backend=backend if isinstance(backend, str) else None,
        training_config=training if isinstance(training, dict) else None,
        warnings=list(found.warnings),
    )


def keras_config(metadata: Any) -> Config | None:
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


def read_weights(
    path: Path,
    tags: Sequence[str] | None = None,
    *,
    verify: bool = True,
    limits: Limits = DEFAULT_LIMITS,
) -> KerasModel:
    """Return what :func:`read` does or, without a Keras architecture, all variables by their keys.

    The graphs of a directory share its variables, so it does not matter which one is meant.

    Raises:
        CorruptFileError, UnsafeFileError, LimitExceededError: see :func:`read`.
    """
    try:
        return read(path, tags, verify=verify, limits=limits)
    except UnsupportedModelError:
        tensors = open_variables(path, verify=verify, limits=limits)
        return _loose(str(path), "savedmodel", tensors)


def read_checkpoint(
    source: Source, *, verify: bool = True, limits: Limits = DEFAULT_LIMITS
) -> KerasModel:
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
    tensors = open_bundle(index.with_suffix(""), verify=verify, limits=limits)
    return _loose(source.path, "checkpoint", tensors)


def _loose(path: str, kind: str, tensors: Mapping[str, LazyTensor]) -> KerasModel:
    """Return a model without architecture. Strings come as arrays of bytes objects."""
    variables = {key: tensor for key, tensor in tensors.items() if key != OBJECT_GRAPH_KEY}
    return KerasModel(path, kind, None, loose_weights=variables)


def _not_keras(model: SavedModelDir, metadata: Any) -> UnsupportedModelError:
    """Return the error for a SavedModel without a usable Keras architecture."""
    offered = [f"{quote(signature.name)} ({signature})" for signature in signatures(model)[:10]]
    text = f"{what_is_it(model, metadata)}, so there is nothing to make tfjs layers from; "
    text += f"it offers the signatures {', '.join(offered)}" if offered else "it has no signatures"
    hint = "A tfjs graph model is the way for it (--to graph)."
    return UnsupportedModelError(text, path=model.path, hint=hint)


def what_is_it(model: SavedModelDir, metadata: Any) -> str:
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
