"""Replacements must fit where they are put, and rules find weights by the same names everywhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
from keras_files import entry, h5_model, tensor3, v3_model
from layers_interpreter import load

import tfjs_codec
from tfjs_codec.errors import RuleError, UnsupportedModelError, UsageError
from tfjs_codec.layers.engine.registry import REGISTRY


def node(name, shape, dtype="float32"):
    tensor = tensor3(name)
    tensor["config"].update(shape=shape, dtype=dtype)
    return [{"args": [tensor], "kwargs": {}}]


@pytest.fixture
def custom():
    """A layer of an own class from [None, 4] to [None, 4], added to its input."""
    yield of_own_class()
    REGISTRY.user.pop("Mine>Gain", None)


def of_own_class(dtype="float32"):
    layers = [
        {"module": "keras.layers", "class_name": "InputLayer", "name": "i", "inbound_nodes": [],
         "config": {"name": "i", "batch_shape": [None, 4], "dtype": "float32"}},
        {"module": "mine", "class_name": "Gain", "registered_name": "Mine>Gain", "name": "gain",
         "config": {"name": "gain", "trainable": True}, "inbound_nodes": node("i", [None, 4])},
        {"module": "keras.layers", "class_name": "Add", "name": "add",
         "config": {"name": "add", "trainable": True},
         "inbound_nodes": [{"args": [[node("i", [None, 4])[0]["args"][0],
                                      node("gain", [None, 4], dtype)[0]["args"][0]]],
                            "kwargs": {}}]},
    ]  # fmt: skip
    config = {"name": "m", "layers": layers, "input_layers": [["i", 0, 0]],
              "output_layers": [["add", 0, 0]]}  # fmt: skip
    model = {"module": "keras", "class_name": "Functional", "config": config}
    return v3_model(model, {"layers/gain/vars/0": np.arange(4), "layers/gain/vars/1": np.ones(4)})


def dense(inputs, outputs, dtype="float32"):
    layer = entry("Dense", "d", units=outputs, batch_input_shape=[None, inputs])
    if dtype != "float32":
        layer = entry("Embedding", "d", input_dim=9, output_dim=outputs,
                      batch_input_shape=[None, inputs], dtype=dtype)  # fmt: skip
        weights = [("d/embeddings:0", np.zeros((9, outputs)))]
    else:
        weights = [("d/kernel:0", np.ones((inputs, outputs))), ("d/bias:0", np.zeros(outputs))]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    return h5_model(config, {"d": weights})


def test_one_that_fits(custom, tmp_path):
    tfjs_codec.convert(custom, tmp_path / "web", replace={"gain": dense(4, 4)})
    x = np.array([[1, 2, 3, 4]], np.float32)
    (y,) = load(tmp_path / "web").predict([x])
    np.testing.assert_array_equal(y, x + 10)


def test_one_that_takes_another_shape(custom, tmp_path):
    with pytest.raises(UnsupportedModelError, match=r"input 0 has shape \[None, 3\], it gets"):
        tfjs_codec.convert(custom, tmp_path / "web", replace={"gain": dense(3, 4)})


@pytest.mark.parametrize("to", ["layers", "graph"])
@pytest.mark.parametrize("units", [1, 5])
def test_one_that_yields_another_shape(custom, units, to, tmp_path):
    """The addition would broadcast one of them."""
    said = rf"yields shape \[None, {units}\], the layer \[None, 4\]"
    with pytest.raises(UsageError, match=said):
        tfjs_codec.convert(custom, tmp_path / "web", to=to, replace={"gain": dense(4, units)})


@pytest.mark.parametrize("to", ["layers", "graph"])
def test_one_that_yields_another_dtype(to, tmp_path):
    with pytest.raises(UsageError, match="of layer 'gain' yields float32, the layer int64"):
        tfjs_codec.convert(
            of_own_class("int64"), tmp_path / "web", to=to, replace={"gain": dense(4, 4)}
        )
    tfjs_codec.convert(of_own_class("float16"), tmp_path, to=to, replace={"gain": dense(4, 4)})


def test_one_that_takes_more_tensors(custom, tmp_path):
    inputs = [entry("InputLayer", n, batch_input_shape=[None, 4]) for n in "ab"]
    layers = [*inputs, entry("Add", "s")]
    for layer in layers:
        layer |= {"name": layer["config"]["name"], "inbound_nodes": []}
    layers[2]["inbound_nodes"] = [[["a", 0, 0, {}], ["b", 0, 0, {}]]]
    config = {"name": "m", "layers": layers, "input_layers": [["a", 0, 0], ["b", 0, 0]],
              "output_layers": [["s", 0, 0]]}  # fmt: skip
    two = h5_model({"class_name": "Functional", "config": config}, {})
    with pytest.raises(UsageError, match="has 2 inputs and 1 output; the layer takes 1 tensor"):
        tfjs_codec.convert(custom, tmp_path / "web", replace={"gain": two})


def test_one_of_whole_numbers(custom, tmp_path):
    with pytest.raises(UnsupportedModelError, match="input 0 is int32, it gets float32"):
        tfjs_codec.convert(custom, tmp_path / "web", replace={"gain": dense(4, 4, "int32")})


def gain(b, layer, x):
    """Rescaling."""
    scale, offset = (layer.weights[name].numpy().tolist() for name in ("gains", "shifts"))
    return b.add("Rescaling", x, {"scale": scale, "offset": offset})


def test_weights_have_one_name_in_all_files(custom, tmp_path):
    tfjs_codec.register_rule("Mine>Gain", weights=["gains", "shifts"])(gain)
    tfjs_codec.convert(custom, tmp_path / "web")
    layer = entry("Mine>Gain", "gain", batch_input_shape=[None, 4])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    weights = [("gain/gains:0", np.arange(4)), ("gain/shifts:0", np.ones(4))]
    tfjs_codec.convert(h5_model(config, {"gain": weights}), tmp_path / "h5")
    x = np.array([[1, 2, 3, 4]], np.float32)
    y = x * np.arange(4) + 1
    np.testing.assert_array_equal(load(tmp_path / "web").predict([x])[0], x + y)
    np.testing.assert_array_equal(load(tmp_path / "h5").predict([x])[0], y)


def test_a_rule_that_fails_otherwise_is_not_told_of_names(custom, tmp_path):
    def fails(b, layer, x):
        """Fail with a question, after which no full stop comes."""
        raise AttributeError("Did you mean 'abs'?")

    tfjs_codec.register_rule("Mine>Gain")(fails)
    with pytest.raises(RuleError) as caught:
        tfjs_codec.convert(custom, tmp_path / "web")
    assert str(caught.value).endswith("AttributeError: Did you mean 'abs'? Correct the rule.")


def test_a_rule_that_does_not_find_a_name_is_told_why(custom, tmp_path):
    tfjs_codec.register_rule("Mine>Gain")(gain)
    with pytest.raises(RuleError, match=r"numbers weights: name them with register_rule"):
        tfjs_codec.convert(custom, tmp_path / "web")


def test_a_graph_of_a_keras_file_takes_replacements_and_names(custom, tmp_path):
    report = tfjs_codec.convert(
        custom, tmp_path / "web", to="graph", replace={"gain": dense(4, 4)}, rename={"i": "x"}
    )
    assert report.weights
    assert list(
        json.loads((tmp_path / "web" / "model.json").read_text())["signature"]["inputs"]
    ) == ["x"]
