"""Keras models from SavedModels of TensorFlow 1.15 to 2.19, in tfjs and in Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compare import assert_close
from tfjs_node import TfjsNode

import tfjs_codec

FIXTURES = Path(__file__).parents[2] / "fixtures"
RECORDED = sorted(path.parent for path in FIXTURES.glob("savedmodel_*/io.npz"))


def test_there_are_fixtures_of_many_versions():
    versions = {path.name.split("_")[1] for path in RECORDED}
    assert versions == {"tf1.15", "tf2.1", "tf2.4", "tf2.15", "tf2.19"}


@pytest.mark.node
@pytest.mark.parametrize("fixture", RECORDED, ids=lambda path: path.name)
def test_predicts_what_keras_predicted(fixture: Path, tfjs: TfjsNode, tmp_path: Path) -> None:
    tfjs_codec.convert(fixture / "model", tmp_path / "web")
    with np.load(fixture / "io.npz") as arrays:
        inputs = [arrays[name] for name in sorted(arrays.files) if name.startswith("in")]
        outputs = [arrays[name] for name in sorted(arrays.files) if name.startswith("out")]
    assert_close(tfjs.predict(tmp_path / "web", inputs), outputs)
