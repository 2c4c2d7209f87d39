"""Order and presence of variables, compared with what Keras itself lists."""

from __future__ import annotations

from typing import Any

import pytest
from keras_files import entry

from tfjs_codec.keras.variables import own_variables, slots
from tfjs_codec.readers.architecture import read_architecture


def roles(class_name: str, generation: int = 3, **config: Any) -> list[str]:
    made = entry(class_name, "x", batch_input_shape=[None, 3, 4, 4], **config)
    graph = read_architecture(
        {"class_name": "Sequential", "config": {"name": "s", "layers": [made]}}, path="m"
    ).graph
    return [slot.role for slot in slots(graph.layers[1], generation)]


@pytest.mark.parametrize(
    ("class_name", "config", "expected"),
    [
        ("Dense", {"units": 1}, ["kernel", "bias"]),
        ("Dense", {"units": 1, "use_bias": False}, ["kernel"]),
        ("DepthwiseConv2D", {"kernel_size": 2}, ["depthwise_kernel", "bias"]),
        ("SeparableConv2D", {"kernel_size": 2, "filters": 1},
         ["depthwise_kernel", "pointwise_kernel", "bias"]),
        ("BatchNormalization", {}, ["gamma", "beta", "moving_mean", "moving_variance"]),
        ("BatchNormalization", {"scale": False, "center": False},
         ["moving_mean", "moving_variance"]),
        ("BatchNormalization", {"renorm": True},
         ["gamma", "beta", "moving_mean", "moving_variance", "moving_stddev", "renorm_mean",
          "renorm_stddev"]),
        ("LayerNormalization", {"rms_scaling": True}, ["gamma"]),
        (
            "EinsumDense",
            {"equation": "ab,bc->ac", "output_shape": 2, "bias_axes": None},
            ["kernel"],
        ),
        ("Normalization", {"mean": 1.0, "variance": 2.0}, []),
        ("Normalization", {}, ["mean", "variance", "count"]),
        ("Attention", {"use_scale": True, "score_mode": "concat"},
         ["scale", "concat_score_weight"]),
        ("LSTM", {"units": 1}, ["kernel", "recurrent_kernel", "bias"]),
        ("Dropout", {}, []),
        ("Custom>Thing", {}, ["*"]),
    ],
)  # fmt: skip
def test_roles(class_name: str, config: dict[str, Any], expected: list[str]) -> None:
    assert roles(class_name, **config) == expected


def test_wrappers_list_what_is_inside() -> None:
    lstm = entry("LSTM", "lstm", units=1, use_bias=False)
    assert roles("Bidirectional", layer=lstm) == ["kernel", "recurrent_kernel"] * 2
    dense = entry("Dense", "d", units=1)
    # Keras lists the shared kernel first, then its own state, then the rest of the layer.
    assert roles("SpectralNormalization", layer=dense) == ["kernel", "vector_u", "bias"]


def test_attention_layers_have_their_parts_in_order() -> None:
    found = roles("MultiHeadAttention", num_heads=1, key_dim=2)
    parts = ("query", "key", "value", "attention_output")
    assert found == [f"{part}/{short}" for part in parts for short in ("kernel", "bias")]


def test_quantised_layers_have_scales() -> None:
    assert roles("Dense", units=1, dtype="int8_from_float32") == ["kernel", "bias", "kernel_scale"]


def test_keras_1_names_its_gates() -> None:
    graph = read_architecture(
        {"class_name": "Sequential",
         "config": [entry("LSTM", "l", output_dim=2, inner_activation="sigmoid",
                          consume_less="cpu", batch_input_shape=[None, 2, 2])]},
        path="m",
    ).graph  # fmt: skip
    names = [variable.role for variable in own_variables(graph.layers[1], 1) or ()]
    assert names[:4] == ["W_i", "U_i", "b_i", "W_c"]
    assert len(names) == 12
