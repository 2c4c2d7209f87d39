"""Convert in a process whose system calls fail, or in children that they kill.

Reads requests from standard input, one JSON object a line, and answers each with one:
``source``, ``destination``, ``to``, ``action``, ``number``, ``call``, ``exchange``. The *action*
is what happens at the *number*-th (from 1) system call that changes the disk, or the *number*-th
*call* if that is not empty: ``kill`` (the process is gone, as by SIGKILL) or the name of an error
such as ``ENOSPC``; ``warm up`` converts without faults in the parent, so that the children need
not import what this takes. Without *exchange* directories cannot be swapped, as elsewhere than on
Linux.

The answer has the ``calls`` that were made, in order, and ``error``: class and text of what was
raised, None if nothing was or the child is gone.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import tfjs_codec
from tfjs_codec.files import publish

CALLS = (
    "mkdir", "open", "write", "pwrite", "copy_file_range", "fsync", "rename", "replace", "link",
    "unlink", "rmdir",
)  # fmt: skip
SHARD_BYTES = 60


class Faults:
    """Counts calls; the *number*-th fails or kills."""

    def __init__(self, request: dict[str, Any], answers: int) -> None:
        self._action, self._number, self._call = (request[k] for k in ("action", "number", "call"))
        self._answers = answers
        self._calls: list[str] = []
        os.fsync = lambda _: None  # only its place among the calls matters here
        for name in CALLS:
            setattr(os, name, self._counted(name, getattr(os, name)))
        swap = publish._exchange if request["exchange"] else lambda *_: False
        publish._exchange = self._counted("exchange", swap)

    @staticmethod
    def remove() -> None:
        """Put back the calls as they were."""
        for name, function in GENUINE.items():
            setattr(os, name, function)
        publish._exchange = EXCHANGE

    def _counted(self, name: str, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & (os.O_WRONLY | os.O_RDWR):
                return function(*args, **kwargs)
            self._calls.append(name)
            at = self._calls.count(name) if name == self._call else len(self._calls)
            if at == self._number and self._call in ("", name):
                if self._action == "kill":
                    self.answer(None)
                    os._exit(137)
                code = getattr(errno, self._action)
                raise OSError(code, os.strerror(code))
            return function(*args, **kwargs)

        return call

    def answer(self, error: str | None) -> None:
        line = json.dumps({"calls": self._calls, "error": error}) + "\n"
        WRITE(self._answers, line.encode())


WRITE = os.write
GENUINE = {name: getattr(os, name) for name in CALLS}
EXCHANGE = publish._exchange


def convert(request: dict[str, Any]) -> None:
    """Convert as *request* says."""
    sharded = not Path(request["destination"]).suffix
    options = {"to": request.get("to")}
    if sharded and options["to"] != "savedmodel":
        options["shard_size_bytes"] = SHARD_BYTES
    tfjs_codec.convert(request["source"], request["destination"], force=True, **options)


def convert_with_faults(request: dict[str, Any]) -> None:
    faults = Faults(request, 1)
    error = None
    try:
        convert(request)
    except Exception as caught:  # noqa: BLE001  the test says which are allowed
        error = f"{type(caught).__name__}: {caught}"
    finally:
        faults.remove()
    faults.answer(error)


def main() -> None:
    gc.disable()  # it would touch, and so copy, all memory of each child
    for line in sys.stdin:
        request = json.loads(line)
        if request["action"] == "warm up":
            convert(request)
            os.write(1, b"{}\n")
            continue
        if request["action"] != "kill":
            convert_with_faults(request)
            continue
        child = os.fork()
        if not child:
            convert_with_faults(request)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
