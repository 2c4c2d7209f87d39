"""Everything of a layer is accounted for: what no rule reads is refused by name."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from keras_files import entry, h5_model

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.ir.keras import Call, KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.keras.classes import CLASSES, KerasClass
from tfjs_codec.layers.catalogue import REGISTRY
from tfjs_codec.layers.lower import lower
from tfjs_codec.tracing.accounting import Record, check_call, check_config, name_arguments
from tfjs_codec.tracing.refusal import Refusal
from tfjs_codec.tracing.registry import Entry

ROWS = [CLASSES[name] for name in REGISTRY.layers]
ENTRY = Entry(lambda: None)


def read_layer(row: KerasClass, **config: Any) -> KerasLayer:
    """A layer whose rule has read all that its class has."""
    record = Record({**row.defaults, **config})
    record.read |= row.config.keys()
    return KerasLayer("x", row.name, record)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_option_that_the_class_does_not_have_is_refused(row: KerasClass) -> None:
    check_config(read_layer(row))
    with pytest.raises(Refusal, match=f"the option 'odd' of {row.name}, which is 3"):
        check_config(read_layer(row, odd=3))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_option_that_no_rule_has_read_is_refused(row: KerasClass) -> None:
    told = {*row.told, *(variable.key for variable in row.variables)}
    for key in row.config.keys() - told:
        layer = KerasLayer("x", row.name, Record({key: "odd"}))
        with pytest.raises(Refusal, match=f"the option '{key}' of {row.name}, which is 'odd'"):
            check_config(layer)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_argument_that_the_class_does_not_know_is_refused(row: KerasClass) -> None:
    entry = Entry(lambda: None, row)
    with pytest.raises(Refusal, match="the argument 'odd'"):
        check_call(entry, Record({"odd": np.ones(3)}), 3)
    check_call(entry, Record({"odd": None, **dict.fromkeys(row.inert_arguments, True)}), 3)
    too_many = Call(tuple(range(len(row.call_in(2)) + 1)))
    with pytest.raises(Refusal, match="positional arguments"):
        name_arguments(KerasLayer("x", row.name), too_many, 2)


def test_what_is_read_is_accounted_for() -> None:
    row = CLASSES["Softmax"]
    layer = KerasLayer("x", "Softmax", Record({"axis": 1}))
    with pytest.raises(Refusal, match="the option 'axis'"):
        check_config(layer)
    alias = KerasLayer("y", "Softmax", layer.config | {"more": 1})
    assert alias.config["axis"] == 1
    check_config(layer)
    arguments = Record({"mask": [None, None], "other": Record({})})
    arguments.get("other")
    check_call(Entry(lambda: None, row), arguments, 3)


def test_the_layers_inside_are_accounted_for() -> None:
    cell = KerasLayer("cell", "LSTMCell", Record({"activation": "relu"}))
    rnn = KerasLayer("rnn", "RNN", Record({}), children={"cell": cell})
    with pytest.raises(Refusal, match="the option 'activation' of LSTMCell, which is 'relu'"):
        check_config(rnn)


@pytest.mark.parametrize(("generation", "refused"), [(2, True), (3, False)])
def test_keras_3_overrides_training(generation: int, refused: bool) -> None:
    arguments = Record({"training": True})
    if not refused:
        check_call(ENTRY, arguments, generation)
        return
    with pytest.raises(Refusal, match="the argument 'training'"):
        check_call(ENTRY, arguments, generation)


def test_only_layers_that_cast_care_about_integer_dtypes() -> None:
    check_config(KerasLayer("x", "Flatten", Record({"dtype": "int32"})))
    check_config(KerasLayer("x", "Normalization", Record({"dtype": "mixed_float16"})))
    with pytest.raises(Refusal, match="the option 'dtype' of Normalization, which is 'uint8'"):
        check_config(KerasLayer("x", "Normalization", Record({"dtype": "uint8"})))


def test_a_model_is_refused_by_the_names_of_its_options() -> None:
    def layer(name: str, kind: str, *before: str, **config: Any) -> KerasLayer:
        calls = [Call((Ref(one, 0, 0),)) for one in before]
        return KerasLayer(name, kind, config, calls=calls)

    graph = KerasGraph(
        "m",
        [
            layer("i", "InputLayer", batch_shape=[None, 4]),
            layer("a", "Dropout", "i", rate=0.5, odd=1),
            layer("b", "ReLU", "a", max_value=None, negative_slope=0, threshold=0, more=2),
        ],
        [Ref("i", 0, 0)],
        [Ref("b", 0, 0)],
    )
    with pytest.raises(UnsupportedModelError) as caught:
        lower(KerasModel("m", "keras-v3", graph, 3))
    assert [(p.layer, p.reason[:16]) for p in caught.value.problems] == [
        ("a", "the option 'odd'"),
        ("b", "the option 'more"),
    ]
    assert not isinstance(graph.layers[1].config, Record)


@pytest.mark.parametrize("to", ["layers", "graph"])
def test_bins_that_adapt_found_count_and_not_how_many_it_sought(
    to: Literal["layers", "graph"],
) -> None:
    """Keras 3 saves both, and reads ``num_bins`` only when it adapts."""

    def files(**config: Any) -> dict[str, bytes]:
        options = {"epsilon": 0.01, "output_mode": "int", "sparse": False, **config}
        layer = entry("Discretization", "bins", batch_input_shape=[None, 3], **options)
        model = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
        return tfjs_codec.to_files(h5_model(model, {}, "3.9.0"), to=to)

    bins = [-1.0, 0.5, 2.0]
    assert files(bin_boundaries=bins, num_bins=7) == files(bin_boundaries=bins, num_bins=None)
    with pytest.raises(UnsupportedModelError, match="a Discretization without bin_boundaries"):
        files(bin_boundaries=None, num_bins=7)
