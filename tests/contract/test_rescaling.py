"""Factors moved between layers change no prediction, whatever the model: a property of the rules.

Every group of channels that the rules find gets random factors, in the recorded models of all
layers and operations. Layers run in an interpreter that shares nothing with the rules.
"""

from __future__ import annotations

from contextlib import suppress

import graph_fixtures
import layers_interpreter
import numpy as np
import pytest
from layer_fixtures import FILES, REFUSED, SAVED_MODELS, Programs, digits, keras_file, saved_model
from rescaling import scale_randomly

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError

CASES = {case: file for case, file in FILES if case not in REFUSED}
PROGRAMS = Programs()


def assert_same(found, expected):
    """Compare lists of outputs, whose rounding depends on the factors."""
    for one, other in zip(found, expected, strict=True):
        if one.dtype.kind not in "fc":
            np.testing.assert_array_equal(one, other)
            continue
        finite = other[np.isfinite(other)]
        largest = max(1.0, float(np.abs(finite).max(initial=0)))
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-6 * largest)


def predict(files, inputs):
    with tfjs_codec.load(files) as model:
        found = model.predict(inputs)
    if isinstance(found, dict):
        return list(found.values())
    return found if isinstance(found, list) else [found]


def check(keras, to, **options):
    """Return how many weights changed."""
    files = tfjs_codec.to_files(keras.source, to=to, architecture=keras.architecture, **options)
    scaled, changed = scale_randomly(files)
    if changed:
        run = predict
        if to == "layers":

            def run(files, inputs):
                return layers_interpreter.load(files).predict(inputs)

        assert_same(run(scaled, keras.inputs), run(files, keras.inputs))
    return len(changed)


@pytest.mark.parametrize("to", ["layers", "graph"])
@pytest.mark.parametrize("case", CASES)
def test_keras_files(case, to, tmp_path):
    check(keras_file(case, CASES[case], tmp_path), to)


@pytest.mark.parametrize("to", ["layers", "graph"])
@pytest.mark.parametrize("name", SAVED_MODELS)
def test_saved_models(name, to):
    check(saved_model(name), to)


@pytest.mark.parametrize("to", ["layers", "graph"])
def test_a_classifier(to):
    assert check(digits("digits.h5"), to) > 4


@pytest.mark.parametrize("to", ["layers", "graph"])
def test_programs(to):
    changed = 0
    for name in PROGRAMS.how:
        with suppress(UnsupportedModelError):
            changed += check(PROGRAMS.get(name), to, allow_approximate=True)
    assert changed > 10


@pytest.mark.parametrize("name", graph_fixtures.CASES)
def test_graphs(name, tmp_path):
    web = graph_fixtures.convert(name, tmp_path)
    scaled, changed = scale_randomly(web)
    if changed:
        with tfjs_codec.load(scaled) as one, tfjs_codec.load(web) as other:
            for given, _ in graph_fixtures.runs(name):
                found, expected = one.predict(given), other.predict(given)
                assert type(found) is type(expected)
                several = isinstance(found, list)
                assert_same(*((x if several else [x]) for x in (found, expected)))
