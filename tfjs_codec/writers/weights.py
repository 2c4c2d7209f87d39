"""The weights of a tfjs model of either kind: its manifest and its shards.

The manifest is a list of groups ``{"paths": [file…], "weights": [entry…]}``; an entry is
``{"name", "shape", "dtype"}`` and, if quantised, ``"quantization": {"dtype", "min", "scale",
"original_dtype"}``. tfjs has float32, int32, bool, complex64 and string.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.files.source import INDEX
from tfjs_codec.files.stage import Stage
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.tensors import ArrayTensor, LazyTensor, as_float32
from tfjs_codec.options import ConvertOptions
from tfjs_codec.progress import Meter, Progress
from tfjs_codec.writers.quantize import Loss, Quantizer, find_misfit
from tfjs_codec.writers.quantize_choice import Choice
from tfjs_codec.writers.shards import Shard, ShardWriter, plan_shards

CHECKSUMS = "weightsSha256"  # in userDefinedMetadata: hexadecimal digests by file name

_DTYPES = ("float32", "int32", "bool", "complex64")  # other numbers are cast to float32
_CHUNK_BYTES = 1 << 20  # read, converted and written at a time
_COPY_BYTES = 64 << 20  # copied inside the kernel between two signs of progress


class Entry(NamedTuple):
    """A weight as it will be stored.

    ``quantize`` is the dtype to quantise it to, if any; ``kept`` the quantisation its tensor
    already has; ``sums`` the axes over which errors cancel out, ``moves`` what
    values move by instead. Strings are a tensor of their
    encoded bytes, with their ``shape``.
    """

    name: str
    tensor: LazyTensor
    dtype: str
    shape: tuple[int, ...]
    quantize: str | None = None
    kept: JsonObject | None = None
    optimizer: bool = False
    sums: Sequence[tuple[int, ...]] = ()
    moves: NDArray[np.int8] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes in the shards."""
        return self.tensor.size * np.dtype(self.quantize or self.tensor.dtype).itemsize


class Group(NamedTuple):
    """Weights that share files."""

    entries: tuple[Entry, ...]
    shards: tuple[Shard, ...]


class Plan(NamedTuple):
    """What will be written, known before any weight is written.

    ``whole`` are the numbers that stay as they are because they are no kernels.
    """

    groups: tuple[Group, ...]
    warnings: tuple[str, ...]
    checksums: bool = False
    whole: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All weights, in manifest order."""
        return tuple(entry for group in self.groups for entry in group.entries)

    @property
    def whole_nbytes(self) -> int:
        """Bytes of all weights as tfjs computes with them."""
        return sum(
            entry.tensor.size * (entry.tensor.dtype.itemsize if entry.kept is None else 4)
            for entry in self.entries
        )

    @property
    def shards(self) -> tuple[Shard, ...]:
        """All weight files."""
        return tuple(shard for group in self.groups for shard in group.shards)


@dataclass(slots=True)
class Written:
    """What was written: file names with sizes, what quantisation cost, metadata to add."""

    files: list[tuple[str, int]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    metadata: JsonObject = field(default_factory=dict)


def plan_weights(
    groups: Sequence[Sequence[Weight]], options: ConvertOptions, choice: Choice
) -> Plan:
    """Decide which weight goes where, from names, shapes and dtypes alone.

    *groups* are the weights in manifest order, those together that are to share files. The values
    of the rest of *choice* are read: what the dtype cannot hold stays whole.

    Raises:
        InputError: Reading a weight failed.
    """
    names = [weight.name for group in groups for weight in group]
    if len(set(names)) != len(names):
        raise AssertionError("weight names repeat: " + ", ".join(sorted(_find_repeated(names))))
    dtypes, whole = dict(choice.dtypes), list[str]()
    warnings = [f"quantize: {glob!r} matches no weight" for glob in choice.unmatched]
    for weight in (weight for group in groups for weight in group):
        if weight.tensor.dtype.kind != "f":
            continue
        if weight.name in choice.rest:
            misfit = find_misfit(weight.name, as_float32(weight.tensor), dtypes[weight.name])
            if misfit:
                warnings.append(f"{misfit}; it is not quantised")
                del dtypes[weight.name]
        elif weight.name in choice.others and not _stays_stored(weight, options):
            whole.append(weight.name)
    size = None if options.single_shard else options.shard_size_bytes
    planned = []
    for number, group in enumerate(groups, start=1):
        entries = tuple(
            _entry(weight, dtypes, options)._replace(
                sums=choice.sums.get(weight.name, ()), moves=choice.moves.get(weight.name)
            )
            for weight in group
        )
        nbytes = sum(entry.nbytes for entry in entries)
        planned.append(Group(entries, plan_shards(number, nbytes, size)))
    return Plan(tuple(planned), tuple(warnings), options.checksums, tuple(whole))


def _find_repeated(names: Sequence[str]) -> set[str]:
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]


def _entry(weight: Weight, dtypes: dict[str, str], options: ConvertOptions) -> Entry:
    tensor, shape = weight.tensor, weight.tensor.shape
    quantize = dtypes.get(weight.name) if tensor.dtype.kind == "f" else None
    if weight.quantized is not None and not quantize and _stays_stored(weight, options):
        stored, kept = weight.quantized.tensor, weight.quantized.entry
        return Entry(weight.name, stored, tensor.dtype.name, shape, None, kept, weight.optimizer)
    dtype = tensor.dtype.name
    if tensor.dtype.kind == "O":
        tensor, dtype = _encode(tensor), "string"
    elif dtype not in _DTYPES:
        tensor, dtype = as_float32(tensor), "float32"
    return Entry(weight.name, tensor, dtype, shape, quantize, None, weight.optimizer)


def _stays_stored(weight: Weight, options: ConvertOptions) -> bool:
    """Tell whether *weight* is quantised already, and stays so if nothing else is wanted of it."""
    return weight.quantized is not None and not options.dequantize


def _encode(strings: LazyTensor) -> LazyTensor:
    """Return the bytes of *strings*: each one's length as uint32, then itself."""
    values = strings.numpy().reshape(-1).tolist()
    data = b"".join(len(value).to_bytes(4, "little") + value for value in values)
    return ArrayTensor(strings.name, np.frombuffer(data, np.uint8))


def write_weights(
    planned: Plan, stage: Stage, progress: Progress | None
) -> tuple[list[Json], Written]:
    """Write the shards of *planned* into *stage*; return the manifest and what was written.

    Memory is bounded by the largest weight that is computed. *progress* is called with the weight
    bytes done and to do, after every piece.

    Raises:
        UsageError: A weight to be quantised has values its dtype cannot hold.
        OutputError: Writing failed.
        InputError: Reading a weight failed.
    """
    written = Written()
    meter = Meter(progress, sum(entry.tensor.nbytes for entry in planned.entries))
    manifest = list[Json]()
    for group in planned.groups:
        writer = ShardWriter(stage, group.shards)
        try:
            weights = [_write_entry(entry, writer, written, meter) for entry in group.entries]
            writer.finish()
        finally:
            writer.close()
        manifest.append({"paths": [shard.name for shard in group.shards], "weights": weights})
        written.files += [(shard.name, shard.nbytes) for shard in group.shards]
    if planned.checksums:
        written.metadata[CHECKSUMS] = {name: stage.sha256(name) for name, _ in written.files}
    return manifest, written


def write_index(index: bytes, stage: Stage, written: Written) -> None:
    """Write *index* as the ``model.json`` of *stage*, and note it in *written*."""
    stage.write(INDEX, index)
    written.files.append((INDEX, len(index)))


def _write_entry(entry: Entry, writer: ShardWriter, written: Written, meter: Meter) -> JsonObject:
    """Write the data of *entry*; return its manifest entry."""
    tensor = entry.tensor
    described: JsonObject = {"name": entry.name, "shape": list(entry.shape), "dtype": entry.dtype}
    if entry.optimizer:
        described["group"] = "optimizer"
    if entry.kept is not None:
        described["quantization"] = entry.kept
    extent = tensor.extent
    if entry.quantize:
        quantizer = Quantizer(entry.name, tensor, entry.quantize, entry.sums, entry.moves)
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
            writer.copy(extent._replace(offset=extent.offset + start, nbytes=nbytes))
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
