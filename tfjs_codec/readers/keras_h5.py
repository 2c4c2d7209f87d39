"""Keras HDF5 files: whole models, weights only, and weights with an architecture from elsewhere.

A whole model has the root attribute ``model_config`` (JSON) and the group ``model_weights``; a
weights-only file has the layers' groups at its root (``layer_names`` there), or is of the tree
layout of Keras 3 (``.weights.h5``), which :mod:`tfjs_codec.readers.keras_v3` reads.
"""

from __future__ import annotations

import re

from tfjs_codec.errors import CorruptFileError, TfjsCodecError, count
from tfjs_codec.files import strict_json
from tfjs_codec.files.hdf5 import H5File
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import KerasModel, Weights
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.limits import Limits
from tfjs_codec.readers.architecture import NO_ARCHITECTURE, read_architecture
from tfjs_codec.readers.h5_weights import flip_kernels, group_tensors, layer_names, load_weights
from tfjs_codec.readers.input_shape import infer_input_shapes


def read(file: H5File, limits: Limits, architecture: Json = None) -> KerasModel | Weights:
    """Return the model in *file*; *architecture* is a parsed ``model.to_json()`` or None."""
    root = file.root
    config = root.attr("model_config")
    if config is not None or architecture is not None:
        return _whole(file, limits, config, architecture)
    if root.attr("layer_names") is not None:
        loose = _name_weights(
            [
                (name, weight, tensor)
                for name in layer_names(root)
                for weight, tensor in group_tensors(root, name)
            ]
        )
        kind = "keras-h5-weights"
    else:
        loose = dict(file.walk())
        kind = "keras-v3-weights"
        if not any("/vars/" in f"/{name}" for name in loose):
            raise CorruptFileError(
                "an HDF5 file, but not of Keras: neither model_config nor layer_names nor vars",
                path=file.path, where=file.where,
            )  # fmt: skip
    return Weights(
        path=file.path,
        format=kind,
        named_by="keras",
        weights=tuple(Weight(name, tensor) for name, tensor in loose.items()),
        keras_version=_text(file, "keras_version"),
        warnings=(NO_ARCHITECTURE.format(tensors=count(len(loose), "tensor")),),
    )


def _name_weights(found: list[tuple[str, str, LazyTensor]]) -> dict[str, LazyTensor]:
    """Return tensors as the official converter names them, ``layer/kernel``.

    Where two would be called the same, all have the name of their layer's group before theirs.
    """
    short = {re.sub(r":\d+$", "", weight): tensor for _, weight, tensor in found}
    if len(short) == len(found):
        return short
    return {f"{name}/{weight}": tensor for name, weight, tensor in found}


def _text(file: H5File, name: str) -> str | None:
    """Return a root attribute; Keras 2 writes some on ``model_weights`` only in part."""
    try:
        value = file.root.attr(name)
    except TfjsCodecError:
        return None
    return value if isinstance(value, str) else None


def _whole(file: H5File, limits: Limits, config: object, architecture: Json) -> KerasModel:
    root = file.root
    version, backend = _text(file, "keras_version"), _text(file, "backend")
    group = root.group("model_weights") if "model_weights" in root else root
    is_tree = root.attr("layer_names") is None and group is root
    where, names = "architecture", list[str]()
    if architecture is None:
        where = "model_config"
        architecture = _json(file, "model_config", config, limits)
        if group.attr("layer_names") is not None:
            names = layer_names(group)
    found = read_architecture(
        architecture, path=file.path, where=where, keras_version=version, names=names,
        limits=limits, whole=True,
    )  # fmt: skip
    warnings = list(found.warnings)
    if is_tree:
        from tfjs_codec.readers.keras_v3 import h5_store, load_tree  # here: most files are others

        warnings += load_tree(found, h5_store(file))
    else:
        warnings += load_weights(found.graph, group, found.generation, found.python_class)
    warnings += infer_input_shapes(found.graph, file.path)
    if backend == "theano" and found.generation < 3:
        flip_kernels(found.graph)
    if found.generation == 1:
        warnings.append("Keras 1 does not record its backend; TensorFlow is assumed")
    training = _training_config(file, limits, warnings)
    return found.as_model("keras-h5", warnings, backend=backend, training_config=training)


def _json(file: H5File, name: str, text: object, limits: Limits) -> Json:
    if not isinstance(text, str):
        raise CorruptFileError(
            f"the attribute {name} is not text", path=file.path, where=file.place(name)
        )
    value: Json = strict_json.load_config(
        text, path=file.path, where=file.place(name), limits=limits
    )
    return value


def _training_config(file: H5File, limits: Limits, warnings: list[str]) -> JsonObject | None:
    """Return how the model was compiled; damage there only costs a warning."""
    try:
        text = file.root.attr("training_config")
        value = None if text is None else _json(file, "training_config", text, limits)
    except CorruptFileError as error:
        warnings.append(f"training_config was ignored: {error.what}")
        return None
    return value if isinstance(value, dict) else None
