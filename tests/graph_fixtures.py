"""The fixtures ``graph_*``: TensorFlow graphs, and what TensorFlow computed with them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import tfjs_codec

FIXTURES = Path(__file__).parents[1] / "fixtures"
CASES = sorted(path.parent.name for path in FIXTURES.glob("graph_*/case.json"))

Arrays = dict[str, np.ndarray]


def case(name: str) -> dict[str, Any]:
    """Return what ``fixtures/make/graphs.py`` says of fixture *name*."""
    described: dict[str, Any] = json.loads((FIXTURES / name / "case.json").read_text())
    return described


def source(name: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return fixture *name*, unpacked into *folder*, and how to read it."""
    frozen = FIXTURES / name / "model.pb"
    if frozen.exists():
        return frozen, {"output_node_names": case(name)["outputs"]}
    unpacked = folder / "model"
    if not unpacked.exists():
        zipfile.ZipFile(FIXTURES / name / "model.zip").extractall(unpacked)
    return unpacked, {}


def convert(name: str, folder: Path, **options: Any) -> Path:
    """Convert fixture *name* in *folder*; return the directory of its graph model."""
    path, reading = source(name, folder)
    tfjs_codec.convert(path, folder / "web", to="graph", **reading, **options)
    return folder / "web"


def runs(name: str) -> Iterator[tuple[Arrays, Arrays]]:
    """Yield the inputs and outputs of every run of fixture *name*, by key."""
    arrays = np.load(FIXTURES / name / "io.npz")
    known = case(name)
    for run in range(known["runs"]):
        given = {key: arrays[f"{run}.in.{key}"] for key in known["inputs"]}
        yield given, {key: arrays[f"{run}.out.{key}"] for key in known["outputs"]}
