"""To tfjs and back: Keras 2 and Keras 3 load what we write and predict what Keras predicted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from compare import assert_close
from layer_fixtures import FILES, FIXTURES, HALF_PRECISION, WEIGHTS_ONLY, unpack
from layer_fixtures import REFUSED as NOT_IN_TFJS

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError

# The newest file of each fixture that tfjs can express.
CASES = {
    case: file for case, file in sorted(FILES)
    if case not in NOT_IN_TFJS and not file.endswith(WEIGHTS_ONLY)
}  # fmt: skip
# An LSTM applies its activation to its state, too, where no weights could make up for a slope.
REFUSED = {
    "lstm_activations": "activation hard_sigmoid, which Keras 2 and 3 define differently",
    **dict.fromkeys(("constant_inputs", "sequence_to_sequence"), "its cell is a model"),
}
TRAINED = FIXTURES / "tfjs_trained"
IN_TFJS = sorted(path.name for path in TRAINED.iterdir())
AGED = "sequential, as TensorFlow 1 described it"
LOADER = Path(__file__).parent / "keras_loader.py"
# (which Keras, what it loads)
READINGS = (("tf_keras", "h5"), ("keras", "h5"), ("keras", "keras"))
# What Keras 3 does not load: initial states in HDF5 files; masks through a Concatenate, for which
# it makes an operation that takes the name of the layer.
NOT_IN_KERAS_3 = {
    ("recurrent_state", "keras", "h5"),
    ("masked_more", "keras", "h5"),
    ("masked_more", "keras", "keras"),
}
ASKED = [
    (case, *reading)
    for case in (*sorted(CASES.keys() - REFUSED.keys()), *IN_TFJS, AGED)
    for reading in READINGS
    if (case, *reading) not in NOT_IN_KERAS_3
]

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


def sent(case: str, file: str, directory: Path) -> Case:
    """Convert a fixture to tfjs, and from there into files for Keras."""
    unpack(case, directory)
    writer = file.rpartition(".")[0]
    recorded = np.load(directory / "io.npz")
    inputs = [recorded[key] for key in recorded if key.startswith("in")]
    np.savez(directory / "inputs.npz", *inputs)
    tfjs_codec.convert(directory / file, directory / "web")
    bring_back(directory / "web", directory)
    return Case(directory, [recorded[key] for key in recorded if key.startswith(f"{writer}/")])


def trained(name: str, directory: Path, web: Path | None = None) -> Case:
    """Bring a model that was made in tfjs to Keras, or what *web* makes of it."""
    recorded = json.loads((TRAINED / name / "io.json").read_text())
    inputs, outputs = (
        [np.array(t["values"], t["dtype"]).reshape(t["shape"]) for t in recorded[key]]
        for key in ("inputs", "outputs")
    )
    directory.mkdir()
    np.savez(directory / "inputs.npz", *inputs)
    bring_back(web or TRAINED / name, directory)
    return Case(directory, outputs)


def aged(directory: Path) -> Case:
    """Bring a model to Keras whose initialisers have a dtype, which Keras 3 does not take."""

    def with_dtype(entry: dict) -> dict:
        given = entry.get("config")
        if isinstance(given, dict) and entry.get("class_name") in ("VarianceScaling", "Zeros"):
            given["dtype"] = "float32"
        return entry

    web = directory.with_name("aged")
    shutil.copytree(TRAINED / "sequential", web)
    text = (web / "model.json").read_text()
    changed = json.dumps(json.loads(text, object_hook=with_dtype))
    assert changed.count('"dtype"') > text.count('"dtype"')
    (web / "model.json").write_text(changed)
    return trained("sequential", directory, web)


def bring_back(web: Path, directory: Path) -> None:
    for form in ("h5", "keras"):
        tfjs_codec.convert(web, directory / f"back.{form}")


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
    cases = {
        case: sent(case, CASES[case], root / case) for case in CASES.keys() - REFUSED.keys()
    } | {name: trained(name, root / name) for name in IN_TFJS}
    cases[AGED] = aged(root / AGED)
    commands = {"tf_keras": tensorflow, "keras": [os.environ["TFJS_CODEC_KERAS_PYTHON"]]}
    processes = []
    for keras, command in commands.items():
        listed = root / f"{keras}.json"
        listed.write_text(json.dumps(jobs(list(cases.values()), keras)))
        processes.append(subprocess.Popen([*command, str(LOADER), keras, str(listed)]))
    assert [process.wait() for process in processes] == [0, 0]
    return cases


@pytest.mark.parametrize(("case", "keras", "form"), ASKED)
def test_keras_predicts_the_same(case, keras, form, returned):
    tolerance = {"atol": 2e-3, "rtol": 2e-3} if case in HALF_PRECISION else {}
    assert_close(returned[case].result(keras, form), returned[case].outputs, **tolerance)


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_what_no_keras_computes(case, tmp_path):
    unpack(case, tmp_path)
    tfjs_codec.convert(tmp_path / CASES[case], tmp_path / "web")
    with pytest.raises(UnsupportedModelError, match=REFUSED[case]):
        tfjs_codec.convert(tmp_path / "web", tmp_path / "back.keras")
    assert not (tmp_path / "back.keras").exists()
