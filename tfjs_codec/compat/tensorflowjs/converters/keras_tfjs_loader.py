"""``tensorflowjs.converters.keras_tfjs_loader``: tfjs Layers models to live Keras models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Protocol, cast
from zipfile import ZipFile

from tfjs_codec import api
from tfjs_codec.errors import UsageError
from tfjs_codec.files import strict_json
from tfjs_codec.ir.json_types import Json, JsonObject

Data = bytes | BinaryIO


class _Models(Protocol):
    """``keras.models``, so far as it is used."""

    def load_model(self, path: str) -> object: ...
    def model_from_json(self, text: str) -> object: ...


def load_keras_model(
    config_json_path: str,
    weights_path_prefix: str | None = None,
    weights_data_buffers: Data | Sequence[Data] | None = None,
    load_weights: bool = True,
    use_unique_name_scope: bool = False,
) -> object:
    """Return the tfjs Layers model of a ``model.json`` as a model of the Keras that is installed.

    It is a ``tf_keras.Model`` if tf_keras is installed, else a ``keras.Model``.

    Args:
        config_json_path: The ``model.json``.
        weights_path_prefix: The directory of the weight files, if it is another one.
        weights_data_buffers: The bytes of the weights instead: of each group, or of the only one.
        load_weights: Whether the weights are loaded; else they are what Keras initialises.
        use_unique_name_scope: Has no effect: there is no TensorFlow graph to share names in.

    Raises:
        UsageError: No Keras is installed, or both kinds of weights are given.
        InputError: The model is damaged, or Keras has no such layers.
    """
    if weights_data_buffers is not None and weights_path_prefix is not None:
        raise UsageError("pass weights_data_buffers or weights_path_prefix, not both")
    index = Path(config_json_path)
    if not load_weights:
        return deserialize_keras_model(_parse(index))
    if weights_data_buffers is None and weights_path_prefix is None:
        return _load(str(index))
    config = _parse(index)
    if weights_data_buffers is None:
        prefix = Path(str(weights_path_prefix))
        weights_data_buffers = [
            b"".join((prefix / str(path)).read_bytes() for path in group["paths"])
            for group in _manifest(config)
        ]
    return deserialize_keras_model(config, weights_data_buffers, use_unique_name_scope)


def deserialize_keras_model(
    config_json: JsonObject | str | Data,
    weight_data: Data | Sequence[Data] | None = None,
    use_unique_name_scope: bool = False,
) -> object:
    """Return the tfjs Layers model whose ``model.json`` and weights are in memory.

    Args:
        config_json: The content of the ``model.json``: parsed, or text, bytes or an open file.
        weight_data: The bytes of the weights of each group; None for what Keras initialises.
        use_unique_name_scope: Has no effect: there is no TensorFlow graph to share names in.

    Raises:
        UsageError: No Keras is installed.
        InputError: The model is damaged, or Keras has no such layers.
    """
    config = _parse(config_json)
    manifest = _manifest(config)
    if weight_data is None:
        return _load_untrained(config)
    if not isinstance(weight_data, list | tuple):
        weight_data = [cast("Data", weight_data)]
    buffers = [_read(data) for data in weight_data]
    if len(buffers) != len(manifest):
        raise UsageError(f"{len(buffers)} buffers for the {len(manifest)} groups of the manifest")
    groups: list[Json] = [
        {**group, "paths": [f"group{number}.bin"]} for number, group in enumerate(manifest)
    ]
    files = {f"group{number}.bin": data for number, data in enumerate(buffers)}
    files["model.json"] = json.dumps({**config, "weightsManifest": groups}).encode()
    return _load(files)


def _load(source: str | Mapping[str, bytes]) -> object:
    models, suffix = _find_keras()
    with TemporaryDirectory(prefix="tfjs_codec-") as directory:
        path = str(Path(directory) / f"model{suffix}")
        api.convert(source, path)
        return models.load_model(path)


def _load_untrained(config: JsonObject) -> object:
    """Return the model without its weights: Keras initialises them."""
    models, suffix = _find_keras()
    if suffix == ".h5":  # tfjs describes layers as Keras 2 does
        topology = config["modelTopology"]
        if isinstance(topology, dict) and "model_config" in topology:
            topology = topology["model_config"]
        return models.model_from_json(json.dumps(topology))
    groups, files = list[Json](), dict[str, bytes]()
    for number, group in enumerate(_manifest(config)):
        entries = [{key: entry[key] for key in ("name", "shape", "dtype")}
                   for entry in group["weights"]]  # fmt: skip
        nbytes = sum(prod(e["shape"]) * (1 if e["dtype"] == "bool" else 4) for e in entries)
        groups.append({"paths": [f"group{number}.bin"], "weights": list(entries)})
        files[f"group{number}.bin"] = bytes(nbytes)
    files["model.json"] = json.dumps({**config, "weightsManifest": groups}).encode()
    archive = api.to_files(files, to="keras")["model.keras"]
    with ZipFile(BytesIO(archive)) as members:
        return models.model_from_json(members.read("config.json").decode())


def _find_keras() -> tuple[_Models, str]:
    """Return ``models`` of the Keras that is installed, and the suffix of files it reads best."""
    for name, suffix in (("tf_keras", ".h5"), ("keras", ".keras")):
        if find_spec(name) is not None:
            return cast("_Models", import_module(f"{name}.models")), suffix
    raise UsageError(
        "neither tf_keras nor keras is installed",
        hint="pip install keras, or read the weights with tfjs_codec.load(path).weights.",
    )


def _parse(config: JsonObject | str | Data | Path) -> JsonObject:
    if isinstance(config, Path):
        config = config.read_bytes()
    if not isinstance(config, dict):
        data = config if isinstance(config, str | bytes | bytearray) else config.read()
        text = data.encode() if isinstance(data, str) else bytes(data)
        config = strict_json.loads(text, path="model.json")
    if not isinstance(config, dict) or "modelTopology" not in config:
        raise UsageError("the JSON has no 'modelTopology'", hint="Pass that of a Layers model.")
    return config


def _manifest(config: JsonObject) -> list[dict[str, Any]]:
    manifest = config.get("weightsManifest")
    return manifest if isinstance(manifest, list) else []


def _read(data: Data) -> bytes:
    return bytes(data) if isinstance(data, bytes | bytearray | memoryview) else data.read()
