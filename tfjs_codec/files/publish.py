"""Puts a finished directory in the place of another one, so that no moment shows a mixture.

======================================  ==========================================================
destination                             step
======================================  ==========================================================
absent                                  one ``rename``
a directory (Linux)                     one ``renameat2(RENAME_EXCHANGE)``, then the old one goes
a directory we may not or cannot swap   file by file: the old model moves into the stage, its
                                        index (``model.json``) first; the new one moves out, its
                                        index last
======================================  ==========================================================

So whoever looks, and whenever we are killed, finds the whole old or the whole new model. A model
that takes the place of another is on the disk first (``fsync``), so that a power cut cannot take
both; where nothing is lost the system writes back in its own time, as it does for ``cp``. Only
the third way has a moment without any model (never a mixture); what a kill leaves in it is put
back by the next run. It serves other systems than Linux, mount points, directories of another
owner or of a group or access control list that we cannot give, the current directory (a swap would
pull it from under the shell) and directories that hold foreign directories.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from tfjs_codec.errors import UsageError, quote
from tfjs_codec.files.source import INDEX

INDEXES = (INDEX, "saved_model.pb")  # the files whose appearance makes a directory a model
Owned = Callable[[Path], "frozenset[str] | None"]

_BACKUP = ".tfjs_codec-old"
_NEW = ".tfjs_codec-new"  # lists what is to move in
_NAME_CHARS = 50  # of the destination in the stage's name, which must fit 255 bytes
_DIGEST_CHARS = 12  # of a longer name's SHA-256, after its first characters
_ACLS = ("system.posix_acl_access", "system.posix_acl_default")  # linux/xattr.h
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def publish(stage: Path, destination: Path, owned: Owned, *, force: bool) -> None:
    """Put *stage* in the place of *destination*; foreign files in it stay.

    Raises:
        UsageError: A foreign file is in the way, and *force* does not allow to replace it.
        OSError: It could not be done; :func:`take_back` undoes what was.
    """
    if not os.path.lexists(destination):
        try:
            os.rename(stage, destination)
        except OSError as error:  # another writer was faster
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        else:
            return
    old = owned(destination) or frozenset()
    new = set(os.listdir(stage))
    if not force:
        check_free(destination, new, old)
    foreign = visible_names(destination) - old - new
    if _may_swap(stage, destination, foreign):
        for name in foreign:
            _link_or_copy(destination / name, stage / name)
        if _exchange(stage, destination):
            return
        for name in foreign:
            os.unlink(stage / name)
    _move_in(stage, destination, old)


def check_free(destination: Path, new: Iterable[str], old: frozenset[str]) -> None:
    """Raise UsageError if one of the files *new* is in *destination* but not of the model *old*."""
    taken = sorted(visible_names(destination).intersection(new) - old)
    if taken:
        raise UsageError(
            f"{quote(taken[0])} exists and is not part of the model to be replaced",
            path=destination,
            hint="Name another directory, or pass --force (force=True) to replace it.",
        )


def _may_swap(stage: Path, destination: Path, foreign: set[str]) -> bool:
    """Whether *destination* may become another directory object, *stage*."""
    if not hasattr(os, "geteuid"):
        return False
    here = _working_directory()
    return (
        not os.path.ismount(destination)
        and writable(destination.parent)
        and os.stat(destination).st_uid == os.geteuid()
        and _access(stage) == _access(destination)
        and (here is None or not here.is_relative_to(destination))
        and not any(_is_directory(destination / name) for name in foreign)
    )


def copy_access(old: Path, new: Path) -> None:
    """Let the group, permissions and access control lists of *new* be those of *old*, if we may."""
    status = os.stat(old)
    if hasattr(os, "chown") and os.stat(new).st_gid != status.st_gid:
        with suppress(OSError):
            os.chown(new, -1, status.st_gid)
    os.chmod(new, stat.S_IMODE(status.st_mode))  # after the group: a change of it takes bits away
    for name, value in _acls(old).items():
        with suppress(OSError):
            os.setxattr(new, name, value)


def _access(path: Path) -> tuple[int, int, dict[str, bytes]]:
    status = os.stat(path)
    return status.st_gid, status.st_mode, _acls(path)


def _acls(path: Path) -> dict[str, bytes]:
    """Return the access control lists of *path* by their names as extended attributes."""
    found = {}
    for name in _ACLS if hasattr(os, "getxattr") else ():
        with suppress(OSError):  # there is none, or the file system has none
            found[name] = os.getxattr(path, name)
    return found


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError:
        return None  # it was deleted


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # no hard links here
        import shutil

        shutil.copy2(source, target, follow_symlinks=False)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two directories atomically; False if system or file system cannot."""
    import ctypes  # here: it costs 10 ms, and absent destinations do not need it

    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux, or an old libc
        return False
    result = renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)
    )
    return bool(result == 0)


def _move_in(stage: Path, destination: Path, old: frozenset[str]) -> None:
    """Replace the model file by file. :func:`take_back` undoes it before its last move."""
    new = sorted(os.listdir(stage), key=_index_last)
    (stage / _NEW).write_text("\n".join(new), "utf-8")
    backup = stage / _BACKUP
    os.mkdir(backup)
    for name in sorted({*old, *new}, key=_index_last, reverse=True):
        if os.path.lexists(destination / name):
            os.replace(destination / name, backup / name)
    for name in new:
        os.replace(stage / name, destination / name)


def _index_last(name: str) -> tuple[bool, str]:
    return name in INDEXES, name


def take_back(stage: Path, destination: Path) -> None:
    """Undo the moves of a :func:`_move_in` that did not come to its last one."""
    backup = stage / _BACKUP
    if not (backup.is_dir() and any((stage / name).exists() for name in INDEXES)):
        return
    listed = (stage / _NEW).read_text("utf-8").split("\n") if (stage / _NEW).exists() else []
    for name in set(listed) - set(os.listdir(stage)):
        _remove(destination / name)
    for name in sorted(os.listdir(backup), key=_index_last):
        os.replace(backup / name, destination / name)


def _remove(path: Path) -> None:
    if _is_directory(path):
        import shutil

        shutil.rmtree(path)
        return
    with suppress(FileNotFoundError):
        os.unlink(path)


def stage_prefix(destination: Path) -> str:
    """Return how the names of all stages of *destination* begin, and those of no other."""
    name = destination.name
    if len(name) > _NAME_CHARS:
        import hashlib  # here: it loads OpenSSL, and few names are that long

        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:_DIGEST_CHARS]
        name = f"{name[: _NAME_CHARS - _DIGEST_CHARS]}~{digest}"
    return f".{name}.tfjs_codec-"


def writable(directory: Path) -> bool:
    """Tell whether entries of *directory* may be made and removed."""
    return os.access(directory, os.W_OK | os.X_OK)


def visible_names(directory: Path) -> set[str]:
    """The names in *directory*, without stages."""
    prefix = stage_prefix(directory)
    return {name for name in os.listdir(directory) if not name.startswith(prefix)}
