"""Writes a TensorBundle, the checkpoint that :mod:`tfjs_codec.files.tensor_bundle` reads.

Tensors lie one after the other in the order of their keys, little-endian and without padding, each
whole in one shard. Bytes that a file holds as they are to be are copied by the stage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfjs_codec.files.crc32c import Crc32c, masked
from tfjs_codec.files.sstable import write_sstable
from tfjs_codec.files.stage import Stage, StagedFile
from tfjs_codec.files.tf_dtypes import STRING, dtype_number, dtype_of_numpy
from tfjs_codec.files.varint import write_varint
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.pb import messages
from tfjs_codec.progress import Meter, Progress

_CHUNK_BYTES = 1 << 20
_VERSION = 1


class Shard(NamedTuple):
    """A data file to be written: its name, its size in bytes, the keys of its tensors."""

    name: str
    nbytes: int
    keys: tuple[str, ...]


def plan_bundle(
    prefix: str, tensors: Mapping[str, LazyTensor], shard_size_bytes: int
) -> tuple[Shard, ...]:
    """Return the data files of the bundle *prefix*, from shapes and dtypes alone.

    No file is larger than *shard_size_bytes* unless a single tensor is. Strings are read, since
    nothing else says how long they are.
    """
    groups: list[list[str]] = [[]]
    sizes = [0]
    for key in sorted(tensors, key=str.encode):
        tensor = tensors[key]
        nbytes = _string_bytes(tensor) if tensor.dtype.kind == "O" else tensor.nbytes
        if groups[-1] and sizes[-1] + nbytes > shard_size_bytes:
            groups.append([])
            sizes.append(0)
        groups[-1].append(key)
        sizes[-1] += nbytes
    return tuple(
        Shard(f"{prefix}.data-{number:05d}-of-{len(groups):05d}", size, tuple(keys))
        for number, (size, keys) in enumerate(zip(sizes, groups, strict=True))
    )


def write_bundle(
    stage: Stage,
    prefix: str,
    tensors: Mapping[str, LazyTensor],
    shards: Sequence[Shard],
    progress: Progress | None = None,
) -> list[tuple[str, int]]:
    """Write *tensors* into *shards*, which :func:`plan_bundle` planned, then the index.

    *progress* is called with the bytes of tensors done and to do.

    Returns:
        Names and sizes in bytes of the files.

    Raises:
        OutputError: Writing failed.
        InputError: What reading a tensor raises.
    """
    header = messages.BundleHeaderProto(num_shards=len(shards))
    header.version.producer = _VERSION
    entries: dict[bytes, bytes] = {b"": header.SerializeToString(deterministic=True)}
    files: list[tuple[str, int]] = []
    meter = Meter(progress, sum(shard.nbytes for shard in shards))
    for number, shard in enumerate(shards):
        offset = 0
        file = stage.create(shard.name)
        try:
            copied = []
            for key in shard.keys:
                entry, checksum = _write_tensor(file, tensors[key])
                entry.shard_id, entry.offset = number, offset
                copied.append((key, entry, checksum))
                offset += entry.size
                meter.add(entry.size)
            for key, entry, checksum in copied:
                entry.crc32c = masked(checksum())
                entries[key.encode()] = entry.SerializeToString(deterministic=True)
        finally:
            file.close()
        files.append((shard.name, offset))
    index = write_sstable(entries)
    stage.write(f"{prefix}.index", index)
    return [*files, (f"{prefix}.index", len(index))]


def _write_tensor(
    file: StagedFile, tensor: LazyTensor
) -> tuple[messages.BundleEntryProto, Callable[[], int]]:
    """Append the values of *tensor*; return its entry without its place, and what gives its CRC."""
    entry = messages.BundleEntryProto(dtype=dtype_number(dtype_of_numpy(tensor.dtype)))
    entry.shape.SetInParent()
    for size in tensor.shape:
        entry.shape.dim.add(size=size)
    if tensor.extent is not None:
        entry.size = tensor.extent.nbytes
        return entry, file.copy_checked(tensor.extent)
    checksum = Crc32c()
    write = _write_strings if entry.dtype == STRING else _write_numbers
    entry.size = write(file, tensor, checksum)
    crc = checksum.value()
    return entry, lambda: crc


def _write_numbers(file: StagedFile, tensor: LazyTensor, checksum: Crc32c) -> int:
    """Append numbers, also to *checksum*; return how many bytes they are."""
    size, wire = 0, tensor.dtype.newbyteorder("<")
    for chunk in tensor.chunks(_CHUNK_BYTES):
        data = np.ascontiguousarray(chunk, wire).reshape(-1).view(np.uint8).data
        checksum.update(data)
        file.write(data)
        size += len(data)
    return size


def _string_bytes(tensor: LazyTensor) -> int:
    strings: list[bytes] = tensor.numpy().reshape(-1).tolist()
    return 4 + sum(len(write_varint(len(text))) + len(text) for text in strings)


def _write_strings(file: StagedFile, tensor: LazyTensor, checksum: Crc32c) -> int:
    """Append strings, as :mod:`tfjs_codec.files.bundle_tensors` describes them."""
    strings: list[bytes] = tensor.numpy().reshape(-1).tolist()
    for text in strings:
        checksum.update(len(text).to_bytes(4 if len(text) < 1 << 32 else 8, "little"))
    lengths = masked(checksum.value()).to_bytes(4, "little")
    checksum.update(lengths)
    head = b"".join(write_varint(len(text)) for text in strings) + lengths
    file.write(head)
    for text in strings:
        checksum.update(text)
        file.write(text)
    return len(head) + sum(map(len, strings))
