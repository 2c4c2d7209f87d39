"""Writes Keras models: HDF5 files, with or without architecture, and ``.keras`` archives.

An HDF5 file has the attributes ``model_config``, ``keras_version`` and ``backend`` and the group
``model_weights``, with ``layer_names`` and a group for each layer, which has ``weight_names`` and
the datasets. A weights-only file has what is in that group at its root, or, if it is called
``….weights.h5``, is like the ``model.weights.h5`` in a ``.keras`` file. That is a zip of
``metadata.json``, ``config.json`` and ``model.weights.h5``, whose variables are ``…/vars/N``.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from tfjs_codec.files.hdf5_write import H5Tree, write_hdf5
from tfjs_codec.files.sink import Stage
from tfjs_codec.files.source import HDF5_MAGIC
from tfjs_codec.files.zip_write import staged_zip
from tfjs_codec.ir.json_types import Json
from tfjs_codec.ir.keras import KerasGraph
from tfjs_codec.writers.keras_config import model_config
from tfjs_codec.writers.keras_weights import group_weights, tree_weights

# Versions whose formats these are; Keras looks at them to convert older files.
_KERAS_2 = {"keras_version": "2.15.0", "backend": "tensorflow"}
_KERAS_3 = {"keras_version": "3.0.0", "date_saved": "1980-01-01@00:00:00"}
_WEIGHTS = "model.weights.h5"


def write_h5(graph: KerasGraph, stage: Stage, name: str) -> None:
    """Write the HDF5 file *name* in *stage*, for ``load_model`` of Keras 2 and Keras 3."""
    config = _text(model_config(graph, 2))
    root = H5Tree({"model_config": config, **_KERAS_2}, groups={"model_weights": _weights(graph)})
    write_hdf5(stage, name, root)


def write_weights_h5(graph: KerasGraph, stage: Stage, name: str) -> None:
    """Write a weights-only HDF5 file, for ``load_weights`` of Keras 2 and Keras 3.

    Both go by the name: ``.weights.h5`` (Keras 2 from 2.12) is the tree of ``.keras`` archives,
    any other the layout of whole HDF5 files.
    """
    is_tree = name.endswith(".weights.h5")
    tree = H5Tree(tensors=dict(tree_weights(graph))) if is_tree else _weights(graph)
    write_hdf5(stage, name, tree)


def write_keras(graph: KerasGraph, stage: Stage, name: str) -> None:
    """Write the ``.keras`` file *name* in *stage*, for ``load_model`` of Keras 3."""
    write_hdf5(stage, _WEIGHTS, H5Tree(tensors=dict(tree_weights(graph))))
    with staged_zip(stage, name) as archive:
        archive.add("metadata.json", _text(_KERAS_3).encode())
        archive.add("config.json", _text(model_config(graph, 3)).encode())
        archive.move(_WEIGHTS)


def _weights(graph: KerasGraph) -> H5Tree:
    tree = H5Tree({"layer_names": [layer.name for layer in graph.layers], **_KERAS_2})
    for layer in graph.layers:
        weights = group_weights(layer)
        tree.groups[layer.name] = H5Tree({"weight_names": list(weights)}, weights)
    return tree


def _text(value: Json) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


# By names of options.TARGETS: how such a file begins, and who writes it.
KERAS_WRITERS: dict[str, tuple[bytes, Callable[[KerasGraph, Stage, str], None]]] = {
    "h5": (HDF5_MAGIC, write_h5),
    "weights-h5": (HDF5_MAGIC, write_weights_h5),
    "keras": (b"PK", write_keras),
}
