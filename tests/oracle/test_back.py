"""To tfjs and back: Keras 2 and Keras 3 load what we write and predict what Keras predicted."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from compare import assert_close

import tfjs_codec

FIXTURES = Path(__file__).parents[2] / "fixtures"
CASES = sorted(path.stem for path in (FIXTURES / "keras").glob("*.zip"))
LOADER = Path(__file__).parent / "keras_loader.py"
# (which Keras, what it loads)
READINGS = (("tf_keras", "h5"), ("keras", "h5"), ("keras", "keras"))
# Keras computed these in float16.
HALF_PRECISION = {"mixed_precision"}

pytestmark = pytest.mark.oracle


@dataclass(frozen=True)
class Case:
    """A model that came back: what Keras predicted, and where predictions go."""

    directory: Path
    outputs: list[np.ndarray]

    def result(self, keras: str, form: str) -> list[np.ndarray]:
        file = self.directory / f"{keras}-{form}.npz"
        error = Path(f"{file}.error")
        assert not error.exists(), error.read_text()
        with np.load(file) as archive:
            return [archive[key] for key in archive.files]


def unpack(case: str, directory: Path) -> Case:
    """Convert a fixture to tfjs, and from there into files for Keras."""
    with zipfile.ZipFile(FIXTURES / "keras" / f"{case}.zip") as archive:
        archive.extractall(directory)
        file = next(
            name for name in sorted(archive.namelist(), reverse=True)
            if name.endswith((".h5", ".keras")) and not name.endswith(("weights.h5", "legacy.h5"))
        )  # fmt: skip
    writer = file.rpartition(".")[0]
    recorded = np.load(directory / "io.npz")
    inputs = [recorded[key] for key in recorded if key.startswith("in")]
    np.savez(directory / "inputs.npz", *inputs)
    web = directory / "web"
    tfjs_codec.convert(directory / file, web)
    for form in ("h5", "keras"):
        tfjs_codec.convert(web, directory / f"back.{form}")
    return Case(directory, [recorded[key] for key in recorded if key.startswith(f"{writer}/")])


def jobs(cases: list[Case], keras: str) -> list[dict[str, str]]:
    return [
        {
            "file": str(case.directory / f"back.{form}"),
            "inputs": str(case.directory / "inputs.npz"),
            "outputs": str(case.directory / f"{keras}-{form}.npz"),
        }
        for case in cases
        for one, form in READINGS
        if one == keras
    ]


@pytest.fixture(scope="module")
def returned(tensorflow, tmp_path_factory) -> Iterator[dict[str, Case]]:
    """All fixtures, back in Keras; both Kerases load all of them at the same time."""
    root = tmp_path_factory.mktemp("back")
    cases = {case: unpack(case, root / case) for case in CASES}
    commands = {"tf_keras": tensorflow, "keras": [os.environ["TFJS_CODEC_KERAS_PYTHON"]]}
    processes = []
    for keras, command in commands.items():
        listed = root / f"{keras}.json"
        listed.write_text(json.dumps(jobs(list(cases.values()), keras)))
        processes.append(subprocess.Popen([*command, str(LOADER), keras, str(listed)]))
    assert [process.wait() for process in processes] == [0, 0]
    return cases


@pytest.mark.parametrize(("keras", "form"), READINGS)
@pytest.mark.parametrize("case", CASES)
def test_keras_predicts_the_same(case, keras, form, returned):
    tolerance = {"atol": 2e-3, "rtol": 2e-3} if case in HALF_PRECISION else {}
    assert_close(returned[case].result(keras, form), returned[case].outputs, **tolerance)
