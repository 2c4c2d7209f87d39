"""Writes a model directory beside its destination and publishes it in one step.

A model is written to a *stage*, a hidden sibling
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
from pathlib import Path

from tfjs_codec.errors import UsageError
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
from tfjs_codec.files.stage import BINARY, Stage, fail


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
    destination: Path,
    owned: Owned,
    *,
    force: bool = False,
    names: Collection[str] = (),
    noun: str = "tfjs model",
) -> Iterator[Stage]:
    """Give a :class:`Stage`; publish it at *destination* when the block ends without exception.

    Args:
        destination: The directory to create or replace. Parents are created. Foreign files in
            it stay.
        owned: Tells which files of a directory are a model's, ``model.json`` among them;
            None if there is no model.
        force: Write into a directory that holds no model but other things.
        names: What is known to be written; see :func:`check_destination`.
        noun: What a model is called, if it is something else.

    Raises:
        UsageError: *destination* must not be replaced.
        OutputError: Writing failed; *destination* is as it was.
    """
    destination = check_destination(destination, owned, force=force, names=names, noun=noun)

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


@contextmanager
def staged_apart() -> Iterator[Stage]:
    """Give a stage in a private temporary directory, for what goes to a URL.

    Raises:
        OutputError: There is no such directory.
    """
    from tempfile import TemporaryDirectory  # here: half of the commands need none

    with ExitStack() as stack:
        try:
            path = Path(stack.enter_context(TemporaryDirectory(prefix="tfjs-codec-")))
        except OSError as error:
            fail(error, Path(error.filename or "$TMPDIR"))
        stage = Stage(path, path)
        stack.callback(stage.close)
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


# --- to the disk ----------------------------------------------------------------------------


def _sync(stage: Path) -> None:
    """Bring all files of *stage*, then the directory itself, to the disk."""
    for name in sorted(os.listdir(stage)):
        if (stage / name).is_dir():
            _sync(stage / name)
            continue
        fd = os.open(stage / name, os.O_RDWR | BINARY)
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
