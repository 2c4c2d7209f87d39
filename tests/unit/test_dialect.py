"""Layer configs of all generations in one spelling."""

from __future__ import annotations

from typing import Any

import pytest

from tfjs_codec.errors import CorruptFileError
from tfjs_codec.files.place import Place
from tfjs_codec.keras.classes import CLASSES
from tfjs_codec.keras.dialect import activation, canonical_class, dtype_name, layer_config, plain
from tfjs_codec.keras.keras1 import convert_entry

PLACE = Place("model.h5", "config")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "float32"),
        ("float16", "float16"),
        ({"class_name": "Policy", "config": {"name": "mixed_float16"}}, "mixed_float16"),
        ({"class_name": "DTypePolicy", "config": {"name": "bfloat16"}}, "bfloat16"),
        (
            {"class_name": "QuantizedDTypePolicy",
             "config": {"mode": "int8", "source_name": "float32"}},
            "int8_from_float32",
        ),
        (
            {"class_name": "DTypePolicyMap",
             "config": {"default_policy": {"class_name": "DTypePolicy",
                                           "config": {"name": "float16"}}}},
            "float16",
        ),
    ],
)  # fmt: skip
def test_dtype_policies_become_their_names(value: Any, expected: str) -> None:
    assert dtype_name(value, PLACE) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "linear"),
        ("swish", "swish"),
        ("log_softmax_v2", "log_softmax"),
        ({"class_name": "function", "config": "relu"}, "relu"),
        ({"class_name": "function", "config": "log_softmax_v2"}, "log_softmax"),
    ],
)
def test_functions_given_as_activations_become_names(value: Any, expected: str) -> None:
    assert activation(value, 2, PLACE) == expected


def test_an_unknown_function_and_a_layer_stay_dicts() -> None:
    custom = {"class_name": "function", "config": "pkg>mine", "module": "mine"}
    odd = {"class_name": "function", "config": "relu", "module": 5}
    assert activation(odd, 3, PLACE) == odd
    assert activation(custom, 3, PLACE) == custom
    leaky = {"class_name": "LeakyReLU", "config": {"name": "l", "alpha": 0.1}}
    found = activation(leaky, 2, PLACE)
    assert found["class_name"] == "LeakyReLU"
    assert found["config"]["negative_slope"] == 0.1


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"class_name": "BatchNormalizationV1"}, "BatchNormalization"),
        ({"class_name": "CuDNNLSTM"}, "LSTM"),
        ({"class_name": "AvgPool2D"}, "AveragePooling2D"),
        ({"class_name": "Custom>Thing"}, "Custom>Thing"),
        ({"class_name": "Thing", "registered_name": "pkg>Thing", "module": None}, "pkg>Thing"),
        ({"class_name": "Dense", "module": "mylib.layers"}, "mylib.layers>Dense"),
        ({"class_name": "Dense", "module": "keras.layers", "registered_name": None}, "Dense"),
    ],
)
def test_classes_have_one_name(entry: dict[str, Any], expected: str) -> None:
    assert canonical_class(entry, PLACE)[0] == expected


def test_missing_keys_mean_what_they_meant_then() -> None:
    old = layer_config("GRU", {"name": "g", "units": 3}, 2, PLACE)
    assert old["reset_after"] is False
    conv = layer_config("Conv2D", {"filters": 2, "kernel_size": 3, "data_format": None}, 2, PLACE)
    assert conv["strides"] == [1, 1]
    assert conv["kernel_size"] == [3, 3]
    assert conv["groups"] == 1
    assert conv["data_format"] == "channels_last"
    assert layer_config("ELU", {"name": "e"}, 3, PLACE)["alpha"] == 1.0
    pool = layer_config("MaxPooling2D", {"pool_size": [2, 3], "strides": None}, 3, PLACE)
    assert pool["strides"] == [2, 3]
    gates = [layer_config("ConvLSTM2D", {"filters": 1, "kernel_size": 3}, g, PLACE) for g in (2, 3)]
    assert [gate["recurrent_activation"] for gate in gates] == ["hard_sigmoid", "sigmoid"]


def test_renamed_keys() -> None:
    assert layer_config("LeakyReLU", {"alpha": 0.2}, 2, PLACE)["negative_slope"] == 0.2
    assert layer_config("BatchNormalization", {"axis": [3]}, 2, PLACE)["axis"] == 3
    made = layer_config("InputLayer", {"batch_input_shape": [None, 3]}, 2, PLACE)
    assert made["batch_shape"] == [None, 3]


def test_tuples_and_arrays_become_plain() -> None:
    value = {"class_name": "__tuple__", "items": [None, {"type": "ndarray", "value": 0.5}]}
    assert plain(value) == [None, 0.5]


@pytest.mark.parametrize(
    ("class_name", "config", "where"),
    [
        ("Dense", {"units": -5}, "config.units"),
        ("Dense", {"units": "3"}, "config.units"),
        ("Dense", {"units": True}, "config.units"),
        ("Dense", {"units": 2**63}, "config.units"),
        ("InputLayer", {"batch_shape": [None, -1]}, "config.batch_shape[1]"),
        ("InputLayer", {"batch_shape": [None, 1.5]}, "config.batch_shape[1]"),
        ("InputLayer", {"batch_shape": "x"}, "config.batch_shape"),
        ("Conv2D", {"kernel_size": [3]}, "config.kernel_size"),
        ("Conv2D", {"data_format": "first"}, "config.data_format"),
        ("LSTM", {"return_sequences": "yes"}, "config.return_sequences"),
        ("Reshape", {"target_shape": 4}, "config.target_shape"),
    ],
)
def test_impossible_values_name_their_place(
    class_name: str, config: dict[str, Any], where: str
) -> None:
    with pytest.raises(CorruptFileError) as caught:
        layer_config(class_name, config, 2, PLACE)
    assert caught.value.where == where


def test_keras_1_configs() -> None:
    conv = convert_entry(
        {
            "class_name": "Convolution2D",
            "config": {
                "name": "c", "nb_filter": 4, "nb_row": 3, "nb_col": 2, "border_mode": "same",
                "subsample": [2, 1], "dim_ordering": "th", "bias": False, "init": "normal",
            },
        },
        PLACE,
    )["config"]  # fmt: skip
    assert conv == {
        "name": "c", "filters": 4, "kernel_size": [3, 2], "padding": "same", "strides": [2, 1],
        "data_format": "channels_first", "use_bias": False,
    }  # fmt: skip
    merge = convert_entry(
        {"class_name": "Merge", "config": {"name": "m", "mode": "concat", "concat_axis": 1}}, PLACE
    )
    assert (merge["class_name"], merge["config"]["axis"]) == ("Concatenate", 1)
    norm = convert_entry({"class_name": "BatchNormalization", "config": {"mode": 2}}, PLACE)
    assert norm["class_name"] != "BatchNormalization"


FULL = {"name": "x", "trainable": True, "dtype": "float32", "rate": 0.5, "noise_shape": None}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"module": None, "registered_name": "Dropout", "config": FULL}, "custom>Dropout"),
        ({"module": "mine", "registered_name": "Dropout", "config": FULL}, "mine>Dropout"),
        ({"module": "keras.layers", "registered_name": None, "config": {}}, "Dropout"),
        ({"module": "keras.src.x", "registered_name": "Dropout", "config": {}}, "Dropout"),
        ({"config": FULL}, "Dropout"),
        ({"config": {**FULL, "seed": 1, "activity_regularizer": None}}, "Dropout"),
        ({"config": {**FULL, "strength": 3}}, "custom>Dropout"),
        ({"config": {"name": "x", "trainable": True, "dtype": "float32"}}, "custom>Dropout"),
    ],
)
def test_a_class_is_keras_s_own_by_its_module_or_its_options(
    entry: dict[str, Any], expected: str
) -> None:
    found = canonical_class({"class_name": "Dropout", **entry}, PLACE)
    assert found[:2] == (expected, "Dropout")
    assert expected == "Dropout" or found[2] == "Dropout"


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - {"InputLayer", "Functional"}))
def test_a_foreign_class_of_any_name_is_told_from_keras_s(name: str) -> None:
    for module in (None, "__main__", "my_layers.core"):
        entry = {"class_name": name, "module": module, "registered_name": name, "config": {}}
        assert canonical_class(entry, PLACE)[0] == (
            name if ">" in name else f"{module or 'custom'}>{name}"
        )
