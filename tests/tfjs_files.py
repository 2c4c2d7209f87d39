"""Small tfjs models, written by hand so that the reader is not tested by our own writer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def encode(array: np.ndarray) -> bytes:
    """Return the bytes of *array* in a shard."""
    if array.dtype == object:
        return b"".join(len(s).to_bytes(4, "little") + s for s in array.reshape(-1).tolist())
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def entry(name: str, array: np.ndarray, **more: Any) -> dict[str, Any]:
    """Return the manifest's entry for *array*."""
    dtype = "string" if array.dtype == object else array.dtype.name
    return {"name": name, "shape": list(array.shape), "dtype": dtype, **more}


def write_model(
    directory: Path,
    arrays: dict[str, np.ndarray],
    *,
    topology: Any = None,
    optimizer: tuple[str, ...] = (),
    path: str = "weights.bin",
    **fields: Any,
) -> Path:
    """Write a ``model.json`` and one weight file, as tfjs in Node does."""
    directory.mkdir(parents=True)
    weights = [
        entry(name, array, **({"group": "optimizer"} if name in optimizer else {}))
        for name, array in arrays.items()
    ]
    index = {
        **({"modelTopology": topology} if topology else {}),
        **fields,
        "weightsManifest": [{"paths": [path], "weights": weights}],
    }
    (directory / path).write_bytes(b"".join(map(encode, arrays.values())))
    (directory / "model.json").write_text(json.dumps(index))
    return directory


def dense_topology(units: int = 3, inputs: int = 4) -> dict[str, Any]:
    """Return the topology of ``model.save()`` of a Sequential with one Dense layer."""
    config = {
        "units": units, "activation": "relu", "use_bias": True, "name": "dense_Dense1",
        "trainable": True, "batch_input_shape": [None, inputs], "dtype": "float32",
    }  # fmt: skip
    layers = [{"class_name": "Dense", "config": config}]
    return {
        "class_name": "Sequential",
        "config": {"name": "sequential_1", "layers": layers},
        "keras_version": "tfjs-layers 4.22.0",
        "backend": "tensor_flow.js",
    }


def manifest_model(directory: Path, rng: np.random.Generator) -> Path:
    """Write the model of :func:`dense_topology` with an optimizer's weight."""
    arrays = {
        "dense_Dense1/kernel": rng.normal(size=(4, 3)).astype(np.float32),
        "dense_Dense1/bias": rng.normal(size=3).astype(np.float32),
        "iter": np.array(5, np.int32),
    }
    return write_model(
        directory,
        arrays,
        topology=dense_topology(),
        optimizer=("iter",),
        format="layers-model",
        generatedBy="TensorFlow.js tfjs-layers v4.22.0",
        trainingConfig={"loss": "meanSquaredError", "optimizer_config": {}},
        userDefinedMetadata={"packageName": "test"},
        signature=None,
    )
