"""Every fixture, as every writer saved it, predicts in real TensorFlow.js what Keras predicted."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from compare import assert_close
from tfjs_node import BACKENDS

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError

FIXTURES = Path(__file__).parents[2] / "fixtures"

# What the refusal says.
REFUSED = {"integer_lookup": r"'integer_lookup' \(IntegerLookup\)"}
WEIGHTS_ONLY = ("weights.h5", "legacy.h5")
# Keras computed these in float16.
HALF_PRECISION = {"mixed_precision"}


def fixture_files() -> Iterator[tuple[str, str]]:
    for path in sorted((FIXTURES / "keras").glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith((".h5", ".keras")):
                    yield path.stem, name


FILES = list(fixture_files())


def unpack(case: str, directory: Path) -> None:
    with zipfile.ZipFile(FIXTURES / "keras" / f"{case}.zip") as archive:
        archive.extractall(directory)


@pytest.mark.node
@pytest.mark.parametrize(("case", "file"), [names for names in FILES if names[0] not in REFUSED])
def test_predicts_what_keras_predicted(case, file, tfjs, tmp_path):
    unpack(case, tmp_path)
    writer, form = re.fullmatch(r"([a-z_]+-\d+\.\d+)\.(.+)", file).groups()
    recorded = np.load(tmp_path / "io.npz")
    inputs = [recorded[key] for key in recorded if key.startswith("in")]
    outputs = [recorded[key] for key in recorded if key.startswith(f"{writer}/")]
    tolerance = {"atol": 2e-3, "rtol": 2e-3} if case in HALF_PRECISION else {}
    architecture = tmp_path / f"{writer}.json" if form in WEIGHTS_ONLY else None

    tfjs_codec.convert(tmp_path / file, tmp_path / "web", architecture=architecture)

    for backend in BACKENDS:
        assert_close(tfjs.predict(tmp_path / "web", inputs, backend), outputs, **tolerance)


@pytest.mark.parametrize(("case", "file"), [names for names in FILES if names[0] in REFUSED])
def test_refuses_with_a_reason(case, file, tmp_path):
    unpack(case, tmp_path)
    with pytest.raises(UnsupportedModelError, match=REFUSED[case]):
        tfjs_codec.convert(tmp_path / file, tmp_path / "web")
    assert not (tmp_path / "web").exists()


@pytest.mark.node
@pytest.mark.parametrize("file", ["digits.h5", "digits.keras"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_trained_classifier_reads_digits(file, backend, tfjs, tmp_path):
    recorded = np.load(FIXTURES / "digits" / "io.npz")
    tfjs_codec.convert(FIXTURES / "digits" / file, tmp_path / "web")
    (probabilities,) = tfjs.predict(tmp_path / "web", [recorded["in0"]], backend)
    assert_close([probabilities], [recorded["out0"]])
    assert np.mean(probabilities.argmax(1) == recorded["labels"]) > 0.9
