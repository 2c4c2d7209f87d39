"""Paths that a file names: they stay below the directory they are relative to, or are refused.

The verdict is taken on the text alone and so is the same on every operating system: a name that
is dangerous or impossible on Windows is refused on Linux too. Symbolic links are then resolved,
and must not lead out. Hard links cannot be told from other files and are allowed.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from tfjs_codec.errors import CorruptFileError, UnsafeFileError, quote
from tfjs_codec.limits import DEFAULT_LIMITS, Limits

_DRIVE = r"[A-Za-z]:"
_FORBIDDEN = r'[\x00-\x1f\x7f<>:"|?*%\\]'
_RESERVED = r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?"


def traversal_reason(name: str) -> str | None:
    """Say why *name* reaches outside the directory it is relative to, or None if it does not."""
    if not name:
        return "is empty"
    if "\0" in name:
        return "contains a NUL character"
    if name.startswith(("/", "\\")) or re.match(_DRIVE, name):
        return "is absolute"
    if ".." in re.split(r"[/\\]", name):
        return "leads out of its directory"
    return None


def unsafe_reason(name: str, limits: Limits = DEFAULT_LIMITS) -> str | None:
    """Say why *name* is no portable relative path of a file, or None if it is one."""
    reason = traversal_reason(name)
    if reason is not None:
        return reason
    bad = re.search(_FORBIDDEN, name)
    if bad is not None:
        return f"contains {quote(bad[0])}, as in a URL, an escape or a Windows path"
    for part in name.split("/"):
        if part in ("", "."):
            return "is not a plain file path"
        if part[-1] in ". ":
            return "has a part that ends with a dot or a space"
        if re.fullmatch(_RESERVED, part):
            return "is a device name on Windows"
        try:
            length = len(part.encode())
        except UnicodeEncodeError:
            return "is not valid Unicode"
        if length > limits.path_chars:
            return f"has a part longer than {limits.path_chars} characters"
    return None


def check_name(name: str, *, path: object, where: str, limits: Limits) -> None:
    """Raise UnsafeFileError, about *path* at *where*, if *name* is no portable relative path."""
    reason = unsafe_reason(name, limits)
    if reason is not None:
        raise UnsafeFileError(f"the path {quote(name)} {reason}", path=path, where=where)


def safe_child(
    base: Path,
    relative: str,
    *,
    path: object = "",
    where: str = "",
    limits: Limits = DEFAULT_LIMITS,
) -> Path:
    """Return ``base / relative`` with symbolic links resolved, certainly inside *base*.

    *path* is the file that named *relative*, at *where* (both for messages). The result need not
    exist.

    Raises:
        UnsafeFileError: the name is not a plain relative path, a symbolic link leads out of
            *base*, or it is no regular file.
    """
    check_name(relative, path=path, where=where, limits=limits)
    try:
        root = base.resolve()
        child = root.joinpath(relative).resolve()
        mode = os.stat(child).st_mode
    except FileNotFoundError:
        mode = None
    except (OSError, RuntimeError, ValueError) as error:  # symbolic link loop, name too long
        what = f"the path {quote(relative)} cannot be followed ({type(error).__name__})"
        raise UnsafeFileError(what, path=path, where=where) from None
    if not child.is_relative_to(root) or child == root:
        raise UnsafeFileError(
            f"the path {quote(relative)} is a symbolic link out of its directory",
            path=path,
            where=where,
            hint="Copy the model with its links followed (cp -L) and use the copy.",
        )
    if mode is not None and not stat.S_ISREG(mode):
        raise UnsafeFileError(f"{quote(relative)} is not a regular file", path=path, where=where)
    return child


def existing_child(
    base: Path,
    relative: str,
    *,
    path: object = "",
    where: str = "",
    limits: Limits = DEFAULT_LIMITS,
) -> Path:
    """Like :func:`safe_child`, but the file must exist.

    Raises:
        CorruptFileError: there is no such file.
    """
    child = safe_child(base, relative, path=path, where=where, limits=limits)
    if not child.exists():
        raise CorruptFileError(f"the file {quote(relative)} is missing", path=path, where=where)
    return child
