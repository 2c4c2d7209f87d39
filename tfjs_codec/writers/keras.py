"""Writes ``.keras`` archives: zips of ``metadata.json``, ``config.json``, ``model.weights.h5``."""

from __future__ import annotations

from tfjs_codec.files.hdf5_write import H5Tree, write_hdf5
from tfjs_codec.files.source import ZIP_MAGIC
from tfjs_codec.files.stage import Stage
from tfjs_codec.files.zip_write import staged_zip
from tfjs_codec.ir.json_types import compact
from tfjs_codec.ir.keras import KerasGraph
from tfjs_codec.progress import Progress
from tfjs_codec.writers.keras_config import model_config
from tfjs_codec.writers.keras_weights import tree_weights

MAGIC = ZIP_MAGIC
# The version whose format this is; Keras looks at it to convert older files.
_KERAS_3 = {"keras_version": "3.0.0", "date_saved": "1980-01-01@00:00:00"}
_WEIGHTS = "model.weights.h5"


def write(graph: KerasGraph, stage: Stage, name: str, progress: Progress | None = None) -> None:
    """Write the ``.keras`` file *name* in *stage*, for ``load_model`` of Keras 3."""
    write_hdf5(stage, _WEIGHTS, H5Tree(tensors=dict(tree_weights(graph))), progress)
    metadata = compact(_KERAS_3)
    with staged_zip(stage, name) as archive:
        archive.add("metadata.json", metadata.encode())
        archive.add("config.json", model_config(graph, 3).encode())
        archive.move(_WEIGHTS)
