"""The recorded Keras models: files of every Keras, and what Keras predicted with them."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

FIXTURES = Path(__file__).parents[1] / "fixtures"

# What the refusal says.
REFUSED = {"integer_lookup": r"'integer_lookup' \(IntegerLookup\)"}
WEIGHTS_ONLY = ("weights.h5", "legacy.h5")
# Keras computed these in float16.
HALF_PRECISION = {"mixed_precision"}


def _files() -> Iterator[tuple[str, str]]:
    for path in sorted((FIXTURES / "keras").glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith((".h5", ".keras")):
                    yield path.stem, name


FILES = list(_files())
SAVED_MODELS = sorted(path.parent.name for path in FIXTURES.glob("savedmodel_*/io.npz"))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A source, and its inputs and outputs by position.

    ``tolerance`` are keywords for :func:`compare.assert_close`; ``architecture`` is the JSON that
    files with nothing but weights need.
    """

    source: Path | bytes
    inputs: list[np.ndarray]
    outputs: list[np.ndarray]
    tolerance: Mapping[str, float] = field(default_factory=dict)
    architecture: Path | None = None


def unpack(case: str, directory: Path) -> None:
    with zipfile.ZipFile(FIXTURES / "keras" / f"{case}.zip") as archive:
        archive.extractall(directory)


def keras_file(case: str, file: str, directory: Path) -> Recorded:
    """Unpack *file* of ``fixtures/keras/CASE.zip`` into *directory*."""
    match = re.fullmatch(r"([a-z_]+-\d+\.\d+)\.(.+)", file)
    assert match is not None
    writer, form = match.groups()
    architecture = f"{writer}.json" if form in WEIGHTS_ONLY else None
    with zipfile.ZipFile(FIXTURES / "keras" / f"{case}.zip") as archive:
        archive.extractall(directory, [file, *([architecture] if architecture else [])])
        return Recorded(
            directory / file,
            *_arrays(io.BytesIO(archive.read("io.npz")), f"{writer}/"),
            {"atol": 2e-3, "rtol": 2e-3} if case in HALF_PRECISION else {},
            directory / architecture if architecture else None,
        )


def saved_model(name: str) -> Recorded:
    """Return the Keras model in the SavedModel *name*."""
    return Recorded(FIXTURES / name / "model", *_arrays(FIXTURES / name / "io.npz", "out"))


def digits(file: str) -> Recorded:
    """Return the trained classifier in *file*."""
    return Recorded(FIXTURES / "digits" / file, *_arrays(FIXTURES / "digits" / "io.npz", "out"))


def _arrays(file: Path | BinaryIO, outputs: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    with np.load(file) as recorded:
        names = recorded.files
        return (
            [recorded[name] for name in names if name.startswith("in")],
            [recorded[name] for name in names if name.startswith(outputs)],
        )


class Programs:
    """The models of a maker like ``layer_programs.py``, and what Keras 3 computed with them."""

    def __init__(self, archive_name: str = "programs.zip") -> None:
        with zipfile.ZipFile(FIXTURES / archive_name) as archive:
            self.how: dict[str, dict[str, Any]] = json.loads(archive.read("programs.json"))
            self._files = {name: archive.read(f"{name}.keras") for name in self.how}
            self._arrays: dict[str, dict[str, list[np.ndarray]]] = {}
            with np.load(io.BytesIO(archive.read("io.npz"))) as arrays:
                for key, value in arrays.items():
                    name, place = key.split("/")
                    kinds = self._arrays.setdefault(name, {"in": [], "out": []})
                    kinds[place.rstrip("0123456789")].append(value)

    def get(self, name: str) -> Recorded:
        """Return the model called *name*."""
        arrays = self._arrays[name]
        return Recorded(self._files[name], arrays["in"], arrays["out"])
