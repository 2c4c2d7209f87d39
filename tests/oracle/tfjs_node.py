"""Predict with real TensorFlow.js: the Python end of ``node/run.mjs``."""

from __future__ import annotations

import base64
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

NODE_DIR = Path(__file__).parent / "node"
BACKENDS = ("wasm", "cpu")

# tfjs has no other number types; what Keras feeds as int64 or float64 a page feeds as these.
_WIRE = {"f": "float32", "i": "int32", "u": "int32", "b": "bool"}


class TfjsError(Exception):
    """tfjs could not load the model or could not predict; ``stage`` says which of the two."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(f"tfjs failed to {stage}: {message}")
        self.stage = stage


class TfjsNode:
    """A Node process that serves predictions until closed; restarted when a model hangs it.

    Args:
        timeout_s: A model that takes longer has made tfjs loop (a reference to a layer that is
            not there does that), and is reported as :class:`TfjsError`.
    """

    def __init__(self, timeout_s: float = 120.0) -> None:
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[str] | None = None
        self._replies: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> TfjsNode:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process. A later prediction starts a new one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def predict(
        self, model_dir: str | Path, inputs: Sequence[np.ndarray], backend: str = "wasm"
    ) -> list[np.ndarray]:
        """Load the model in *model_dir* and return its outputs for *inputs*, by position.

        Raises:
            TfjsError: tfjs refused the model or the inputs, or did not come back.
        """
        request = {
            "model": str(Path(model_dir).resolve()),
            "backend": backend,
            "inputs": [_encode(value) for value in inputs],
        }
        reply = self._ask(json.dumps(request))
        if "error" in reply:
            raise TfjsError(reply["stage"], reply["error"])
        return [_decode(value) for value in reply["outputs"]]

    def _ask(self, line: str) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        process.stdin.write(line + "\n")
        process.stdin.flush()
        try:
            reply = self._replies.get(timeout=self._timeout_s)
        except queue.Empty:
            self.close()
            raise TfjsError("load", f"no answer in {self._timeout_s:g} s") from None
        if not reply:
            self.close()
            raise TfjsError("load", "the Node process ended")
        answer: dict[str, Any] = json.loads(reply)
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            node = shutil.which("node")
            if node is None:
                raise FileNotFoundError("node is not installed; the oracle tests need it")
            if not (NODE_DIR / "node_modules").is_dir():
                raise FileNotFoundError(f"run 'npm ci' in {NODE_DIR} first")
            self._process = subprocess.Popen(
                [node, str(NODE_DIR / "run.mjs")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
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


def _encode(value: np.ndarray) -> dict[str, Any]:
    dtype = _WIRE[value.dtype.kind]
    wire = np.ascontiguousarray(value, dtype=dtype)
    return {
        "dtype": dtype,
        "shape": list(value.shape),
        "data": base64.b64encode(wire.tobytes()).decode("ascii"),
    }


def _decode(value: dict[str, Any]) -> np.ndarray:
    raw = base64.b64decode(value["data"])
    return np.frombuffer(raw, value["dtype"]).reshape(value["shape"])
