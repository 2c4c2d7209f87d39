"""Writes a model directory beside its destination and publishes it in one step.

Nothing else in the package writes. A model is written to a *stage*, a hidden sibling
``.NAME.tfjs_codec-PID-RANDOM`` of the destination, which is locked (``flock``) for as long as its
writer lives; :mod:`tfjs_codec.files.publish` then puts it in the place of the destination.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from tfjs_codec.errors import CorruptFileError, OutputError, UsageError
from tfjs_codec.files.copying import AT_OFFSETS, IN_KERNEL, Jobs, copy_checked, copy_range
from tfjs_codec.files.publish import (
    Owned,
    check_free,
    copy_access,
    publish,
    stage_prefix,
    take_back,
    visible_names,
    writable,
)

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tfjs_codec.ir.tensors import Extent


_READ_BYTES = 1 << 20
_LATER_BYTES = 1 << 20  # what is smaller is not worth a thread
_OPEN_BYTES = 64 << 20  # put off in one file: keeps progress alive
_BLOCK_BYTES = 16 << 20  # that one thread copies and sums up
_BINARY = getattr(os, "O_BINARY", 0)  # Windows


class Stage:
    """A directory under construction; files are created in it one after the other.

    What is copied into them may still be on its way when they are closed: :meth:`settle`. They
    are for the disk, not for the cache, if the stage *replaces* something. Messages
    name what is at *destination* in the end: the files, or a *single* one.
    """

    def __init__(
        self, path: Path, destination: Path, *, single: bool = False, replaces: bool = False
    ) -> None:
        self.path = path
        self._destination, self._single = destination, single
        self.replaces = replaces
        self._sources: dict[Path, int] = {}
        self._stack = ExitStack()
        self.jobs = Jobs()

    def shown(self, name: str) -> Path:
        """Return what messages about the file *name* should call it."""
        return self._destination if self._single else self._destination / name

    def disk_path(self, name: str) -> Path | None:
        """Return where a library may create the file *name* itself; None if not on a disk."""
        return self.path / name

    def create(self, name: str) -> StagedFile:
        """Return the new file *name*, open for writing; it may be in a directory, to be made."""
        if "/" in name:
            try:
                os.makedirs((self.path / name).parent, exist_ok=True)
            except OSError as error:
                fail(error, self.shown(name))
        return StagedFile(self, name)

    def write(self, name: str, data: bytes) -> None:
        """Create the file *name* with content *data*."""
        file = self.create(name)
        try:
            file.write(data)
        finally:
            file.close()

    def patch(self, name: str) -> StagedFile:
        """Return the file *name*, which is there already, open for writing from its beginning."""
        return StagedFile(self, name, os.O_WRONLY)

    def make_executable(self, name: str) -> None:
        """Let the file *name* be run by everybody who may read it."""
        path = self.path / name
        mode = path.stat().st_mode
        os.chmod(path, mode | (mode & 0o444) >> 2)

    def remove(self, name: str) -> None:
        """Remove the file *name*, which was only a step on the way."""
        self.settle()
        try:
            os.unlink(self.path / name)
        except OSError as error:
            fail(error, self.shown(name))

    def open(self, name: str) -> BinaryIO:
        """Return the finished file *name*, open for reading."""
        self.settle()
        return open(self.path / name, "rb")

    def settle(self) -> None:
        """Wait until all closed files are complete.

        Raises:
            OutputError: Writing one of them failed.
            CorruptFileError: A source became shorter.
        """
        self.jobs.wait()

    def source(self, path: Path) -> int:
        """Return a file descriptor of the regular file *path*, open until the stage is done."""
        if path not in self._sources:
            flags = os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0)  # do not hang on a FIFO
            try:
                fd = os.open(path, flags)
                self._stack.callback(os.close, fd)
                regular = stat.S_ISREG(os.fstat(fd).st_mode)
            except OSError as error:
                raise CorruptFileError(
                    f"vanished while it was read ({error.strerror})", path=path
                ) from error
            if not regular:
                raise CorruptFileError("is not a regular file", path=path)
            self._sources[path] = fd
        return self._sources[path]

    def sha256(self, name: str) -> str:
        """Return the hexadecimal digest of the finished file *name*."""
        import hashlib  # here: it loads OpenSSL

        digest = hashlib.sha256()
        with self.open(name) as file:
            while piece := file.read(_READ_BYTES):
                digest.update(piece)
        return digest.hexdigest()

    def close(self) -> None:
        """Give up what is not done, and close all sources."""
        try:
            self.jobs.close()
        finally:
            self._stack.close()


class StagedFile:
    """A file of a stage. Errors of writing are :class:`OutputError`."""

    def __init__(
        self, stage: Stage, name: str, flags: int = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    ) -> None:
        self.path = stage.path / name
        self._shown = stage.shown(name)
        self._stage = stage
        self._ranges: list[tuple[int, Extent, int]] = []  # to be copied: source, place, target
        self._waiting = 0  # bytes of them
        self._running: list[Future[None]] = []
        self._closed = False
        try:
            self._fd = os.open(self.path, flags | _BINARY, 0o666)
        except OSError as error:
            fail(error, self._shown)

    def close(self) -> None:
        """Close the file, once all copies into it are made; what is closed stays so."""
        if self._closed:
            return
        self._closed = True
        for job in self._running:
            if not job.cancel():
                job.exception()  # wait: the descriptor must not become another file's
        if IN_KERNEL and self._waiting >= _LATER_BYTES:
            self._stage.jobs.submit(self._finish, self._close)
        else:
            self._finish()

    def _finish(self) -> None:
        try:
            self._fill()
            if self._stage.replaces and hasattr(os, "posix_fadvise"):
                with suppress(OSError):  # starts writing back, so that fsync finds it done
                    os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            self._close()

    def _close(self) -> None:
        try:
            os.close(self._fd)
        except OSError as error:  # file systems on a network write now
            fail(error, self._shown)

    def _fill(self) -> None:
        """Make the copies that were put off."""
        ranges, self._ranges, self._waiting = self._ranges, [], 0  # what fails is not tried again
        try:
            for source, extent, position in ranges:
                copy_range(source, self._fd, extent, position)
        except OSError as error:
            fail(error, self._shown)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to byte *offset* and return where that is."""
        return os.lseek(self._fd, offset, whence)

    def write(self, data: bytes | memoryview) -> None:
        """Write *data*, bytes or a view of bytes, and move behind it."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            fail(error, self._shown)

    def copy(self, extent: Extent) -> None:
        """Append the bytes of *extent* without bringing them into the process where possible.

        They are copied when the file is closed, beside other files.

        Raises:
            CorruptFileError: The file ends before the extent does, now or when it was opened.
        """
        source, position = self._reserve(extent)
        self._ranges.append((source, extent, position))
        self._waiting += extent.nbytes
        if self._waiting > _OPEN_BYTES:
            self._fill()

    def copy_checked(self, extent: Extent) -> Callable[[], int]:
        """Append the bytes of *extent*; return a function that gives their CRC-32C.

        Several threads copy them if they are many; the function waits for these.

        Raises:
            CorruptFileError: The file ends before the extent does, now or when it was opened.
        """
        from tfjs_codec.files.crc32c import combine  # here: it needs numpy

        source, position = self._reserve(extent)
        if extent.nbytes < _LATER_BYTES or not AT_OFFSETS:
            checksum = self._copy_checked(source, extent, position)
            return lambda: checksum
        blocks = [
            extent._replace(offset=extent.offset + start, nbytes=nbytes)
            for start in range(0, extent.nbytes, _BLOCK_BYTES)
            for nbytes in [min(_BLOCK_BYTES, extent.nbytes - start)]
        ]
        checksums = [0] * len(blocks)

        def copy(number: int) -> None:
            place = position + number * _BLOCK_BYTES
            checksums[number] = self._copy_checked(source, blocks[number], place)

        first = len(self._running)
        for number in range(len(blocks)):
            self._running.append(self._stage.jobs.submit(partial(copy, number)))
        running = self._running[first:]

        def value() -> int:
            for job in running:
                job.result()
            whole = 0
            for checksum, block in zip(checksums, blocks, strict=True):
                whole = combine(whole, checksum, block.nbytes)
            return whole

        return value

    def _copy_checked(self, source: int, extent: Extent, position: int) -> int:
        try:
            return copy_checked(source, self._fd, extent, position)
        except OSError as error:
            fail(error, self._shown)

    def _reserve(self, extent: Extent) -> tuple[int, int]:
        """Move behind *extent*; return the descriptor of its file, and where it is to be copied."""
        source = self._stage.source(extent.path)
        end, size = extent.offset + extent.nbytes, os.fstat(source).st_size
        if extent.offset < 0 or extent.nbytes < 0 or end > size:
            raise CorruptFileError(
                f"truncated: data at bytes {extent.offset} to {end}, the file has {size}",
                path=extent.path,
            )
        position = self.seek(0, os.SEEK_CUR)
        self.seek(position + extent.nbytes)
        return source, position


def check_destination(
    destination: Path,
    owned: Owned,
    *,
    force: bool,
    names: Collection[str] = (),
    noun: str = "tfjs model",
) -> Path:
    """Return the real path of *destination* if it may become a model directory.

    It may be absent, empty or hold a model, beside which nothing may have one of the *names* that
    are to be written; with *force* it may hold anything.

    Raises:
        UsageError: It may not.
        OutputError: We may not look.
    """
    if str(destination) == "-":
        raise UsageError("the output is a directory and cannot be written to standard output")
    destination = Path(os.path.realpath(destination))
    try:
        if not stat.S_ISDIR(os.lstat(destination).st_mode):
            raise UsageError("is not a directory", path=destination, hint="Name a directory.")
        visible = visible_names(destination)
    except FileNotFoundError:
        return destination
    except OSError as error:
        fail(error, destination)
    old = owned(destination)
    if visible and old is None and not force:
        raise UsageError(
            f"is not empty and holds no {noun}",
            path=destination,
            hint="Name another directory, or pass --force (force=True) to write into it.",
        )
    if not force:
        check_free(destination, names, old or frozenset())
    return destination


@contextmanager
def staged(
    destination: Path, owned: Owned, *, force: bool = False, noun: str = "tfjs model"
) -> Iterator[Stage]:
    """Give a :class:`Stage`; publish it at *destination* when the block ends without exception.

    Args:
        destination: The directory to create or replace. Parents are created. Foreign files in
            it stay.
        owned: Tells which files of a directory are a model's, ``model.json`` among them;
            None if there is no model.
        force: Write into a directory that holds no model but other things.
        noun: What a model is called, if it is something else.

    Raises:
        UsageError: *destination* must not be replaced.
        OutputError: Writing failed; *destination* is as it was.
    """
    destination = check_destination(destination, owned, force=force, noun=noun)

    def finish(path: Path) -> None:
        publish(path, destination, owned, force=force)

    with _staging(destination, finish) as stage:
        yield stage


@contextmanager
def staged_file(destination: Path, magics: tuple[bytes, ...], *, force: bool) -> Iterator[Stage]:
    """Give a :class:`Stage` for one file, to be created in it under the name of *destination*.

    It is published by one ``rename`` when the block ends without exception.

    Args:
        destination: The file to create or replace. Parents are created.
        magics: How files begin that may be replaced; files that are empty may, too.
        force: Replace any regular file.

    Raises:
        UsageError: *destination* must not be replaced.
        OutputError: Writing failed; *destination* is as it was.
    """
    destination = check_file_destination(destination, magics, force=force)

    def replace(path: Path) -> None:
        if destination.exists():
            copy_access(destination, path / destination.name)
        os.replace(path / destination.name, destination)

    with _staging(destination, replace, single=True) as stage:
        yield stage


def write_file(destination: Path, data: bytes, *, executable: bool = False) -> None:
    """Put *data* at *destination*, whatever file was there; it is whole or as it was.

    Raises:
        OutputError: Writing failed.
    """
    with staged_file(destination, (b"",), force=True) as stage:
        stage.write(destination.name, data)
        if executable:
            stage.make_executable(destination.name)


@contextmanager
def _staging(
    destination: Path, finish: Callable[[Path], None], *, single: bool = False
) -> Iterator[Stage]:
    """Give a stage beside *destination*; *finish* its directory once it is complete."""
    with ExitStack() as undo, ExitStack() as always:
        try:
            _make_parents(destination.parent, undo)
            _clean_stale(destination)
            path = _make_stage(destination, always)
        except OSError as error:
            fail(error, destination)
        replaces = _holds_something(destination)
        stage = Stage(path, destination, single=single, replaces=replaces)
        always.callback(stage.close)
        yield stage
        stage.settle()
        try:
            if stage.replaces:
                _sync(path)
            finish(path)
        except OSError as error:
            fail(error, destination)
        undo.pop_all()
        if stage.replaces:
            with suppress(OSError):  # it is published, whatever a power cut may do now
                if destination.is_dir():
                    _sync_directory(destination)
                _sync_directory(destination.parent)


def check_file_destination(destination: Path, magics: tuple[bytes, ...], *, force: bool) -> Path:
    """Return the real path of *destination* if it may become a file: see :func:`staged_file`."""
    destination = Path(os.path.realpath(destination))
    try:
        mode = os.lstat(destination).st_mode
        if not stat.S_ISREG(mode):
            raise UsageError("is not a regular file", path=destination, hint="Name a file.")
        with open(destination, "rb") as file:
            head = file.read(max(map(len, magics)))
    except FileNotFoundError:
        return destination
    except OSError as error:
        fail(error, destination)
    if head and not head.startswith(magics) and not force:
        raise UsageError(
            "exists and is not of the format to be written",
            path=destination,
            hint="Name another file, or pass --force (force=True) to replace it.",
        )
    return destination


def _holds_something(destination: Path) -> bool:
    return bool(visible_names(destination)) if destination.is_dir() else destination.exists()


def _make_parents(parent: Path, undo: ExitStack) -> None:
    """Create *parent* and what is above it; register its removal."""
    missing = [p for p in (parent, *parent.parents) if not p.exists()]
    for path in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(path)
            undo.callback(_remove_empty, path)


def _remove_empty(path: Path) -> None:
    with suppress(OSError):
        os.rmdir(path)


def _make_stage(destination: Path, always: ExitStack) -> Path:
    """Create the stage, beside *destination* or, where that cannot be, in it."""
    exists = destination.is_dir()
    inside = exists and (os.path.ismount(destination) or not writable(destination.parent))
    parent = destination if inside else destination.parent
    while True:
        path = parent / f"{stage_prefix(destination)}{os.getpid()}-{os.urandom(4).hex()}"
        always.callback(_discard, path, destination)  # first: Ctrl-C may come at once
        os.mkdir(path)
        with suppress(BlockingIOError, FileNotFoundError):
            lock = _lock(path)
            if lock is not None:
                always.callback(os.close, lock)
            if path.exists():
                break
        # Another run found it before it was locked, and removes it as left behind.
    if exists:
        copy_access(destination, path)
    return path


# --- what dead writers left -----------------------------------------------------------------


def _clean_stale(destination: Path) -> None:
    """Remove stages of *destination* whose writers are dead, after taking back what they hold.

    A writer lives as long as it holds the lock of its stage; its number says nothing, since in a
    container every first process is number 1.
    """
    pattern = re.compile(re.escape(stage_prefix(destination)) + r"\d+-[0-9a-f]{8}")
    for directory in (destination.parent, destination):
        for name in os.listdir(directory) if directory.is_dir() else ():
            if not pattern.fullmatch(name):
                continue
            try:
                lock = _lock(directory / name)
            except OSError:
                continue  # it is alive, or gone, or not ours
            if lock is not None:
                _discard(directory / name, destination)
                os.close(lock)


def _lock(directory: Path) -> int | None:
    """Lock *directory* until the returned descriptor is closed; None if there are no locks here.

    Raises:
        BlockingIOError: Another process holds the lock.
        OSError: It is gone, or we may not look at it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise
    except OSError:  # a file system without locks
        os.close(fd)
        return None
    return fd


def _discard(stage: Path, destination: Path) -> None:
    """Remove *stage*, unless it holds an old model that cannot be put back."""
    with suppress(OSError):
        take_back(stage, destination)
        if stage.exists():
            import shutil

            shutil.rmtree(stage, ignore_errors=True)


# --- small things ---------------------------------------------------------------------------


def _sync(stage: Path) -> None:
    """Bring all files of *stage*, then the directory itself, to the disk."""
    for name in sorted(os.listdir(stage)):
        if (stage / name).is_dir():
            _sync(stage / name)
            continue
        fd = os.open(stage / name, os.O_RDWR | _BINARY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    _sync_directory(stage)


def _sync_directory(directory: Path) -> None:
    try:
        fd = os.open(directory, os.O_RDONLY)
    except OSError:
        return  # Windows cannot open directories; some parents are not readable
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS):  # file systems without it
            raise
    finally:
        os.close(fd)


def fail(error: OSError, path: Path) -> NoReturn:
    """Raise the OutputError that says that *path* cannot be written because of *error*."""
    if isinstance(error, OutputError):
        raise error
    hint = "Free some space." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    raise OutputError(f"cannot write: {error.strerror or error}", path=path, hint=hint) from error
