"""Convolutions with any options: tfjs computes what Keras computes, or we refuse."""

from __future__ import annotations

import pytest
from configurations import BACKENDS, SUFFIXES, either, equal_or_refused, examples
from hypothesis import given
from hypothesis import strategies as st
from programs import layer, numbers, program

pytestmark = [pytest.mark.oracle, pytest.mark.node]

KINDS = ("Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose")
ACTIVATIONS = either("linear", "linear", "relu", "hard_sigmoid", "leaky_relu", "silu")


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[str, dict[str, object], list[int], int]:
    kind = draw(st.sampled_from(KINDS))
    rank = draw(st.integers(1, 2 if kind in KINDS[1:3] else 3))
    stem, transposed, _ = kind.partition("Transpose")
    size = [draw(st.integers(1, 4)) for _ in range(rank)]
    config: dict[str, object] = {
        "kernel_size": size,
        "padding": draw(st.sampled_from(["valid", "same", "causal"][: 3 if rank == 1 else 2])),
        "data_format": draw(either("channels_last", "channels_last", "channels_first")),
        "use_bias": draw(st.booleans()),
        "activation": draw(ACTIVATIONS),
    }
    channels = draw(st.integers(1, 3)) * 2
    if kind in ("Conv", "ConvTranspose"):
        config["filters"] = draw(st.integers(1, 2)) * 2
    if kind == "Conv":
        config["groups"] = draw(either(1, 1, 2))
    if kind == "SeparableConv":
        config["filters"] = draw(st.integers(1, 3))
    if kind in KINDS[1:3]:
        config["depth_multiplier"] = draw(st.integers(1, 2))
    stretch = draw(either("strides", "strides", "dilation_rate", ""))
    if stretch:
        many = kind in {"DepthwiseConv", "SeparableConv"}
        same = draw(st.integers(1, 3))
        config[stretch] = [same if many else draw(st.integers(1, 3)) for _ in range(rank)]
    if transposed and draw(st.booleans()):
        config["output_padding"] = [draw(st.integers(0, 1)) for _ in range(rank)]
    shape = [draw(st.integers(3, 8 if rank < 3 else 5)) for _ in range(rank)]
    shape.insert(0 if config["data_format"] == "channels_first" else rank, channels)
    return f"{stem}{rank}D{transposed}", config, shape, draw(st.integers(1, 3))


@examples(50)
@given(made=convolutions(), suffix=SUFFIXES, backend=BACKENDS)
def test_convolutions(exact, made, suffix, backend):
    class_name, config, shape, batch = made
    model = program([shape], layer(class_name, **config))
    equal_or_refused(exact, model, [numbers(batch, *shape)], suffix=suffix, backend=backend)
