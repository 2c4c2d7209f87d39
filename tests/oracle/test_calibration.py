"""``convert --calibrate`` in Node: what numpy cannot run, or not in time."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from graph_fixtures import FIXTURES
from tfjs_node import NODE_DIR

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.verification import calibration

# numpy has no kernel for its SparseSegmentMean; TensorFlow recorded what it predicts.
LACKING = "array.embedding_sparse"


@pytest.fixture
def lacking(tmp_path):
    """A function that converts and measures ``LACKING``, with the arrays given beside its input."""
    with zipfile.ZipFile(FIXTURES / "graph_questions.zip") as archive:
        model = archive.read(f"{LACKING}.pb")
        arrays = np.load(io.BytesIO(archive.read("io.npz")))
        given, expected = (arrays[f"{LACKING}/{name}"] for name in ("in.i0", "out.Identity"))

    def convert(**outputs):
        np.savez(tmp_path / "io.npz", i0=given, **outputs)
        report = tfjs_codec.convert(
            model, tmp_path / "web", to="graph", output_node_names=["Identity"],
            calibrate=tmp_path / "io.npz",
        )  # fmt: skip
        return report.calibration

    return convert, expected


@pytest.mark.node
@pytest.mark.parametrize("recorded", [True, False])
def test_node_runs_what_numpy_lacks(lacking, recorded, monkeypatch):
    convert, expected = lacking
    monkeypatch.chdir(NODE_DIR)
    (row,) = convert(out0=expected) if recorded else convert()
    assert row.samples == len(expected)
    assert row.max_error < 1e-6
    if recorded:
        (other,) = convert(out0=expected + 1)
        assert other.mean_error == pytest.approx(1, abs=1e-6)


def test_without_node_the_error_says_both(lacking, tmp_path, monkeypatch):
    convert, expected = lacking
    monkeypatch.chdir(tmp_path)
    wanted = r"(?s)numpy. Nor can Node run it: (Node is|@tensorflow/tfjs was) not.*no kernel"
    with pytest.raises(UnsupportedModelError, match=wanted):
        convert(out0=expected)


@pytest.mark.node
@pytest.mark.parametrize("names", [("in0", "out0"), ("in0",)])
def test_node_measures_as_numpy_does(names, tmp_path, monkeypatch):
    with np.load(FIXTURES / "digits" / "io.npz") as file:
        many = {name: np.concatenate([file[name]] * 6) for name in names}
    np.savez(tmp_path / "io.npz", **many)
    rows = list[tuple[float, ...]]()
    for folder, patience in ((tmp_path, 1e9), (NODE_DIR, 0.0), (tmp_path, 0.0)):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(calibration, "_PATIENCE_S", patience)
        report = tfjs_codec.convert(
            FIXTURES / "digits" / "digits.h5", tmp_path / "web", calibrate=tmp_path / "io.npz",
            bias_correction=False, quantize={"uint8": True},
        )  # fmt: skip
        rows.append(report.calibration[0][1:])
    assert rows[1] == pytest.approx(rows[0], rel=1e-3)
    assert rows[1] != rows[0], "numpy was asked"
    assert rows[2] == rows[0], "without tfjs, numpy takes its time"
