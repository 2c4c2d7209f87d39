"""``model.predict`` of graph models of Keras files takes what a page may pass."""

from __future__ import annotations

import json

import numpy as np
import pytest
from compare import assert_close
from layer_fixtures import keras_file

import tfjs_codec

pytestmark = [pytest.mark.oracle, pytest.mark.node]

CASES = (("multi_input_output", "keras-3.15.keras"), ("dict_input_output", "keras-3.15.keras"),
         ("dict_input_output", "tf_keras-2.19.keras"), ("siamese", "keras-3.15.h5"),
         ("nested_two_levels", "keras-3.15.keras"))  # fmt: skip


@pytest.mark.parametrize("structured", [False, True])
@pytest.mark.parametrize(("case", "file"), CASES)
def test_predict_takes_an_array_and_a_map(case, file, structured, tfjs, tmp_path):
    keras = keras_file(case, file, tmp_path)
    web = tmp_path / "web"
    tfjs_codec.convert(keras.source, web, to="graph", structured_outputs=structured)
    signature = json.loads((web / "model.json").read_text())["signature"]
    inputs = dict(zip(signature["inputs"], keras.inputs, strict=True))
    forms = ["array", "map"] + ["tensor"] * (len(inputs) == 1)
    ours = tfjs_codec.load(web).predict(keras.inputs)
    for form in forms:
        found = tfjs.call(web, inputs, form)
        if structured:
            assert list(found) == list(signature["outputs"]) == list(ours)
            found = list(found.values())
        assert_close(found, keras.outputs)
    backwards = dict(reversed(inputs.items()))
    found = tfjs.call(web, backwards, "map")
    assert_close(list(found.values()) if structured else found, keras.outputs)


def test_the_output_of_an_inner_layer(tfjs, keras_oracle, tmp_path):
    keras = keras_file("nested_two_levels", "keras-3.15.keras", tmp_path)
    with tfjs_codec.load(keras.source) as model:
        names = {name.rpartition("/")[0] for name in model.weights if name.count("/") > 1}
    assert names
    tfjs_codec.convert(keras.source, tmp_path / "web", to="graph", outputs=sorted(names))
    inputs = {"x": keras.inputs[0]}
    ours = tfjs_codec.load(tmp_path / "web").predict(keras.inputs)
    found = tfjs.predict(tmp_path / "web", list(inputs.values()))
    assert_close(found, ours if isinstance(ours, list) else [ours])
    assert all(np.isfinite(each).all() for each in found)
