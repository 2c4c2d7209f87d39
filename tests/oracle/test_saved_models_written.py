"""SavedModels that we write, in TensorFlow, its TFLite converter, tf_keras and Keras 3.

``python tests/oracle/saved_models_exam.py DIRECTORY`` does the same with any number of models.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from json_lines import JsonLines
from layer_fixtures import keras_file
from saved_models_exam import RUNS, exam

WAYS = ("signature", "serve", "version_1", "revive", "layer")
OLD, NEW = "tf_keras-2.19.h5", "keras-3.15.keras"
# Also trained, or made a TFLite model.
CASES = {
    ("attention", NEW): ("lite",),
    ("batch_normalization", OLD): ("fit",),
    ("bidirectional", NEW): ("fit",),
    ("conv2d", OLD): ("fit", "lite"),
    ("dict_input_output", NEW): (),
    ("lstm", NEW): ("fit", "lite"),
    ("multi_input_output", OLD): ("fit",),
    ("nested_two_levels", NEW): ("fit",),
}

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def runs(tensorflow) -> Iterator[JsonLines]:
    with closing(JsonLines([*tensorflow, str(RUNS)], 300)) as lines:
        yield lines


@pytest.mark.parametrize(("name", "file"), CASES, ids="-".join)
def test_all_loaders_predict_what_keras_recorded(name, file, runs, tmp_path):
    case = keras_file(name, file, tmp_path)
    arrays = {f"in{i}": array for i, array in enumerate(case.inputs)}
    arrays |= {f"out{i}": array for i, array in enumerate(case.outputs)}
    np.savez(tmp_path / "recorded.npz", **arrays)
    ways = (*WAYS, *CASES[name, file])
    found = exam(case.source, tmp_path / "recorded.npz", ways, runs, tmp_path / "saved")
    assert {way: gap for way, gap in found.items() if not isinstance(gap, float)} == {}
    assert max(found.values()) < 1e-5
