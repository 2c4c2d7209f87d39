"""Ask Keras 3 (on JAX, in an environment of its own) to build, save and predict.

``TFJS_CODEC_KERAS_PYTHON`` names that environment's Python; ``.ci/run`` makes it. What a request
may say is documented in ``keras_oracle/server.py``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from json_lines import JsonLines, decode, encode

SERVER = Path(__file__).parent / "keras_oracle" / "server.py"


class KerasError(Exception):
    """Keras does not take such a model."""


class KerasServer(JsonLines):
    """The Keras process, started at the first request."""

    def __init__(self, timeout_s: float = 300.0) -> None:
        python = os.environ.get("TFJS_CODEC_KERAS_PYTHON")
        if not python:
            raise FileNotFoundError(
                "set TFJS_CODEC_KERAS_PYTHON to a Python that has installed "
                "tests/oracle/keras_oracle/requirements.txt"
            )
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        super().__init__([python, str(SERVER)], timeout_s, env)

    def make(
        self, program: dict[str, Any], inputs: Sequence[np.ndarray], path: Path, seed: int = 0
    ) -> list[np.ndarray]:
        """Build *program*'s model with random weights, save it at *path* (``.keras`` or ``.h5``).

        Returns:
            Its outputs for *inputs*, by position.

        Raises:
            KerasError: Keras takes no such model.
        """
        request = {
            "program": program,
            "seed": seed,
            "path": str(path.resolve()),
            "inputs": [encode(value) for value in inputs],
        }
        reply = self.ask(request)
        if "error" in reply:
            raise KerasError(reply["error"])
        return [decode(value) for value in reply["outputs"]]

    def options(self, class_name: str) -> list[str]:
        """Return the names of the arguments that make a layer; none if Keras has no such class."""
        names: list[str] = self.ask({"options": class_name})["options"]
        return names
