"""Files of JSON lines that are only added to, and survive a kill at any moment.

Lines are written by one call, so that a kill of the process loses none of them. They are brought to
the disk once a second, and at the end: a failure of the machine loses the lines of the last second.
A line that was cut off is no JSON, and is skipped; so is anything else that is none.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tfjs_codec.errors import UsageError
from tfjs_codec.files.stage import fail
from tfjs_codec.ir.json_types import JsonObject

_SYNC_S = 1.0  # fsync takes milliseconds


class Journal:
    """The file *path*, created with its directory if it is absent, open until :meth:`close`.

    Args:
        path: The file.
        fresh: Throw away what it holds.

    Raises:
        UsageError: Another process has it open.
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path = path
        self._synced = time.monotonic()
        try:
            os.makedirs(path.parent, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            self._fd = os.open(path, flags, 0o666)
        except OSError as error:
            fail(error, path)
        try:
            _lock(self._fd, path)
            if fresh:
                os.ftruncate(self._fd, 0)
            if os.fstat(self._fd).st_size:
                os.lseek(self._fd, -1, os.SEEK_END)
                if os.read(self._fd, 1) != b"\n":  # cut off by a kill
                    os.write(self._fd, b"\n")
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Bring all lines to the disk, and close the file.

        Raises:
            OutputError: They could not be written.
        """
        try:
            self._sync()
        finally:
            os.close(self._fd)

    def append(self, objects: Sequence[JsonObject]) -> None:
        """Add a line for each of *objects*.

        Raises:
            OutputError: They could not be written.
        """
        if not objects:
            return
        data = b"".join(json.dumps(one).encode() + b"\n" for one in objects)
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            fail(error, self.path)
        if time.monotonic() > self._synced + _SYNC_S:
            self._sync()

    def _sync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            fail(error, self.path)
        self._synced = time.monotonic()


def read_journal(path: Path) -> Iterator[JsonObject]:
    """Yield the objects that were written to *path*, if it is there, in order."""
    if not path.exists():
        return
    with open(path, "rb") as file:
        for line in file:
            with suppress(ValueError):
                value = json.loads(line)
                if isinstance(value, dict):
                    yield value


def _lock(fd: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError("another process writes it", path=path, hint="Name another one.") from None
    except OSError:  # a file system without locks
        return
