"""``convert --calibrate``: predictions of the quantised model beside those of its source."""

from __future__ import annotations

import numpy as np
import pytest

import tfjs_codec
from tfjs_codec.cli.main import main
from tfjs_codec.errors import UsageError
from tfjs_codec.verification.calibration import compare


@pytest.fixture
def arrays(fixtures_dir):
    with np.load(fixtures_dir / "digits" / "io.npz") as file:
        return {name: file[name] for name in ("in0", "out0")}


def convert(fixtures_dir, tmp_path, arrays, **options):
    np.savez(tmp_path / "io.npz", **arrays)
    source = fixtures_dir / "digits" / "digits.h5"
    options = {"quantize": {"uint8": True}} | options
    return tfjs_codec.convert(source, tmp_path / "web", calibrate=tmp_path / "io.npz", **options)


@pytest.mark.parametrize("to", ["layers", "graph"])
@pytest.mark.parametrize("names", [("in0", "out0"), ("in0",), ("input_layer",)])
def test_predictions_are_compared(fixtures_dir, tmp_path, arrays, names, to):
    given = dict(zip(names, arrays.values(), strict=False))
    (row,) = convert(fixtures_dir, tmp_path, given, to=to).calibration
    output, samples, agreement, largest, mean, divergence = row
    with tfjs_codec.load(tmp_path / "web") as model:
        found = model.predict(arrays["in0"])
    error = np.abs(found - arrays["out0"].astype(np.float64))
    assert (output, samples, agreement) == ("dense", 24, 1)
    assert largest == pytest.approx(error.max(), rel=1e-2)
    assert mean == pytest.approx(error.mean(), rel=1e-2)
    assert 0 < divergence < 1e-3


def test_many_rows_are_predicted_a_number_at_a_time(fixtures_dir, tmp_path, arrays):
    many = {name: np.concatenate([value] * 6) for name, value in arrays.items()}
    (row,) = convert(fixtures_dir, tmp_path, many).calibration
    (once,) = convert(fixtures_dir, tmp_path, arrays).calibration
    assert row[1] == 6 * once[1]
    assert row[2:] == pytest.approx(once[2:], rel=1e-3)


def test_what_is_not_quantised_agrees(fixtures_dir, tmp_path, arrays):
    report = convert(fixtures_dir, tmp_path, arrays, quantize={})
    assert report.calibration[0][3] < 1e-6
    assert "output dense for 24 inputs: agreement 100.00%, largest error" in str(report)


def test_numbers_of_a_comparison():
    expected = np.float32([[0.5, 0.5, 0], [0.25, 0.75, 0]])
    found = np.float32([[0.75, 0.25, 0], [0.25, 0.75, 0]])
    row = compare("y", found, expected)
    kl = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    assert row[:5] == ("y", 2, 1.0, 0.25, pytest.approx(0.5 / 6))
    assert row.divergence == pytest.approx(kl / 2)
    swapped = compare("y", expected[::-1], expected)
    assert swapped.agreement == 0
    scores = compare("y", found * 3, expected * 3)
    assert scores.divergence is None
    assert compare("y", found[:, :1], expected[:, :1]).agreement is None


@pytest.mark.parametrize(
    ("arrays", "text"),
    [({"x": np.zeros(2)}, "no array is called 'input_layer'"),
     ({"in0": np.zeros((2, 8, 8, 1)), "out0": np.zeros((2, 3))}, "have other shapes")],
)  # fmt: skip
def test_other_arrays_are_refused(fixtures_dir, tmp_path, arrays, text):
    with pytest.raises(UsageError, match=text):
        convert(fixtures_dir, tmp_path, arrays)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["convert", "SRC", "web", "--dry-run"], "the option calibrate has no effect on a dry run"),
        (["batch", "SRC", "--out", "web"], "unrecognized arguments: --calibrate"),
    ],
)
def test_no_command_ignores_it(fixtures_dir, capsys, command, said):
    source = str(fixtures_dir / "digits" / "digits.h5")
    given = [source if word == "SRC" else word for word in command]
    assert main([*given, "--calibrate", "io.npz"]) == 2
    assert said in capsys.readouterr().err


def test_a_sandbox_calibrates_the_same(fixtures_dir, tmp_path, arrays):
    plain, apart = (convert(fixtures_dir, tmp_path, arrays, sandbox=each) for each in (False, True))
    assert apart.corrected
    assert apart == plain
    with pytest.raises(UsageError, match="no array is called"):
        convert(fixtures_dir, tmp_path, {"x": np.zeros(2)}, sandbox=True)
