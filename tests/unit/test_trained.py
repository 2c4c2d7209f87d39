"""Regularisers that tfjs has stay; the report names all else that training in tfjs does without."""

from __future__ import annotations

import numpy as np
import pytest

from tfjs_codec.files.place import Place
from tfjs_codec.ir.json_types import Json, JsonObject
from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.ir.tensors import ArrayTensor
from tfjs_codec.layers.lower import lower
from tfjs_codec.tfjs.topology import read_topology

MAX_NORM = {"class_name": "MaxNorm", "config": {"max_value": 2.0, "axis": 0}}
L2 = {"class_name": "L2", "config": {"l2": 0.1}}
DENSE: JsonObject = {"units": 2, "activation": "linear", "use_bias": False}


def convert(layer: KerasLayer) -> tuple[dict[str, JsonObject], list[str]]:
    """Return the configs of the tfjs layers by class, and what the report says was left out."""
    source = KerasLayer("i", "InputLayer", {"batch_shape": [None, 2], "dtype": "float32"})
    layer.calls.append(Call((Ref("i", 0, 0),)))
    graph = KerasGraph("m", [source, layer], [Ref("i", 0, 0)], [Ref(layer.name, 0, 0)])
    made, log = lower(KerasModel("m", "keras-v3", graph, 3))
    layers = read_topology(made.topology, Place("m")).layers
    return {one.class_name: dict(one.config) for one in layers}, log.dropped


def keras_layer(class_name: str, config: JsonObject, *weights: str) -> KerasLayer:
    shape = (2, 2) if class_name == "Dense" else (2,)
    held = {name: ArrayTensor(name, np.ones(shape, np.float32)) for name in weights}
    return KerasLayer("x", class_name, config, weights=dict(held))


def dense(key: str, value: Json) -> tuple[Json, list[str]]:
    configs, dropped = convert(keras_layer("Dense", {**DENSE, key: value}, "kernel"))
    return configs["Dense"].get(key), dropped


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("kernel_constraint", MAX_NORM, "MaxNorm"),
        ("kernel_constraint", {"class_name": "NonNeg", "config": {}}, "NonNeg"),
        ("bias_constraint", {"module": "my", "class_name": "Own", "config": {}}, "Own"),
        ("kernel_regularizer", {"class_name": "OrthogonalRegularizer", "config": {"factor": 0.1}},
         "OrthogonalRegularizer"),
        ("activity_regularizer", L2, "L2"),
        ("activity_regularizer", {"name": "L1L2Regularizer", "l1": 0.0, "l2": 0.1},
         "L1L2Regularizer"),
    ],
)  # fmt: skip
def test_what_training_does_without_is_named(key: str, value: Json, name: str) -> None:
    want = [f"layer 'x': {key} {name}, which fit() in tfjs does without"]
    assert dense(key, value) == (None, want)


def test_weight_decay_stays() -> None:
    kept, dropped = dense("kernel_regularizer", L2)
    assert kept == {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.1}}
    assert dropped == []


@pytest.mark.parametrize("key", ["kernel_regularizer", "activity_regularizer"])
def test_penalties_of_zero_are_not_named(key: str) -> None:
    assert dense(key, {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0}}) == (None, [])


def test_penalties_of_batch_normalization_are_named() -> None:
    config = {"axis": 1, "epsilon": 1e-3, "center": False, "scale": True, "gamma_regularizer": L2}
    _, dropped = convert(
        keras_layer("BatchNormalization", config, "gamma", "moving_mean", "moving_variance")
    )
    assert dropped == ["layer 'x': gamma_regularizer L2, which fit() in tfjs does without"]


def test_layers_inside_others_are_looked_at() -> None:
    inner = KerasLayer("d", "Dense", {**DENSE, "kernel_constraint": MAX_NORM})
    inner.weights["kernel"] = ArrayTensor("kernel", np.ones((2, 2), np.float32))
    wrapper = KerasLayer("x", "SpectralNormalization", {}, children={"layer": inner})
    _, dropped = convert(wrapper)
    assert dropped == ["layer 'x': kernel_constraint MaxNorm, which fit() in tfjs does without"]


def test_activity_regularization_is_named() -> None:
    _, dropped = convert(keras_layer("ActivityRegularization", {"l1": 0.1, "l2": 0.0}))
    assert dropped == ["layer 'x': ActivityRegularization, which fit() in tfjs does without"]


def test_initialisers_are_named_once_for_all() -> None:
    ones = {"class_name": "Ones", "config": {}}
    _, dropped = dense("kernel_initializer", ones)
    assert dropped == ["the initialisers: training in tfjs starts from the weights"]
