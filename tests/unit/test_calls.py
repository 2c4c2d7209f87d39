"""What a call or an option says beyond what a layer can do is refused; the rest is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.files.place import Place
from tfjs_codec.ir.keras import Call, Config, KerasGraph, KerasLayer, Ref
from tfjs_codec.ir.layers import LayersGraph, TensorRef
from tfjs_codec.ir.loaded import KerasModel
from tfjs_codec.ir.tensors import ArrayTensor
from tfjs_codec.layers.lower import lower
from tfjs_codec.operations.target import build_graph
from tfjs_codec.tfjs.topology import read_topology
from tfjs_codec.tracing.statistics import statistic

START = Ref("i", 0, 0)
TARGETS = {"layers": lower, "graph": build_graph}
CELL: Config = {
    "units": 3, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": False,
}  # fmt: skip
FLAGS: Config = {
    "return_sequences": False, "return_state": False, "go_backwards": False,
    "stateful": False, "time_major": False, "zero_output_for_mask": False,
}  # fmt: skip
RNN = {**CELL, **FLAGS}
HEADS: Config = {
    "num_heads": 1, "key_dim": 2, "value_dim": 2, "output_shape": None, "attention_axes": None,
    "use_bias": False, "use_gate": False, "sliding_window": None,
}  # fmt: skip
MASK = np.array([[True, True, False, False, False]])


def weights(**shapes: tuple[int, ...]) -> dict[str, Any]:
    return {k.replace("__", "/"): ArrayTensor(k, np.ones(s, "f4")) for k, s in shapes.items()}


def lstm(name: str = "x", **config: object) -> KerasLayer:
    held = weights(kernel=(4, 12), recurrent_kernel=(3, 12))
    return KerasLayer(name, "LSTM", {**RNN, **config}, weights=held)


def heads(class_name: str = "MultiHeadAttention", **config: object) -> KerasLayer:
    made = weights(
        query__kernel=(4, 1, 2), key__kernel=(4, 1, 2), value__kernel=(4, 1, 2),
        attention_output__kernel=(1, 2, 4), gate__kernel=(4, 1, 2),
    )  # fmt: skip
    if not config.get("use_gate"):
        del made["gate/kernel"]
    options: Config = {**HEADS, **config}
    if class_name == "GroupQueryAttention":
        options |= {"head_dim": 2, "num_query_heads": 1, "num_key_value_heads": 1}
        for key in ("num_heads", "key_dim", "value_dim", "output_shape", "attention_axes"):
            del options[key]
    return KerasLayer("x", class_name, options, weights=made)


def model(*layers: KerasLayer, outputs: tuple[Ref, ...] = (Ref("x", 0, 0),)) -> KerasModel:
    source = KerasLayer("i", "InputLayer", {"batch_shape": [None, 5, 4], "dtype": "float32"})
    graph = KerasGraph("m", [source, *layers], [START], list(outputs))
    return KerasModel("m", "keras-v3", graph, 3, keras_version="3.15.0")


def call(layer: KerasLayer, *args: Any, **arguments: Any) -> KerasLayer:
    layer.calls.append(Call(args or (START,), arguments))
    return layer


def refusal(target: str, *layers: KerasLayer) -> str:
    with pytest.raises(UnsupportedModelError) as caught:
        TARGETS[target](model(*layers))
    return str(caught.value.problems[0].reason)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("count", [1, 3, 4])
def test_a_recurrent_layer_has_as_many_states_as_it_has(target: str, count: int) -> None:
    states = [np.ones((1, 3), "f4")] * count
    want = f"{count} initial states for a layer that has 2"
    assert refusal(target, call(lstm(), initial_state=states)) == want


@pytest.mark.parametrize("target", TARGETS)
def test_two_directions_share_their_states_evenly(target: str) -> None:
    children = {
        "forward_layer": lstm("f", return_sequences=True),
        "backward_layer": lstm("b", return_sequences=True, go_backwards=True),
    }
    both = KerasLayer("x", "Bidirectional", {"merge_mode": "concat"}, children=children)
    states = [np.ones((1, 3), "f4")] * 3
    assert refusal(target, call(both, initial_state=states)) == (
        "3 initial states for two directions"
    )


def test_stacked_cells_have_as_many_states_as_they_have() -> None:
    held = weights(kernel=(4, 12), recurrent_kernel=(3, 12))
    cells = {"0": KerasLayer("c", "LSTMCell", dict(CELL), weights=held)}
    stack = KerasLayer("s", "StackedRNNCells", {"reverse_state_order": False}, children=cells)
    rnn = KerasLayer("x", "RNN", {**FLAGS, "num_constants": None}, children={"cell": stack})
    assert refusal("graph", call(rnn, initial_state=[np.ones((1, 3), "f4")])) == (
        "1 initial states for cells that have 2"
    )


def test_output_and_state_of_a_recurrent_layer_are_one_tensor() -> None:
    """Tfjs disposes of it when the last user of either is done."""
    after = [
        KerasLayer(name, "ReLU", {"max_value": None, "negative_slope": 0, "threshold": 0},
                   calls=[Call((Ref("x", 0, tensor),))])
        for name, tensor in (("y", 0), ("h", 1), ("c", 2))
    ]  # fmt: skip
    outputs = tuple(Ref(layer.name, 0, 0) for layer in after)
    made, _ = lower(model(call(lstm(return_state=True)), *after, outputs=outputs))
    graph = read_topology(made.topology, Place("m"))
    assert isinstance(graph, LayersGraph)
    calls = {layer.name: layer.calls for layer in graph.layers}
    assert calls["y"] == calls["h"] == [[TensorRef("x", 0, 0)]]
    assert calls["c"] == [[TensorRef("x", 0, 2)]]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("key", ["query_mask", "odd"])
def test_an_argument_that_keras_overwrites_is_refused(target: str, key: str) -> None:
    attention = call(heads(), START, START, **{key: MASK})
    assert f"the argument '{key}'" in refusal(target, attention)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("key", ["value_mask", "key_mask"])
def test_masks_of_attention_are_read(target: str, key: str) -> None:
    TARGETS[target](model(call(heads(), START, START, **{key: MASK})))


def test_a_gate_of_attention_is_part_of_graphs_only() -> None:
    assert refusal("layers", call(heads(use_gate=True), START, START)) == "gated attention"
    made = build_graph(model(call(heads(use_gate=True), START, START)))
    assert [node.name for node in made.nodes.values() if node.op == "Sigmoid"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_layers_that_cast_fractions_to_integers_are_refused(target: str, dtype: str) -> None:
    reshape = KerasLayer("x", "Reshape", {"target_shape": [20], "dtype": dtype})
    assert "it casts floating-point inputs to integers" in refusal(target, call(reshape))


@pytest.mark.parametrize("target", TARGETS)
def test_cells_that_cast_fractions_to_integers_are_refused(target: str) -> None:
    held = weights(kernel=(4, 12), recurrent_kernel=(3, 12))
    cell = KerasLayer("c", "LSTMCell", {**CELL, "dtype": "int32"}, weights=held)
    rnn = KerasLayer("x", "RNN", {**FLAGS, "num_constants": None}, children={"cell": cell})
    assert "'dtype' of LSTMCell" in refusal(target, call(rnn))


@pytest.mark.parametrize(
    ("mean", "axes", "want"),
    [
        (0.5, [1, 2], ()), ([0.5], [2], ()), ([1, 2, 3, 4], [2], (1, 1, 4)),
        ([1, 2, 3], [1], (1, 3, 1)), ([1, 2, 3, 4], [1, 2], (1, 1, 4)),
        (np.ones((3, 4)), [2, 1], (1, 3, 4)), (np.ones((1, 3, 1)), [1], (1, 3, 1)),
        (np.ones((1, 3, 4)), [1, 2], (1, 3, 4)),
    ],
)  # fmt: skip
def test_statistics_lie_along_the_last_axes_that_are_kept(
    mean: object, axes: list[int], want: tuple[int, ...]
) -> None:
    layer = KerasLayer("x", "Normalization", {"mean": mean})
    assert statistic(layer, "mean", axes, (None, 3, 4)).shape == want


def mean_of_difference(dtype: str, right: object) -> KerasModel:
    """TensorFlow rounds the mean of ``x - right`` if both are whole numbers."""
    source = KerasLayer("i", "InputLayer", {"batch_shape": [None, 4], "dtype": dtype})
    layers = [
        source,
        KerasLayer("y", "subtract", calls=[Call((START, right))], is_op=True),
        KerasLayer("x", "mean", calls=[Call((Ref("y", 0, 0),), {"axis": -1})], is_op=True),
    ]
    graph = KerasGraph("m", layers, [START], [Ref("x", 0, 0)])
    return KerasModel("m", "keras-h5", graph, 2, keras_version="2.15.0")


def test_a_mean_of_computed_whole_numbers_is_refused_where_tensorflow_rounds_it() -> None:
    for right in (3, [1, 2, 3, 4], START):
        with pytest.raises(UnsupportedModelError) as caught:
            lower(mean_of_difference("int32", right))
        assert "a mean of whole numbers" in str(caught.value.problems[0].reason)
    lower(mean_of_difference("float32", 3.0))
