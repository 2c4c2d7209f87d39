"""Small Keras models of all layers and operations predict what Keras predicted, by both targets.

The models are those of ``fixtures/make/layer_programs.py``, and of ``graph_programs.py`` and
``text_programs.py`` what only graphs can express; ``tensorflow_programs.py`` has functions of
TensorFlow in tf_keras models. Layers and graph run in numpy interpreters that
share nothing with the rules: each translation checks the other. Factors that move between weights
must change no prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pytest
from compare import assert_close
from layer_fixtures import Programs, Recorded
from layers_interpreter import load
from rescaling import count_rescaled

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError

PROGRAMS = Programs()
GRAPHS = Programs("graph_programs.zip")
TEXTS = Programs("text_programs.zip")
TENSORFLOW = Programs("tensorflow_programs.zip")

# What tfjs's Layers cannot say; all others must be taken.
NOT_AS_LAYERS = frozenset(
    """
    CategoryEncoding_4 Resizing_12 Resizing_13 Concatenate_5 Concatenate_8 ConvLSTM3D Dense_19
    Discretization_2 Discretization_3 EinsumDense_5 EinsumDense_6 Flatten_3 abs_2
    adaptive_average_pool adaptive_average_pool_2 adaptive_average_pool_3 adaptive_max_pool
    adaptive_max_pool_2 adaptive_max_pool_3 add_5 add_6 all_4 any_4 append append_2 append_3
    arccos arccosh arcsin arcsinh arctan arctan2 arctan2_2 arctan2_3 arctan2_4 arctanh argmax_3
    argmax_5 argmin_3 argsort argsort_2 array_split average_2 average_pool average_pool_2
    average_pool_3 average_pool_4 batch_normalization batch_normalization_2 broadcast_to
    broadcast_to_2 cast cast_3 cbrt ceil ceil_2 ceil_3 clip_3 concatenate_3 conv conv_2 conv_3
    conv_4 conv_5 conv_6 conv_7 conv_8 cos cross cross_2 cumprod cumsum_3 cumsum_5
    depthwise_conv depthwise_conv_2 depthwise_conv_3 depthwise_conv_4 depthwise_conv_5 diagonal
    diagonal_2 digitize divide_5 divide_no_nan_2 dot_3 dot_product_attention einsum_12 einsum_13
    einsum_19 einsum_20 einsum_21 einsum_22 erf erfc exp_2 fabs flip_3 floor floor_2 floor_3
    floor_divide floor_divide_2 floor_divide_3 floor_divide_4 fmax fmax_2 fmax_3 fmin fmin_2
    fmin_3 fmod fmod_2 fmod_3 getitem_12 getitem_13 heaviside heaviside_2 heaviside_3
    heaviside_4 hstack hstack_2 hypot hypot_2 hypot_3 image.resize image.resize_2 image.resize_3
    image.resize_4 image.rgb_to_grayscale in_top_k inner inner_2 isclose isclose_2 isclose_3
    isfinite isin isin_2 isinf isnan kron layer_normalization layer_normalization_2 log log10
    log1p log2 logical_xor logsumexp_3 logsumexp_4 logsumexp_5 matmul_4 matmul_5 matmul_7
    matmul_reversed max_10 max_7 max_9 max_pool max_pool_2 max_pool_3 max_pool_4 maximum_5
    mean_10 mean_7 mean_9 median median_2 min_4 mod mod_2 mod_3 mod_4 moments moments_2
    multi_hot multi_hot_2 multi_hot_3 multiply_5 nan_to_num nan_to_num_2 negative_2 normalize_2
    normalize_3 normalize_4 one_hot_2 one_hot_4 one_hot_5 outer pad_6 pad_7 pad_8 percentile
    power power_10 power_3 power_4 power_8 power_9 power_reversed prod_4 prod_6 prod_7 ravel
    relu_2 repeat_4 reshape_3 rms_normalization rms_normalization_2 roll_3 roll_4 round round_2
    round_3 round_4 rsqrt saturate_cast saturate_cast_2 scatter scatter_update searchsorted
    searchsorted_2 separable_conv sign_2 signbit sin sinc sinh size softmax_3 sort sort_2 sort_3
    sparsemax sqrt square_2 stack_5 std_4 std_5 subtract_5 sum_10 sum_7 sum_9 take_4 take_7
    take_along_axis take_along_axis_2 take_along_axis_3 tan tensordot tensordot_2 tensordot_3
    tile_3 tile_4 top_k trace trace_2 trace_3 trapezoid trapezoid_2 trunc vdot vstack vstack_2
    """.split()  # noqa: SIM905  shorter than a list
)
# Refused, whatever the target.
NOT_AS_GRAPH = frozenset({"Dense_19"})
# Functions of TensorFlow that tfjs's Layers can say.
TENSORFLOW_AS_LAYERS = frozenset((
    "argmin", "flip_left_right", "flip_up_down", "image_transpose", "matrix_transpose", "repeat",
    "split_rest_first", "split_rest_last", "split_rest_middle",
))  # fmt: skip
# Models with channels that get factors, beside those of SeparableConv.
WITH_FACTORS = {
    "layers": {"Add_6", "GRU_7", "MultiHeadAttention_4", "diff_2"},
    "graph": {"separable_conv"},
}
# Keras's JAX computes cubic weights, TensorFlow looks them up.
BICUBIC = "Resizing_6"


def tolerance(name: str) -> dict[str, float]:
    known = {"atol": 2e-4, "rtol": 2e-3} if name == BICUBIC else {}
    return known | PROGRAMS.how[name]


def interpret(files: Mapping[str, bytes], inputs: list[np.ndarray]) -> list[np.ndarray]:
    return load(files).predict(inputs)


def predict(files: Mapping[str, bytes], inputs: list[np.ndarray]) -> list[np.ndarray]:
    with tfjs_codec.load(files) as model:
        found = model.predict(inputs)
    return found if isinstance(found, list) else [found]


def check(keras: Recorded, to: Literal["layers", "graph"], **closeness: float) -> int:
    """Compare predictions, also with factors; return how many weights get some."""
    approximate = to == "graph" or bool(closeness)
    files = tfjs_codec.to_files(keras.source, to=to, allow_approximate=approximate)
    run = interpret if to == "layers" else predict
    predicted = run(files, keras.inputs)
    assert_close(predicted, keras.outputs, **closeness)
    return count_rescaled(files, lambda files: run(files, keras.inputs), predicted)


def has_channels(name: str, to: str) -> bool:
    return name in WITH_FACTORS[to] or name.startswith("SeparableConv")


@pytest.mark.parametrize("name", sorted(PROGRAMS.how.keys() - NOT_AS_LAYERS))
def test_as_layers(name):
    changed = check(PROGRAMS.get(name), "layers", **tolerance(name))
    assert changed or not has_channels(name, "layers")


@pytest.mark.parametrize("name", sorted(NOT_AS_LAYERS))
def test_not_as_layers(name):
    with pytest.raises(UnsupportedModelError):
        tfjs_codec.to_files(PROGRAMS.get(name).source, to="layers")


@pytest.mark.parametrize("name", sorted(PROGRAMS.how.keys() - NOT_AS_GRAPH))
def test_as_graph(name):
    changed = check(PROGRAMS.get(name), "graph", **tolerance(name))
    assert changed or not has_channels(name, "graph")


@pytest.mark.parametrize("name", sorted(NOT_AS_GRAPH))
def test_not_as_graph(name):
    with pytest.raises(UnsupportedModelError):
        tfjs_codec.to_files(PROGRAMS.get(name).source, to="graph")


@pytest.mark.parametrize("name", sorted(GRAPHS.how))
def test_only_as_graph(name):
    check(GRAPHS.get(name), "graph")


@pytest.mark.parametrize("name", sorted(TEXTS.how))
def test_texts_as_graph(name):
    check(TEXTS.get(name), "graph")


@pytest.mark.parametrize("name", sorted(TENSORFLOW.how))
def test_functions_of_tensorflow_as_graph(name):
    check(TENSORFLOW.get(name), "graph")


@pytest.mark.parametrize("name", sorted(TENSORFLOW_AS_LAYERS))
def test_functions_of_tensorflow_as_layers(name):
    check(TENSORFLOW.get(name), "layers")


@pytest.mark.parametrize("name", sorted(TENSORFLOW.how.keys() - TENSORFLOW_AS_LAYERS))
def test_functions_of_tensorflow_not_as_layers(name):
    with pytest.raises(UnsupportedModelError):
        tfjs_codec.to_files(TENSORFLOW.get(name).source, to="layers")
