"""``tensorflowjs.write_weights``: arrays to shards and a manifest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfjs_codec.compat.tensorflowjs.quantization import QuantizationMap, read_map
from tfjs_codec.errors import UsageError, quote
from tfjs_codec.files.memory import MemoryStage
from tfjs_codec.files.sink import write_file
from tfjs_codec.ir.json_types import Json
from tfjs_codec.ir.layers import Weight
from tfjs_codec.options import ConvertOptions
from tfjs_codec.readers.arrays import read
from tfjs_codec.writers.quantize_choice import choose_dtypes
from tfjs_codec.writers.weights import plan_weights
from tfjs_codec.writers.weights import write_weights as write

SHARD_SIZE_BYTES = 4 << 20
MANIFEST = "weights_manifest.json"

Group = Sequence[dict[str, Any]]


def write_weights(
    weight_groups: Sequence[Group],
    write_dir: str,
    shard_size_bytes: int = SHARD_SIZE_BYTES,
    write_manifest: bool = True,
    quantization_dtype_map: QuantizationMap | None = None,
) -> list[Json]:
    """Write groups of ``{"name", "data"}`` into *write_dir* and return their manifest.

    Args:
        weight_groups: Entries with a ``name`` and a numpy array ``data``; a group shares files.
        write_dir: The directory, which is created.
        shard_size_bytes: Size of the weight files, except the last of a group.
        write_manifest: Write ``weights_manifest.json``, too.
        quantization_dtype_map: ``uint8``, ``uint16`` or ``float16`` to globs over names, or True.

    Raises:
        UsageError: Groups or entries are of another form, or names repeat.
        OutputError: Writing failed; each file is whole or as it was.
    """
    groups = [_read_group(group, number) for number, group in enumerate(weight_groups)]
    names = [weight.name for group in groups for weight in group]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UsageError(f"two weights are called {quote(repeated[0])}")
    options = ConvertOptions(
        shard_size_bytes=shard_size_bytes, quantize=read_map(quantization_dtype_map)
    )
    stage = MemoryStage()
    choice = choose_dtypes(names, options.quantize, ())
    manifest, _ = write(plan_weights(groups, options, choice), stage, None)
    files = stage.files()
    if write_manifest:
        files[MANIFEST] = json.dumps(manifest).encode()
    for name, data in files.items():
        write_file(Path(write_dir) / name, data)
    return manifest


def _read_group(group: Group, number: int) -> list[Weight]:
    if not isinstance(group, list | tuple):
        raise UsageError(f"weight group {number} is not a list", hint="Pass a list of groups.")
    for entry in group:
        if not isinstance(entry, dict) or not {"name", "data"} <= entry.keys():
            raise UsageError(f"an entry of weight group {number} lacks 'name' or 'data'")
    return [weight for entry in group for weight in read({entry["name"]: entry["data"]}).weights]
