"""Ask Keras 3 (on JAX, in an environment of its own), or tf_keras, to build, save and predict.

``TFJS_CODEC_KERAS_PYTHON`` and ``TFJS_CODEC_TF_PYTHON`` name the environments' Pythons; ``.ci/run``
makes them. What a request may say is documented in ``keras_oracle/server.py``.
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

    def __init__(self, timeout_s: float = 300.0, *, module: str = "keras") -> None:
        which = "KERAS" if module == "keras" else "TF"
        python = os.environ.get(f"TFJS_CODEC_{which}_PYTHON")
        if not python:
            oracle = "keras_oracle" if module == "keras" else "tensorflow_oracle"
            raise FileNotFoundError(
                f"set TFJS_CODEC_{which}_PYTHON to a Python that has installed "
                f"tests/oracle/{oracle}/requirements.txt"
            )
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        env["KERAS_MODULE"] = module
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

    def signatures(self, names: Sequence[str]) -> dict[str, list[tuple[str, str | None]]]:
        """Return parameters and the reprs of their defaults, of functions of ``keras.ops``."""
        found = self.ask({"signatures": list(names)})["signatures"]
        return {name: [(each, default) for each, default in row] for name, row in found.items()}
