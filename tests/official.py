"""What tensorflowjs_converter 4.22 makes of Keras files: configs as they are, names as they are."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def convert(source: Path, folder: Path) -> None:
    """Write *source*, an HDF5 or ``.keras`` file, as the official converter does."""
    if source.suffix == ".keras":
        with zipfile.ZipFile(source) as archive:
            version = json.loads(archive.read("metadata.json"))["keras_version"]
            config = json.loads(archive.read("config.json"))
            with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
                weights = list(_tree(file))
    else:
        with h5py.File(source) as file:
            version = _text(file.attrs["keras_version"])
            config = json.loads(_text(file.attrs["model_config"]))
            weights = list(_groups(file["model_weights"]))
    topology = {"keras_version": version, "backend": "tensorflow", "model_config": config}
    write(folder, topology, weights)


def write(folder: Path, topology: Any, weights: list[tuple[str, np.ndarray]]) -> None:
    folder.mkdir()
    arrays = [(n, np.asarray(a, "f4" if a.dtype.kind == "f" else "i4")) for n, a in weights]
    (folder / "group1-shard1of1.bin").write_bytes(b"".join(a.tobytes() for _, a in arrays))
    entries = [{"name": n, "shape": list(a.shape), "dtype": a.dtype.name} for n, a in arrays]
    content = {
        "format": "layers-model",
        "generatedBy": f"keras v{topology.get('keras_version')}",
        "convertedBy": "TensorFlow.js Converter v4.22.0",
        "modelTopology": topology,
        "weightsManifest": [{"paths": ["group1-shard1of1.bin"], "weights": entries}],
    }
    (folder / "model.json").write_text(json.dumps(content))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _groups(group: h5py.Group) -> Iterator[tuple[str, np.ndarray]]:
    for layer in sorted(group):
        for name in map(_text, group[layer].attrs.get("weight_names", ())):
            yield name.removesuffix(":0"), group[layer][name][()]


def _tree(file: h5py.File) -> Iterator[tuple[str, np.ndarray]]:
    found: list[tuple[str, np.ndarray]] = []
    file.visititems(
        lambda name, item: (
            found.append((name, item[()])) if isinstance(item, h5py.Dataset) else None
        )
    )
    yield from found
