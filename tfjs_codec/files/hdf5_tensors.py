"""Datasets of HDF5 files as lazy tensors; all that they declare is checked before they are read.

bfloat16 is 2-byte opaque data, in ``.keras`` files with the attribute ``dtype="bfloat16"``.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
from h5py import h5d, h5s, h5t

from tfjs_codec.errors import CorruptFileError, UnsafeFileError, UnsupportedModelError, quote
from tfjs_codec.files.hdf5_attributes import read_text
from tfjs_codec.files.hdf5_handle import H5Handle
from tfjs_codec.ir.tensors import Array, Extent, LazyTensor

# libhdf5 would look for a plug-in, that is for code, to decode anything else.
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
_DTYPE_KINDS = "fiub"
_FLOAT32 = np.dtype(np.float32)
_MAX_ITEM_BYTES = 8  # no float128


class H5Tensor(LazyTensor):
    """A dataset. Opaque 2-byte values are bfloat16 and presented as float32."""

    def __init__(self, file: H5Handle, dataset: h5d.DatasetID, name: str) -> None:
        """Check all that *dataset* declares; nothing is read. Called within ``file.guard``."""
        self.name = name
        self._file = file
        space = dataset.get_space()
        shape: tuple[int, ...] | None = space.get_simple_extent_dims()
        if not shape and space.get_simple_extent_type() == h5s.NULL:
            raise self._corrupt("the dataset is empty (it has no shape)")
        self.shape = shape or ()
        rank = len(self.shape)
        file.limits.check("rank", rank, "the rank", path=file.path, where=self._where)
        kind = dataset.get_type()
        is_float32le = kind.equal(h5t.IEEE_F32LE)
        self._raw_dtype = _FLOAT32 if is_float32le else self._native_dtype(dataset, kind)
        self._bfloat16 = self._raw_dtype.kind == "V"
        self.dtype = _FLOAT32 if self._bfloat16 else self._raw_dtype
        offset: int | None = dataset.get_offset()  # of contiguous values in this file
        self._chunk = self._check_storage(dataset, offset)
        # Values that lie in the file as they are given need no dataset: open ones cost time.
        is_raw = is_float32le and offset is not None
        self._dataset = None if is_raw else dataset
        self._offset = offset if is_raw and offset else 0

    @property
    def extent(self) -> Extent | None:
        source = self._file.source
        if source.file_path is None or self._dataset is not None:
            return None
        return Extent(source.file_path, source.offset + self._offset, self.nbytes)

    def numpy(self) -> Array:
        if self._dataset is None:
            return self._read_raw(0, self.size).reshape(self.shape)
        return self._read(self._dataset, (0,) * len(self.shape), self.shape)

    def chunks(self, max_bytes: int) -> Iterator[Array]:
        """Yield flat pieces of at most *max_bytes*.

        A compressed dataset is read by whole rows of its chunks, so that nothing is unpacked
        twice; memory is then bounded by the larger of *max_bytes* and such a row.
        """
        step = max(1, max_bytes // self.dtype.itemsize)
        if self._dataset is None:
            for begin in range(0, self.size, step):
                yield self._read_raw(begin, min(step, self.size - begin))
            return
        chunk = self._chunk or (1,) * len(self.shape)
        for start, count in slabs(self.shape, chunk, step):
            block = self._read(self._dataset, start, count).reshape(-1)
            for begin in range(0, block.size, step):
                yield block[begin : begin + step]

    def _read_raw(self, begin: int, count: int) -> Array:
        """Read *count* elements from number *begin*, in a tenth of the time libhdf5 takes."""
        values: Array = np.empty(count, _FLOAT32)
        if count:
            with self._file.guard(self.name):
                self._file.read_at(self._offset + begin * 4, values.view(np.uint8).data)
            self._file.source.check_unchanged()
        return values

    def _read(
        self, dataset: h5d.DatasetID, start: tuple[int, ...], count: tuple[int, ...]
    ) -> Array:
        values: Array = np.empty(count, dtype=self._raw_dtype)
        if values.size:
            with self._file.guard(self.name):
                memory = space = h5s.ALL
                if count != self.shape:
                    memory, space = h5s.create_simple(count), dataset.get_space()
                    space.select_hyperslab(start, count)
                # A name of its own: what ends with the call would run Python and swallow Ctrl-C.
                kind = h5t.py_create(self._raw_dtype)
                dataset.read(memory, space, values, kind)
            self._file.source.check_unchanged()
        return _from_bfloat16(values) if self._bfloat16 else values

    def _native_dtype(self, dataset: h5d.DatasetID, kind: h5t.TypeID) -> np.dtype[np.generic]:
        """Return the native numpy dtype of *kind*, or ``V2`` for bfloat16."""
        declared = read_text(self._file, dataset, self.name, "dtype")
        if kind.get_class() == h5t.OPAQUE and kind.get_size() == 2:
            if declared in (None, "bfloat16"):
                return np.dtype("V2")
        elif kind.get_class() in (h5t.INTEGER, h5t.FLOAT, h5t.ENUM):
            try:
                dtype = np.dtype(kind.dtype)
            except (TypeError, ValueError):
                raise self._unsupported(f"a number type of {kind.get_size()} bytes") from None
            is_enum = kind.get_class() == h5t.ENUM and dtype.kind != "b"
            exact = dtype.itemsize == kind.get_size() and dtype.itemsize <= _MAX_ITEM_BYTES
            if dtype.kind in _DTYPE_KINDS and exact and not is_enum:
                native: np.dtype[np.generic] = dtype.newbyteorder("=")
                return native
        if isinstance(declared, str):
            raise self._unsupported(declared)
        raise self._unsupported(_type_name(kind))

    def _check_storage(self, dataset: h5d.DatasetID, offset: int | None) -> tuple[int, ...] | None:
        """Check where the values are and that all are there; return the chunk shape, if any."""
        file, item = self._file, self._raw_dtype.itemsize
        chunk = self._check_layout(dataset) if offset is None else None
        where = self._where
        what = "the tensor's size in bytes"
        declared = max(self.size, prod(chunk or ())) * item
        file.limits.check("tensor_bytes", declared, what, path=file.path, where=where)
        stored = int(dataset.get_storage_size())
        file.limits.check_expansion(
            declared, stored, "expansion", "the tensor", path=file.path, where=where
        )
        if self.size:
            self._check_complete(dataset, chunk, stored)
        return chunk

    def _check_layout(self, dataset: h5d.DatasetID) -> tuple[int, ...] | None:
        """Check a layout that is not contiguous, or elsewhere; return the chunk shape, if any."""
        plist = dataset.get_create_plist()
        if plist.get_external_count():
            raise self._unsafe("the values are in another file (external storage)")
        layout = plist.get_layout()
        if layout == h5d.VIRTUAL:
            raise self._unsafe("the values come from other datasets (virtual dataset)")
        if layout != h5d.CHUNKED:
            return None
        for index in range(plist.get_nfilters()):
            number = plist.get_filter(index)[0]
            if number not in _FILTERS:
                known = ", ".join(_FILTERS.values())
                raise self._corrupt(
                    f"compressed with HDF5 filter {number}; only {known} are read",
                    hint="Repack the file: h5repack -f GZIP=4 IN OUT.",
                )
        return tuple(int(size) for size in plist.get_chunk())

    def _check_complete(
        self, dataset: h5d.DatasetID, chunk: tuple[int, ...] | None, stored: int
    ) -> None:
        """Refuse values that were never written: libhdf5 would make them up."""
        hint = "Save the model again."
        if not stored:
            raise self._corrupt("the tensor has no stored data (save interrupted?)", hint=hint)
        if chunk is None:
            if stored != self.size * self._raw_dtype.itemsize:
                raise self._corrupt(
                    f"{stored:,} bytes are stored, shape {self.shape} needs "
                    f"{self.size * self._raw_dtype.itemsize:,}"
                )
            return
        wanted = prod(-(-size // part) for size, part in zip(self.shape, chunk, strict=True))
        found = int(dataset.get_num_chunks())
        if found != wanted:
            what = f"only {found:,} of {wanted:,} chunks are stored (save interrupted?)"
            raise self._corrupt(what, hint=hint)

    def _where(self) -> str:
        return self._file.place(self.name)

    def _corrupt(self, what: str, hint: str = "") -> CorruptFileError:
        return CorruptFileError(what, path=self._file.path, where=self._where(), hint=hint)

    def _unsafe(self, what: str) -> UnsafeFileError:
        hint = "Keras never writes this; do not trust this file."
        return UnsafeFileError(what, path=self._file.path, where=self._where(), hint=hint)

    def _unsupported(self, dtype: str) -> UnsupportedModelError:
        what = f"values of type {quote(dtype)} are not supported"
        return UnsupportedModelError(what, path=self._file.path, where=self._where())


def slabs(
    shape: tuple[int, ...], chunk: tuple[int, ...], step: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield ``(start, count)`` of boxes that follow each other in C order and cover *shape*.

    A box has at most *step* elements, unless *chunk* demands more: boxes consist of whole rows
    of chunks, and are contiguous in C order.
    """
    if 0 in shape:
        return
    rank = len(shape)
    axis = 0
    while axis < rank - 1 and chunk[axis] == 1 and prod(shape[axis + 1 :]) > step:
        axis += 1
    if not rank:
        yield (), ()
        return
    inner = prod(shape[axis + 1 :])
    rows = max(1, step // inner // chunk[axis]) * chunk[axis]
    for outer in np.ndindex(*shape[:axis]):
        for start in range(0, shape[axis], rows):
            count = min(rows, shape[axis] - start)
            yield (
                (*outer, start, *((0,) * (rank - axis - 1))),
                (*((1,) * axis), count, *shape[axis + 1 :]),
            )


def _from_bfloat16(values: Array) -> Array:
    """bfloat16 is the upper half of a float32."""
    wide: Array = (values.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    return wide


def _type_name(kind: h5t.TypeID) -> str:
    names = {
        h5t.COMPOUND: "compound",
        h5t.STRING: "string",
        h5t.VLEN: "variable-length",
        h5t.REFERENCE: "reference",
        h5t.ENUM: "enumeration",
        h5t.ARRAY: "array",
        h5t.BITFIELD: "bit field",
        h5t.TIME: "time",
    }
    name = names.get(kind.get_class())
    if name is None:
        opaque = kind.get_class() == h5t.OPAQUE
        name = f"{'opaque' if opaque else 'number'} of {kind.get_size()} bytes"
    return name
