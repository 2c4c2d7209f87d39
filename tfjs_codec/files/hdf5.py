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
_NO_NAMES = ("", ".", "..")
_BUFFER_BYTES = 8 << 10
_MIN_FILE_BYTES = 800  # an HDF5 file of libhdf5 with one empty group


class H5File(H5Handle):
    """An open HDF5 file. Use it as a context manager; its tensors can be read until it closes."""

    def __init__(self, file: h5py.File, source: Source, limits: Limits) -> None:
        super().__init__(file, source, limits)
        self.tensors: dict[str, H5Tensor] = {}
        self.declared_bytes = 0
        self.root = Group(self, h5g.open(file.id, b"/"), "")

    def __enter__(self) -> H5File:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


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
        return read_text(self.file, self._id, self.name, name)

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
        return known or self._tensor(self._existing(path), name)

    def _tensor(self, found: H5Object, name: str) -> H5Tensor:
        if not isinstance(found, h5d.DatasetID):
            raise self._corrupt(name, "a group where a dataset is expected")
        with self.file.guard(name):
            tensor = H5Tensor(self.file, found, name)
        _charge(self.file, tensor)
        return tensor

    def walk(
        self, wanted: Callable[[str], bool] = lambda _: True
    ) -> Iterator[tuple[str, H5Tensor]]:
        """Yield ``(path, tensor)`` of the *wanted* datasets below, as their paths tell.

        They come group by group, the groups and the names in each sorted. A wanted path that is
        that of a group linked twice is corrupt.
        """
        paths = self._links()
        above = {path.rpartition("/")[0] for path in paths}
        ends = [path for path in paths if path not in above and wanted(path)]
        for path in sorted(ends, key=lambda path: (path.split("/")[:-1], path)):
            name = _join(self.name, path)
            with self.file.guard(name):
                found = h5o.open(self._id, _encode(path))
                # libhdf5 looks once into a group with several links.
                if isinstance(found, h5g.GroupID) and h5o.get_info(found).rc > 1:
                    raise self._corrupt(name, "this group is linked from two places")
            if not isinstance(found, h5g.GroupID):
                yield path, self.file.tensors.get(name) or self._tensor(found, name)

    def _links(self) -> list[str]:
        """Return the paths of all objects below; a soft or external link raises UnsafeFileError."""
        limits = self.file.limits
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
            self._id.links.visit(note, info=True)
        except FOREIGN_ERRORS:
            with self.file.guard(_join(self.name, _decode(found[-1])) if found else self.name):
                raise
        if found:
            last = _decode(found[-1])
            if kind != h5l.TYPE_HARD:
                self._refuse_link(self._id, found[-1], _join(self.name, last))
            self._check("h5_depth", last.count("/"), "the depth of groups")
        self._check("h5_objects", len(found), "the number of objects")
        return list(map(_decode, found))

    def _existing(self, path: str) -> H5Object:
        found = self._find(path)
        if found is None:
            raise self._corrupt(self.name, f"there is no {quote(path)} in this group")
        return found

    def _find(self, path: str) -> H5Object | None:
        """Open the object at *path*, one part at a time, or return None."""
        above, _, last = path.rpartition("/")
        if above != self._last[0] or last in _NO_NAMES:
            return self._walk_to(path)
        return self._open(self._last[1], last, _join(self.name, path))

    def _walk_to(self, path: str) -> H5Object | None:
        """Open the object at *path* from here, and remember the group that it is in."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        self._check("h5_depth", len(parts), "the depth of groups")
        if ".." in parts:
            raise self._corrupt(self.name, f"the name {quote(path)} leads out of its group")
        if not parts:
            return self._id
        *way, last = parts
        name, group = self.name, self._id
        for part in way:
            name = _join(name, part)
            found = self._open(group, part, name)
            if not isinstance(found, h5g.GroupID):
                return None
            group = found
        self._last = "/".join(way), group
        return self._open(group, last, _join(name, last))

    def _open(self, group: h5g.GroupID, part: str, name: str) -> H5Object | None:
        try:
            raw = part.encode()
        except UnicodeEncodeError:
            return None
        with self.file.guard(name):
            if b"\0" in raw:
                return None
            try:
                kind = group.links.get_info(raw).type
            except (LookupError, RuntimeError):
                if group.links.exists(raw):
                    raise
                return None
            if kind != h5l.TYPE_HARD:
                self._refuse_link(group, raw, name)
            return h5o.open(group, raw)

    def _refuse_link(self, group: h5g.GroupID, raw: bytes, name: str) -> None:
        what = "a soft link"
        if group.links.get_info(raw).type == h5l.TYPE_EXTERNAL:
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


def _join(base: str, path: str) -> str:
    return f"{base}/{path}" if base and path else base or path


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
