"""HDF5 as Keras 2 and 3 read it, written in bounded memory.

libhdf5 lays out the file: groups, attributes, and contiguous datasets that are allocated and not
filled. The values then go to their offsets without it, piece by piece or copied by the kernel.
The same content gives the same bytes: no times are recorded.

A list of strings longer than what an attribute holds (64 KiB less a margin, the figure is
Keras's) is split into ``X0``, ``X1``, … as Keras does.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from tfjs_codec.files.stage import Stage, fail
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.progress import Meter, Progress

_ATTRIBUTE_BYTES = 64512  # HDF5_OBJECT_HEADER_LIMIT of Keras
_CHUNK_BYTES = 1 << 20


@dataclass(slots=True)
class H5Tree:
    """A group to write: attributes (texts, or lists of texts), datasets and groups by path."""

    attributes: dict[str, str | Sequence[str]] = field(default_factory=dict)
    tensors: dict[str, LazyTensor] = field(default_factory=dict)
    groups: dict[str, H5Tree] = field(default_factory=dict)


def write_hdf5(stage: Stage, name: str, tree: H5Tree, progress: Progress | None = None) -> None:
    """Create the HDF5 file *name* in *stage*.

    *progress* is called with the bytes of tensors done and to do.

    Raises:
        OutputError: Writing failed.
        InputError: Reading a tensor failed.
    """
    places: list[tuple[int, LazyTensor]] = []
    try:
        # In memory, too, libhdf5 lays out the file: its other drivers do it in another way.
        path = stage.disk_path(name)
        core = {"driver": "core", "backing_store": False} if path is None else {}
        with h5py.File(path or name, "w", **core) as file:
            _lay_out(file, tree, places)
            if path is None:
                file.flush()
                stage.create(name).write(file.id.get_file_image())
    except (OSError, RuntimeError) as error:  # of several lines, with pointers
        number = re.search(r"errno = (\d+)", str(error))
        code = int(number[1]) if number else getattr(error, "errno", None) or errno.EIO
        fail(OSError(code, os.strerror(code)), stage.shown(name))
    meter = Meter(progress, sum(tensor.nbytes for _, tensor in places))
    file = stage.patch(name)
    try:
        for offset, tensor in places:
            file.seek(offset)
            extent = tensor.extent
            if extent is not None:
                file.copy(extent)
                meter.add(tensor.nbytes)
                continue
            for chunk in tensor.chunks(_CHUNK_BYTES):
                data = np.ascontiguousarray(chunk, dtype=tensor.dtype.newbyteorder("<"))
                file.write(data.reshape(-1).view(np.uint8).data)
                meter.add(data.nbytes)
    finally:
        file.close()


def _lay_out(group: h5py.Group, tree: H5Tree, places: list[tuple[int, LazyTensor]]) -> None:
    for name, value in tree.attributes.items():
        if isinstance(value, str):
            group.attrs[name] = value.encode()
        else:
            _list_attribute(group, name, value)
    for name, tensor in tree.tensors.items():
        offset = _allocate(group, name, tensor)
        if offset is not None:
            places.append((offset, tensor))
    for name, inner in tree.groups.items():
        _lay_out(group.require_group(name), inner, places)


def _list_attribute(group: h5py.Group, name: str, texts: Sequence[str]) -> None:
    data = [text.encode() for text in texts]
    if not data:
        group.attrs[name] = np.zeros(0)  # as Keras has it
        return
    longest = max(map(len, data))
    count = -(-longest * len(data) // _ATTRIBUTE_BYTES)
    if count == 1:
        group.attrs[name] = np.array(data)
        return
    for number, part in enumerate(np.array_split(np.array(data), count)):
        group.attrs[f"{name}{number}"] = part


def _allocate(group: h5py.Group, name: str, tensor: LazyTensor) -> int | None:
    """Create the dataset *name*; return where its values go, None if it has none."""
    *path, last = name.split("/")
    for part in path:
        group = group.require_group(part)
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5d.FILL_TIME_NEVER)
    properties.set_obj_track_times(False)
    kind = h5t.py_create(tensor.dtype.newbyteorder("<"), logical=True)
    space = h5s.create_simple(tensor.shape) if tensor.shape else h5s.create(h5s.SCALAR)
    dataset = h5d.create(group.id, last.encode(), kind, space, properties)
    offset: int | None = dataset.get_offset() if tensor.size else None
    return offset
