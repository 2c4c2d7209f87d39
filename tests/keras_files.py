"""Small model files built by hand, as the tests of the readers need them."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import h5py
import numpy as np

Config = dict[str, Any]


def entry(class_name: str, name: str, nodes: list[Any] | None = None, **config: Any) -> Config:
    """Return a layer's entry as Keras 2 writes it; *nodes* makes it one of a functional model."""
    made: Config = {"class_name": class_name, "config": {"name": name, "trainable": True, **config}}
    if nodes is not None:
        made.update(name=name, inbound_nodes=nodes)
    return made


def input_entry(name: str, shape: list[Any], key: str = "batch_input_shape") -> Config:
    config = {"name": name, key: shape, "dtype": "float32"}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def functional(layers: list[Config], inputs: Any, outputs: Any, name: str = "model") -> Config:
    config = {"name": name, "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Functional", "config": config}


def tensor3(name: str, node: int = 0, index: int = 0) -> Config:
    """Return a tensor as Keras 3 writes it into a call."""
    config = {"shape": [None, 4], "dtype": "float32", "keras_history": [name, node, index]}
    return {"class_name": "__keras_tensor__", "config": config}


def call3(*args: Any, **kwargs: Any) -> Config:
    return {"args": list(args), "kwargs": kwargs}


def h5_model(
    config: Any, groups: dict[str, list[tuple[str, Any]]], version: str = "2.15.0", **attrs: Any
) -> bytes:
    """Return a legacy HDF5 model: *groups* maps layer names to ``(weight name, array)``.

    Without a *config* it is a weights-only file.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
        if version:
            file.attrs["keras_version"] = version
        for key, value in attrs.items():
            file.attrs[key] = value
        top = file if config is None else file.create_group("model_weights")
        top.attrs["layer_names"] = [name.encode() for name in groups]
        for name, weights in groups.items():
            group = top.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight, _ in weights]
            for weight, array in weights:
                group[weight] = np.asarray(array, dtype=np.float32)
    return buffer.getvalue()


def dense_h5(name: str = "d", sizes: tuple[int, int] = (4, 3), **attrs: Any) -> bytes:
    """Return a Sequential model of one Dense layer with ``sizes`` inputs and units."""
    layer = entry("Dense", name, units=sizes[1], batch_input_shape=[None, sizes[0]])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    kernel = np.arange(sizes[0] * sizes[1]).reshape(sizes) - 5
    weights = [(f"{name}/kernel:0", kernel), (f"{name}/bias:0", np.arange(sizes[1]))]
    return h5_model(config, {name: weights}, **attrs)


def v3_model(config: Any, tensors: dict[str, Any], version: str = "3.4.1") -> bytes:
    """Return a ``.keras`` zip: *tensors* maps paths such as ``layers/dense/vars/0`` to arrays."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_group("vars")
        for path, array in tensors.items():
            file[path] = np.asarray(array, dtype=np.float32)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return buffer.getvalue()
