"""Random networks predict the same after factors moved between their layers, by both targets."""

from __future__ import annotations

import json

import layers_interpreter
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rescaling import scale_randomly

import tfjs_codec
from tfjs_codec.files.place import Place
from tfjs_codec.ir.layers import scopes
from tfjs_codec.tfjs.inference import infer
from tfjs_codec.tfjs.topology import read_topology

CONV = {"kernel_size": [2, 2], "strides": [1, 1], "padding": "same", "use_bias": True,
        "data_format": "channels_last"}  # fmt: skip
ACTIVATIONS = st.sampled_from(["linear", "relu", "relu", "relu6", "sigmoid", "elu"])
NORM = {"axis": 3, "epsilon": 1e-3, "scale": True, "center": True}
POOL = {"pool_size": [2, 2], "strides": [1, 1], "padding": "same", "data_format": "channels_last"}
LAST = {"data_format": "channels_last"}
CONVOLUTIONS = {
    "Conv2D": {"filters": 4, "dilation_rate": [1, 1]},
    "DepthwiseConv2D": {"depth_multiplier": 1, "dilation_rate": [1, 1]},
    "SeparableConv2D": {"filters": 4, "depth_multiplier": 2, "dilation_rate": [1, 1]},
    "Conv2DTranspose": {"filters": 4},
}


def convolution(kind, activation, use_bias):
    return kind, CONV | CONVOLUTIONS[kind] | {"activation": activation, "use_bias": use_bias}


# Layers from an image to an image, with what a config may vary in.
IMAGES = st.one_of(
    st.builds(convolution, st.sampled_from(list(CONVOLUTIONS)), ACTIVATIONS, st.booleans()),
    st.builds(
        lambda scale, center: ("BatchNormalization", NORM | {"scale": scale, "center": center}),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(lambda limit: ("ReLU", {"max_value": limit}), st.sampled_from([None, 6])),
    st.sampled_from(
        [
            ("LayerNormalization", NORM),
            ("LeakyReLU", {"alpha": 0.2}),
            ("PReLU", {"shared_axes": [1, 2]}),
            ("ELU", {"alpha": 1}),
            ("ZeroPadding2D", LAST | {"padding": [[1, 0], [0, 1]]}),
            ("AveragePooling2D", POOL),
            ("MaxPooling2D", POOL),
            ("UpSampling2D", LAST | {"size": [2, 2], "interpolation": "nearest"}),
            ("Dropout", {"rate": 0.5}),
            ("Dense", {"units": 4, "activation": "relu", "use_bias": True}),
            ("Add", {}),
            ("Maximum", {}),
            ("Multiply", {}),
            ("Concatenate", {"axis": -1}),
            ("Concatenate", {"axis": 1}),
        ]
    ),
)
MERGING = ("Add", "Maximum", "Multiply", "Concatenate")
ENDS = st.sampled_from(["Flatten", "GlobalAveragePooling2D", "GlobalMaxPooling2D"])


def model(images, end, seed):
    """Return a tfjs model; a merging layer takes the image of two layers before, too."""
    layers = [("InputLayer", {"batch_input_shape": [None, 3, 3, 3]}, [])]
    images = [convolution("Conv2D", "linear", True), *images]
    for kind, config in images:
        last = len(layers) - 1
        merges = kind in MERGING
        layers.append(
            (kind, config, [last - 1, last] if merges and last > 1 else [last] * 2**merges)
        )
    for kind, config in [
        (end, LAST),
        ("Dense", {"units": 5, "activation": "relu", "use_bias": True}),
        ("Dense", {"units": 3, "activation": "softmax", "use_bias": True}),
    ]:
        layers.append((kind, config, [len(layers) - 1]))
    described = [
        {
            "class_name": kind,
            "name": f"l{number}",
            "config": {"name": f"l{number}", **config},
            "inbound_nodes": [[[f"l{before}", 0, 0, {}] for before in inputs]] if inputs else [],
        }
        for number, (kind, config, inputs) in enumerate(layers)
    ]
    config = {"name": "m", "layers": described, "input_layers": [["l0", 0, 0]],
              "output_layers": [[f"l{len(layers) - 1}", 0, 0]]}  # fmt: skip
    return fill({"class_name": "Functional", "config": config}, seed)


def fill(topology, seed):
    """Return the tfjs model of *topology* with random weights."""
    graph = read_topology(topology, Place())
    variables, random = infer(graph).variables, np.random.default_rng(seed)
    values = {
        f"{scope}/{short}": random.uniform(0.2, 1.5, shape)
        if short in ("moving_variance", "gamma")
        else random.normal(size=shape)
        for layer in graph.layers
        for scope, owner in scopes(layer)
        for short, shape in variables.get(id(owner), {}).items()
    }
    entries = [
        {"name": name, "shape": list(value.shape), "dtype": "float32"}
        for name, value in values.items()
    ]
    data = b"".join(value.astype("<f4").tobytes() for value in values.values())
    index = {"format": "layers-model", "modelTopology": topology,
             "weightsManifest": [{"paths": ["w.bin"], "weights": entries}]}  # fmt: skip
    return {"model.json": json.dumps(index).encode(), "w.bin": data}


def fits(images):
    """Merging layers need two images of one size: the last one and the one before."""
    before = last = 3, 3, 4
    for kind, config in images:
        if kind in MERGING and before != last:
            return False
        before, (rows, columns, channels) = last, last
        if kind == "Concatenate" and config["axis"] == 1:
            rows *= 2
        elif kind == "Concatenate":
            channels *= 2
        elif kind == "ZeroPadding2D":
            rows, columns = rows + 1, columns + 1
        elif kind == "UpSampling2D":
            rows, columns = 2 * rows, 2 * columns
        elif kind in ("Conv2D", "SeparableConv2D", "Conv2DTranspose", "Dense"):
            channels = 4
        last = rows, columns, channels
    return True


JOINED = [convolution("Conv2D", "relu", True), ("Concatenate", {"axis": -1})]


@settings(deadline=None)
@example([*JOINED, ("BatchNormalization", NORM)], "GlobalAveragePooling2D", 0)
@example([*JOINED, convolution("DepthwiseConv2D", "relu", True)], "GlobalMaxPooling2D", 1)
@example([*JOINED, convolution("Conv2DTranspose", "relu", True)], "Flatten", 2)
@example([*JOINED, ("Dense", {"units": 4, "use_bias": True})], "Flatten", 3)
@given(st.lists(IMAGES, min_size=1, max_size=6).filter(fits), ENDS, st.integers(0, 2**32 - 1))
def test_factors_change_no_prediction(images, end, seed):
    layers = model(images, end, seed)
    x = np.random.default_rng(seed).normal(size=(4, 3, 3, 3)).astype(np.float32)
    expected = layers_interpreter.load(layers).predict([x])[0]
    scaled, changed = scale_randomly(layers, seed)
    assert changed  # the two products at the end always have a group
    np.testing.assert_allclose(
        layers_interpreter.load(scaled).predict([x])[0], expected, rtol=1e-4, atol=1e-6
    )
    graph = tfjs_codec.to_files(layers, to="graph")
    scaled, changed = scale_randomly(graph, seed)
    assert changed
    with tfjs_codec.load(scaled) as moved:
        np.testing.assert_allclose(moved.predict(x), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_both_directions_take_up_factors(kind):
    inner = {"name": "inner", "units": 3, "return_sequences": True, "activation": "tanh",
             "recurrent_activation": "sigmoid", "use_bias": True, "reset_after": False}  # fmt: skip
    wrapped = {"class_name": kind, "config": inner}
    layers = [
        {"class_name": name, "config": {"name": f"l{number}", **config}}
        for number, (name, config) in enumerate([
            ("InputLayer", {"batch_input_shape": [None, 5, 4]}),
            ("Dense", {"units": 6, "activation": "relu"}),
            ("Bidirectional", {"layer": wrapped, "merge_mode": "sum"}),
            ("Dense", {"units": 2, "activation": "relu"}),
        ])
    ]  # fmt: skip
    files = fill({"class_name": "Sequential", "config": {"name": "m", "layers": layers}}, 0)
    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    scaled, changed = scale_randomly(files)
    assert {f"l2/{way}_inner/kernel" for way in ("forward", "backward")} < changed
    found, expected = (layers_interpreter.load(each).predict([x])[0] for each in (scaled, files))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
