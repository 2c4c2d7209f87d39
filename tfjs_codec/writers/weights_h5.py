"""Writes the weights of Keras models as HDF5 files.

Keras goes by the name: ``….weights.h5`` (from 2.12 on) is like the ``model.weights.h5`` in a
``.keras`` archive, whose variables are ``…/vars/N``; any other name is like the group
``model_weights`` of whole HDF5 files.
"""

from __future__ import annotations

from tfjs_codec.files.hdf5_write import H5Tree, write_hdf5
from tfjs_codec.files.stage import Stage
from tfjs_codec.ir.keras import KerasGraph
from tfjs_codec.progress import Progress
from tfjs_codec.writers.h5 import MAGIC, weights_group
from tfjs_codec.writers.keras_weights import tree_weights

__all__ = ["MAGIC", "write"]


def write(graph: KerasGraph, stage: Stage, name: str, progress: Progress | None = None) -> None:
    """Write the HDF5 file *name* in *stage*, for ``load_weights`` of Keras 2 and Keras 3."""
    is_tree = name.endswith(".weights.h5")
    tree = H5Tree(tensors=dict(tree_weights(graph))) if is_tree else weights_group(graph)
    write_hdf5(stage, name, tree, progress)
