"""Small programs as authors of tools write them: they run, and pass mypy as users' code does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from keras_files import dense_h5, entry, h5_model

import tfjs_codec

PROGRAMS = Path(__file__).parents[1] / "programs"
GAIN = entry("Mine>Gain", "mine", batch_input_shape=[None, 3], factor=2)

# The arguments of each, and what its output begins with.
RUNS = {
    "convert_all": (["{d}", "{d}/out"], "gain.h5: "),
    "check_before": (["{d}/m.h5"], "yes"),
    "serverless": (["{d}/m.h5"], "200 True"),
    "weights_to_numpy": (["{d}/web"], "d/kernel: "),
    "progress_bar": (["{d}/m.h5", "{d}/new"], "True"),
    "custom_rule": (["{d}/gain.h5", "{d}/new"], "1"),
    "compare_versions": (["{d}/m.h5", "{d}/web"], "done"),
    "verify_release": (["{d}/web", "{d}/m.h5"], "the weight files hold exactly 2 weights"),
    "predict_offline": (["{d}/m.h5"], "(2, 3)"),
    "bounded_service": (["{d}/m.h5", "{d}/new"], "done"),
    "shape_report": (["{d}/m.h5"], "d/kernel 4 3"),
    "arrays_for_a_page": ([], "['ids', 'table'] ['group1-shard1of1.bin', 'model.json']"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [GAIN]}}
    (tmp_path / "gain.h5").write_bytes(h5_model(config, {}))
    tfjs_codec.convert(tmp_path / "m.h5", tmp_path / "web")
    return tmp_path


@pytest.mark.parametrize("name", RUNS)
def test_a_program(folder, name):
    arguments, output = RUNS[name]
    line = [sys.executable, str(PROGRAMS / f"{name}.py")]
    line += [argument.replace("{d}", str(folder)) for argument in arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(output)


def test_all_programs_are_run_and_typed(tmp_path):
    assert sorted(RUNS) == sorted(path.stem for path in PROGRAMS.glob("*.py"))
    assert len(RUNS) >= 12
    line = [sys.executable, "-m", "mypy", "--strict", str(PROGRAMS)]
    # Elsewhere than in the checkout: mypy must see the installed package, as it does for users.
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
