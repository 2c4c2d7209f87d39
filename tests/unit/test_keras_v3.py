"""``.keras`` files: variables are found by class names and attributes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from keras_files import call3, entry, functional, input_entry, tensor3, v3_model

from tfjs_codec.errors import CorruptFileError, UnsupportedModelError
from tfjs_codec.ir.loaded import KerasModel, Weights
from tfjs_codec.keras.names import snake_case
from tfjs_codec.options import ConvertOptions
from tfjs_codec.readers import open_model


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("Conv2DTranspose", "conv2d_transpose"),
        ("GlobalAveragePooling2D", "global_average_pooling2d"),
        ("LeakyReLU", "leaky_re_lu"),
        ("PReLU", "p_re_lu"),
        ("LSTM", "lstm"),
        ("ConvLSTM2D", "conv_lstm2d"),
        ("InputLayer", "input_layer"),
    ],
)
def test_snake_case_is_keras_own(name: str, snake: str) -> None:
    assert snake_case(name) == snake


def sequential(*layers: Any, name: str = "s") -> Any:
    source = input_entry("x", [None, 4], "batch_shape")
    return {"class_name": "Sequential", "config": {"name": name, "layers": [source, *layers]}}


def dense(value: float) -> dict[str, Any]:
    return {"0": np.full((4, 4), value), "1": np.full(4, value)}


def at(path: str, variables: dict[str, Any]) -> dict[str, Any]:
    return {f"{path}/vars/{key}": value for key, value in variables.items()}


def kernels(data: bytes) -> dict[str, float]:
    """Return the first kernel value by layer name."""
    with open_model(data) as model:
        assert isinstance(model, KerasModel)
        return {
            layer.name: float(layer.weights["kernel"].numpy().flat[0])
            for layer in model.graph.walk()
            if "kernel" in layer.weights
        }


def test_groups_are_named_after_classes_with_a_counter() -> None:
    model = sequential(
        entry("Dense", "zebra", units=4), entry("Dense", "dense", units=4),
        entry("Dense", "ant", units=4),
    )  # fmt: skip
    tensors = {**at("layers/dense", dense(1)), **at("layers/dense_1", dense(2)),
               **at("layers/dense_2", dense(3))}  # fmt: skip
    assert kernels(v3_model(model, tensors)) == {"zebra": 1, "dense": 2, "ant": 3}


def test_keras_2_12_counts_layers_with_weights_twice() -> None:
    inner = sequential(entry("Dense", "c", units=4), name="inner")
    model = sequential(entry("Dense", "a", units=4), entry("Dense", "b", units=4), inner)
    old = "_layer_checkpoint_dependencies"
    tensors = {**at(f"{old}/dense", dense(1)), **at(f"{old}/dense_2", dense(2)),
               **at(f"{old}/sequential/{old}/dense", dense(3))}  # fmt: skip
    assert kernels(v3_model(model, tensors, "2.12.0")) == {"a": 1, "b": 2, "c": 3}


def test_operations_are_not_counted() -> None:
    op = {"module": "keras.src.ops.numpy", "class_name": "Dense", "config": {"name": "op"},
          "name": "op", "inbound_nodes": [call3(tensor3("x"), 2.0)]}  # fmt: skip
    real = entry("Dense", "real", [call3(tensor3("op"))], units=4)
    layers = [input_entry("x", [None, 4], "batch_shape"), op, real]
    model = functional(layers, ["x", 0, 0], ["real", 0, 0])
    assert kernels(v3_model(model, at("layers/dense", dense(5)))) == {"real": 5}


def test_wrapped_layers_are_under_their_attributes() -> None:
    cells = {"class_name": "StackedRNNCells", "config": {"name": "c", "cells": [
        entry("LSTMCell", "one", units=1), entry("LSTMCell", "two", units=1)]}}  # fmt: skip
    model = sequential(
        entry("Bidirectional", "b", layer=entry("LSTM", "l", units=1)),
        entry("TimeDistributed", "t", layer=entry("Dense", "d", units=4)),
        entry("RNN", "r", cell=cells),
    )
    cell = {"0": np.ones((4, 4)), "1": np.ones((1, 4)), "2": np.ones(4)}
    paths = ("bidirectional/forward_layer/cell", "bidirectional/backward_layer/cell",
             "rnn/cell/cells/lstm_cell", "rnn/cell/cells/lstm_cell_1")  # fmt: skip
    tensors = at("layers/time_distributed/layer", dense(9))
    for number, path in enumerate(paths):
        tensors |= at(f"layers/{path}", {key: value * number for key, value in cell.items()})
    found = kernels(v3_model(model, tensors))
    assert found == {"forward_l": 0, "backward_l": 1, "d": 9, "one": 2, "two": 3}


@pytest.mark.parametrize("prefix", ["", "_"])
def test_attention_parts_may_be_private(prefix: str) -> None:
    model = sequential(entry("MultiHeadAttention", "m", num_heads=1, key_dim=4, use_bias=False))
    parts = {"query_dense": 1, "key_dense": 2, "value_dense": 3, "output_dense": 4}
    tensors = {f"layers/multi_head_attention/{prefix}{part}/vars/0": np.full((4, 1, 4), value)
               for part, value in parts.items()}  # fmt: skip
    with open_model(v3_model(model, tensors)) as found:
        weights = found.graph.layers[1].weights
        assert {role: tensor.numpy().flat[0] for role, tensor in weights.items()} == {
            "query/kernel": 1, "key/kernel": 2, "value/kernel": 3, "attention_output/kernel": 4,
        }  # fmt: skip


def test_custom_layers_get_all_below_their_path() -> None:
    thing = {**entry("Thing", "t"), "module": None, "registered_name": "pkg>Thing"}
    tensors = {"layers/thing/vars/0": [1.0], "layers/thing/sub/vars/0": [2.0]}
    with open_model(v3_model(sequential(thing), tensors)) as model:
        assert isinstance(model, KerasModel)
        layer = model.graph.layers[1]
        assert layer.class_name == "pkg>Thing"
        assert sorted(layer.weights) == ["0", "sub/0"]


def test_missing_and_surplus_variables() -> None:
    model = sequential(entry("Dense", "d", units=4))
    with (
        pytest.raises(CorruptFileError, match="the file holds 1 weight, the config needs 2"),
        open_model(v3_model(model, {"layers/dense/vars/0": np.ones((4, 4))})),
    ):
        pass
    with (
        pytest.raises(CorruptFileError, match=r"the file holds (0|no) weights"),
        open_model(v3_model(model, {})),
    ):
        pass
    odd = {**at("optimizer", {"0": 1}), **at("layers/odd", {"0": 1})}
    extra = {**at("layers/dense", dense(1)), **odd}
    with open_model(v3_model(model, extra)) as found:
        assert len(found.warnings) == 1
        assert "layers/odd" in found.warnings[0]


def test_a_subclassed_model_is_refused_with_the_way_out() -> None:
    model = {"module": None, "class_name": "Net", "config": {"trainable": True},
             "registered_name": "Net"}  # fmt: skip
    with pytest.raises(UnsupportedModelError) as caught, open_model(v3_model(model, {})):
        pass
    assert "Net" in str(caught.value)
    assert "functional API" in str(caught.value)


def test_weights_of_the_tree_layout_alone(tmp_path: Any) -> None:
    import h5py

    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        for name, array in at("layers/dense", dense(7)).items():
            file[name] = array
    with open_model(path) as model:
        assert isinstance(model, Weights)
        assert len(model.weights) == 2
    config = json.dumps(sequential(entry("Dense", "d", units=4))).encode()
    with open_model(path, ConvertOptions(architecture=config)) as model:
        assert isinstance(model, KerasModel)
        assert model.graph.layers[1].weights["kernel"].numpy().flat[0] == 7
