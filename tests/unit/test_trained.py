"""Regularisers and constraints stay with layers that tfjs has; the report names the others."""

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
DENSE: JsonObject = {"units": 2, "activation": "linear", "use_bias": False}
CONV: JsonObject = {
    "filters": 2, "kernel_size": [1], "strides": [1], "padding": "valid", "dilation_rate": [1],
    "data_format": "channels_last", "activation": "linear", "use_bias": False, "groups": 1,
}  # fmt: skip


def convert(
    class_name: str, config: JsonObject, shape: tuple[int, ...], **weights: tuple[int, ...]
) -> tuple[dict[str, JsonObject], list[str]]:
    """Return the configs of the tfjs layers by class, and what the report says was left out."""
    given = {k: ArrayTensor(k, np.ones(size, np.float32)) for k, size in weights.items()}
    source = KerasLayer("i", "InputLayer", {"batch_shape": [None, *shape], "dtype": "float32"})
    calls = [Call((Ref("i", 0, 0),))]
    layer = KerasLayer("x", class_name, config, calls=calls, weights=dict(given))
    graph = KerasGraph("m", [source, layer], [Ref("i", 0, 0)], [Ref("x", 0, 0)])
    made, log = lower(KerasModel("m", "keras-v3", graph, 3))
    layers = read_topology(made.topology, Place("m")).layers
    return {one.class_name: dict(one.config) for one in layers}, log.dropped


def dense(key: str, value: Json) -> tuple[Json, list[str]]:
    configs, dropped = convert("Dense", {**DENSE, key: value}, (2,), kernel=(2, 2))
    return configs["Dense"].get(key), dropped


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("MaxNorm", {"max_value": 2.0, "axis": [0, 1]}),
        ("MinMaxNorm", {"min_value": 0.5, "max_value": 1.0, "rate": 1.0, "axis": 0}),
        ("NonNeg", {}),
        ("UnitNorm", {"axis": 0}),
    ],
)
def test_constraints_stay(name: str, config: JsonObject) -> None:
    value = {"module": "keras.constraints", "class_name": name, "config": config}
    want = {"class_name": name, "config": config}
    assert dense("kernel_constraint", value) == (want, [])


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("kernel_constraint", {"class_name": "RadialConstraint", "config": {}}, "RadialConstraint"),
        ("kernel_constraint", {**MAX_NORM, "config": {"max_value": 2, "axis": None}}, "MaxNorm"),
        ("kernel_regularizer", {"class_name": "OrthogonalRegularizer", "config": {}},
         "OrthogonalRegularizer"),
        ("activity_regularizer", {"class_name": "L2", "config": {"l2": 0.1}}, "L2"),
    ],
)  # fmt: skip
def test_what_tfjs_lacks_is_named(key: str, value: Json, name: str) -> None:
    text = f"{key} {name} of Dense layers, which fit() in tfjs does without"
    assert dense(key, value) == (None, [text])


@pytest.mark.parametrize("module", ["my.own", None])
def test_own_classes_are_named(module: str | None) -> None:
    kept, dropped = dense("kernel_constraint", {**MAX_NORM, "module": module})
    assert kept is None
    assert len(dropped) == 1


def test_regularizers_without_effect_are_not_named() -> None:
    value = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0}}
    assert dense("kernel_regularizer", value) == (None, [])
    assert dense("activity_regularizer", value) == (None, [])


def test_regularizers_of_keras_1() -> None:
    value = {"name": "L1L2Regularizer", "l1": 0.0, "l2": 0.5}
    want = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.5}}
    assert dense("kernel_regularizer", value) == (want, [])


def test_batch_normalization() -> None:
    config = {"axis": 1, "epsilon": 1e-3, "center": False, "scale": True,
              "gamma_constraint": MAX_NORM}  # fmt: skip
    stats = {"gamma": (2,), "moving_mean": (2,), "moving_variance": (2,)}
    configs, dropped = convert("BatchNormalization", config, (2,), **stats)
    assert configs["BatchNormalization"]["gamma_constraint"] == MAX_NORM
    assert not dropped


@pytest.mark.parametrize("groups", [1, 2])
def test_a_kernel_of_another_shape_is_not_constrained(groups: int) -> None:
    config = {**CONV, "groups": groups, "kernel_constraint": MAX_NORM}
    configs, dropped = convert("Conv1D", config, (3, 2), kernel=(1, 2 // groups, 2))
    kept = configs["Conv1D"].get("kernel_constraint")
    assert kept == (MAX_NORM if groups == 1 else None)
    assert len(dropped) == (groups > 1)
