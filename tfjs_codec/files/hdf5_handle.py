"""An open HDF5 file as its parts need it, and errors of libhdf5 as ours."""

from __future__ import annotations

import re
import threading
from typing import BinaryIO

import h5py

from tfjs_codec.errors import CorruptFileError, TfjsCodecError, UsageError, quote
from tfjs_codec.files.source import Source
from tfjs_codec.limits import Limits

FOREIGN_ERRORS = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    ArithmeticError,
    AttributeError,
    SystemError,
)


class H5Handle:
    """An open file, its name for messages and the limits on what it may ask for."""

    def __init__(self, file: h5py.File, source: Source, limits: Limits) -> None:
        self.path = source.path
        self.where = source.where
        self.source = source
        self.limits = limits
        self._file = file
        self._values: BinaryIO | None = None  # the same file, for values that need no libhdf5
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file; reading one of its tensors then raises UsageError."""
        self._file.close()
        if self._values is not None:
            self._values.close()

    def read_at(self, offset: int, buffer: memoryview) -> None:
        """Fill *buffer* with the bytes from *offset*. Call it within :meth:`guard`."""
        if not self.is_open():
            raise ValueError("the file is closed")
        with self._lock:
            if self._values is None:
                self._values = self.source.open()
            self._values.seek(offset)
            while buffer.nbytes:
                count = self._values.readinto(buffer)  # type: ignore[attr-defined]
                if not count:
                    raise OSError("the file ends before its values")
                buffer = buffer[count:]

    def place(self, name: str) -> str:
        """Return *name* of an object as the ``where`` of an error."""
        shown = name if len(name) <= 200 and name.isprintable() else quote(name)
        return ": ".join(part for part in (self.where, shown) if part)

    def guard(self, name: str) -> _Guard:
        """Turn what h5py raises about the object *name* into CorruptFileError."""
        return _Guard(self, name)

    def is_open(self) -> bool:
        """Tell whether the file is open."""
        return bool(self._file.id.valid)


class _Guard:
    """The context manager of :meth:`H5Handle.guard`; a generator would take three times as long."""

    __slots__ = ("_file", "_name")

    def __init__(self, file: H5Handle, name: str) -> None:
        self._file = file
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, TfjsCodecError) or not isinstance(error, FOREIGN_ERRORS):
            return
        file = self._file
        if not file.is_open():
            raise UsageError("the file was closed", path=file.path, where=self._name) from None
        what = f"damaged HDF5 data: {message_of(error)}"
        raise CorruptFileError(what, path=file.path, where=file.place(self._name)) from error


def message_of(error: Exception) -> str:
    """Return the innermost cause as libhdf5 tells it, one bounded line."""
    text = " ".join(str(error.args[0] if error.args else error).split())
    inner = re.search(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)$", text)
    return quote(inner[1] if inner else text)[1:-1]
