"""Every fixture predicts what Keras or TensorFlow predicted, in numpy: all arithmetic, in seconds.

A model is run as its file, as a Layers model, and as a graph model. The interpreter of Layers and
the translation to graphs share nothing: each checks the other. ``tests/oracle`` runs the same
models in real TensorFlow.js.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import graph_fixtures
import layers_interpreter
import numpy as np
import pytest
from compare import assert_close, assert_same
from layer_fixtures import FILES, REFUSED, SAVED_MODELS, Recorded, digits, keras_file, saved_model

import tfjs_codec

ONE_OF_EACH = {case: file for case, file in FILES if case not in REFUSED}


def predict(source: Path, inputs: Any, **options: Any) -> list[np.ndarray]:
    with tfjs_codec.load(source, **options) as model:
        return values(model, inputs)


def values(model: tfjs_codec.LoadedModel, inputs: Any) -> list[np.ndarray]:
    """Return the predictions of *model* as a list, in whatever structure they are."""
    found = model.predict(inputs)
    if isinstance(found, dict):
        return list(found.values())
    return found if isinstance(found, list) else [found]


def check(keras: Recorded, folder: Path, *targets: str) -> None:
    """Compare the predictions of a source, and of what it becomes, with those of Keras."""
    architecture = keras.architecture
    found = predict(keras.source, keras.inputs, architecture=architecture)
    assert_close(found, keras.outputs, **keras.tolerance)
    for to in targets:
        tfjs_codec.convert(keras.source, folder / to, to=to, architecture=architecture)
        assert_close(predict(folder / to, keras.inputs), keras.outputs, **keras.tolerance)
    if "layers" in targets:
        found = layers_interpreter.load(folder / "layers").predict(keras.inputs)
        assert_close(found, keras.outputs, **keras.tolerance)


@pytest.mark.parametrize(("case", "file"), FILES)
def test_keras_files(case, file, tmp_path):
    targets = ["graph"] if case in REFUSED else ["layers", "graph"]
    check(keras_file(case, file, tmp_path), tmp_path, *targets)


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_keras_models_in_saved_models(name, tmp_path):
    check(saved_model(name), tmp_path, "layers", "graph")


@pytest.mark.parametrize("file", ["digits.h5", "digits.keras"])
def test_trained_classifier(file, tmp_path):
    check(digits(file), tmp_path, "layers", "graph")


@pytest.mark.parametrize("case", ONE_OF_EACH)
def test_layers_models_become_graphs(case, tmp_path):
    keras = keras_file(case, ONE_OF_EACH[case], tmp_path)
    tfjs_codec.convert(keras.source, tmp_path / "layers", architecture=keras.architecture)
    tfjs_codec.convert(tmp_path / "layers", tmp_path / "graph", to="graph")
    assert_close(predict(tmp_path / "graph", keras.inputs), keras.outputs, **keras.tolerance)


@pytest.mark.parametrize("name", graph_fixtures.CASES)
def test_graphs(name, tmp_path):
    web = graph_fixtures.convert(name, tmp_path)
    source, options = graph_fixtures.source(name, tmp_path)
    with tfjs_codec.load(web) as converted, tfjs_codec.load(source, **options) as original:
        for given, expected in graph_fixtures.runs(name):
            for model in (original, converted):
                assert_same(dict(zip(expected, values(model, given), strict=True)), expected)
