"""Zip archives read in place; nothing is ever unpacked to disk.

A zip has two tables of contents: the headers before each member, and the central directory at its
end, found from its last bytes. Attacks live where the two disagree, so both are read and must
agree: no overlap, nothing before the first member, no duplicate names, no encryption, sizes that
cannot be a bomb. (Layout: PKWARE APPNOTE 6.3.10, §4.3; Keras writes plain *stored* members.)

A stored member is handed out as a window onto the archive, with its byte offset, so its tensors
can be copied without a detour. A deflated one is held in memory.
"""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, cast

from tfjs_codec.errors import CorruptFileError, UnknownFormatError, UnsafeFileError, quote
from tfjs_codec.files.paths import check_name, traversal_reason
from tfjs_codec.files.source import INDEX, KERAS_CONFIG, Source, Window
from tfjs_codec.limits import DEFAULT_LIMITS, Limits

_END = struct.Struct("<4s4H2LH")  # end of central directory
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")  # one member in the central directory
_LOCAL = struct.Struct("<4s5H3L2H")  # the header before a member
_MAX_COMMENT_BYTES = 0xFFFF
_STORED, _DEFLATED = 0, 8
_METHODS = {1: "shrink", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 99: "AES"}
_ENCRYPTED_FLAGS = 0x0001 | 0x0040 | 0x2000
_UTF8_FLAG = 0x0800
_BLOCK_BYTES = 1 << 20
_MAX_TABLE_BYTES = 16 << 20  # table of contents: 10,000 members take about 1 MB


class Member(NamedTuple):
    """One file of the archive: where its bytes are, and what they must become."""

    name: str
    method: int
    crc: int
    packed_bytes: int
    size: int
    header_offset: int
    flags: int
    data_offset: int = 0


class Archive:
    """An open zip. Use it as a context manager; its sources can be read until it closes."""

    def __init__(
        self, source: Source, file: BinaryIO, members: dict[str, Member], limits: Limits
    ) -> None:
        self.path = source.path
        self.limits = limits
        self._source = source
        self._file = file
        self._members = members
        self._lock = threading.Lock()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def close(self) -> None:
        """Close the archive and all that was opened from it."""
        self._file.close()

    def names(self) -> list[str]:
        """Return the names of all members, directories left out, in archive order."""
        return [name for name in self._members if not name.endswith("/")]

    def size(self, name: str) -> int:
        """Return the unpacked size of member *name* in bytes."""
        return self._member(name).size

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the whole member *name*, its checksum verified.

        Raises:
            CorruptFileError: no such member, bad data or checksum.
            LimitExceededError: larger than *max_bytes*.
        """
        member = self._member(name)
        if member.size > max_bytes:
            self.limits.check("inflated_bytes", member.size, "the size", path=self.path, where=name)
            what = f"the size is {member.size:,} bytes, more than the {max_bytes:,} expected"
            raise CorruptFileError(what, path=self.path, where=name)
        return b"".join(self._verify(member))

    def check(self, name: str) -> None:
        """Read member *name* through once and raise CorruptFileError if its checksum is wrong."""
        for _ in self._verify(self._member(name)):
            pass

    def source(self, name: str) -> Source:
        """Return member *name* as a :class:`Source`.

        A stored member is not read: see :meth:`check`. A deflated one is unpacked into memory,
        below the limit ``inflated_bytes``.
        """
        member = self._member(name)
        parent = self._source
        if member.method == _STORED:
            offset = member.data_offset
            return Source(
                self.path,
                member.size,
                lambda: cast("BinaryIO", self._window(member)),
                file_path=parent.file_path,
                offset=parent.offset + offset,
                where=name,
                mtime_ns=parent.mtime_ns,
                version=parent.version,
            )
        what = "the unpacked size in bytes"
        self.limits.check("inflated_bytes", member.size, what, path=self.path, where=name)
        data = self.read(name, member.size)
        return Source(self.path, member.size, lambda: io.BytesIO(data), where=name)

    def open(self, name: str) -> BinaryIO:
        """Open member *name* for reading: binary, seekable; stored ones have ``.offset``."""
        return self.source(name).open()

    def _member(self, name: str) -> Member:
        member = self._members.get(name)
        if member is None:
            what = f"there is no {quote(name)} in the archive"
            raise CorruptFileError(what, path=self.path)
        return member

    def _window(self, member: Member) -> Window:
        return Window(
            self._file, member.data_offset, member.packed_bytes, self.path, lock=self._lock
        )

    def _verify(self, member: Member) -> Iterator[bytes]:
        """Yield the unpacked bytes in blocks; at the end size and checksum were right."""
        size = crc = 0
        blocks = _blocks(self._window(member))
        if member.method == _DEFLATED:
            blocks = self._inflate(member, blocks)
        for block in blocks:
            size += len(block)
            crc = zlib.crc32(block, crc)
            if size > member.size:
                break
            yield block
        if size != member.size:
            word = "more" if size > member.size else f"{size:,}"
            what = f"the archive says {member.size:,} bytes, the data has {word}"
            raise CorruptFileError(what, path=self.path, where=member.name)
        if crc != member.crc:
            hint = "The file is damaged; copy or download it again."
            what = f"wrong checksum (CRC-32 {crc:08x}, stored {member.crc:08x})"
            raise CorruptFileError(what, path=self.path, where=member.name, hint=hint)

    def _inflate(self, member: Member, blocks: Iterator[bytes]) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for block in blocks:
                pending = block
                while pending and not inflater.eof:
                    yield inflater.decompress(pending, _BLOCK_BYTES)
                    pending = inflater.unconsumed_tail
            while not inflater.eof:
                rest = inflater.decompress(b"", _BLOCK_BYTES)
                if not rest:
                    break
                yield rest
        except zlib.error as error:
            what = f"damaged compressed data ({quote(str(error))[1:-1]})"
            raise CorruptFileError(what, path=self.path, where=member.name) from None
        if not inflater.eof:
            raise CorruptFileError(
                "the compressed data ends too early", path=self.path, where=member.name
            )


def open_archive(source: Source, *, limits: Limits = DEFAULT_LIMITS) -> Archive:
    """Open the zip *source*. Both tables of contents are read and compared; no data is.

    Raises:
        CorruptFileError: no zip, truncated, or its two tables of contents disagree.
        UnsafeFileError: a name that leads outside, overlapping members, other data around.
        LimitExceededError: ``zip_members``, ``zip_ratio``.
    """
    file = source.open()
    try:
        members = _Reader(source, file, limits).members()
    except BaseException:
        file.close()
        raise
    return Archive(source, file, members, limits)


class ArchiveFolder(NamedTuple):
    """The folder of the members whose names begin with *prefix*; for files that name others."""

    archive: Archive
    prefix: str

    def __contains__(self, name: object) -> bool:
        return f"{self.prefix}{name}" in self.archive

    def names(self) -> list[str]:
        """Return the names of the members, also those in folders below."""
        start = len(self.prefix)
        return [name[start:] for name in self.archive.names() if name.startswith(self.prefix)]

    def find(self, name: str, *, path: object = "", where: str = "", limits: Limits) -> Source:
        """Return the member *name*; see :class:`tfjs_codec.files.source.Folder`."""
        check_name(name, path=path, where=where, limits=limits)
        if name not in self:
            raise CorruptFileError(f"the file {quote(name)} is missing", path=path, where=where)
        return self.archive.source(f"{self.prefix}{name}")._replace(members=self)


def find_model_folder(archive: Archive) -> ArchiveFolder | None:
    """Return the folder of *archive*'s only ``model.json``; None if it is no tfjs model."""
    if KERAS_CONFIG in archive:  # a .keras file, whatever its assets are called
        return None
    found = [name for name in archive.names() if name.rpartition("/")[2] == INDEX]
    return ArchiveFolder(archive, found[0].removesuffix(INDEX)) if len(found) == 1 else None


def find_saved_model(archive: Archive, source: Source) -> ArchiveFolder:
    """Return the folder of the only SavedModel in *archive*, which is that of *source*.

    Raises:
        UnknownFormatError: It holds none, or several.
    """
    found = {
        name.removesuffix(last)
        for name in archive.names()
        if (last := name.rpartition("/")[2]) in ("saved_model.pb", "saved_model.pbtxt")
    }
    if len(found) != 1:
        raise UnknownFormatError(
            f"the archive holds {len(found)} SavedModels", path=source.path,
            hint="Unpack it and name one of them.",
        )  # fmt: skip
    return ArchiveFolder(archive, found.pop())


class _Reader:
    """Reads the tables of contents of one archive."""

    def __init__(self, source: Source, file: BinaryIO, limits: Limits) -> None:
        self._source = source
        self._window = Window(file, 0, source.size, source.path)
        self._limits = limits

    def members(self) -> dict[str, Member]:
        count, start, size, end = self._end()
        path = self._source.path
        self._limits.check("zip_members", count, "the number of members", path=path)
        if start + size != end:
            raise self._unsafe("", f"{abs(end - start - size):,} bytes that belong to no member")
        if size > _MAX_TABLE_BYTES:
            raise self._unsafe("", f"a table of contents of {size:,} bytes")
        table = self._bytes(start, size, "the table of contents")
        members: dict[str, Member] = {}
        position = 0
        for _ in range(count):
            member, position = self._entry(table, position)
            if member.name in members:
                raise self._corrupt(member.name, "the archive has two members of this name")
            self._check(member)
            members[member.name] = member
        if position != len(table):
            raise self._corrupt("", "the table of contents has more entries than it says")
        placed = self._place(sorted(members.values(), key=lambda m: m.header_offset), start)
        total = sum(member.size for member in placed.values())
        self._limits.check_expansion(
            total, self._source.size, "zip", "the archive", path=path, where=""
        )
        return {name: placed[name] for name in members}

    def _end(self) -> tuple[int, int, int, int]:
        """Return count, offset and size of the central directory, and where it must end."""
        size = self._source.size
        tail_offset = max(0, size - _END.size - _MAX_COMMENT_BYTES)
        tail = self._bytes(tail_offset, size - tail_offset, "the end")
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < _END.size:
            hint = "Copy or download the file again."
            raise self._corrupt("", "the zip has no end record (truncated?)", hint)
        _, disk, start_disk, _, count, nbytes, start, comment = _END.unpack_from(tail, at)
        if at + _END.size + comment != len(tail):
            raise self._unsafe("", "other data after the end of the zip")
        end = tail_offset + at
        if disk or start_disk:
            raise self._corrupt("", "a zip in several parts")
        if count == 0xFFFF or 0xFFFFFFFF in (nbytes, start):
            return self._end64(end)
        return count, start, nbytes, end

    def _end64(self, end: int) -> tuple[int, int, int, int]:
        what = "the zip64 end record"
        locator = end - _END64_LOCATOR.size
        magic, _, at, _ = _END64_LOCATOR.unpack(self._bytes(locator, _END64_LOCATOR.size, what))
        if magic != b"PK\x06\x07":
            raise self._corrupt("", f"{what} is missing")
        fields = _END64.unpack(self._bytes(at, _END64.size, what))
        if fields[0] != b"PK\x06\x06" or at + 12 + fields[1] != locator:
            raise self._corrupt("", f"{what} is damaged")
        return fields[7], fields[9], fields[8], at

    def _entry(self, table: bytes, position: int) -> tuple[Member, int]:
        """Parse one entry of the central directory at *position*; return also where it ends."""
        if len(table) - position < _ENTRY.size:
            raise self._corrupt("", "the table of contents ends too early")
        fields = _ENTRY.unpack_from(table, position)
        magic, flags, method, crc = fields[0], fields[3], fields[4], fields[7]
        name_bytes, extra_bytes, comment_bytes = fields[10:13]
        name_end = position + _ENTRY.size + name_bytes
        end = name_end + extra_bytes + comment_bytes
        if magic != b"PK\x01\x02" or end > len(table):
            raise self._corrupt("", "the table of contents is damaged")
        raw = table[name_end - name_bytes : name_end]
        try:
            name = raw.decode("utf-8" if flags & _UTF8_FLAG else "cp437")
        except UnicodeDecodeError:
            raise self._corrupt("", f"the name {quote(raw)} is not valid UTF-8") from None
        size, packed, offset = fields[9], fields[8], fields[16]
        if 0xFFFFFFFF in (size, packed, offset):
            extra = table[name_end : name_end + extra_bytes]
            size, packed, offset = self._zip64(name, extra, (size, packed, offset))
        return Member(name, method, crc, packed, size, offset, flags), end

    def _zip64(self, name: str, extra: bytes, sizes: tuple[int, ...]) -> list[int]:
        """Replace those *sizes* that are all ones by the 64-bit ones of the extra field."""
        position = 0
        while position + 4 <= len(extra):
            tag, nbytes = struct.unpack_from("<2H", extra, position)
            position += 4
            if tag == 1:
                count = sum(size == 0xFFFFFFFF for size in sizes)
                if nbytes >= 8 * count and position + 8 * count <= len(extra):
                    wide = iter(struct.unpack_from(f"<{count}Q", extra, position))
                    return [next(wide) if size == 0xFFFFFFFF else size for size in sizes]
            position += nbytes
        raise self._corrupt(name, "its 64-bit sizes are missing")

    def _check(self, member: Member) -> None:
        """Check what one entry says on its own."""
        name = member.name
        reason = traversal_reason(name)
        if reason is not None or "\\" in name:
            raise self._unsafe(name, f"the member's name {reason or 'contains a backslash'}")
        if any(len(part) > self._limits.path_chars for part in name.split("/")):
            raise self._unsafe(name, "the member's name is too long")
        if member.flags & _ENCRYPTED_FLAGS:
            raise self._corrupt(name, "the member is encrypted")
        if member.method not in (_STORED, _DEFLATED):
            method = _METHODS.get(member.method, "unknown")
            raise self._corrupt(name, f"compression method {member.method} ({method}) is not read")
        if member.method == _STORED and member.size != member.packed_bytes:
            raise self._corrupt(
                name, f"stored as {member.packed_bytes:,} bytes, but declared as {member.size:,}"
            )
        self._limits.check_expansion(
            member.size,
            member.packed_bytes,
            "zip",
            "the member",
            path=self._source.path,
            where=_show(name),
        )

    def _place(self, members: list[Member], table_offset: int) -> dict[str, Member]:
        """Return *members*, sorted by offset, with the places of their data, which are disjoint."""
        placed: dict[str, Member] = {}
        end = 0
        for index, member in enumerate(members):
            if index == 0 and member.header_offset > 0:
                raise self._unsafe("", f"{member.header_offset:,} bytes before the first member")
            if member.header_offset < end:
                raise self._unsafe(member.name, "the member overlaps another one")
            data_offset = self._data_offset(member)
            end = data_offset + member.packed_bytes
            if end > table_offset:
                raise self._corrupt(member.name, "the member's data ends outside the archive")
            placed[member.name] = member._replace(data_offset=data_offset)
        return placed

    def _data_offset(self, member: Member) -> int:
        """Compare the header before the data with the table; return where the data begins."""
        what = f"the header of {quote(member.name)}"
        fields = _LOCAL.unpack(self._bytes(member.header_offset, _LOCAL.size, what))
        magic, flags, method, name_bytes, extra_bytes = *fields[:1], *fields[2:4], *fields[9:11]
        start = member.header_offset + _LOCAL.size
        name = self._bytes(start, name_bytes, what)
        encoding = "utf-8" if flags & _UTF8_FLAG else "cp437"
        agrees = magic == b"PK\x03\x04" and method == member.method
        if not agrees or name.decode(encoding, "replace") != member.name:
            raise self._corrupt(member.name, "the archive's two headers of this member disagree")
        if flags & _ENCRYPTED_FLAGS:
            raise self._corrupt(member.name, "the member is encrypted")
        end: int = start + name_bytes + extra_bytes
        return end

    def _bytes(self, offset: int, nbytes: int, what: str) -> bytes:
        if offset < 0 or nbytes < 0 or offset + nbytes > self._source.size:
            raise self._corrupt("", f"{what} would be outside the file (truncated?)")
        self._window.seek(offset)
        return self._window.read(nbytes) or b""

    def _corrupt(self, name: str, what: str, hint: str = "") -> CorruptFileError:
        return CorruptFileError(what, path=self._source.path, where=_show(name), hint=hint)

    def _unsafe(self, name: str, what: str) -> UnsafeFileError:
        return UnsafeFileError(what, path=self._source.path, where=_show(name))


def _show(name: str) -> str:
    """A member's name as the ``where`` of an error."""
    return name if name.isprintable() and len(name) <= 80 else quote(name)


def _blocks(file: Window) -> Iterator[bytes]:
    while block := file.read(_BLOCK_BYTES):
        yield block
