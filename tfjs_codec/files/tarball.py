"""SavedModels in archives, such as TensorFlow Hub's ``.tar.gz``, and at URLs.

A checkpoint is read at random places, which a compressed stream does not allow, so the model is
unpacked into a private temporary directory; from a zip or URL it is copied into one. Only regular
files and directories are taken, only those that belong to a SavedModel, under names of our own
checking; sizes are limited while they are read, as they are not known before.
"""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from tfjs_codec.errors import (
    CorruptFileError,
    OutputError,
    TfjsCodecError,
    UnknownFormatError,
    UnsafeFileError,
    quote,
)
from tfjs_codec.files.paths import unsafe_reason
from tfjs_codec.files.source import Folder, Source
from tfjs_codec.limits import Limits, limit_error

_MESSAGES = ("saved_model.pb", "saved_model.pbtxt")
_KEPT = frozenset(("variables", "assets"))
_BLOCK_BYTES = 1 << 20
_DAMAGE = (
    tarfile.TarError,
    EOFError,
    OSError,
    lzma.LZMAError,
    RecursionError,
    ValueError,
    zlib.error,
)
_HEADERS = (b"L", b"K", b"x", b"g", b"X")  # GNU and PAX headers, which describe other members
_HEADER_BYTES = 64 << 10  # a long name; real ones stay below 1 kB


@contextmanager
def unpacked_saved_model(source: Source, limits: Limits) -> Iterator[Path]:
    """Unpack the SavedModel in *source*; the directory is gone when the context ends.

    Raises:
        UnknownFormatError: The archive holds no SavedModel.
        UnsafeFileError: A member is a link or device, or its name reaches out of the archive.
        LimitExceededError: ``zip_members``, ``inflated_bytes`` for all files, or ``zip_ratio``.
        CorruptFileError: The archive is truncated or damaged.
        OutputError: There is no room for it.
    """
    with source.open() as file, ExitStack() as stack:
        try:
            target = Path(stack.enter_context(TemporaryDirectory(prefix="tfjs-codec-")))
            with tarfile.open(fileobj=file, mode="r:*", tarinfo=_Member) as archive:
                root = _unpack(archive, target, source, limits)
        except TfjsCodecError:
            raise
        except (FileExistsError, NotADirectoryError) as error:
            raise CorruptFileError("two members have the same name", path=source.path) from error
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise OutputError(
                    f"cannot be unpacked: {error.strerror}", path=source.path,
                    hint="Set TMPDIR to a directory with enough free space.",
                ) from error  # fmt: skip
            raise CorruptFileError(
                f"not a complete tar archive ({quote(str(error))})", path=source.path
            ) from error
        try:
            yield target / root
        except TfjsCodecError as error:
            _name_archive(error, target, source.path)
            raise


@contextmanager
def copied_saved_model(
    folder: Folder, files: Sequence[str], shown: str, limits: Limits
) -> Iterator[Path]:
    """Copy the SavedModel with these *files* in *folder*; it is gone when the context ends.

    *shown* is what messages call the folder.

    Raises:
        UnsafeFileError: The name of a file reaches out of the directory.
        LimitExceededError: ``zip_members``, or ``inflated_bytes`` for all files.
        OutputError: There is no room for it.
    """
    with ExitStack() as stack:
        try:
            target = Path(stack.enter_context(TemporaryDirectory(prefix="tfjs-codec-")))
            names = [name for name in files if _belongs(PurePosixPath(name))]
            limits.check("zip_members", len(names), "the number of files", path=shown)
            total = 0
            for name in names:
                source = folder.find(name, path=shown, limits=limits)
                total += source.size
                limits.check("inflated_bytes", total, "the bytes of all files", path=shown)
                with source.open() as file:
                    _write(target / name, iter(partial(file.read, _BLOCK_BYTES), b""))
        except TfjsCodecError:
            raise
        except OSError as error:
            raise OutputError(
                f"cannot be copied: {error.strerror}", path=shown,
                hint="Set TMPDIR to a directory with enough free space.",
            ) from error  # fmt: skip
        try:
            yield target
        except TfjsCodecError as error:
            _name_archive(error, target, shown)
            raise


def _name_archive(error: TfjsCodecError, target: Path, archive: str) -> None:
    """Let *error* name a file below *target* as a place in the *archive*."""
    path = Path(error.path)
    if path.is_relative_to(target):
        inner = path.relative_to(target).as_posix()
        parts = (inner if inner != "." else "", error.where)
        error.path, error.where = archive, ": ".join(part for part in parts if part)


class _Member(tarfile.TarInfo):
    """A member whose header says little: tarfile reads long names and PAX headers whole."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and self.size > _HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError("a sparse file")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]

    def _proc_sparse_map(self, *_: object) -> None:
        raise tarfile.ReadError("a sparse file")

    # The three ways in which PAX headers describe sparse files.
    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _proc_sparse_map


def _unpack(archive: tarfile.TarFile, target: Path, source: Source, limits: Limits) -> str:
    """Unpack the files of the SavedModel; return the directory it has in the archive."""
    budget = _Budget(source, limits)
    roots = []
    for member in archive:
        budget.count()
        name = str(PurePosixPath(member.name))
        if member.isdir():
            continue
        reason = unsafe_reason(name, limits)
        if reason or not member.isfile():
            raise UnsafeFileError(
                reason or "is a link or a device", path=source.path, where=quote(member.name)
            )
        path = PurePosixPath(name)
        if path.name in _MESSAGES:
            roots.append(str(path.parent))
        elif not _belongs(path):
            budget.spend(member.size)
            continue
        file = archive.extractfile(member)
        if file is not None:
            _write(target / path, _blocks(file, budget))
    if not roots:
        raise UnknownFormatError("the archive holds no saved_model.pb", path=source.path)
    if len(roots) > 1:
        raise UnknownFormatError(
            f"the archive holds {len(roots)} models", path=source.path,
            hint="Unpack it and name one of them.",
        )  # fmt: skip
    return roots[0]


def _belongs(path: PurePosixPath) -> bool:
    """Tell whether the file *path* may be one of a SavedModel."""
    return path.parent.name in _KEPT or path.suffix == ".pb" or path.name in _MESSAGES


def _write(path: Path, blocks: Iterator[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for block in blocks:
            file.write(block)


def _blocks(file: IO[bytes], budget: _Budget) -> Iterator[bytes]:
    while block := file.read(_BLOCK_BYTES):
        budget.spend(len(block))
        yield block


class _Budget:
    """What an archive may still unpack to."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._members = 0
        self._spent = 0

    def count(self) -> None:
        self._members += 1
        self._limits.check("zip_members", self._members, "the archive", path=self._source.path)

    def spend(self, nbytes: int) -> None:
        self._spent += nbytes
        path = self._source.path
        self._limits.check(
            "inflated_bytes", self._spent, "the size of the unpacked archive in bytes", path=path
        )
        limit = max(self._limits.zip_floor_bytes, self._limits.zip_ratio * self._source.size)
        if self._spent > limit:
            text = f"the archive unpacks from {self._source.size:,} to over {limit:,} bytes"
            raise limit_error("zip_ratio", text, path=path, where="")
