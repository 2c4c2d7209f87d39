"""Files at URLs, of whatever fsspec has a driver for: ``s3://``, ``gs://``, ``https://``, ``zip://``.

What fails for a moment is tried again. Messages name URLs without user, password and query.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, TypeVar
from urllib.parse import quote as percent

from tfjs_codec.errors import RemoteError, UsageError

_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]+::)*[A-Za-z][A-Za-z0-9+.-]+://")
_WAITS_S = (0.2, 0.8, 3.2)  # before a call is tried again
_PIECE_BYTES = 1 << 20
_PART_BYTES = 8 << 20  # of what is uploaded; S3 takes 10,000 of 5 MiB or more
_TELLING = (  # what tells two versions of a file apart, by the names that drivers give it
    "ETag", "etag", "generation", "md5Hash", "content_md5", "LastModified", "last_modified",
    "Last-Modified", "updated", "mtime", "created",
)  # fmt: skip
_WEB = {"http", "https"}
_READ_ONLY = {*_WEB, "zip", "tar", "libarchive", "github", "data"}
_LASTING = (  # errors that trying again does not mend
    FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError,
    NotImplementedError, ImportError, ValueError, TypeError, LookupError, AttributeError,
)  # fmt: skip
_T = TypeVar("_T")


class FileSystem(Protocol):
    """What we use of ``fsspec.AbstractFileSystem``."""

    protocol: str | tuple[str, ...]

    def info(self, path: str) -> dict[str, Any]: ...
    def ls(self, path: str, detail: bool) -> Sequence[Any]: ...
    def find(self, path: str, detail: bool) -> dict[str, dict[str, Any]]: ...
    def glob(self, path: str) -> list[str]: ...
    def open(self, path: str, mode: str, **options: Any) -> BinaryIO: ...
    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes: ...
    def pipe_file(self, path: str, value: bytes) -> None: ...
    def rm_file(self, path: str) -> None: ...


class Place(NamedTuple):
    """A file or directory at a URL: the driver, the path as it names it, the URL for messages."""

    system: FileSystem
    path: str
    shown: str

    @property
    def is_local(self) -> bool:
        """Whether ``path`` is one of this machine's."""
        return "file" in _protocols(self.system)

    @property
    def is_read_only(self) -> bool:
        """Whether files cannot be replaced there."""
        return bool(_READ_ONLY & _protocols(self.system))

    @property
    def is_web(self) -> bool:
        """Whether it is on a web server, which knows no directories."""
        return bool(_WEB & _protocols(self.system))

    def __str__(self) -> str:
        return self.shown

    def child(self, name: str) -> Place:
        """Return the file *name* below this directory; a query stays, as tfjs has it."""
        shown = _change(self.shown, lambda url: f"{url.rstrip('/')}/{name}")
        if not self.is_web:
            path = f"{self.path.rstrip('/')}/{name}" if self.path else name
            return Place(self.system, path, shown)
        base, mark, query = self.path.partition("?")
        return Place(self.system, f"{base.rstrip('/')}/{percent(name)}{mark}{query}", shown)

    @property
    def parent(self) -> Place:
        """The directory that it is in."""
        base, mark, query = self.path.partition("?") if self.is_web else (self.path, "", "")
        shown = _change(self.shown, lambda url: url.rpartition("/")[0])
        return Place(self.system, f"{base.rpartition('/')[0]}{mark}{query}", shown)


class Status(NamedTuple):
    """What there is at a place; ``version`` differs if the file was changed."""

    size: int | None
    is_dir: bool
    version: tuple[str, ...]


def is_url(path: str) -> bool:
    """Tell whether *path* is a URL, also one of an archive in another (``zip://a::s3://b``)."""
    return _URL.match(path) is not None


def redact(url: str) -> str:
    """Return *url* without users, passwords and queries, which may hold secrets."""
    return re.sub(r"(?<=://)[^/]*@|[?#]((?!::).)*", "", url)


def _change(url: str, change: Callable[[str], str]) -> str:
    """Return *url* with its path changed: that of the innermost archive."""
    parts = url.split("::")
    first = next(i for i, part in enumerate(parts) if "://" in part)
    return "::".join([*parts[:first], change(parts[first]), *parts[first + 1 :]])


def show(path: str) -> str:
    """Return how messages call *path*: a URL without its secrets."""
    return redact(path) if is_url(path) else path


def local(path: str | os.PathLike[str]) -> Path:
    """Return *path*, which is one of this machine.

    Raises:
        UsageError: It is a URL.
    """
    text = os.fspath(path)
    if is_url(text):
        raise UsageError("this must be a path, not a URL", path=redact(text))
    return Path(text)


def locate(url: str) -> Place:
    """Return the place that *url* names; nothing is looked up yet.

    Raises:
        UsageError: fsspec, or its driver for the URL, is not installed; the URL is malformed.
    """
    shown = redact(url)
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError(
            "reading and writing URLs needs fsspec", path=shown,
            hint="Install it: pip install 'tfjs_codec[remote]'.",
        ) from None  # fmt: skip
    try:
        system, path = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise UsageError(
            f"the driver for this URL is not installed ({_text(error)})", path=shown,
            hint="Those of s3 and https come with pip install 'tfjs_codec[remote]'.",
        ) from None  # fmt: skip
    except ValueError as error:
        raise UsageError(f"not a URL that can be opened: {_text(error)}", path=shown) from None
    except Exception:  # noqa: BLE001  an archive at a URL is opened at once
        system, path = attempt(lambda: url_to_fs(url, use_listings_cache=False), shown)
    return Place(system, path, shown)


def look(place: Place) -> Status:
    """Return what there is at *place*.

    Raises:
        FileNotFoundError, PermissionError, RemoteError: It cannot be told.
    """
    if place.is_web and place.shown.endswith("/"):
        return Status(None, True, ())
    info = attempt(lambda: place.system.info(place.path), place.shown)
    is_dir = info.get("type") == "directory"
    known = tuple(f"{key}={info[key]}" for key in _TELLING if info.get(key) is not None)
    size = info.get("size")
    return Status(size if info.get("partial", True) else None, is_dir, (f"size={size}", *known))


def exists(place: Place) -> bool:
    """Tell whether there is a file at *place*."""
    try:
        return not look(place).is_dir
    except (FileNotFoundError, PermissionError):  # stores that may not be listed say the latter
        return False


def names(place: Place) -> list[str]:
    """Return the names of the files directly in the directory *place*, [] if there is none."""
    try:
        found = attempt(lambda: place.system.ls(place.path, detail=True), place.shown)
    except (FileNotFoundError, NotADirectoryError):
        return []
    listed = (str(entry["name"]) for entry in found if entry.get("type") == "file")
    return sorted({name.partition("?")[0].rpartition("/")[2] for name in listed} - {""})


def sizes(place: Place) -> dict[str, int | None]:
    """Return the sizes in bytes of all files below *place*, by their names there."""
    base = place.path.partition("?")[0].strip("/") + "/"
    try:
        found = attempt(lambda: place.system.find(place.path, detail=True), place.shown)
    except FileNotFoundError:
        return {}
    listed = ((name.strip("/"), info.get("size")) for name, info in sorted(found.items()))
    return {name.removeprefix(base): size for name, size in listed if name.startswith(base)}


def match(pattern: str) -> list[str]:
    """Return the URLs of the files and directories that *pattern* means."""
    place = locate(pattern)
    found = attempt(lambda: place.system.glob(place.path), place.shown)
    inner, mark, outer = pattern.partition("::")
    prefix = "" if place.is_web else inner[: inner.index("://") + 3]
    return sorted(f"{prefix}{name.lstrip('/')}{mark}{outer}" for name in found)


def read(place: Place, most: int) -> bytes | None:
    """Return the file at *place*, None if there is none or it is longer than *most* bytes."""
    with suppress(FileNotFoundError):
        size = look(place).size
        if size is not None and size <= most:
            return attempt(lambda: place.system.cat_file(place.path), place.shown)
    return None


def write(place: Place, file: Path) -> None:
    """Put a copy of the local *file* at *place*; memory holds a part of it at a time."""
    is_small = os.path.getsize(file) <= _PART_BYTES or "memory" in _protocols(place.system)

    def work() -> None:
        if is_small:
            place.system.pipe_file(place.path, file.read_bytes())
            return
        target = place.system.open(place.path, "wb", block_size=_PART_BYTES)
        try:
            with open(file, "rb") as source:
                for data in pieces(source):
                    target.write(data)
        except BaseException:
            _give_up(target)
            raise
        target.close()

    attempt(work, place.shown)


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of *file* in pieces of a bounded size."""
    return iter(partial(file.read, _PIECE_BYTES), b"")


def _give_up(target: Any) -> None:
    """Do not let fsspec complete the file *target* when it closes it."""
    with suppress(Exception):
        target.discard()
    with suppress(AttributeError):
        target.closed = True


def remove(place: Place) -> None:
    """Remove the file at *place*, if there is one."""
    with suppress(FileNotFoundError):
        attempt(lambda: place.system.rm_file(place.path), place.shown)


def attempt(work: Callable[[], _T], shown: str) -> _T:
    """Return what *work* returns, which concerns the URL *shown*; try it again if it fails.

    Raises:
        FileNotFoundError, PermissionError: As the driver says.
        RemoteError: All other failures.
    """
    waits: Iterator[float] = iter(_WAITS_S)
    while True:
        try:
            return work()
        except Exception as raised:  # noqa: BLE001  drivers raise whatever theirs do
            error = _cause(raised)
            wait = None if _is_lasting(error) else next(waits, None)
            if wait is None:
                raise _translate(error, shown) from None
        time.sleep(wait)


def _cause(error: Exception) -> Exception:
    """Return why *error*: for web servers that do not answer fsspec says that there is no file."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception):
        return cause if isinstance(cause, OSError) or hasattr(cause, "status") else error
    return error


def _is_lasting(error: Exception) -> bool:
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return 400 <= status < 500 and status not in (408, 425, 429)
    return isinstance(error, _LASTING) or "Credential" in type(error).__name__


def _translate(error: Exception, shown: str) -> OSError:
    status = getattr(error, "status", None)
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), shown)
    if isinstance(error, PermissionError) or status in (401, 403):
        return PermissionError(errno.EACCES, os.strerror(errno.EACCES), shown)
    return RemoteError(f"cannot be reached: {_tell(error)}", path=shown)


def _tell(error: Exception) -> str:
    return f"{type(error).__name__} {_text(error)}".strip()


def _text(error: Exception) -> str:
    """Return what *error* says in a line; the URLs in it lose their secrets."""
    text = " ".join(str(error).split())
    return re.sub(r"[\w+.-]+://[^\s'\"]+", lambda url: redact(url[0]), text)[:200]


def _protocols(system: FileSystem) -> set[str]:
    names = system.protocol
    return {names} if isinstance(names, str) else set(names)
