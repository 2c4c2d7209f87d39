"""tfjs Layers models become graph models: their weights stay as they are stored."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tfjs_codec
from tfjs_codec.errors import UsageError

KEPT = ["conv2d/bias", "conv2d/kernel", "conv2d_1/bias", "conv2d_1/kernel", "dense/bias",
        "dense/kernel"]  # fmt: skip


@pytest.fixture
def digits(fixtures_dir):
    with np.load(fixtures_dir / "digits" / "io.npz") as arrays:
        return fixtures_dir / "digits" / "digits.h5", arrays["in0"]


def stored(web):
    """How each weight is stored, by name."""
    groups = json.loads((web / "model.json").read_text())["weightsManifest"]
    return {
        weight["name"]: weight.get("quantization", {}).get("dtype", weight["dtype"])
        for group in groups
        for weight in group["weights"]
    }


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_quantised_weights_stay_quantised(digits, tmp_path, dtype):
    source, x = digits
    tfjs_codec.convert(source, tmp_path / "layers", quantize={dtype: "*"})
    tfjs_codec.convert(tmp_path / "layers", tmp_path / "graph", to="graph")
    found = stored(tmp_path / "graph")
    assert sorted(name for name, how in found.items() if how == dtype) == KEPT
    made = [name for name, how in found.items() if how == "float32"]  # of the moments
    assert {name.partition("/")[0] for name in made} == {"batch_normalization"}
    layers, graph = (tfjs_codec.load(tmp_path / name) for name in ("layers", "graph"))
    for name in KEPT:
        np.testing.assert_array_equal(layers.weights[name], graph.weights[name])
    np.testing.assert_allclose(layers.predict(x), graph.predict(x), atol=1e-6)
    assert tfjs_codec.verify(tmp_path / "graph", tmp_path / "layers").checks


def test_quantised_weights_are_dequantised_if_asked_for(digits, tmp_path):
    source, _ = digits
    tfjs_codec.convert(source, tmp_path / "layers", quantize={"uint8": True})
    tfjs_codec.convert(tmp_path / "layers", tmp_path / "graph", to="graph", dequantize=True)
    assert {stored(tmp_path / "graph")[name] for name in KEPT} == {"float32"}
    with pytest.raises(UsageError, match="dequantize"):
        tfjs_codec.convert(source, tmp_path / "other", to="graph", dequantize=True)


def test_plain_weights_are_untouched(digits, tmp_path):
    source, x = digits
    tfjs_codec.convert(source, tmp_path / "layers")
    tfjs_codec.convert(
        tmp_path / "layers", tmp_path / "graph", to="graph", quantize={"uint8": "dense/*"}
    )
    found = stored(tmp_path / "graph")
    assert found["dense/kernel"] == "uint8"
    assert found["conv2d/kernel"] == "float32"
    layers, graph = (tfjs_codec.load(tmp_path / name) for name in ("layers", "graph"))
    for name in KEPT[:4]:
        np.testing.assert_array_equal(layers.weights[name], graph.weights[name])
    assert np.argmax(layers.predict(x), -1).tolist() == np.argmax(graph.predict(x), -1).tolist()
