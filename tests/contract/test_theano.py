"""Models that Keras saved with Theano, whose 'same' windows start elsewhere than TensorFlow's."""

from __future__ import annotations

import layers_interpreter
import numpy as np
import pytest
from keras_files import entry, h5_model

import tfjs_codec


def pool(x: np.ndarray, sizes: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    """As ``pool2d`` of Keras 2.0.8's ``theano_backend.py``: pad both ends, cut what is too much."""
    for axis, (size, stride) in enumerate(zip(sizes, strides, strict=True), 1):
        pad = size - 2 if size > 2 and size % 2 == 1 else size - 1
        edges = [(pad, pad) if i == axis else (0, 0) for i in range(x.ndim)]
        padded = np.moveaxis(np.pad(x, edges, constant_values=-np.inf), axis, 0)
        count = (x.shape[axis] + stride - 1) // stride
        starts = [i * stride for i in range(count)]
        x = np.moveaxis(np.stack([padded[at : at + size].max(0) for at in starts]), 0, axis)
    return x


@pytest.mark.parametrize("target", ["layers", "graph", "savedmodel"])
@pytest.mark.parametrize(
    ("sizes", "strides"), [((3, 2), (2, 1)), ((2, 5), (2, 3)), ((4, 3), (1, 1))]
)
def test_same_max_pooling(target, sizes, strides, tmp_path):
    shape = {"batch_input_shape": [None, 7, 9, 2]}
    options = {"pool_size": list(sizes), "strides": list(strides), "padding": "same", **shape}
    layer = entry("MaxPooling2D", "p", data_format="channels_last", **options)
    file = tmp_path / "m.h5"
    config = {"class_name": "Sequential", "config": [layer]}
    file.write_bytes(h5_model(config, {}, "2.0.8", backend="theano"))
    if target == "savedmodel":  # whose layers Keras 2 makes with TensorFlow
        tfjs_codec.convert(file, tmp_path / "saved", to=target)
        file, target = tmp_path / "saved", "layers"
    tfjs_codec.convert(file, tmp_path / "web", to=target)
    x = np.random.default_rng(3).normal(size=(2, 7, 9, 2)).astype("f4")
    if target == "layers":
        found = layers_interpreter.load(tmp_path / "web").predict([x])[0]
    else:
        found = tfjs_codec.load(tmp_path / "web").predict(x)
    np.testing.assert_array_equal(np.asarray(found), pool(x, sizes, strides))
