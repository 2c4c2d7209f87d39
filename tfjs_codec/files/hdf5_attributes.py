"""Text attributes of HDF5 objects.

Strings are fixed-length bytes, or variable-length ASCII or UTF-8 depending on the writer; a list
too long for the 64 KiB of an attribute ``X`` is split into ``X0``, ``X1``, …; an empty list is an
empty float64 array.
"""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np
from h5py import h5a, h5d, h5g, h5s, h5t

from tfjs_codec.errors import CorruptFileError
from tfjs_codec.files.hdf5_handle import H5Handle
from tfjs_codec.limits import limit_error


def read_text(
    file: H5Handle, owner: h5g.GroupID | h5d.DatasetID, owner_name: str, name: str
) -> str | list[str] | None:
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

    def __init__(self, file: H5Handle, owner: h5g.GroupID | h5d.DatasetID, where: str) -> None:
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

    def _text(self, value: str | bytes) -> str:
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
