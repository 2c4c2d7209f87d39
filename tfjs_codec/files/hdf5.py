"""HDF5 read with suspicion: files and groups.

What h5py would do silently is refused here: following soft and external links, reading other
files through external storage or virtual datasets, returning zeros for data that was never
written (a training run that died while saving), loading filter plug-ins, allocating whatever a
shape declares. Sizes are checked before anything is allocated. Errors of libhdf5 become
:class:`CorruptFileError` with the object's path.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, TypeAlias

import h5py
from h5py import h5d, h5g, h5l, h5o

from tfjs_codec.errors import CorruptFileError, TfjsCodecError, UnsafeFileError, quote
from tfjs_codec.files.hdf5_attributes import read_text
from tfjs_codec.files.hdf5_handle import FOREIGN_ERRORS, H5Handle, message_of
from tfjs_codec.files.hdf5_tensors import H5Tensor
from tfjs_codec.files.source import Source
from tfjs_codec.limits import DEFAULT_LIMITS, Limits

H5Object: TypeAlias = h5g.GroupID | h5d.DatasetID

_TRUNCATED = r"truncated file: eof = (\d+).*stored_eof = (\d+)"
_BUFFER_BYTES = 8 << 10
_MIN_FILE_BYTES = 800  # an HDF5 file of libhdf5 with one empty group


class H5File(H5Handle):
    """An open HDF5 file. Use it as a context manager; its tensors can be read until it closes.

    Paths are those of objects from the root, ``/`` between the names; no link is ever followed.
    """

    def __init__(self, file: h5py.File, source: Source, limits: Limits) -> None:
        super().__init__(file, source, limits)
        self.declared_bytes = 0
        self._top = h5g.open(file.id, b"/")
        self._paths: frozenset[str] | None = None
        self._tensors: dict[str, H5Tensor] = {}
        self.root = Group(self, self._top, "")

    def __enter__(self) -> H5File:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def paths(self) -> frozenset[str]:
        """Return the paths of all groups and datasets; they are listed once.

        Raises:
            UnsafeFileError: One is a soft or external link.
            LimitExceededError: ``h5_objects``, ``h5_depth``.
        """
        if self._paths is None:
            self._paths = frozenset(map(_decode, self._list()))
        return self._paths

    def _list(self) -> list[bytes]:
        limits = self.limits
        found: list[bytes] = []
        kind = h5l.TYPE_HARD

        def note(raw: bytes, info: h5l.LinkInfo) -> bool | None:
            """Note a link before libhdf5 looks into its group; True ends the walk."""
            nonlocal kind
            found.append(raw)
            kind = info.type
            deep = raw.count(b"/") > limits.h5_depth
            return kind != h5l.TYPE_HARD or deep or len(found) > limits.h5_objects or None

        try:
            self._top.links.visit(note, info=True)
        except FOREIGN_ERRORS:
            with self.guard(_decode(found[-1]) if found else ""):
                raise
        if found:
            last = _decode(found[-1])
            if kind != h5l.TYPE_HARD:
                self._refuse_link(last)
            where = partial(self.place, last)
            depth = last.count("/")
            limits.check("h5_depth", depth, "the depth of groups", path=self.path, where=where)
        what = "the number of objects"
        limits.check("h5_objects", len(found), what, path=self.path, where=self.where)
        return found

    def _refuse_link(self, name: str) -> None:
        what = "a soft link"
        if self._top.links.get_info(_encode(name)).type == h5l.TYPE_EXTERNAL:
            file_name, _ = self._top.links.get_val(_encode(name))
            what = f"an external link to {quote(_decode(file_name))}"
        hint = "Keras never writes links; do not trust this file."
        raise UnsafeFileError(what, path=self.path, where=self.place(name), hint=hint)

    def walk(
        self, wanted: Callable[[str], bool] = lambda _: True
    ) -> Iterator[tuple[str, H5Tensor]]:
        """Yield ``(path, tensor)`` of the *wanted* datasets, as their paths tell.

        They come group by group, the groups and the names in each sorted. A wanted path that is
        that of a group linked twice is corrupt.
        """
        paths = self.paths()
        above = {path.rpartition("/")[0] for path in paths}
        ends = [path for path in paths if path not in above and wanted(path)]
        for path in sorted(ends, key=lambda path: (path.split("/")[:-1], path)):
            found = self.open(path)
            if not isinstance(found, h5g.GroupID):
                yield path, self.tensor(path, found)
            elif h5o.get_info(found).rc > 1:  # libhdf5 looks once into a group with several links
                raise self.corrupt(path, "this group is linked from two places")

    def open(self, path: str) -> H5Object:
        """Open the object at *path*, one of :meth:`paths`."""
        with self.guard(path):
            return h5o.open(self._top, _encode(path))

    def tensor(self, path: str, found: H5Object) -> H5Tensor:
        """Return *found*, the dataset at *path*; see :meth:`Group.tensor`."""
        known = self._tensors.get(path)
        if known is not None:
            return known
        if not isinstance(found, h5d.DatasetID):
            raise self.corrupt(path, "a group where a dataset is expected")
        with self.guard(path):
            tensor = self._tensors[path] = H5Tensor(self, found, path)
        self._charge(tensor)
        return tensor

    def _charge(self, tensor: H5Tensor) -> None:
        """Count *tensor* against the caps on the whole file; hard links count every time."""
        limits, path, where = self.limits, self.path, partial(self.place, tensor.name)
        self.declared_bytes += tensor.nbytes
        what = "the number of tensors"
        limits.check("weights", len(self._tensors), what, path=path, where=where)
        what = "the size of all tensors in bytes"
        limits.check("total_bytes", self.declared_bytes, what, path=path, where=where)
        declared, stored, what = self.declared_bytes, self.source.size, "the file's tensors"
        limits.check_expansion(declared, stored, "expansion", what, path=path, where=where)

    def corrupt(self, name: str, what: str) -> CorruptFileError:
        """Return the error that *what* is wrong with the object *name*."""
        return CorruptFileError(what, path=self.path, where=self.place(name))


def open_hdf5(source: Source, *, limits: Limits = DEFAULT_LIMITS) -> H5File:
    """Open *source*, a file, bytes or a zip member. Only the superblock and root are read.

    Raises:
        CorruptFileError: truncated or not HDF5.
    """
    # No locks, so that read-only directories work; no chunk cache, since every chunk is read once.
    try:
        what = source.path if _is_file(source) else _buffered(source)
        file = h5py.File(what, mode="r", locking=False, rdcc_nbytes=0)
        return H5File(file, source, limits)
    except TfjsCodecError:
        raise
    except PermissionError:
        raise
    except FOREIGN_ERRORS as error:
        raise _open_error(error, source) from None


def _is_file(source: Source) -> bool:
    return source.file_path is not None and source.offset == 0 and not source.where


def _buffered(source: Source) -> BinaryIO:
    """Open *source* with a buffer: libhdf5 reads what describes a dataset in small pieces."""
    file = source.open()
    if source.version is not None or not isinstance(file, io.RawIOBase):
        return file  # a file at a URL has a cache, one in memory needs none
    return io.BufferedReader(file, _BUFFER_BYTES)


def _open_error(error: Exception, source: Source) -> CorruptFileError:
    match = re.search(_TRUNCATED, str(error))
    hint = "Copy or download the file again."
    if match:
        what = f"truncated: stored size {int(match[2]):,} bytes, actual {int(match[1]):,}"
    elif source.size < _MIN_FILE_BYTES:
        what = f"truncated: only {source.size:,} bytes, too few for an HDF5 file"
    else:
        what = f"not a readable HDF5 file: {message_of(error)}"
    return CorruptFileError(what, path=source.path, where=source.where, hint=hint)


class Group:
    """A group. Paths are relative to it."""

    def __init__(self, file: H5File, group: h5g.GroupID, name: str) -> None:
        self.file = file
        self.name = name
        self._id = group

    def __contains__(self, path: str) -> bool:
        return self._path(path) in self.file.paths()

    def attr(self, name: str) -> str | list[str] | None:
        """Return text attribute *name*, or of its parts ``name0``, ``name1``, … joined.

        Raises:
            CorruptFileError: not text, not UTF-8.
            LimitExceededError: ``attr_bytes``.
        """
        return read_text(self.file, self._id, self.name, name)

    def group(self, path: str) -> Group:
        """Return the group at *path*.

        Raises:
            CorruptFileError: there is no such group.
        """
        name = self._path(path)
        found = self._open(path, name)
        if not isinstance(found, h5g.GroupID):
            raise self.file.corrupt(name, "a dataset where a group is expected")
        return Group(self.file, found, name)

    def tensor(self, path: str) -> H5Tensor:
        """Return the dataset at *path*: everything is checked now, values are read later.

        Raises:
            CorruptFileError: missing, a group, without stored data, sizes that disagree.
            UnsafeFileError: external storage, a virtual dataset.
            UnsupportedModelError: a dtype we do not read.
            LimitExceededError: ``tensor_bytes``, ``total_bytes``, ``rank``, ``weights``,
                ``expansion_ratio``.
        """
        name = self._path(path)
        return self.file.tensor(name, self._open(path, name))

    def _open(self, path: str, name: str) -> H5Object:
        if name == self.name:
            return self._id
        if name not in self.file.paths():
            raise self.file.corrupt(self.name, f"there is no {quote(path)} in this group")
        return self.file.open(name)

    def _path(self, path: str) -> str:
        """Return *path* from the root."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise self.file.corrupt(self.name, f"the name {quote(path)} leads out of its group")
        return "/".join([self.name, *parts] if self.name else parts)


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
