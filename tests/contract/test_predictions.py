"""Every fixture predicts what Keras or TensorFlow predicted, in numpy: all arithmetic, in seconds.

A model is run as its file, as a Layers model, and as a graph model. The interpreter of Layers and
the translation to graphs share nothing: each checks the other. Factors that move between weights
must change no prediction: every group of channels that the rules find gets random ones.
``tests/oracle`` runs the same models in real TensorFlow.js.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import graph_fixtures
import layers_interpreter
import numpy as np
import pytest
from compare import assert_close, assert_same
from layer_fixtures import FILES, REFUSED, SAVED_MODELS, Recorded, digits, keras_file, saved_model
from rescaling import count_rescaled

import tfjs_codec

# One file of each case also becomes a graph by way of Layers, and gets factors.
ONE_OF_EACH = {case: file for case, file in FILES if case not in REFUSED}


def predict(source: Any, inputs: Any, **options: Any) -> list[np.ndarray]:
    with tfjs_codec.load(source, **options) as model:
        return values(model, inputs)


def values(model: tfjs_codec.LoadedModel, inputs: Any) -> list[np.ndarray]:
    """Return the predictions of *model* as a list, in whatever structure they are."""
    found = model.predict(inputs)
    if isinstance(found, dict):
        return list(found.values())
    return found if isinstance(found, list) else [found]


def interpret(source: Any, inputs: Any) -> list[np.ndarray]:
    return layers_interpreter.load(source).predict(inputs)


def check(keras: Recorded, folder: Path, *targets: str) -> None:
    """Compare the predictions of a source, and of what it becomes, with those of Keras."""
    architecture = keras.architecture
    found = predict(keras.source, keras.inputs, architecture=architecture)
    assert_close(found, keras.outputs, **keras.tolerance)
    for to in targets:
        tfjs_codec.convert(keras.source, folder / to, to=to, architecture=architecture)
        assert_close(predict(folder / to, keras.inputs), keras.outputs, **keras.tolerance)
    if "layers" in targets:
        found = interpret(folder / "layers", keras.inputs)
        assert_close(found, keras.outputs, **keras.tolerance)


def check_rescaled(keras: Recorded, folder: Path) -> None:
    """Give factors to the models that :func:`check` has made in *folder*."""
    for to, run in (("layers", interpret), ("graph", predict)):
        predicted = run(folder / to, keras.inputs)
        count_rescaled(folder / to, lambda files, run=run: run(files, keras.inputs), predicted)


@pytest.mark.parametrize(("case", "file"), FILES)
def test_keras_files(case, file, tmp_path):
    keras = keras_file(case, file, tmp_path)
    check(keras, tmp_path, *(["graph"] if case in REFUSED else ["layers", "graph"]))
    if ONE_OF_EACH.get(case) == file:
        tfjs_codec.convert(tmp_path / "layers", tmp_path / "again", to="graph")
        assert_close(predict(tmp_path / "again", keras.inputs), keras.outputs, **keras.tolerance)
        check_rescaled(keras, tmp_path)


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_keras_models_in_saved_models(name, tmp_path):
    keras = saved_model(name)
    check(keras, tmp_path, "layers", "graph")
    check_rescaled(keras, tmp_path)


@pytest.mark.parametrize("file", ["digits.h5", "digits.keras"])
def test_trained_classifier(file, tmp_path):
    check(digits(file), tmp_path, "layers", "graph")


@pytest.mark.parametrize(("to", "run"), [("layers", interpret), ("graph", predict)])
def test_channels_of_a_classifier_get_factors(to, run):
    keras = digits("digits.h5")
    files = tfjs_codec.to_files(keras.source, to=to)
    predicted = run(files, keras.inputs)
    assert count_rescaled(files, lambda files: run(files, keras.inputs), predicted) > 4


@dataclass
class Graph:
    """A TensorFlow graph, how to read it, and the graph model it becomes."""

    name: str
    source: Path
    options: dict[str, Any]
    web: Path

    @cached_property
    def predicted(self) -> list[list[np.ndarray]]:
        """The outputs of the graph model in each run."""
        return self.run(self.web)

    def run(self, source: Any, **options: Any) -> list[list[np.ndarray]]:
        with tfjs_codec.load(source, **options) as model:
            return [values(model, given) for given, _ in graph_fixtures.runs(self.name)]


@pytest.fixture(scope="module", params=graph_fixtures.CASES)
def graph(request, tmp_path_factory) -> Graph:
    folder = tmp_path_factory.mktemp("graph")
    web = graph_fixtures.convert(request.param, folder)
    return Graph(request.param, *graph_fixtures.source(request.param, folder), web)


def test_graphs(graph):
    for predicted in (graph.run(graph.source, **graph.options), graph.predicted):
        for found, (_, expected) in zip(predicted, graph_fixtures.runs(graph.name), strict=True):
            assert_same(dict(zip(expected, found, strict=True)), expected)


def test_graphs_with_factors(graph):
    def flat(runs):
        return [output for run in runs for output in run]

    count_rescaled(graph.web, lambda files: flat(graph.run(files)), flat(graph.predicted))


def test_graphs_are_verified_to_be_their_sources(graph):
    assert tfjs_codec.verify(graph.web, against=graph.source, **graph.options).notes == ()
    assert tfjs_codec.diff(graph.source, graph.web, **graph.options).equal
