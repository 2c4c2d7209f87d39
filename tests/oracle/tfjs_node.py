"""Predict with real TensorFlow.js: the Python end of ``node/run.mjs``."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from json_lines import JsonLines, NoAnswer, decode, encode

NODE_DIR = Path(__file__).parent / "node"
BACKENDS = ("wasm", "cpu")


class TfjsError(Exception):
    """tfjs could not load the model or could not predict; ``stage`` says which of the two."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(f"tfjs failed to {stage}: {message}")
        self.stage = stage


class TfjsNode(JsonLines):
    """A Node process that serves predictions until closed; restarted when a model hangs it.

    Args:
        timeout_s: A model that takes longer has made tfjs loop (a reference to a layer that is
            not there does that), and is reported as :class:`TfjsError`.
    """

    def __init__(self, timeout_s: float = 120.0) -> None:
        node = shutil.which("node")
        if node is None:
            raise FileNotFoundError("node is not installed; the oracle tests need it")
        if not (NODE_DIR / "node_modules").is_dir():
            raise FileNotFoundError(f"run 'npm ci' in {NODE_DIR} first")
        super().__init__([node, str(NODE_DIR / "run.mjs")], timeout_s)

    def predict(
        self, model_dir: str | Path, inputs: Sequence[np.ndarray], backend: str = "wasm"
    ) -> list[np.ndarray]:
        """Load the model in *model_dir* and return its outputs for *inputs*, by position.

        Raises:
            TfjsError: tfjs refused the model or the inputs, or did not come back.
        """
        return self._predict(model_dir, backend, inputs=[encode(value) for value in inputs])

    def execute(
        self,
        model_dir: str | Path,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str],
        backend: str = "wasm",
    ) -> list[np.ndarray]:
        """Load the graph model in *model_dir* and return *outputs*, by keys of its signature.

        Raises:
            TfjsError: as :meth:`predict`.
        """
        fed = {key: encode(value) for key, value in inputs.items()}
        return self._predict(model_dir, backend, inputs=fed, outputs=list(outputs))

    def call(
        self, model_dir: str | Path, inputs: Mapping[str, np.ndarray], form: str
    ) -> list[np.ndarray] | dict[str, np.ndarray]:
        """Call ``predict`` of the graph model in *model_dir*, as a page does.

        *form* is that of the argument: ``tensor``, ``array`` or ``map``.

        Raises:
            TfjsError: as :meth:`predict`.
        """
        fed = {key: encode(value) for key, value in inputs.items()}
        reply = self._answer(model_dir, "wasm", inputs=fed, form=form)
        outputs = [decode(value) for value in reply["outputs"]]
        return dict(zip(reply["keys"], outputs, strict=True)) if "keys" in reply else outputs

    def _predict(self, model_dir: str | Path, backend: str, **request: Any) -> list[np.ndarray]:
        reply = self._answer(model_dir, backend, **request)
        return [decode(value) for value in reply["outputs"]]

    def _answer(self, model_dir: str | Path, backend: str, **request: Any) -> dict[str, Any]:
        request |= {"model": str(Path(model_dir).resolve()), "backend": backend}
        try:
            reply = self.ask(request)
        except NoAnswer as error:
            raise TfjsError("load", str(error)) from None
        if "error" in reply:
            raise TfjsError(reply["stage"], reply["error"])
        return reply
