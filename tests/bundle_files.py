"""Write TensorBundles: checkpoints as TensorFlow writes them, or wrong in any way a test wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfjs_codec.files.crc32c import crc32c, masked
from tfjs_codec.pb import messages

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}


def varint(number: int) -> bytes:
    head = b""
    while number >= 0x80:
        head, number = head + bytes([number & 0x7F | 0x80]), number >> 7
    return head + bytes([number])


def literal(data: bytes) -> bytes:
    """Snappy's encoding of *data* without any compression."""
    return varint(len(data)) + b"\xf4" + (len(data) - 1).to_bytes(2, "little") + data


def block(entries: Mapping[bytes, bytes], restarts: Iterable[int] = (0,)) -> bytes:
    """The content of a block; no key shares a prefix with the one before."""
    content = b"".join(
        b"\0" + varint(len(key)) + varint(len(value)) + key + value
        for key, value in entries.items()
    )
    offsets = list(restarts)
    return content + b"".join(n.to_bytes(4, "little") for n in (*offsets, len(offsets)))


def table(data_block: bytes, last_key: bytes, compression: int = 0) -> bytes:
    """A table file with one data block, which is stored as it is."""
    output = b""
    handles = []
    for content, kind in ((data_block, compression), (block({}), 0), (None, 0)):
        stored = (block({last_key: handles[0]}) if content is None else content) + bytes([kind])
        handles.append(varint(len(output)) + varint(len(stored) - 1))
        output += stored + masked(crc32c(stored)).to_bytes(4, "little")
    return output + (handles[1] + handles[2]).ljust(40, b"\0") + MAGIC


def header(**fields: Any) -> bytes:
    return message("BundleHeaderProto", **{"num_shards": 1, **fields})


def entry(shape: Iterable[int], size: int, *, dtype: int = 1, **fields: Any) -> bytes:
    made = messages.BundleEntryProto(dtype=dtype, size=size, **fields)
    for length in shape:
        made.shape.dim.add(size=length)
    data: bytes = made.SerializeToString()
    return data


def message(name: str, **fields: Any) -> bytes:
    data: bytes = getattr(messages, name)(**fields).SerializeToString()
    return data


def write_index(prefix: Path, entries: Mapping[bytes, bytes]) -> None:
    """Write ``PREFIX.index``; *entries* in the order of their keys, the header under ``b""``."""
    index = table(block(entries), max(entries))
    prefix.with_name(f"{prefix.name}.index").write_bytes(index)


def write_bundle(prefix: Path, tensors: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write *tensors*, in the order of their names, one after the other to one shard."""
    entries, offset = {b"": header()}, 0
    with prefix.with_name(f"{prefix.name}.data-00000-of-00001").open("wb") as shard:
        for name, values in tensors:
            data = values.tobytes()
            shard.write(data)
            entries[name.encode()] = entry(
                values.shape,
                len(data),
                dtype=DTYPES[values.dtype.name],
                offset=offset,
                crc32c=masked(crc32c(data)),
            )
            offset += len(data)
    write_index(prefix, entries)
