"""Writes a tfjs model whose topology is JSON, or none: ``model.json`` and its weight files.

``model.json`` holds ``format``, ``generatedBy``, ``convertedBy``, ``userDefinedMetadata``,
``modelTopology``, ``trainingConfig`` and ``weightsManifest``, in this order, those that there are.
Weights lie in the order of the model, see :mod:`tfjs_codec.writers.weights`. A model that was read
from tfjs files keeps its topology and all other fields as they are, and its weights as they are
stored.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tfjs_codec import __version__
from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.files.source import INDEX, PAGE, PAGE_MARK
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

MAX_INDEX_BYTES = 64 << 20
MAX_PAGE_BYTES = 1 << 20


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


def model_files(directory: Path) -> frozenset[str] | None:
    """Return the files of the tfjs model (of any kind and writer) in *directory*, or None."""
    index = directory / INDEX
    try:
        if index.stat().st_size > MAX_INDEX_BYTES:
            return None
        files = listed_files(index.read_bytes())
    except OSError:
        return None
    if files is None:
        return None
    return files | ({PAGE} if _has_our_page(directory) else frozenset())


def listed_files(index: bytes) -> frozenset[str] | None:
    """Return the ``model.json`` *index* and the files that it lists, None if it is another file.

    Only what has the name of a weight file counts: whoever wrote the ``model.json`` may have named
    any file in it.
    """
    try:
        content = json.loads(index)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not {"modelTopology", "weightsManifest"} & content.keys():
        return None
    return frozenset({INDEX, *_weight_files(content.get("weightsManifest"))})


def sign_page(page: str) -> str:
    """Return *page* with our mark and its checksum as the second line."""
    first, rest = page.split("\n", 1)
    return f"{first}\n{PAGE_MARK} <!-- {_page_sum(page.encode()):08x} -->\n{rest}"


def is_our_page(page: bytes) -> bool:
    """Return whether *page* is one of ours that nobody has edited."""
    lines = page.splitlines(keepends=True)
    mark = lines.pop(1).decode(errors="replace").strip() if len(lines) > 1 else ""
    return mark == f"{PAGE_MARK} <!-- {_page_sum(b''.join(lines)):08x} -->"


def _page_sum(page: bytes) -> int:
    return zlib.crc32(b"\n".join(page.splitlines()))


def _has_our_page(directory: Path) -> bool:
    try:
        with (directory / PAGE).open("rb") as file:
            return is_our_page(file.read(MAX_PAGE_BYTES))
    except OSError:
        return False


def _weight_files(manifest: object) -> Iterator[str]:
    """Yield those file names of *manifest* that we, the official converter or tfjs give."""
    known = re.compile(
        r"group\d+-shard\d+of\d+((\.[0-9a-f]{16})?\.bin)?|([\w-]+\.)?weights\.bin", re.ASCII
    )
    for group in manifest if isinstance(manifest, list) else ():
        paths = group.get("paths") if isinstance(group, dict) else None
        for name in paths if isinstance(paths, list) else ():
            if isinstance(name, str) and known.fullmatch(name.removeprefix("./")):
                yield name.removeprefix("./")
