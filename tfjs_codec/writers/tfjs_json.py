"""Writes a tfjs model whose topology is JSON, or none: ``model.json`` and its weight files.

``model.json`` holds ``format``, ``generatedBy``, ``convertedBy``, ``userDefinedMetadata``,
``modelTopology``, ``trainingConfig`` and ``weightsManifest``, in this order, those that there are.
Weights lie in the order of the model, see :mod:`tfjs_codec.writers.weights`. A model that was read
from tfjs files keeps its topology and all other fields as they are, and its weights as they are
stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tfjs_codec import __version__
from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.files.stage import Stage
from tfjs_codec.ir.json_types import Json, JsonObject, compact
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import Tfjs, TfjsGraph, Weights
from tfjs_codec.options import ConvertOptions
from tfjs_codec.progress import Progress
from tfjs_codec.writers.quantize_choice import Choice
from tfjs_codec.writers.weights import (
    Plan,
    Written,
    plan_weights,
    write_index,
    write_weights,
)


def plan(model: Tfjs, options: ConvertOptions, choice: Choice) -> Plan:
    """Decide which weight goes where, from names, shapes and dtypes."""
    weights: Sequence[Weight] = model.weights
    if isinstance(model, Weights):
        weights = sorted(weights, key=lambda weight: _misleads(weight.name))
    groups = _by_layer(weights) if options.split_weights_by_layer else [weights]
    return plan_weights(groups or [[]], options, choice)


def _misleads(name: str) -> bool:
    """Whether tfjs, finding *name* first, would take all names for Keras 3 variable indices."""
    return name.rpartition("/")[2][:1].isdigit()


def _by_layer(weights: Sequence[Weight]) -> list[list[Weight]]:
    scopes: dict[str, list[Weight]] = {}
    for weight in weights:
        scopes.setdefault(weight.name.partition("/")[0], []).append(weight)
    return list(scopes.values())


def write(model: Tfjs, planned: Plan, stage: Stage, progress: Progress | None = None) -> Written:
    """Write *model*, which *planned* was made of, into *stage*, the weights first.

    Raises:
        UsageError, OutputError, InputError: See :func:`tfjs_codec.writers.weights.write_weights`.
    """
    manifest, written = write_weights(planned, stage, progress)
    if written.metadata:
        model = replace(model, metadata={**(model.metadata or {}), **written.metadata})
    write_index(index_json(model, manifest), stage, written)
    return written


def index_json(model: Tfjs, manifest: list[Json]) -> bytes:
    """Return the bytes of ``model.json``: ASCII, without white space, same input same bytes."""
    content: JsonObject = {
        "format": "graph-model" if isinstance(model, TfjsGraph) else "layers-model",
        **model.fields,
        "generatedBy": model.generated_by,
        "convertedBy": f"tfjs_codec {__version__}",
    }
    if model.metadata:
        content["userDefinedMetadata"] = model.metadata
    if not isinstance(model, Weights):
        content["modelTopology"] = model.topology
    if model.training_config is not None:
        content["trainingConfig"] = model.training_config
    content["weightsManifest"] = manifest
    try:
        return dump(content)
    except ValueError as error:
        raise UnsupportedModelError(
            "the options of its layers become numbers that are not finite", path=model.path
        ) from error


def dump(content: Json) -> bytes:
    """Return the bytes of *content*; ValueError if a number in it is not finite."""
    return compact(content).encode("ascii")
