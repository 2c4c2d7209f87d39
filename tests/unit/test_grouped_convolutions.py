"""Convolutions in groups of one channel: a Layers and a graph model of the same file agree.

The graph's formula is compared with Keras's in ``tests/contract``.
"""

from __future__ import annotations

import numpy as np
import pytest
from keras_files import entry, h5_model
from layers_interpreter import load

import tfjs_codec

RNG = np.random.default_rng(2)
DEPTHWISE = "DepthwiseConv2D"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, DEPTHWISE),
        ({"filters": 8}, DEPTHWISE),
        ({"padding": "valid", "dilation_rate": [2, 1]}, DEPTHWISE),
        ({"strides": [2, 2], "activation": "relu"}, DEPTHWISE),
        ({"strides": [2, 1]}, "Conv2D"),
        ({"data_format": "channels_first"}, DEPTHWISE),
        ({"groups": 2}, "Conv2D"),
    ],
)
def test_groups_of_one_channel_are_depthwise(tmp_path, options, kind):
    config = {
        "filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "groups": 4,
        "data_format": "channels_last", "dilation_rate": [1, 1], "activation": "linear",
        "use_bias": True, **options,
    }  # fmt: skip
    shape = [4, 7, 6] if config["data_format"] == "channels_first" else [7, 6, 4]
    layer = entry("Conv2D", "c", batch_input_shape=[None, *shape], **config)
    model = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    kernel = RNG.normal(size=(3, 3, 4 // config["groups"], config["filters"]))
    weights = [("c/kernel:0", kernel), ("c/bias:0", RNG.normal(size=config["filters"]))]
    source = h5_model(model, {"c": weights})
    tfjs_codec.convert(source, tmp_path / "layers", to="layers")
    assert f'"class_name":"{kind}"' in (tmp_path / "layers/model.json").read_text()
    tfjs_codec.convert(source, tmp_path / "graph", to="graph")
    x = RNG.normal(size=(2, *shape)).astype(np.float32)
    made = load(tmp_path / "layers").predict([x])[0]
    np.testing.assert_allclose(made, tfjs_codec.load(tmp_path / "graph").predict(x), atol=1e-5)
