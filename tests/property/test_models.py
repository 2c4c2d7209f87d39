"""Whole random models: chains of layers of all kinds, with residuals and several outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from configurations import SUFFIXES, either, equal_or_refused, examples
from hypothesis import given
from hypothesis import strategies as st
from programs import Program, inner, layer, numbers, program, ref

pytestmark = [pytest.mark.oracle, pytest.mark.node]

ACTIVATIONS = either("relu", "elu", "tanh", "sigmoid", "softmax", "selu", "gelu", "swish", "linear")


def _any_rank(draw: st.DrawFn, x: Any) -> list[tuple[Program, int]]:
    return [
        (layer("Dense", x, units=draw(st.integers(2, 5)), activation=draw(ACTIVATIONS)), 0),
        (layer("LayerNormalization", x), 0),
        (layer("BatchNormalization", x), 0),
        (layer("Activation", x, activation=draw(ACTIVATIONS)), 0),
        (layer("Dropout", x, rate=0.5), 0),
    ]


def _vector(draw: st.DrawFn, x: Any) -> list[tuple[Program, int]]:
    return [(layer("RepeatVector", x, n=draw(st.integers(2, 4))), 1)]


def _sequence(draw: st.DrawFn, x: Any) -> list[tuple[Program, int]]:
    units, every = draw(st.integers(2, 4)), draw(st.booleans())
    kind = draw(either("LSTM", "GRU", "SimpleRNN"))
    recurrent = {"units": units, "return_sequences": every}
    down = 0 if every else -1
    return [
        (layer(kind, x, go_backwards=draw(st.booleans()), **recurrent), down),
        (layer("Bidirectional", x, layer=inner(kind, **recurrent)), down),
        (layer("Conv1D", x, filters=units, kernel_size=3, padding="same"), 0),
        (layer("MaxPooling1D", x, pool_size=2, padding="same"), 0),
        (layer("TimeDistributed", x, layer=inner("Dense", units=units)), 0),
        (layer("MultiHeadAttention", x, x, num_heads=2, key_dim=units), 0),
        (layer("Permute", x, dims=[2, 1]), 0),
        (layer("GlobalAveragePooling1D", x), -1),
        (layer("Flatten", x), -1),
    ]


def _image(draw: st.DrawFn, x: Any) -> list[tuple[Program, int]]:
    filters, size = draw(st.integers(2, 4)), draw(st.integers(1, 3))
    window = {"kernel_size": size, "strides": draw(either(1, 1, 2)), "padding": "same"}
    return [
        (layer("Conv2D", x, filters=filters, activation=draw(ACTIVATIONS), **window), 0),
        (layer("DepthwiseConv2D", x, **window), 0),
        (layer("SeparableConv2D", x, filters=filters, **window), 0),
        (layer("Conv2DTranspose", x, filters=filters, **window), 0),
        (layer("AveragePooling2D", x, pool_size=2, padding="same"), 0),
        (layer("UpSampling2D", x, size=2), 0),
        (layer("ZeroPadding2D", x, padding=1), 0),
        (layer("GlobalMaxPooling2D", x), -2),
        (layer("Flatten", x), -2),
    ]


KINDS = {1: _vector, 2: _sequence, 3: _image}


@st.composite
def models(draw: st.DrawFn) -> tuple[Program, list[np.ndarray]]:
    rank = draw(st.integers(1, 3))
    shape = [draw(st.integers(4, 6)) for _ in range(rank)]
    steps: list[Program] = []
    outputs: list[Any] = []
    for _ in range(draw(st.integers(2, 6))):
        x = ref(len(steps))
        choices = [*_any_rank(draw, x), *KINDS[rank](draw, x), *KINDS[rank](draw, x)]
        step, change = draw(st.sampled_from(choices))
        steps.append(step)
        rank += change
        if change == 0 and draw(st.integers(0, 2)) == 0:
            x = ref(len(steps))
            steps.append(layer("Activation", x, activation="tanh"))
            merge = draw(either("Add", "Multiply", "Concatenate", "Maximum"))
            steps.append(layer(merge, [x, ref(len(steps))]))
            if draw(st.booleans()):
                outputs.append(x)
    outputs.append(ref(len(steps)))
    inputs = [numbers(draw(st.integers(1, 3)), *shape)]
    return program([shape], *steps, outputs=outputs), inputs


@examples(25)
@given(made=models(), suffix=SUFFIXES)
def test_models(exact, made, suffix):
    model, inputs = made
    equal_or_refused(exact, model, inputs, suffix=suffix, atol=3e-5, in_numpy=True)
