"""Child processes that answer one JSON request per line, and tensors on such lines."""

from __future__ import annotations

import base64
import json
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# tfjs has no other number types; what Keras feeds as int64 or float64 a page feeds as these.
_WIRE = {"f": "float32", "i": "int32", "u": "int32", "b": "bool", "U": "string"}


def encode(value: np.ndarray) -> dict[str, Any]:
    """Return *value* as the JSON object that :func:`decode` takes, and JavaScript's like it."""
    dtype = _WIRE[value.dtype.kind]
    if dtype == "string":
        return {"dtype": dtype, "shape": list(value.shape), "data": value.ravel().tolist()}
    wire = np.ascontiguousarray(value, dtype=dtype)
    return {
        "dtype": dtype,
        "shape": list(value.shape),
        "data": base64.b64encode(wire.tobytes()).decode("ascii"),
    }


def decode(value: Mapping[str, Any]) -> np.ndarray:
    """Return the array that *value* holds."""
    if value["dtype"] == "string":
        return np.array(value["data"], "U").reshape(value["shape"])
    raw = base64.b64decode(value["data"])
    return np.frombuffer(raw, value["dtype"]).reshape(value["shape"])


class NoAnswer(Exception):  # noqa: N818 - what happened, in the words of the tests
    """The process ended or did not answer in time; the next request starts a new one."""


class JsonLines:
    """A process that is started at the first request and lives until :meth:`close`."""

    def __init__(
        self, command: Sequence[str], timeout_s: float, env: Mapping[str, str] | None = None
    ) -> None:
        self._command = list(command)
        self._timeout_s = timeout_s
        self._env = env
        self._process: subprocess.Popen[str] | None = None
        self._replies: queue.Queue[str] = queue.Queue()

    def close(self) -> None:
        """End the process. A later request starts a new one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send *request* and return the reply.

        Raises:
            NoAnswer: The process ended, or took longer than the time limit.
        """
        process = self._running()
        assert process.stdin is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        try:
            reply = self._replies.get(timeout=self._timeout_s)
        except queue.Empty:
            self.close()
            raise NoAnswer(f"no answer in {self._timeout_s:g} s") from None
        if not reply:
            self.close()
            raise NoAnswer("the process ended")
        answer: dict[str, Any] = json.loads(reply)
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=self._env,
            )
            self._replies = queue.Queue()
            threading.Thread(
                target=_pump, args=(self._process.stdout, self._replies), daemon=True
            ).start()
        return self._process


def _pump(stream: Any, replies: queue.Queue[str]) -> None:
    for line in stream:
        replies.put(line)
    replies.put("")
