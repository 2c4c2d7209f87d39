"""Writes a tfjs Layers model: ``model.json`` and its weight files.

``model.json`` holds ``format``, ``generatedBy``, ``convertedBy``, ``userDefinedMetadata``,
``modelTopology``, ``trainingConfig`` and ``weightsManifest``, in this order, those that there are.
The manifest is a list of groups ``{"paths": [file…], "weights": [entry…]}``; an entry is
``{"name", "shape", "dtype"}`` and, if quantised, ``"quantization": {"dtype", "min", "scale",
"original_dtype"}``. Weights lie in the order of their layers. A model that was read from tfjs
files keeps its topology and all other fields as they are, and its weights as they are stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfjs_codec import __version__
from tfjs_codec.files.sink import INDEX, Stage
from tfjs_codec.ir.tensors import ArrayTensor, LazyTensor, as_float32
from tfjs_codec.ir.tfjs import TfjsModel, Weight, layer_weights
from tfjs_codec.options import ConvertOptions
from tfjs_codec.writers.quantize import Loss, Quantizer, choose_dtypes
from tfjs_codec.writers.shards import Shard, ShardWriter, plan_shards
from tfjs_codec.writers.topology import Json, model_topology

Progress = Callable[[int, int], None]

_DTYPES = ("float32", "int32", "bool", "complex64")  # other numbers are cast to float32
_CHUNK_BYTES = 1 << 20  # read, converted and written at a time
_COPY_BYTES = 64 << 20  # copied inside the kernel between two signs of progress
_MAX_INDEX_BYTES = 256 << 20
_KERAS = "keras v"


@dataclass(frozen=True, slots=True)
class Entry:
    """A weight as it will be stored.

    ``quantize`` is the dtype to quantise it to, if any; ``kept`` the quantisation its tensor
    already has. Strings are a tensor of their encoded bytes, with their ``shape``.
    """

    name: str
    tensor: LazyTensor
    dtype: str
    shape: tuple[int, ...]
    quantize: str | None = None
    kept: Json | None = None
    optimizer: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes in the shards."""
        return self.tensor.size * np.dtype(self.quantize or self.tensor.dtype).itemsize


@dataclass(frozen=True, slots=True)
class Group:
    """Weights that share files."""

    entries: tuple[Entry, ...]
    shards: tuple[Shard, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be written, known before any weight is read."""

    groups: tuple[Group, ...]
    warnings: tuple[str, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All weights, in manifest order."""
        return tuple(entry for group in self.groups for entry in group.entries)

    @property
    def shards(self) -> tuple[Shard, ...]:
        """All weight files."""
        return tuple(shard for group in self.groups for shard in group.shards)


@dataclass(slots=True)
class Written:
    """What was written: file names with sizes, and what quantisation cost."""

    files: list[tuple[str, int]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


def plan(model: TfjsModel, options: ConvertOptions) -> Plan:
    """Decide which weight goes where, from names, shapes and dtypes alone.

    Raises:
        UsageError: The quantisation options contradict each other.
    """
    groups = _weight_groups(model, by_layer=options.split_weights_by_layer)
    names = [weight.name for group in groups for weight in group]
    if len(set(names)) != len(names):
        raise AssertionError("weight names repeat: " + ", ".join(sorted(_repeated(names))))
    dtypes, unmatched = choose_dtypes(names, options.quantize)
    size = None if options.single_shard else options.shard_size_bytes
    planned = []
    for number, group in enumerate(groups, start=1):
        entries = tuple(_entry(weight, dtypes, options) for weight in group)
        nbytes = sum(entry.nbytes for entry in entries)
        planned.append(Group(entries, plan_shards(number, nbytes, size)))
    warnings = tuple(f"quantize: {glob!r} matches no weight" for glob in unmatched)
    return Plan(tuple(planned), warnings)


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


def _repeated(names: Sequence[str]) -> set[str]:
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]


def _entry(weight: Weight, dtypes: dict[str, str], options: ConvertOptions) -> Entry:
    tensor, shape = weight.tensor, weight.tensor.shape
    quantize = dtypes.get(weight.name) if tensor.dtype.kind == "f" else None
    if weight.quantized is not None and not quantize and not options.dequantize:
        stored, kept = weight.quantized.tensor, weight.quantized.entry
        return Entry(weight.name, stored, tensor.dtype.name, shape, None, kept, weight.optimizer)
    dtype = tensor.dtype.name
    if tensor.dtype.kind == "O":
        tensor, dtype = _encoded(tensor), "string"
    elif dtype not in _DTYPES:
        tensor, dtype = as_float32(tensor), "float32"
    return Entry(weight.name, tensor, dtype, shape, quantize, None, weight.optimizer)


def _encoded(strings: LazyTensor) -> LazyTensor:
    """Return the bytes of *strings*: each one's length as uint32, then itself."""
    values = strings.numpy().reshape(-1).tolist()
    data = b"".join(len(value).to_bytes(4, "little") + value for value in values)
    return ArrayTensor(strings.name, np.frombuffer(data, np.uint8))


def write(
    model: TfjsModel, planned: Plan, stage: Stage, progress: Progress | None = None
) -> Written:
    """Write *model* into *stage*, the weights first, in memory bounded by the largest derived one.

    Args:
        model: The model *planned* was made of.
        planned: What :func:`plan` decided.
        stage: Where files are created.
        progress: Called with the weight bytes done and to do, after every piece.

    Raises:
        UsageError: A weight to be quantised has values its dtype cannot hold.
        OutputError: Writing failed.
        InputError: Reading a weight failed.
    """
    written = Written()
    meter = _Meter(progress, sum(entry.tensor.nbytes for entry in planned.entries))
    manifest = []
    for group in planned.groups:
        writer = ShardWriter(stage, group.shards)
        try:
            weights = [_write_entry(entry, writer, written, meter) for entry in group.entries]
            writer.finish()
        finally:
            writer.close()
        manifest.append({"paths": [shard.name for shard in group.shards], "weights": weights})
        written.files += [(shard.name, shard.nbytes) for shard in group.shards]
    index = index_json(model, manifest)
    file = stage.create(INDEX)
    try:
        file.write(index)
    finally:
        file.close()
    written.files.append((INDEX, len(index)))
    return written


def _write_entry(entry: Entry, writer: ShardWriter, written: Written, meter: _Meter) -> Json:
    """Write the data of *entry*; return its manifest entry."""
    tensor = entry.tensor
    described: Json = {"name": entry.name, "shape": list(entry.shape), "dtype": entry.dtype}
    if entry.optimizer:
        described["group"] = "optimizer"
    if entry.kept is not None:
        described["quantization"] = entry.kept
    extent = tensor.extent
    if entry.quantize:
        quantizer = Quantizer(entry.name, tensor, entry.quantize)
        described["quantization"] = quantizer.entry
        count = 0
        for chunk in quantizer.chunks():
            writer.write(chunk)
            meter.add(chunk.size * tensor.dtype.itemsize)
            count += chunk.size
        written.losses.append(quantizer.loss)
    elif extent is not None:
        for start in range(0, extent.nbytes, _COPY_BYTES):
            nbytes = min(_COPY_BYTES, extent.nbytes - start)
            writer.copy(replace(extent, offset=extent.offset + start, nbytes=nbytes))
            meter.add(nbytes)
        count = extent.nbytes // tensor.dtype.itemsize
    else:
        count = 0
        for chunk in tensor.chunks(_CHUNK_BYTES):
            data = np.ascontiguousarray(chunk, dtype=tensor.dtype.newbyteorder("<"))
            writer.write(data)
            meter.add(data.nbytes)
            count += data.size
    if count != tensor.size:
        raise AssertionError(f"{entry.name}: {count} values came, {tensor.size} were declared")
    return described


class _Meter:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, nbytes: int) -> None:
        self._done += nbytes
        if self._progress:
            self._progress(self._done, self._total)


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
