"""Keras models from SavedModels of TensorFlow 1.15 to 2.19, in tfjs and in Keras."""

from __future__ import annotations

from pathlib import Path

import pytest
from compare import assert_close
from layer_fixtures import SAVED_MODELS, saved_model
from tfjs_node import TfjsNode

import tfjs_codec


def test_there_are_fixtures_of_many_versions():
    versions = {name.split("_")[1] for name in SAVED_MODELS}
    assert versions == {"tf1.15", "tf2.1", "tf2.4", "tf2.15", "tf2.19"}


@pytest.mark.node
@pytest.mark.parametrize("name", SAVED_MODELS)
def test_predicts_what_keras_predicted(name: str, tfjs: TfjsNode, tmp_path: Path) -> None:
    keras = saved_model(name)
    tfjs_codec.convert(keras.source, tmp_path / "web")
    assert_close(tfjs.predict(tmp_path / "web", keras.inputs), keras.outputs)
