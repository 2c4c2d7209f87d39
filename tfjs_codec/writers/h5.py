"""Writes whole Keras models as HDF5 files.

Such a file has the attributes ``model_config``, ``keras_version`` and ``backend`` and the group
``model_weights``, with ``layer_names`` and a group for each layer, which has ``weight_names`` and
the datasets.
"""

from __future__ import annotations

from tfjs_codec.files.hdf5_write import H5Tree, write_hdf5
from tfjs_codec.files.source import HDF5_MAGIC
from tfjs_codec.files.stage import Stage
from tfjs_codec.ir.keras import KerasGraph
from tfjs_codec.progress import Progress
from tfjs_codec.writers.keras_config import KERAS_2, model_config
from tfjs_codec.writers.keras_weights import group_weights

MAGIC = HDF5_MAGIC
# The version whose format this is; Keras looks at it to convert older files.
_KERAS_2 = {"keras_version": KERAS_2, "backend": "tensorflow"}


def write(graph: KerasGraph, stage: Stage, name: str, progress: Progress | None = None) -> None:
    """Write the HDF5 file *name* in *stage*, for ``load_model`` of Keras 2 and Keras 3."""
    config, groups = model_config(graph, 2), {"model_weights": weights_group(graph)}
    write_hdf5(stage, name, H5Tree({"model_config": config, **_KERAS_2}, groups=groups), progress)


def weights_group(graph: KerasGraph) -> H5Tree:
    """Return the group of all layers of *graph*, which a weights-only file has as its root."""
    tree = H5Tree({"layer_names": [layer.name for layer in graph.layers], **_KERAS_2})
    for layer in graph.layers:
        weights = group_weights(layer)
        tree.groups[layer.name] = H5Tree({"weight_names": list(weights)}, weights)
    return tree
