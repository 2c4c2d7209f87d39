"""TensorFlow graphs: what TensorFlow computed is what tfjs computes, in all runs of a fixture."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from compare import assert_close
from graph_fixtures import CASES, convert, runs
from tfjs_node import BACKENDS, TfjsNode

pytestmark = pytest.mark.node

# Cases that use kernels which tfjs has for other backends only.
NOT_ON_WASM = {"graph_spectrum", "graph_texts"}

Converted = Callable[..., Path]


@pytest.fixture(scope="session")
def converted(tmp_path_factory) -> Converted:
    """Convert a fixture, once for the same options; returns the directory of the graph model."""
    done: dict[str, Path] = {}

    def converted(name: str, **options) -> Path:
        key = f"{name} {options}"
        if key not in done:
            done[key] = convert(name, tmp_path_factory.mktemp(name), **options)
        return done[key]

    return converted


def same(got: list[np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for ours, (key, theirs) in zip(got, expected.items(), strict=True):
        if theirs.dtype.kind in "fc":
            assert_close([ours], [theirs])
        else:
            assert ours.tolist() == theirs.tolist(), key


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        (name, backend)
        for name, backend in product(CASES, BACKENDS)
        if backend != "wasm" or name not in NOT_ON_WASM
    ],
)
def test_computes_the_same(name: str, backend: str, converted: Converted, tfjs: TfjsNode):
    model = converted(name)
    for given, expected in runs(name):
        same(tfjs.execute(model, given, list(expected), backend), expected)


@pytest.mark.parametrize("name", ["graph_ports", "graph_v1_variables", "graph_keras3_conv"])
def test_order_is_that_of_the_signature(name: str, converted: Converted, tfjs: TfjsNode):
    """Pages that give a list of inputs get a list of outputs."""
    for given, expected in runs(name):
        same(tfjs.predict(converted(name), list(given.values())), expected)


def test_keras_models_cast_what_they_are_given(converted: Converted, tfjs: TfjsNode):
    """``tf.tensor([[1, 2]])`` is float32, also where the signature says int32."""
    for given, expected in runs("graph_keras2_words"):
        floats = {key: value.astype("f4") for key, value in given.items()}
        same(tfjs.execute(converted("graph_keras2_words"), floats, list(expected)), expected)


@pytest.mark.parametrize("name", ["graph_keras3_conv", "graph_conv_bn"])
def test_quantised(name: str, converted: Converted, tfjs: TfjsNode):
    model = converted(name, quantize={"float16": True})
    manifest = json.loads((model / "model.json").read_text())["weightsManifest"]
    assert any("quantization" in weight for group in manifest for weight in group["weights"])
    for given, expected in runs(name):
        got = tfjs.execute(model, given, list(expected))
        assert_close(got, list(expected.values()), atol=5e-3, rtol=5e-3)


def test_conv_net_has_no_batch_norm_left(converted: Converted):
    """What can be folded and fused is."""
    topology = json.loads((converted("graph_keras3_conv") / "model.json").read_text())
    ops = [node["op"] for node in topology["modelTopology"]["node"]]
    assert ops.count("_FusedConv2D") == 3
    assert ops.count("FusedDepthwiseConv2dNative") == 1
    assert ops.count("_FusedMatMul") == 2
    assert not {"FusedBatchNormV3", "Rsqrt", "Relu6", "Neg", "BiasAdd"} & set(ops)
