"""Writes a tfjs Layers model: ``model.json`` and its weight files.

``model.json`` holds ``format``, ``generatedBy``, ``convertedBy``, ``userDefinedMetadata``,
``modelTopology``, ``trainingConfig`` and ``weightsManifest``, in this order, those that there are.
Weights lie in the order of their layers, see :mod:`tfjs_codec.writers.weights`. A model that was
read from tfjs files keeps its topology and all other fields as they are, and its weights as they
are stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfjs_codec import __version__
from tfjs_codec.files.publish import INDEX
from tfjs_codec.files.sink import Stage
from tfjs_codec.ir.layers import TfjsModel, Weight, layer_weights
from tfjs_codec.options import ConvertOptions
from tfjs_codec.tfjs.topology import Json, model_topology
from tfjs_codec.writers.weights import (
    Plan,
    Progress,
    Written,
    plan_weights,
    write_index,
    write_weights,
)

_MAX_INDEX_BYTES = 256 << 20
_KERAS = "keras v"


def plan(model: TfjsModel, options: ConvertOptions) -> Plan:
    """Decide which weight goes where, from names, shapes and dtypes alone.

    Raises:
        UsageError: The quantisation options contradict each other.
    """
    return plan_weights(_weight_groups(model, by_layer=options.split_weights_by_layer), options)


def _weight_groups(model: TfjsModel, *, by_layer: bool) -> list[list[Weight]]:
    """Return the weights in manifest order; there is at least one group, perhaps empty."""
    if model.graph is None:
        weights = model.weights
        if model.topology is None:
            weights = sorted(weights, key=lambda weight: _misleads(weight.name))
        groups = _by_scope(weights) if by_layer else [weights]
    else:
        groups = [
            [Weight(name, tensor) for name, tensor in layer_weights(layer)]
            for layer in model.graph.layers
        ]
        if not by_layer:
            groups = [[weight for group in groups for weight in group]]
    return [group for group in groups if group] or [[]]


def _misleads(name: str) -> bool:
    """Whether tfjs, finding *name* first, would take all names for Keras 3 variable indices."""
    return name.rpartition("/")[2][:1].isdigit()


def _by_scope(weights: Sequence[Weight]) -> list[list[Weight]]:
    scopes: dict[str, list[Weight]] = {}
    for weight in weights:
        scopes.setdefault(weight.name.partition("/")[0], []).append(weight)
    return list(scopes.values())


def write(
    model: TfjsModel, planned: Plan, stage: Stage, progress: Progress | None = None
) -> Written:
    """Write *model*, which *planned* was made of, into *stage*, the weights first.

    Raises:
        UsageError, OutputError, InputError: See :func:`tfjs_codec.writers.weights.write_weights`.
    """
    manifest, written = write_weights(planned, stage, progress)
    if written.metadata:
        model = replace(model, metadata={**(model.metadata or {}), **written.metadata})
    write_index(index_json(model, manifest), stage, written)
    return written


def index_json(model: TfjsModel, manifest: list[Json]) -> bytes:
    """Return the bytes of ``model.json``: ASCII, without white space, same input same bytes."""
    content: Json = {
        "format": "layers-model",
        **model.fields,
        "generatedBy": model.generated_by,
        "convertedBy": f"tfjs_codec {__version__}",
    }
    if model.metadata:
        content["userDefinedMetadata"] = model.metadata
    if model.graph is not None or model.topology is not None:
        content["modelTopology"] = model.topology or _topology(model)
    if model.training_config is not None:
        content["trainingConfig"] = model.training_config
    content["weightsManifest"] = manifest
    text = json.dumps(content, allow_nan=False, separators=(",", ":"), default=_plain)
    return text.encode("ascii")


def _topology(model: TfjsModel) -> Json:
    """Return the topology wrapped as the official converter does, with the Keras version."""
    assert model.graph is not None  # noqa: S101  the caller looked
    topology: Json = {}
    if model.generated_by and model.generated_by.startswith(_KERAS):
        topology["keras_version"] = model.generated_by.removeprefix(_KERAS)
        topology["backend"] = "tensorflow"
    topology["model_config"] = model_topology(model.graph)
    return topology


def _plain(value: object) -> Any:
    """Turn what numpy may have left in a config into what JSON has."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} in a config")


def model_files(directory: Path) -> frozenset[str] | None:
    """Return the files of the tfjs model (of any kind and writer) in *directory*, or None."""
    index = directory / INDEX
    try:
        if index.stat().st_size > _MAX_INDEX_BYTES:
            return None
        content = json.loads(index.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not {"modelTopology", "weightsManifest"} & content.keys():
        return None
    return frozenset({INDEX, *_flat_names(content.get("weightsManifest"))})


def _flat_names(manifest: object) -> Iterator[str]:
    """Yield the file names of *manifest* that are plain names; paths are not ours to remove."""
    for group in manifest if isinstance(manifest, list) else ():
        paths = group.get("paths") if isinstance(group, dict) else None
        for name in paths if isinstance(paths, list) else ():
            if isinstance(name, str) and Path(name).name == name != "" and name[0] != ".":
                yield name
