"""Every fixture predicts what Keras or TensorFlow predicted, in numpy: all arithmetic, in seconds.

``tests/oracle`` runs the same models in real TensorFlow.js.
"""

from __future__ import annotations

import graph_fixtures
import pytest
from compare import assert_close, assert_same
from layer_fixtures import FILES, REFUSED, SAVED_MODELS, Recorded, digits, keras_file, saved_model
from layers_interpreter import load

import tfjs_codec
from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.graph.interpreter import run
from tfjs_codec.ir.loaded import TfjsGraph
from tfjs_codec.readers import open_model


def check(keras: Recorded, folder) -> None:
    tfjs_codec.convert(keras.source, folder / "web", architecture=keras.architecture)
    assert_close(load(folder / "web").predict(keras.inputs), keras.outputs, **keras.tolerance)


@pytest.mark.parametrize(("case", "file"), [names for names in FILES if names[0] not in REFUSED])
def test_keras_files(case, file, tmp_path):
    check(keras_file(case, file, tmp_path), tmp_path)


@pytest.mark.parametrize(("case", "file"), FILES)
def test_keras_files_as_graphs(case, file, tmp_path):
    keras = keras_file(case, file, tmp_path)
    web = tmp_path / "web"
    tfjs_codec.convert(keras.source, web, to="graph", architecture=keras.architecture)
    with open_model(web) as model:
        assert isinstance(model, TfjsGraph)
        graph = parse(model)
        found = run(graph, dict(zip(graph.inputs, keras.inputs, strict=True)))
        assert_close(list(found.values()), keras.outputs, **keras.tolerance)


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_keras_models_in_saved_models(name, tmp_path):
    check(saved_model(name), tmp_path)


@pytest.mark.parametrize("file", ["digits.h5", "digits.keras"])
def test_trained_classifier(file, tmp_path):
    check(digits(file), tmp_path)


@pytest.mark.parametrize("name", graph_fixtures.CASES)
def test_graphs(name, tmp_path):
    with open_model(graph_fixtures.convert(name, tmp_path)) as model:
        assert isinstance(model, TfjsGraph)
        graph = parse(model)
        for given, expected in graph_fixtures.runs(name):
            assert_same(run(graph, given), expected)
