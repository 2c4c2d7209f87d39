"""Layers and their options, one by one: what Keras 3 predicts is what tfjs predicts."""

from __future__ import annotations

import numpy as np
import pytest
from programs import inner, layer, numbers, op, program, ref

from tfjs_codec.errors import UnsupportedModelError

pytestmark = [pytest.mark.oracle, pytest.mark.node]


def test_recurrent_layer_and_operation(exact):
    model = program(
        [[5, 4]], layer("LSTM", units=3, return_sequences=True), op("mean", ref(1), axis=1)
    )
    exact(model, [numbers(2, 5, 4)])


@pytest.mark.parametrize("activation", ["exponential", "squareplus", "gelu", "glu", "celu"])
@pytest.mark.parametrize("backend", ["wasm", "cpu"])
def test_activations_from_other_layers(exact, activation, backend):
    model = program([[4]], layer("Dense", units=6), op(activation, ref(1)) if activation == "gelu"
                    else layer("Activation", ref(1), activation=activation))  # fmt: skip
    exact(model, [4 * numbers(5, 4)], backend=backend)


def test_exponential_from_0_to_overflow(exact):
    values = np.concatenate([np.linspace(-80, 87, 201), [-1e4, 95, 1e4]]).astype(np.float32)
    model = program([[1]], layer("Activation", activation="exponential"))
    exact(model, [values[:, None]], atol=0)


def test_a_tensor_used_twice_by_one_layer_and_once_more(exact):
    model = program(
        [[4]],
        layer("Dense", units=4),
        layer("Multiply", [ref(1), ref(1)]),
        layer("Dense", ref(1), units=4),
        layer("Add", [ref(1), ref(2), ref(3)]),
    )
    exact(model, [numbers(3, 4)])


@pytest.mark.parametrize("backend", ["wasm", "cpu"])
def test_division_by_tensors_of_any_size(exact, backend):
    divisor = np.float32(10.0) ** np.arange(-12, 13, 3).repeat(2).reshape(-1, 2).astype(np.float32)
    divisor *= np.array([1, -3], np.float32)
    model = program([[2], [2]], op("divide", ref(0), ref(1)))
    exact(model, [numbers(len(divisor), 2), divisor], backend=backend, atol=0)


@pytest.mark.parametrize("size", [3, 4, 7])
@pytest.mark.parametrize("class_name", ["Conv1D", "Conv2D", "DepthwiseConv2D", "SeparableConv2D"])
def test_same_padding_where_the_stride_skips_steps(exact, class_name, size):
    rank = int(class_name[-2])
    config = {} if class_name[0] == "D" else {"filters": 2}
    shape = [*[size] * rank, 2]
    model = program([shape], layer(class_name, kernel_size=2, strides=3, padding="same", **config))
    exact(model, [numbers(2, *shape)])


@pytest.mark.parametrize("output_padding", [None, 0, 1])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_convolutions_keep_their_activation(exact, rank, output_padding):
    shape = [*[3] * rank, 2]
    step = layer(
        f"Conv{rank}DTranspose", filters=2, kernel_size=3, strides=2, activation="silu",
        output_padding=output_padding,
    )  # fmt: skip
    exact(program([shape], step), [numbers(2, *shape)])


def test_average_of_windows_that_skip_steps_in_three_dimensions(exact):
    step = layer("AveragePooling3D", pool_size=[2, 3, 2], strides=[1, 4, 2], padding="same")
    for backend in ("wasm", "cpu"):
        exact(program([[4, 4, 4, 2]], step), [numbers(2, 4, 4, 4, 2)], backend=backend)


def test_rms_normalisation_scales_along_the_last_axis(exact):
    model = program([[4, 4, 4]], layer("RMSNormalization", axis=1))
    exact(model, [numbers(2, 4, 4, 4)])


@pytest.mark.parametrize("size", [None, 5])
def test_sums_over_steps(exact, size):
    model = program([[size, 3]], layer("Dense", units=2), op("sum", ref(1), axis=1))
    exact(model, [numbers(2, 5, 3)])


@pytest.mark.parametrize("sequences", [True, False])
def test_conv_lstm_1d(exact, sequences):
    step = layer("ConvLSTM1D", filters=2, kernel_size=3, return_sequences=sequences)
    exact(program([[3, 6, 2]], step), [numbers(2, 3, 6, 2)])


@pytest.mark.parametrize("tied", [True, False])
def test_reversible_embedding(exact, tied):
    first = layer("ReversibleEmbedding", input_dim=5, output_dim=3, tie_weights=tied)
    again = {"again": 1, "args": [ref(1)], "kwargs": {"reverse": True}}
    model = program([[4]], first, again, outputs=[ref(1), ref(2)], dtype="int32")
    exact(model, [np.array([[0, 4, 2, 1]], np.int32)])


def test_int8_embedding(exact):
    model = program([[4]], layer("Embedding", input_dim=5, output_dim=3), dtype="int32")
    exact({**model, "quantize": "int8"}, [np.array([[0, 4, 2, 1]], np.int32)])


def test_int8_dense_is_only_approximate(exact):
    model = {**program([[4]], layer("Dense", units=3)), "quantize": "int8"}
    with pytest.raises(UnsupportedModelError, match="rounds the inputs"):
        exact(model, [numbers(2, 4)])
    exact(model, [numbers(2, 4)], atol=0.05, allow_approximate=True)


RECURRENT = {"SimpleRNN": 1, "LSTM": 2, "GRU": 1}


@pytest.mark.parametrize("class_name", RECURRENT)
@pytest.mark.parametrize("activation", ["tanh", "leaky_relu"])
@pytest.mark.parametrize("backwards", [False, True])
def test_initial_states_and_activations_that_tfjs_lacks(exact, class_name, activation, backwards):
    count = RECURRENT[class_name]
    states = [ref(1 + i) for i in range(count)]
    step = layer(
        class_name, units=3, activation=activation, go_backwards=backwards, return_state=True,
        return_sequences=True, call={"initial_state": states},
    )  # fmt: skip
    outputs = [ref(1 + count, i) for i in range(1 + count)]
    model = program([[5, 4], *[[3]] * count], step, outputs=outputs)
    exact(model, [numbers(2, 5, 4), *(numbers(2, 3, seed=i) for i in range(count))])


@pytest.mark.parametrize("class_name", RECURRENT)
@pytest.mark.parametrize("masked", [False, True])
def test_bidirectional_layers(exact, class_name, masked):
    x = numbers(3, 5, 4)
    x[:, 0] = x[1, 4] = 0
    first = [layer("Masking")] if masked else []
    cell = inner(class_name, units=3, return_sequences=True)
    steps = [*first, layer("Bidirectional", ref(len(first)), layer=cell)]
    exact(program([[5, 4]], *steps, layer("GRU", ref(len(steps)), units=2)), [x])


@pytest.mark.parametrize("class_name", ["LSTM", "GRU"])
def test_bidirectional_initial_states(exact, class_name):
    count = 2 * RECURRENT[class_name]
    states = [ref(1 + i) for i in range(count)]
    step = layer("Bidirectional", layer=inner(class_name, units=3), call={"initial_state": states})
    model = program([[5, 4], *[[3]] * count], step)
    exact(model, [numbers(2, 5, 4), *(numbers(2, 3, seed=i) for i in range(count))])


@pytest.mark.parametrize("class_name", ["LSTM", "GRU"])
def test_a_mask_that_is_an_input(exact, class_name):
    step = layer(class_name, units=3, call={"mask": ref(1)})
    model = program([[5, 4]], step)
    model["inputs"].append({"shape": [5], "dtype": "bool"})
    model["outputs"] = [ref(2)]
    exact(model, [numbers(2, 5, 4), np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1]], bool)])


def test_one_hot_of_numbers_out_of_range(exact):
    ids = np.array([[-1, 0, 3], [4, 2, 100]], np.int32)
    exact(program([[3]], op("one_hot", ref(0), 4), dtype="int32"), [ids])


IDS = np.array([[1, 2, 0, 3, 0], [0, 0, 1, 4, 5]], np.float32)
OTHER_IDS = np.array([[1, 0, 2, 3, 4], [1, 2, 1, 0, 5]], np.float32)


def test_attention_sees_the_masks_of_value_and_key(exact):
    table = {"input_dim": 7, "output_dim": 4, "mask_zero": True}
    model = program(
        [[3, 4], [5], [5]],
        layer("Embedding", ref(1), **table),
        layer("Embedding", ref(2), **table),
        layer("MultiHeadAttention", ref(0), ref(3), ref(4), num_heads=2, key_dim=4),
    )
    exact(model, [numbers(2, 3, 4), IDS, OTHER_IDS])


@pytest.mark.parametrize("role", ["value", "key"])
def test_attention_sees_the_masks_given_by_keyword(exact, role):
    model = program(
        [[3, 4], [5]],
        layer("Embedding", ref(1), input_dim=7, output_dim=4),
        op("not_equal", ref(1), 0),
        layer("MultiHeadAttention", ref(0), ref(2), num_heads=2, key_dim=4,
              call={f"{role}_mask": ref(3)}),
    )  # fmt: skip
    exact(model, [numbers(2, 3, 4), IDS])


@pytest.mark.parametrize("indices", [[[0, 1], [2, 3]], [[[-1]]], [3, 0], 2])
def test_take_at_indices_of_any_rank(exact, indices):
    model = program([[4, 3]], op("take", ref(0), indices, axis=1), op("relu", ref(1)))
    exact(model, [numbers(2, 4, 3)])


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge", "wrap", "constant"])
def test_padding_by_values_that_are_there(exact, mode):
    padding = op("pad", ref(0), [[0, 0], [2, 1]], mode=mode)
    exact(program([[4]], padding), [numbers(2, 4)])


@pytest.mark.parametrize("mode", ["maximum", "linear_ramp"])
def test_padding_by_other_values_is_refused(exact, mode):
    with pytest.raises(UnsupportedModelError, match=f"padding by '{mode}'"):
        exact(program([[4]], op("pad", ref(0), [[0, 0], [2, 1]], mode=mode)), [numbers(2, 4)])


def test_a_composed_layer_called_with_and_without_states_is_refused(exact):
    again = {"again": 2, "args": [ref(0)]}
    model = program(
        [[5, 4], [3]], layer("GRU", units=3, call={"initial_state": ref(1)}), again,
        layer("Add", [ref(2), ref(3)]),
    )  # fmt: skip
    with pytest.raises(UnsupportedModelError, match="with initial states and without"):
        exact(model, [numbers(2, 5, 4), numbers(2, 3)])


def test_layers_that_no_output_needs_are_dropped(exact):
    cell = inner("GRU", units=3)
    model = program(
        [[5, 4]], layer("Bidirectional", layer=cell, merge_mode=None), op("relu", ref(1, 0))
    )
    exact(model, [numbers(2, 5, 4)])
