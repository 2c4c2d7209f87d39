"""Every fixture, as every writer saved it, predicts in real TensorFlow.js what Keras predicted."""

from __future__ import annotations

import numpy as np
import pytest
from compare import assert_close
from layer_fixtures import FILES, FIXTURES, REFUSED, keras_file, unpack
from tfjs_node import BACKENDS

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError


@pytest.mark.node
@pytest.mark.parametrize(("case", "file"), [names for names in FILES if names[0] not in REFUSED])
def test_predicts_what_keras_predicted(case, file, tfjs, tmp_path):
    keras = keras_file(case, file, tmp_path)
    tfjs_codec.convert(keras.source, tmp_path / "web", architecture=keras.architecture)
    for backend in BACKENDS:
        got = tfjs.predict(tmp_path / "web", keras.inputs, backend)
        assert_close(got, keras.outputs, **keras.tolerance)


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
