"""Every fixture predicts what Keras predicted, in numpy: the arithmetic of all rules, in seconds.

``tests/oracle`` runs the same models in real TensorFlow.js.
"""

from __future__ import annotations

import pytest
from compare import assert_close
from layer_fixtures import FILES, REFUSED, SAVED_MODELS, Recorded, digits, keras_file, saved_model
from layers_interpreter import load

import tfjs_codec


def check(keras: Recorded, folder) -> None:
    tfjs_codec.convert(keras.source, folder / "web", architecture=keras.architecture)
    assert_close(load(folder / "web").predict(keras.inputs), keras.outputs, **keras.tolerance)


@pytest.mark.parametrize(("case", "file"), [names for names in FILES if names[0] not in REFUSED])
def test_keras_files(case, file, tmp_path):
    check(keras_file(case, file, tmp_path), tmp_path)


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_keras_models_in_saved_models(name, tmp_path):
    check(saved_model(name), tmp_path)


@pytest.mark.parametrize("file", ["digits.h5", "digits.keras"])
def test_trained_classifier(file, tmp_path):
    check(digits(file), tmp_path)
