"""Where bytes come from: a path or URL, bytes in memory, an open file, or a part of one of them.

Files that name others (a ``model.json`` its shards) find them in their *folder*: a directory, also
at a URL, a mapping in memory or a zip archive. No name leads out of it.

A path is checked to be a regular file before it is opened (opening a named pipe would wait for
ever) and again after. Nothing is memory-mapped: a file that shrinks while it is read must give an
error, not a signal.
"""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol, TypeAlias, cast

from tfjs_codec.errors import CorruptFileError, UsageError, quote
from tfjs_codec.files import remote
from tfjs_codec.files.paths import check_name, existing_child
from tfjs_codec.files.raw_reader import RawReader
from tfjs_codec.files.remote_file import RemoteFile
from tfjs_codec.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Graphs that TensorFlow.js 0.x loaded, beside their weights_manifest.json (tfjs-converter 0.1-0.8).
OLD_GRAPHS = ("tensorflowjs_model.pb", "web_model.pb")
OLD_MANIFEST = "weights_manifest.json"
KERAS_CONFIG = "config.json"  # of .keras files and directories
PAGE = "index.html"  # beside a tfjs model, to run it; replaced if nobody has edited it
PAGE_MARK = "<!-- written by tfjs_codec -->"
INDEX = "model.json"  # of tfjs models; its appearance makes a directory one
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK"
TABLE_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")  # the end of a checkpoint's index
_DIGESTED_BYTES = 1 << 20  # at a time
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISSOCK, "a socket"),
)


class Window(RawReader):
    """A read-only view of bytes ``offset … offset + size`` of *file*, with its own position.

    Several windows may share *file*, also between threads; closing one leaves *file* open.
    Reads inside the window are always complete: if *file* has become shorter they raise
    CorruptFileError, which names *path*.
    """

    def __init__(
        self, file: BinaryIO, offset: int, size: int, path: str, lock: threading.Lock | None = None
    ) -> None:
        self.offset = offset
        self.size = size
        self.path = path
        self._file = file
        self._lock = lock or threading.Lock()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self.size - self._position))
        done = 0
        with self._lock:
            self._file.seek(self.offset + self._position)
            while done < wanted:
                count = self._read_some(view[done:wanted])
                if not count:
                    raise CorruptFileError("the file was changed while it was read", path=self.path)
                done += count
        self._position += done
        return done

    def _read_some(self, view: memoryview) -> int:
        if hasattr(self._file, "readinto"):
            return cast("int", self._file.readinto(view))
        data = self._file.read(len(view))
        view[: len(data)] = data
        return len(data)


class Source(NamedTuple):
    """Bytes to read, and how to call them in messages.

    ``path`` is the name for messages and ``where`` the place in it (a zip member), ``size`` the
    number of bytes. If the bytes are those of a real file, ``file_path`` is it and ``offset``
    where they begin in it. ``members`` are the files beside it, or in it if it is a directory,
    where these are not real files. ``version`` is what a store tells versions of a file apart by.
    """

    path: str
    size: int
    opener: Callable[[], BinaryIO]
    file_path: Path | None = None
    offset: int = 0
    where: str = ""
    is_dir: bool = False
    mtime_ns: int | None = None
    members: Folder | None = None
    version: tuple[str, ...] | None = None

    @property
    def folder(self) -> Folder | None:
        """Where the files lie that this one names; None if it came as mere bytes."""
        if self.members is not None or self.file_path is None or self.where:
            return self.members
        return Directory(self.file_path if self.is_dir else self.file_path.parent)

    def open(self) -> BinaryIO:
        """Open the bytes for reading: binary, seekable, with a position of its own."""
        return self.opener()

    def read(self, limit: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
        """Return all bytes; their number is first checked against the cap named *limit*."""
        what = "the file's size in bytes"
        limits.check(limit, self.size, what, path=self.path, where=self.where)
        with self.open() as file:
            data = file.read(self.size)
        if len(data) != self.size:
            raise CorruptFileError(
                "the file was changed while it was read", path=self.path, where=self.where
            )
        return data

    def check_unchanged(self) -> None:
        """Raise CorruptFileError if the real file was written to since it was first looked at."""
        if self.file_path is None or self.mtime_ns is None:
            return
        if os.stat(self.file_path).st_mtime_ns != self.mtime_ns:
            raise CorruptFileError("the file was changed while it was read", path=self.path)


def sha256(file: BinaryIO) -> str:
    """Return the hexadecimal digest of what follows in *file*."""
    import hashlib

    digest = hashlib.sha256()
    while piece := file.read(_DIGESTED_BYTES):
        digest.update(piece)
    return digest.hexdigest()


class Folder(Protocol):
    """Files that a file may name."""

    def __contains__(self, name: str) -> bool:
        """Tell whether there is a file *name*."""
        ...

    def names(self) -> list[str]:
        """Return the names of the files; of a directory only those that lie in it directly."""
        ...

    def find(self, name: str, *, path: object = "", where: str = "", limits: Limits) -> Source:
        """Return the file *name*, which *path* names at *where* (for messages).

        Raises:
            UnsafeFileError: *name* is no plain relative path, or leads out of the folder.
            CorruptFileError: There is no such file.
        """
        ...


class Directory(NamedTuple):
    """The folder of real files below *base*."""

    base: Path

    def __contains__(self, name: object) -> bool:
        return (self.base / str(name)).exists()

    def names(self) -> list[str]:
        """Return the names of the files that lie in the directory."""
        return sorted(entry.name for entry in os.scandir(self.base) if entry.is_file())

    def find(self, name: str, *, path: object = "", where: str = "", limits: Limits) -> Source:
        """Return the file *name*; see :class:`Folder`."""
        return open_source(existing_child(self.base, name, path=path, where=where, limits=limits))


class MemoryFolder:
    """The folder of *files*, bytes by name."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def names(self) -> list[str]:
        """Return the names of the files."""
        return list(self._files)

    def find(self, name: str, *, path: object = "", where: str = "", limits: Limits) -> Source:
        """Return the file *name*; see :class:`Folder`."""
        check_name(name, path=path, where=where, limits=limits)
        if name not in self._files:
            raise CorruptFileError(f"the file {quote(name)} is missing", path=path, where=where)
        return open_source(self._files[name])._replace(path=name, members=self)


class RemoteFolder(NamedTuple):
    """The folder of the files below the URL of *place*."""

    place: remote.Place

    def __contains__(self, name: object) -> bool:
        return remote.exists(self.place.child(str(name)))

    def names(self) -> list[str]:
        """Return the names of the files that lie in the directory; servers may not tell."""
        return remote.names(self.place)

    def tree(self) -> list[str]:
        """Return the names of all files, also those in directories below."""
        return list(remote.sizes(self.place))

    def find(self, name: str, *, path: object = "", where: str = "", limits: Limits) -> Source:
        """Return the file *name*; see :class:`Folder`."""
        check_name(name, path=path, where=where, limits=limits)
        try:
            return _remote_source(self.place.child(name))._replace(members=self)
        except FileNotFoundError:
            what = f"the file {quote(name)} is missing"
            raise CorruptFileError(what, path=path, where=where) from None


# What was looked at since watch() began: how to look again, and the version that it had.
_Looks: TypeAlias = dict[str, tuple[Callable[[], tuple[object, ...]], tuple[object, ...]]]
_looks: ContextVar[_Looks | None] = ContextVar("looks", default=None)


@contextmanager
def watch() -> Iterator[Callable[[], None]]:
    """Remember the files that are opened within; give a function that checks them.

    It raises CorruptFileError if the size or the time of the last change of one (or what else a
    URL's driver tells versions apart by) is another one than when it was first opened: what was
    read may be a mixture of two files.
    """
    looks: _Looks = {}
    token = _looks.set(looks)
    try:
        yield lambda: _check_unchanged(looks)
    finally:
        _looks.reset(token)


def _check_unchanged(looks: _Looks) -> None:
    for path, (look, then) in looks.items():
        try:
            now = look()
        except OSError as error:
            raise CorruptFileError("the file vanished while it was read", path=path) from error
        if now != then:
            raise CorruptFileError(
                "the file was changed while it was read", path=path,
                hint="Convert it again once it is complete.",
            )  # fmt: skip


def _remember(path: str, look: Callable[[], tuple[object, ...]], now: tuple[object, ...]) -> None:
    looks = _looks.get()
    if looks is not None:
        looks.setdefault(path, (look, now))


def _version(status: os.stat_result) -> tuple[object, ...]:
    return status.st_size, status.st_mtime_ns


AnySource: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | BinaryIO
    | Mapping[str, bytes]
    | Mapping[str, "NDArray[np.generic]"]
    | Source
)


def open_source(what: AnySource) -> Source:
    """Return the :class:`Source` for what a caller passed.

    That is a path or URL, bytes, an open binary file, or the files of a directory as bytes by
    name.

    Nothing is read yet, and no file is kept open.

    Raises:
        OSError: the operating system's own error about the path (missing, not permitted, …).
        RemoteError: a URL that cannot be reached.
        UsageError: a pipe, device or socket; a file that cannot seek; a URL without its driver.
    """
    if isinstance(what, Source):
        return what
    if isinstance(what, bytes | bytearray | memoryview):
        data = bytes(what)
        return Source("<bytes>", len(data), lambda: io.BytesIO(data))
    if isinstance(what, Mapping):
        return _mapping_source(what)
    if isinstance(what, str | os.PathLike):
        return _path_source(os.fspath(what))
    return _file_source(what)


def _mapping_source(files: Mapping[str, Any]) -> Source:
    for name, data in files.items():
        if not isinstance(name, str) or not isinstance(data, bytes | bytearray | memoryview):
            raise UsageError(
                "a mapping as a source must hold the bytes of files by name, or numpy arrays"
            )

    def refuse() -> BinaryIO:
        raise UsageError("the files of a directory are opened one by one", path="<files>")

    return Source("<files>", 0, refuse, is_dir=True, members=MemoryFolder(files))


def _path_source(path: str) -> Source:
    if remote.is_url(path):
        place = remote.locate(path)
        if not place.is_local:
            return _remote_source(place)
        path = place.path
    try:
        status = os.stat(path)
    except FileNotFoundError:
        if not os.path.exists(f"{path}.index"):
            raise
        path = f"{path}.index"  # TensorFlow calls a checkpoint by the prefix of its files
        status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        return Source(path, 0, lambda: _open_regular(path), Path(path), is_dir=True)
    _check_regular(path, status.st_mode)
    _remember(path, lambda: _version(os.stat(path)), _version(status))
    return Source(
        path,
        status.st_size,
        lambda: _open_regular(path),
        file_path=Path(path),
        mtime_ns=status.st_mtime_ns,
    )


def _remote_source(place: remote.Place) -> Source:
    shown, status = place.shown, remote.look(place)
    if status.is_dir:

        def refuse() -> BinaryIO:
            raise UsageError("the files of a directory are opened one by one", path=shown)

        return Source(shown, 0, refuse, is_dir=True, members=RemoteFolder(place))
    _remember(shown, lambda: remote.look(place).version, status.version)
    file, lock = RemoteFile(place, status.size), threading.Lock()

    def open_file() -> BinaryIO:
        return cast("BinaryIO", Window(cast("BinaryIO", file), 0, file.size, shown, lock))

    return Source(
        shown, file.size, open_file, members=RemoteFolder(place.parent), version=status.version
    )


def _open_regular(path: str) -> BinaryIO:
    """Open a regular file; should it have become a pipe meanwhile, fail instead of waiting."""
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        _check_regular(path, os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(path: str, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kind = next((name for test, name in _KINDS if test(mode)), "something else")
    raise UsageError(f"is {kind}, not a regular file", path=path)


def _file_source(file: BinaryIO) -> Source:
    label = getattr(file, "name", None)
    path = label if isinstance(label, str) else "<file>"
    try:
        if isinstance(file, io.TextIOBase):
            raise UsageError("the file is open for text", path=path, hint="Open it with 'rb'.")
        size = file.seek(0, os.SEEK_END)
    except (OSError, AttributeError, TypeError, ValueError):
        raise UsageError(
            "the source is neither a path, bytes nor a seekable file",
            path=path,
            hint="Read it and pass the bytes.",
        ) from None
    with suppress(OSError, AttributeError):  # the file may be in memory
        number = file.fileno()
        _remember(path, lambda: _version(os.fstat(number)), _version(os.fstat(number)))
    lock = threading.Lock()
    return Source(path, size, lambda: cast("BinaryIO", Window(file, 0, size, path, lock)))
