"""Load models with the Keras of this environment and predict.

Run as ``python keras_loader.py MODULE JOBS``: MODULE is ``keras`` or ``tf_keras``, JOBS a JSON file
``[{"file": model, "inputs": .npz, "outputs": .npz to write}, …]``. A job that fails leaves its
error's text beside its outputs, with the suffix ``.error``.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Without it TensorFlow computes channels first on some processors and not on others.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np


def predict(keras: Any, job: dict[str, str]) -> list[np.ndarray]:
    """Return the outputs of the job's model by position."""
    model = keras.models.load_model(job["file"], compile=False)
    with np.load(job["inputs"]) as archive:
        inputs = [archive[key] for key in archive.files]
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    if isinstance(outputs, dict):
        outputs = [outputs[key] for key in sorted(outputs)]
    several = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [np.asarray(output) for output in several]


def run(keras: Any, job: dict[str, str]) -> None:
    try:
        np.savez(job["outputs"], *predict(keras, job))
    except Exception as error:  # noqa: BLE001  the test that asks for this one fails
        Path(job["outputs"] + ".error").write_text(f"{type(error).__name__}: {error}")


def main(module: str, jobs: str) -> None:
    keras = importlib.import_module(module)
    for job in json.loads(Path(jobs).read_text()):
        run(keras, job)


if __name__ == "__main__":
    main(*sys.argv[1:])
