"""HDF5 read with suspicion; the only file that imports h5py.

What h5py would do silently is refused here: following soft and external links, reading other
files through external storage or virtual datasets, returning zeros for data that was never
written (a training run that died while saving), loading filter plug-ins, allocating whatever a
shape declares. Sizes are checked before anything is allocated. Errors of libhdf5 become
:class:`CorruptFileError` with the object's path.

Keras facts: strings are fixed-length bytes, or variable-length ASCII or UTF-8 depending on the
writer; a list too long for the 64 KiB of an attribute ``X`` is split into ``X0``, ``X1``, …; an
empty list is an empty float64 array; bfloat16 is 2-byte opaque data, in ``.keras`` files with the
attribute ``dtype="bfloat16"``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from math import prod
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t

from tfjs_codec.errors import (
    CorruptFileError,
    TfjsCodecError,
    UnsafeFileError,
    UnsupportedModelError,
    UsageError,
    quote,
)
from tfjs_codec.files.source import Source, Window
from tfjs_codec.ir.tensors import Array, Extent, LazyTensor
from tfjs_codec.limits import DEFAULT_LIMITS, Limits, limit_error

# libhdf5 would look for a plug-in, that is for code, to decode anything else.
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
_TRUNCATED = r"truncated file: eof = (\d+).*stored_eof = (\d+)"
_DTYPE_KINDS = "fiub"
_FLOAT32 = np.dtype(np.float32)
_MAX_ITEM_BYTES = 8  # no float128
_MIN_FILE_BYTES = 800  # an HDF5 file of libhdf5 with one empty group
_FOREIGN_ERRORS = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    ArithmeticError,
    AttributeError,
    SystemError,
)


class H5File:
    """An open HDF5 file. Use it as a context manager; its tensors can be read until it closes."""

    def __init__(self, file: h5py.File, source: Source, limits: Limits) -> None:
        self.path = source.path
        self.where = source.where
        self.source = source
        self.limits = limits
        self.tensors: dict[str, H5Tensor] = {}
        self.declared_bytes = 0
        self._file = file
        self.root = Group(self, h5g.open(file.id, b"/"), "")

    def __enter__(self) -> H5File:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; reading one of its tensors then raises UsageError."""
        self._file.close()

    def place(self, name: str) -> str:
        """Return *name* of an object as the ``where`` of an error."""
        shown = name if len(name) <= 200 and name.isprintable() else quote(name)
        return ": ".join(part for part in (self.where, shown) if part)

    def guard(self, name: str) -> _Guard:
        """Turn what h5py raises about the object *name* into CorruptFileError."""
        return _Guard(self, name)

    def is_open(self) -> bool:
        return bool(self._file.id.valid)


class _Guard:
    """The context manager of :meth:`H5File.guard`; a generator would take three times as long."""

    __slots__ = ("_file", "_name")

    def __init__(self, file: H5File, name: str) -> None:
        self._file = file
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, TfjsCodecError) or not isinstance(error, _FOREIGN_ERRORS):
            return
        file = self._file
        if not file.is_open():
            raise UsageError("the file was closed", path=file.path, where=self._name) from None
        what = f"damaged HDF5 data: {_message(error)}"
        raise CorruptFileError(what, path=file.path, where=file.place(self._name)) from error


def open_hdf5(source: Source, *, limits: Limits = DEFAULT_LIMITS) -> H5File:
    """Open *source*, a file, bytes or a zip member. Only the superblock and root are read.

    Raises:
        CorruptFileError: truncated or not HDF5.
    """
    # No locks, so that read-only directories work; no chunk cache, since every chunk is read once.
    options: dict[str, Any] = {"mode": "r", "locking": False, "rdcc_nbytes": 0}
    try:
        if source.file_path is not None and source.offset == 0 and not source.where:
            file = h5py.File(source.path, **options)
        else:
            window = Window(source.open(), 0, source.size, source.path)
            file = h5py.File(window, **options)
        return H5File(file, source, limits)
    except TfjsCodecError:
        raise
    except PermissionError:
        raise
    except _FOREIGN_ERRORS as error:
        raise _open_error(error, source) from None


def _open_error(error: Exception, source: Source) -> CorruptFileError:
    match = re.search(_TRUNCATED, str(error))
    hint = "Copy or download the file again."
    if match:
        what = f"truncated: stored size {int(match[2]):,} bytes, actual {int(match[1]):,}"
    elif source.size < _MIN_FILE_BYTES:
        what = f"truncated: only {source.size:,} bytes, too few for an HDF5 file"
    else:
        what = f"not a readable HDF5 file: {_message(error)}"
    return CorruptFileError(what, path=source.path, where=source.where, hint=hint)


def _message(error: Exception) -> str:
    """The innermost cause as libhdf5 tells it, one bounded line."""
    text = " ".join(str(error.args[0] if error.args else error).split())
    inner = re.search(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)$", text)
    return quote(inner[1] if inner else text)[1:-1]


class Group:
    """A group. Paths are relative to it, ``/`` between the parts; no link is ever followed."""

    def __init__(self, file: H5File, group: h5g.GroupID, name: str) -> None:
        self.file = file
        self.name = name
        self._id = group
        self._last = "", group  # the group of what was asked for last, and its path from here

    def __contains__(self, path: str) -> bool:
        return self._find(path) is not None

    def attr(self, name: str) -> str | list[str] | None:
        """Return text attribute *name*, or of its parts ``name0``, ``name1``, … joined.

        Raises:
            CorruptFileError: not text, not UTF-8.
            LimitExceededError: ``attr_bytes``.
        """
        return _text_attr(self.file, self._id, self.name, name)

    def names(self) -> list[str]:
        """Return the names of all children, sorted; a link among them raises UnsafeFileError."""
        with self.file.guard(self.name):
            self._check("h5_objects", self._id.get_num_objs(), "the number of objects")
            raw: list[bytes] = []
            self._id.links.iterate(raw.append)
            for name in raw:
                self._check_link(self._id, name, _join(self.name, _decode(name)))
            return sorted(map(_decode, raw))

    def groups(self) -> list[str]:
        """Return the names of the child groups, sorted."""
        return [name for name in self.names() if isinstance(self._child(name), h5g.GroupID)]

    def group(self, path: str) -> Group:
        """Return the group at *path*.

        Raises:
            CorruptFileError: there is no such group.
            UnsafeFileError: a part of *path* is a link.
        """
        found = self._existing(path)
        name = _join(self.name, path)
        if not isinstance(found, h5g.GroupID):
            raise self._corrupt(name, "a dataset where a group is expected")
        return Group(self.file, found, name)

    def tensor(self, path: str) -> H5Tensor:
        """Return the dataset at *path*: everything is checked now, values are read later.

        Raises:
            CorruptFileError: missing, a group, without stored data, sizes that disagree.
            UnsafeFileError: a link, external storage, a virtual dataset.
            UnsupportedModelError: a dtype we do not read.
            LimitExceededError: ``tensor_bytes``, ``total_bytes``, ``rank``, ``weights``,
                ``expansion_ratio``.
        """
        name = _join(self.name, path)
        known = self.file.tensors.get(name)
        if known is not None:
            return known
        found = self._existing(path)
        if not isinstance(found, h5d.DatasetID):
            raise self._corrupt(name, "a group where a dataset is expected")
        with self.file.guard(name):
            tensor = H5Tensor(self.file, found, name)
        _charge(self.file, tensor)
        return tensor

    def walk(self) -> Iterator[tuple[str, H5Tensor]]:
        """Yield ``(path, tensor)`` of all datasets below; a group linked twice is corrupt."""
        visited: set[tuple[int, int]] = set()
        stack: list[tuple[Group | None, str, str, int]] = [(None, "", "", 0)]
        objects = 0
        while stack:  # no group stays open but those above the one that is looked at
            above, name, path, depth = stack.pop()
            group = above._inner(name) if above else self
            group._check("h5_depth", depth, "the depth of groups")
            with self.file.guard(group.name):
                info = h5o.get_info(group._id)
            if (info.fileno, info.addr) in visited:
                raise self._corrupt(group.name, "this group is linked from two places")
            visited.add((info.fileno, info.addr))
            names = group.names()
            objects += len(names)
            group._check("h5_objects", objects, "the number of objects")
            inner: list[tuple[Group | None, str, str, int]] = []
            for each in names:
                below = _join(path, each)
                if group._is_group(each):
                    inner.append((group, each, below, depth + 1))
                else:
                    yield below, group.tensor(each)
            stack.extend(reversed(inner))

    def _inner(self, name: str) -> Group:
        """Return the child *name*, which is a group."""
        return Group(self.file, self._child(name), _join(self.name, name))

    def _is_group(self, name: str) -> bool:
        """Tell whether the child *name* is a group, without opening it."""
        with self.file.guard(_join(self.name, name)):
            raw = name.encode("utf-8", "surrogateescape")
            return bool(h5o.get_info(self._id, raw).type == h5o.TYPE_GROUP)

    def _existing(self, path: str) -> Any:
        found = self._find(path)
        if found is None:
            raise self._corrupt(self.name, f"there is no {quote(path)} in this group")
        return found

    def _find(self, path: str) -> Any:
        """Open the object at *path*, one part at a time, or return None."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        self._check("h5_depth", len(parts), "the depth of groups")
        if ".." in parts:
            raise self._corrupt(self.name, f"the name {quote(path)} leads out of its group")
        if not parts:
            return self._id
        *way, last = parts
        above = "/".join(way)
        known, group = self._last
        if above != known:
            name, group = self.name, self._id
            for part in way:
                name = _join(name, part)
                group = self._open(group, part, name)
                if not isinstance(group, h5g.GroupID):
                    return None
            self._last = above, group
        return self._open(group, last, _join(_join(self.name, above), last))

    def _child(self, name: str) -> Any:
        """Open the child *name* as listed: it may be called ``..``."""
        return self._open(self._id, name, _join(self.name, name))

    def _open(self, group: h5g.GroupID, part: str, name: str) -> Any:
        try:
            raw = part.encode()
        except UnicodeEncodeError:
            return None
        with self.file.guard(name):
            if b"\0" in raw or not group.links.exists(raw):
                return None
            self._check_link(group, raw, name)
            return h5o.open(group, raw)

    def _check_link(self, group: h5g.GroupID, raw: bytes, name: str) -> None:
        kind = group.links.get_info(raw).type
        if kind == h5l.TYPE_HARD:
            return
        what = "a soft link"
        if kind == h5l.TYPE_EXTERNAL:
            file_name, _ = group.links.get_val(raw)
            what = f"an external link to {quote(_decode(file_name))}"
        hint = "Keras never writes links; do not trust this file."
        raise UnsafeFileError(what, path=self.file.path, where=self.file.place(name), hint=hint)

    def _check(self, limit: str, value: int, what: str) -> None:
        file = self.file
        where = partial(file.place, self.name)
        file.limits.check(limit, value, what, path=file.path, where=where)

    def _corrupt(self, name: str, what: str) -> CorruptFileError:
        return CorruptFileError(what, path=self.file.path, where=self.file.place(name))


class H5Tensor(LazyTensor):
    """A dataset. Opaque 2-byte values are bfloat16 and presented as float32."""

    def __init__(self, file: H5File, dataset: h5d.DatasetID, name: str) -> None:
        """Check all that *dataset* declares; nothing is read. Called within ``file.guard``."""
        self.name = name
        self._file = file
        self._id = dataset
        space = dataset.get_space()
        if space.get_simple_extent_type() == h5s.NULL:
            raise self._corrupt("the dataset is empty (it has no shape)")
        rank, where = space.get_simple_extent_ndims(), self._where
        file.limits.check("rank", rank, "the rank", path=file.path, where=where)
        self.shape = tuple(int(size) for size in space.get_simple_extent_dims())
        self._is_float32le = False
        self._raw_dtype = self._read_dtype()
        self._bfloat16 = self._raw_dtype.kind == "V"
        self.dtype = _FLOAT32 if self._bfloat16 else self._raw_dtype
        self._offset: int | None = dataset.get_offset()  # of contiguous values in this file
        self._chunk = self._check_storage()

    def attr(self, name: str) -> str | list[str] | None:
        """Return text attribute *name* of the dataset (see :meth:`Group.attr`)."""
        return _text_attr(self._file, self._id, self.name, name)

    @property
    def extent(self) -> Extent | None:
        source = self._file.source
        if source.file_path is None or self._offset is None or not self._is_float32le:
            return None
        return Extent(source.file_path, source.offset + self._offset, self.nbytes)

    def numpy(self) -> Array:
        return self._read((0,) * len(self.shape), self.shape)

    def chunks(self, max_bytes: int) -> Iterator[Array]:
        """Yield flat pieces of at most *max_bytes*.

        A compressed dataset is read by whole rows of its chunks, so that nothing is unpacked
        twice; memory is then bounded by the larger of *max_bytes* and such a row.
        """
        step = max(1, max_bytes // self.dtype.itemsize)
        chunk = self._chunk or (1,) * len(self.shape)
        for start, count in slabs(self.shape, chunk, step):
            block = self._read(start, count).reshape(-1)
            for begin in range(0, block.size, step):
                yield block[begin : begin + step]

    def _read(self, start: tuple[int, ...], count: tuple[int, ...]) -> Array:
        values: Array = np.empty(count, dtype=self._raw_dtype)
        if values.size:
            with self._file.guard(self.name):
                space = self._id.get_space()
                if count != self.shape:
                    space.select_hyperslab(start, count)
                memory = h5s.create_simple(count) if count else h5s.create(h5s.SCALAR)
                # A name of its own: what ends with the call would run Python and swallow Ctrl-C.
                kind = h5t.py_create(self._raw_dtype)
                self._id.read(memory, space, values, kind)
            self._file.source.check_unchanged()
        return _from_bfloat16(values) if self._bfloat16 else values

    def _read_dtype(self) -> np.dtype[np.generic]:
        """Return the native numpy dtype, or ``V2`` for bfloat16."""
        kind = self._id.get_type()
        if kind.equal(h5t.IEEE_F32LE):
            self._is_float32le = True
            return _FLOAT32
        declared = self.attr("dtype")
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

    def _check_storage(self) -> tuple[int, ...] | None:
        """Check where the values are and that all are there; return the chunk shape, if any."""
        file, item = self._file, self._raw_dtype.itemsize
        chunk = self._check_layout() if self._offset is None else None
        where = self._where
        what = "the tensor's size in bytes"
        declared = max(self.size, prod(chunk or ())) * item
        file.limits.check("tensor_bytes", declared, what, path=file.path, where=where)
        stored = int(self._id.get_storage_size())
        file.limits.check_expansion(
            declared, stored, "expansion", "the tensor", path=file.path, where=where
        )
        if self.size:
            self._check_complete(chunk, stored)
        return chunk

    def _check_layout(self) -> tuple[int, ...] | None:
        """Check a layout that is not contiguous, or elsewhere; return the chunk shape, if any."""
        plist = self._id.get_create_plist()
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

    def _check_complete(self, chunk: tuple[int, ...] | None, stored: int) -> None:
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
        found = int(self._id.get_num_chunks())
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


def _charge(file: H5File, tensor: H5Tensor) -> None:
    """Count *tensor* against the caps on the whole file; hard links count every time."""
    where = partial(file.place, tensor.name)
    file.tensors[tensor.name] = tensor
    file.declared_bytes += tensor.nbytes
    limits = file.limits
    limits.check("weights", len(file.tensors), "the number of tensors", path=file.path, where=where)
    what = "the size of all tensors in bytes"
    limits.check("total_bytes", file.declared_bytes, what, path=file.path, where=where)
    limits.check_expansion(
        file.declared_bytes,
        file.source.size,
        "expansion",
        "the file's tensors",
        path=file.path,
        where=where,
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


def _text_attr(file: H5File, owner: Any, owner_name: str, name: str) -> str | list[str] | None:
    """Read attribute *name* of object *owner*, or its numbered parts."""
    where = f"{owner_name}@{name}"
    with file.guard(where):
        if h5a.exists(owner, name.encode()):
            return _AttrReader(file, owner, where).read(name)
        if not h5a.exists(owner, f"{name}0".encode()):
            return None
        reader = _AttrReader(file, owner, where)
        text, items, number = "", list[str](), 0
        while h5a.exists(owner, f"{name}{number}".encode()):
            part = reader.read(f"{name}{number}")
            if isinstance(part, str):
                text += part
            else:
                items += part
            number += 1
        if text and items:
            raise CorruptFileError(
                "some of its parts are text, others are lists",
                path=file.path,
                where=file.place(where),
            )
        return text or items


class _AttrReader:
    """Reads text attributes; all that one reader returns stays below ``attr_bytes``."""

    def __init__(self, file: H5File, owner: Any, where: str) -> None:
        self._file = file
        self._owner = owner
        self._where = partial(file.place, where)
        self._bytes = 0

    def read(self, name: str) -> str | list[str]:
        attr = h5a.open(self._owner, name.encode())
        kind, space = attr.get_type(), attr.get_space()
        if space.get_simple_extent_type() == h5s.NULL:
            raise self._corrupt("the attribute is empty")
        shape = tuple(int(size) for size in space.get_simple_extent_dims())
        if 0 in shape:
            return []
        if kind.get_class() != h5t.STRING:
            raise self._corrupt("the attribute is not text")
        if len(shape) > 1:
            raise self._corrupt("the attribute has more than one dimension")
        self._count(prod(shape) * kind.get_size())
        if kind.is_variable_str() or kind.get_strpad() != h5t.STR_NULLPAD:
            values = np.empty(shape, dtype=attr.dtype)
            attr.read(values)
        else:  # as Keras writes them, and as numpy has them: nothing needs to be converted
            values = np.empty(shape, dtype=f"S{kind.get_size()}")
            attr.read(values, mtype=kind)
        texts = [self._text(value) for value in values.reshape(-1).tolist()]
        return texts if shape else texts[0]

    def _text(self, value: Any) -> str:
        raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
        self._count(len(raw))
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            what = f"the attribute is not valid UTF-8 (byte {error.start:,} of a text)"
            raise self._corrupt(what) from None

    def _count(self, nbytes: int) -> None:
        self._bytes += nbytes
        if self._bytes > self._file.limits.attr_bytes:
            cap = self._file.limits.attr_bytes
            what = f"the attribute has more bytes than the limit attr_bytes = {cap:,}"
            raise limit_error("attr_bytes", what, path=self._file.path, where=self._where)

    def _corrupt(self, what: str) -> CorruptFileError:
        return CorruptFileError(what, path=self._file.path, where=self._where())


def _join(base: str, path: str) -> str:
    return f"{base}/{path}" if base and path else base or path


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
