"""Custom layers and Lambda: rules of a user's own, and layers replaced by models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from compare import assert_close
from keras_files import entry, functional, h5_model, input_entry

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.layers.engine.registry import REGISTRY

pytestmark = pytest.mark.node


@pytest.fixture(autouse=True)
def _forget_rules() -> Iterator[None]:
    yield
    REGISTRY.user.clear()


def _model(class_name: str, weights: list[tuple[str, Any]], **config: Any) -> bytes:
    layers = [
        input_entry("x", [None, 3]),
        entry(class_name, "custom", [[["x", 0, 0, {}]]], **config),
    ]
    return h5_model(functional(layers, [["x", 0, 0]], [["custom", 0, 0]]), {"custom": weights})


X = np.array([[1, -2, 3], [0.5, 0, -1]], np.float32)
GAINS = np.array([2, 3, 4], np.float32)


def test_a_rule_of_ones_own(tfjs, tmp_path):
    @tfjs_codec.register_rule("MyPackage>Gain")
    def gain(b, layer, x):
        """Rescaling by the layer's gains."""
        gains = layer.weights["gains"].numpy() * layer.config["strength"]
        return b.add("Rescaling", x, {"scale": gains.tolist(), "offset": 0})

    model = _model("MyPackage>Gain", [("custom/gains:0", GAINS)], strength=0.5)
    tfjs_codec.convert(model, tmp_path / "web")
    (y,) = tfjs.predict(tmp_path / "web", [X])
    np.testing.assert_allclose(y, X * GAINS / 2)


def test_without_a_rule_it_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(UnsupportedModelError, match="register_rule"):
        tfjs_codec.convert(_model("MyPackage>Gain", []), tmp_path / "web")


def test_a_lambda_replaced_by_a_model(tfjs, tmp_path):
    layers = [
        input_entry("v", [None, 3]),
        entry("Rescaling", "twice", [[["v", 0, 0, {}]]], scale=2.0, offset=1.0),
    ]
    submodel = functional(layers, [["v", 0, 0]], [["twice", 0, 0]], name="submodel")
    model = _model("Lambda", [], function=["4wEAAA==", None, None], function_type="lambda")
    with pytest.raises(UnsupportedModelError, match="--replace custom=FILE"):
        tfjs_codec.convert(model, tmp_path / "web")
    replace = {"custom": h5_model(submodel, {})}
    tfjs_codec.convert(model, tmp_path / "web", replace=replace)
    (y,) = tfjs.predict(tmp_path / "web", [X])
    np.testing.assert_allclose(y, 2 * X + 1)


def test_a_rule_replaces_that_of_a_class_of_keras(tfjs, tmp_path):
    @tfjs_codec.register_rule("Lambda")
    def double(b, layer, x):
        return b.add("Add", [x, x])

    tfjs_codec.convert(_model("Lambda", [], function=["4wEAAA==", None, None]), tmp_path / "web")
    (y,) = tfjs.predict(tmp_path / "web", [X])
    np.testing.assert_allclose(y, 2 * X)


@pytest.mark.parametrize("class_name", ["CustomScaleLayer", "Custom>CustomScaleLayer"])
def test_the_layer_of_inception_resnet(class_name, tfjs, tmp_path):
    layer = entry(class_name, "sum", [[["a", 0, 0, {}], ["b", 0, 0, {}]]], scale=0.25)
    layers = [input_entry("a", [None, 3]), input_entry("b", [None, 3]), layer]
    config = functional(layers, [["a", 0, 0], ["b", 0, 0]], [["sum", 0, 0]])
    tfjs_codec.convert(h5_model(config, {}), tmp_path / "web")
    a, b = np.float32([[1, 2, 3]]), np.float32([[4, -8, 0]])
    assert_close(tfjs.predict(tmp_path / "web", [a, b]), [np.float32([[2, 0, 3]])])


def test_another_layer_of_that_name(tmp_path):
    layer = entry("CustomScaleLayer", "one", [[["a", 0, 0, {}]]], scale=0.25)
    config = functional([input_entry("a", [None, 3]), layer], [["a", 0, 0]], [["one", 0, 0]])
    with pytest.raises(UnsupportedModelError, match=r"not the CustomScaleLayer of keras\.app"):
        tfjs_codec.convert(h5_model(config, {}), tmp_path / "web")
