"""Functions of TensorFlow, one question each: how they are named, and arrays for them.

``FUNCTIONS`` has what ``questions.py`` makes graphs of with ``--functions``: the functions of the
public API that people write into ``tf.function``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

Made = tuple[Callable[..., Any], list[Any]]
FUNCTIONS: dict[str, Made] = {}
raw = tf.raw_ops
_rng = np.random.default_rng(5)


def _floats(*shape: int) -> Any:
    return _rng.normal(size=shape).astype("f4")


def _unit(*shape: int) -> Any:
    return _rng.uniform(0.05, 0.9, shape).astype("f4")


def _ints(*shape: int, low: int = 0, high: int = 9) -> Any:
    return _rng.integers(low, high, shape).astype("i4")


def _square(*shape: int) -> Any:
    """Return well-conditioned symmetric positive definite matrices."""
    x = _floats(*shape)
    return (x @ np.swapaxes(x, -1, -2) + 2 * np.eye(shape[-1])).astype("f4")


def _add(family: str, functions: dict[str, Callable[..., Any]], *arrays: Any) -> None:
    for name, fn in functions.items():
        assert f"{family}.{name}" not in FUNCTIONS, name
        FUNCTIONS[f"{family}.{name}"] = fn, list(arrays)


def _named(module: Any, names: str) -> dict[str, Callable[..., Any]]:
    def one(fn: Any) -> Callable[..., Any]:
        return lambda *x: fn(*x)

    return {name: one(getattr(module, name)) for name in names.split()}


X, Y, U = _floats(3, 4), _floats(3, 4), _unit(3, 4)
N, K = _ints(3, 4, low=-9), _ints(3, 4, low=1)
S = _square(2, 3, 3)
IMAGE = _unit(2, 6, 5, 3)
WORDS = np.array(["The cat", "a dog ", "été", "", "x1,y2"], object)
STACK = _floats(2, 3, 4)

_add("math", _named(
    tf.math, "abs cos cosh ceil digamma erf erfc exp expm1 floor lgamma negative rint round sigmoid sign "
    "sin sinh softplus softsign square tan tanh asinh atan bessel_i0 bessel_i0e bessel_i1 bessel_i1e "
    "is_finite is_inf is_nan reciprocal reciprocal_no_nan cumsum cumprod "
    "cumulative_logsumexp count_nonzero l2_normalize softmax log_softmax reduce_euclidean_norm "
    "reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_std reduce_sum "
    "reduce_variance zero_fraction argmax argmin top_k"), X)  # fmt: skip
_add("math", _named(
    tf.math, "acos asin atanh erfinv erfcinv log log1p log_sigmoid ndtri rsqrt sqrt"), U)  # fmt: skip
_add("math", {"acosh": lambda x: tf.acosh(x + 1), "polygamma": lambda x: tf.math.polygamma(1.0, x),
              "zeta": lambda x: tf.math.zeta(x + 2, x + 1), "betainc": lambda x: tf.math.betainc(x, x, x),
              "igamma": lambda x: tf.math.igamma(x, x), "igammac": lambda x: tf.math.igammac(x, x),
              "lbeta": tf.math.lbeta, "xlogy": lambda x: tf.math.xlogy(x, x),
              "xlog1py": lambda x: tf.math.xlog1py(x, x), "xdivy": lambda x: tf.math.xdivy(x, x)}, U)  # fmt: skip
_add("special", _named(
    tf.math.special, "bessel_j0 bessel_j1 bessel_k0 bessel_k0e bessel_k1 bessel_k1e bessel_y0 bessel_y1 dawsn expint fresnel_cos fresnel_sin spence"), U)  # fmt: skip
_add("math2", _named(
    tf.math, "add subtract multiply divide maximum minimum squared_difference divide_no_nan "
    "multiply_no_nan floordiv floormod mod atan2 nextafter equal not_equal greater greater_equal less "
    "less_equal truediv"), X, Y)  # fmt: skip
_add("math2", {"approximate_equal": lambda x, y: raw.ApproximateEqual(x=x, y=y, tolerance=0.5),
               "pow": lambda x, y: tf.pow(tf.abs(x), y), "truncate_div": lambda x, y: raw.TruncateDiv(x=x, y=y),
               "truncate_mod": lambda x, y: raw.TruncateMod(x=x, y=y), "div": lambda x, y: raw.Div(x=x, y=y),
               "add_n": lambda x, y: tf.add_n([x, y, x]), "accumulate_n": lambda x, y: tf.math.accumulate_n([x, y]),
               "lerp": lambda x, y: x + 0.3 * (y - x), "tensordot": lambda x, y: tf.tensordot(x, y, [[1], [1]]),
               "tensordot0": lambda x, y: tf.tensordot(x, y, 0), "hypot": lambda x, y: tf.sqrt(x * x + y * y),
               "cross": lambda x, y: tf.linalg.cross(x[:, :3], y[:, :3]),
               "where": lambda x, y: tf.where(x > 0, x, y), "complex": lambda x, y: tf.abs(tf.complex(x, y)),
               "angle": lambda x, y: tf.math.angle(tf.complex(x, y)),
               "conj": lambda x, y: tf.math.imag(tf.math.conj(tf.complex(x, y))),
               "complex_exp": lambda x, y: tf.math.real(tf.exp(tf.complex(x, y))),
               "complex_sqrt": lambda x, y: tf.math.real(tf.sqrt(tf.complex(x, y))),
               "complex_log": lambda x, y: tf.math.imag(tf.math.log(tf.complex(x, y))),
               "complex_div": lambda x, y: tf.math.real(tf.complex(x, y) / tf.complex(y, x)),
               "complex_square": lambda x, y: tf.math.imag(tf.square(tf.complex(x, y))),
               "complex_matmul": lambda x, y: tf.abs(tf.matmul(tf.complex(x, y), tf.complex(y, x), adjoint_b=True)),
               "complex_sum": lambda x, y: tf.abs(tf.reduce_sum(tf.complex(x, y), 1)),
               "complex_mean": lambda x, y: tf.abs(tf.reduce_mean(tf.complex(x, y), 1)),
               "complex_transpose": lambda x, y: tf.math.imag(tf.transpose(tf.complex(x, y))),
               "complex_slice": lambda x, y: tf.math.imag(tf.complex(x, y)[:, 1:3]),
               "complex_gather": lambda x, y: tf.math.imag(tf.gather(tf.complex(x, y), [2, 0])),
               "complex_stack": lambda x, y: tf.math.imag(tf.stack([tf.complex(x, y), tf.complex(y, x)])),
               "complex_pad": lambda x, y: tf.math.imag(tf.pad(tf.complex(x, y), [[1, 0], [0, 1]])),
               "complex_equal": lambda x, y: tf.equal(tf.complex(x, y), tf.complex(x, x)),
               "complex_pow": lambda x, y: tf.math.real(tf.pow(tf.complex(x, y), tf.complex(y, x))),
               "complex_tanh": lambda x, y: tf.math.real(tf.tanh(tf.complex(x, y))),
               "complex_sin": lambda x, y: tf.math.real(tf.sin(tf.complex(x, y))),
               "complex_rsqrt": lambda x, y: tf.math.real(tf.math.rsqrt(tf.complex(x, y))),
               "complex_tile": lambda x, y: tf.math.real(tf.tile(tf.complex(x, y), [2, 1])),
               "complex_select": lambda x, y: tf.math.real(tf.where(x > 0, tf.complex(x, y), tf.complex(y, x))),
               "complex_reverse": lambda x, y: tf.math.real(tf.reverse(tf.complex(x, y), [1])),
               "complex_prod": lambda x, y: tf.math.real(tf.reduce_prod(tf.complex(x, y), 1)),
               "complex_cumsum": lambda x, y: tf.math.real(tf.cumsum(tf.complex(x, y), 1)),
               "complex_neg": lambda x, y: tf.math.real(-tf.complex(x, y)),
               "bitcast": lambda x, y: tf.bitcast(x, tf.int32), "histogram": lambda x, y: tf.histogram_fixed_width(x, [-1., 1.], 5),
               "histogram_bins": lambda x, y: tf.histogram_fixed_width_bins(x, [-1., 1.], 5),
               "confusion": lambda x, y: tf.math.confusion_matrix(tf.argmax(x, 1), tf.argmax(y, 1), 4),
               "in_top_k": lambda x, y: tf.math.in_top_k(tf.argmax(y, 1, tf.int32), x, 2)}, X, Y)  # fmt: skip
_add("ints", _named(
    tf.bitwise, "bitwise_and bitwise_or bitwise_xor left_shift right_shift"), np.abs(N), K % 5)  # fmt: skip
_add("ints_signed", _named(tf.bitwise, "bitwise_and bitwise_or bitwise_xor right_shift"),
     N * 100003, K)  # fmt: skip
_add("ints", {"and_const": lambda x, y: tf.bitwise.bitwise_and(x, 255), "or_const": lambda x, y: x | 12,
              "invert": lambda x, y: ~x, "population_count": lambda x, y: tf.cast(raw.PopulationCount(x=x), tf.int32),
              "floordiv": lambda x, y: x // y, "floormod": lambda x, y: x % y, "pow": lambda x, y: tf.pow(x, y % 4),
              "truediv": lambda x, y: x / y, "maximum": tf.maximum, "cumsum": lambda x, y: tf.cumsum(x, 1),
              "sort": lambda x, y: tf.sort(x), "argsort": lambda x, y: tf.argsort(x, stable=True),
              "sum": lambda x, y: tf.reduce_sum(x, 1), "matmul": lambda x, y: tf.matmul(x, y, transpose_b=True),
              "mean": lambda x, y: tf.reduce_mean(x, 0), "bincount": lambda x, y: tf.math.bincount(y, minlength=9, maxlength=9),
              "bincount_free": lambda x, y: tf.math.bincount(y), "unique": lambda x, y: list(tf.unique(tf.reshape(y, [-1]))),
              "unique_counts": lambda x, y: list(tf.unique_with_counts(tf.reshape(y, [-1]))),
              "one_hot": lambda x, y: tf.one_hot(y, 9), "sets_intersection": lambda x, y: tf.sparse.to_dense(tf.sets.intersection(x, y)),
              "setdiff1d": lambda x, y: list(tf.compat.v1.setdiff1d(x[0], y[0])),
              "int64": lambda x, y: tf.cast(x, tf.int64) * 3, "uint8": lambda x, y: tf.cast(tf.cast(y, tf.uint8) * 20, tf.int32),
              "uint8_wrap": lambda x, y: tf.cast(tf.cast(y, tf.uint8) * 200, tf.int32),
              "int8": lambda x, y: tf.cast(tf.cast(x, tf.int8), tf.int32), "int16": lambda x, y: tf.cast(tf.cast(x * 9999, tf.int16), tf.int32), "uint16_sum": lambda x, y: tf.cast(tf.reduce_sum(tf.cast(x, tf.uint16), 1), tf.int32), "int8_sub": lambda x, y: tf.cast(tf.cast(x, tf.int8) - tf.cast(y * 15, tf.int8), tf.float32), "saturate_cast": lambda x, y: tf.cast(tf.saturate_cast(x * 100, tf.uint8), tf.int32),
              "sequence_mask": lambda x, y: tf.sequence_mask(y, 9), "sequence_mask_free": lambda x, y: tf.sequence_mask(y[0]),
              "embedding": lambda x, y: tf.nn.embedding_lookup(tf.constant(_W), y),
              "embedding_norm": lambda x, y: tf.nn.embedding_lookup(tf.constant(_W), y, max_norm=1.0),
              "unravel": lambda x, y: tf.unravel_index(y[0], [3, 4]), "range": lambda x, y: tf.range(y[0, 0], 20, 3),
              "fill": lambda x, y: tf.fill([y[0, 0], 2], 1.5), "repeat": lambda x, y: tf.repeat(x, y[:, 0], axis=0),
              "repeat_const": lambda x, y: tf.repeat(x, [1, 0, 2], axis=0), "repeat_one": lambda x, y: tf.repeat(x, 2, axis=1),
              "as_string": lambda x, y: tf.strings.as_string(x), "cast_string": lambda x, y: tf.strings.as_string(tf.cast(x, tf.float32), precision=2),
              "is_equal": lambda x, y: tf.reduce_all(tf.equal(x, y)), "count_nonzero": lambda x, y: tf.math.count_nonzero(x, 1),
              "squared_difference": lambda x, y: tf.math.squared_difference(x, y), "cummax": lambda x, y: tf.scan(tf.maximum, x),
              "dynamic_partition": lambda x, y: tf.dynamic_partition(x, y % 2, 2), "batch_gather": lambda x, y: tf.gather(x, y % 4, batch_dims=1),
              "not_equal": tf.not_equal,
              "bucketize": lambda x, y: raw.Bucketize(input=x, boundaries=[-3.0, 0.0, 4.0]),
              "edit": lambda x, y: tf.edit_distance(tf.sparse.from_dense(x), tf.sparse.from_dense(y))}, N, K)  # fmt: skip
_W = _floats(10, 3)
_add("bool", {"and": tf.logical_and, "or": tf.logical_or, "xor": tf.math.logical_xor, "not": lambda x, y: ~x,
              "any": lambda x, y: tf.reduce_any(x, 1), "all": lambda x, y: tf.reduce_all(x, 1),
              "where": lambda x, y: tf.where(x), "mask": lambda x, y: tf.boolean_mask(tf.cast(y, tf.int32), x),
              "cast": lambda x, y: tf.cast(x, tf.float32), "equal": tf.equal, "count": lambda x, y: tf.math.count_nonzero(x),
              "scatter": lambda x, y: tf.tensor_scatter_nd_update(x, [[0]], [y[0]]),
              "cumsum": lambda x, y: tf.cumsum(tf.cast(x, tf.int32)), "xor_reduce": lambda x, y: tf.reduce_sum(tf.cast(x, tf.int32)) % 2},
     X > 0, Y > 0)  # fmt: skip
_add("nn", _named(
    tf.nn, "relu relu6 elu selu gelu silu swish crelu leaky_relu softplus softsign softmax log_softmax "
    "l2_loss l2_normalize zero_fraction tanh sigmoid"), X)  # fmt: skip
_add("nn", {"gelu_tanh": lambda x: tf.nn.gelu(x, approximate=True), "moments": lambda x: list(tf.nn.moments(x, [0])),
            "dropout": lambda x: tf.nn.dropout(x, 0.0), "bias_add": lambda x: tf.nn.bias_add(x, tf.constant([1., 2, 3, 4])),
            "softmax0": lambda x: tf.nn.softmax(x, 0), "top_k": lambda x: list(tf.nn.top_k(x, 2)),
            "batch_normalization": lambda x: tf.nn.batch_normalization(x, tf.zeros(4), tf.ones(4), tf.ones(4), tf.ones(4), 1e-3),
            "lrn": lambda x: tf.nn.lrn(tf.reshape(x, [1, 1, 3, 4])), "normalize_moments": lambda x: list(tf.nn.normalize_moments(tf.constant(3.), x, x * x, None)),
            "sufficient": lambda x: list(tf.nn.sufficient_statistics(x, [0])[:3]), "hard_sigmoid": lambda x: tf.nn.relu6(x + 3) / 6,
            "mish": lambda x: x * tf.tanh(tf.nn.softplus(x)), "nth_element": lambda x: raw.NthElement(input=x, n=1),
            "softmax_xent": lambda x: tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(x + 1), x),
            "sparse_xent": lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits([1, 0, 2], x),
            "sigmoid_xent": lambda x: tf.nn.sigmoid_cross_entropy_with_logits(tf.sigmoid(x), x),
            "weighted_xent": lambda x: tf.nn.weighted_cross_entropy_with_logits(tf.sigmoid(x), x, 2.0),
            "log_poisson": lambda x: tf.nn.log_poisson_loss(tf.abs(x), x), "ctc_greedy": lambda x: tf.sparse.to_dense(tf.nn.ctc_greedy_decoder(x[:, None], [3])[0][0]),
            "ctc_beam": lambda x: tf.sparse.to_dense(tf.nn.ctc_beam_search_decoder(x[:, None], [3])[0][0]),
            "compute_hits": lambda x: tf.nn.in_top_k(tf.constant([1, 2, 0]), x, 2)}, X)  # fmt: skip
_F2, _D2, _F3, _F1 = (
    _floats(2, 2, 3, 4),
    _floats(2, 2, 3, 2),
    _floats(2, 2, 2, 3, 2),
    _floats(2, 3, 4),
)
_add("conv", {"conv2d": lambda x: tf.nn.conv2d(x, _F2, 1, "SAME"), "conv2d_valid": lambda x: tf.nn.conv2d(x, _F2, 2, "VALID"),
              "conv2d_explicit": lambda x: tf.nn.conv2d(x, _F2, 1, [[0, 0], [1, 2], [0, 1], [0, 0]]),
              "conv2d_dilated": lambda x: tf.nn.conv2d(x, _F2, 1, "SAME", dilations=2), "atrous": lambda x: tf.nn.atrous_conv2d(x, _F2, 2, "SAME"),
              "depthwise": lambda x: tf.nn.depthwise_conv2d(x, _D2, [1, 1, 1, 1], "SAME"),
              "depthwise_strided": lambda x: tf.nn.depthwise_conv2d(x, _D2, [1, 2, 2, 1], "VALID"),
              "separable": lambda x: tf.nn.separable_conv2d(x, _D2, _floats(1, 1, 6, 2), [1, 1, 1, 1], "SAME"),
              "transpose": lambda x: tf.nn.conv2d_transpose(x, _floats(2, 2, 4, 3), [2, 12, 10, 4], 2),
              "transpose_dynamic": lambda x: tf.nn.conv2d_transpose(x, _floats(3, 3, 4, 3), [tf.shape(x)[0], 12, 10, 4], 2),
              "erosion": lambda x: tf.nn.erosion2d(x, _floats(2, 2, 3), [1, 1, 1, 1], "SAME", "NHWC", [1, 1, 1, 1]),
              "dilation": lambda x: tf.nn.dilation2d(x, _floats(2, 2, 3), [1, 1, 1, 1], "SAME", "NHWC", [1, 1, 1, 1]),
              "max_pool": lambda x: tf.nn.max_pool2d(x, 2, 2, "SAME"), "avg_pool": lambda x: tf.nn.avg_pool2d(x, 3, 2, "SAME"),
              "max_pool_argmax": lambda x: list(tf.nn.max_pool_with_argmax(x, 2, 2, "VALID")),
              "max_pool_explicit": lambda x: tf.nn.max_pool2d(x, 2, 1, [[0, 0], [1, 0], [0, 1], [0, 0]]),
              "pool": lambda x: tf.nn.pool(x, [2, 2], "MAX", dilations=[2, 2]), "pool_avg": lambda x: tf.nn.pool(x, [2, 2], "AVG", dilations=[2, 2]),
              "pool_min": lambda x: -tf.nn.max_pool2d(-x, 2, 2, "SAME"), "fractional": lambda x: list(tf.nn.fractional_max_pool(x, 1.5, seed=3)),
              "space_to_depth": lambda x: tf.nn.space_to_depth(x[:, :, :4], 2), "depth_to_space": lambda x: tf.nn.depth_to_space(tf.concat([x] * 4, -1), 2),
              "space_to_batch": lambda x: tf.space_to_batch(x, [2, 2], [[0, 0], [0, 1]]), "batch_norm": lambda x: tf.compat.v1.nn.fused_batch_norm(x, [1., 2, 3], [0., 1, 0], [.1, .2, .3], [1., 2, 1], is_training=False)[0],
              "batch_norm_training": lambda x: list(tf.compat.v1.nn.fused_batch_norm(x, [1., 2, 3], [0., 1, 0])),
              "lrn": lambda x: tf.nn.local_response_normalization(x), "grouped": lambda x: tf.nn.conv2d(tf.concat([x, x], -1), _F2, 1, "SAME"),
              "backprop_filter": lambda x: tf.compat.v1.nn.conv2d_backprop_filter(x, [2, 2, 3, 4], tf.nn.conv2d(x, _F2, 1, "SAME"), [1, 1, 1, 1], "SAME"),
              "depthwise_input": lambda x: tf.nn.depthwise_conv2d_backprop_input([2, 6, 5, 3], _D2, tf.concat([x, x], -1), [1, 1, 1, 1], "SAME"),
              "convolution": lambda x: tf.nn.convolution(x, _F2, padding="SAME"), "ksize_global": lambda x: tf.reduce_mean(x, [1, 2]),
              "conv2d_dynamic_filter": lambda x: tf.nn.conv2d(x, tf.reshape(x[0, :2, :2], [2, 2, 3, 1]), 1, "VALID"),
              "space_to_batch_nd": lambda x: tf.space_to_batch_nd(x, [2], [[0, 0]]), "moments": lambda x: list(tf.nn.moments(x, [1, 2], keepdims=True)),
              "weighted_moments": lambda x: list(tf.nn.weighted_moments(x, [1, 2], 0.5)), "erosion1": lambda x: tf.nn.max_pool2d(x, 3, 1, "SAME") - x,
              "with_space": lambda x: tf.nn.with_space_to_batch(x, [2, 2], "SAME", lambda y, n, p: tf.nn.avg_pool2d(y, 2, 1, p), [2, 2])}, IMAGE)  # fmt: skip
_add("conv1", {"conv1d": lambda x: tf.nn.conv1d(x, _F1, 1, "SAME"), "conv1d_causal": lambda x: tf.nn.conv1d(tf.pad(x, [[0, 0], [1, 0], [0, 0]]), _floats(2, 4, 2), 1, "VALID"),
               "max_pool1d": lambda x: tf.nn.max_pool1d(x, 2, 1, "SAME"), "avg_pool1d": lambda x: tf.nn.avg_pool1d(x, 2, 2, "VALID"),
               "conv1d_transpose": lambda x: tf.nn.conv1d_transpose(x, _floats(3, 5, 4), [2, 6, 5], 2), "conv1d_dilated": lambda x: tf.nn.conv1d(x, _floats(2, 4, 2), 1, "VALID", dilations=2),
               "conv1d_stride": lambda x: tf.nn.conv1d(x, _floats(2, 4, 2), 2, "SAME")}, _floats(2, 3, 4))  # fmt: skip
FUNCTIONS["conv1.conv1d"] = (
    (lambda x: tf.nn.conv1d(x, _floats(2, 4, 2), 1, "SAME")),
    [_floats(2, 3, 4)],
)
_add("conv3", {"conv3d": lambda x: tf.nn.conv3d(x, _F3, [1] * 5, "SAME"), "max_pool3d": lambda x: tf.nn.max_pool3d(x, 2, 2, "SAME"),
               "avg_pool3d": lambda x: tf.nn.avg_pool3d(x, 2, 1, "VALID"), "conv3d_transpose": lambda x: tf.nn.conv3d_transpose(x, _floats(2, 2, 2, 2, 3), [1, 8, 8, 6, 2], 2),
               "conv3d_dilated": lambda x: tf.nn.conv3d(x, _F3, [1] * 5, "VALID", dilations=[1, 1, 2, 1, 1]),
               "conv3d_strided": lambda x: tf.nn.conv3d(x, _F3, [1, 2, 2, 1, 1], "SAME")}, _floats(1, 4, 4, 3, 3))  # fmt: skip
_add("linalg", _named(
    tf.linalg, "adjoint det diag_part eigvalsh inv logdet matrix_transpose pinv slogdet sqrtm svd "
    "trace cholesky qr lu expm eigh norm"), S)  # fmt: skip
_add("linalg", {"solve": lambda x: tf.linalg.solve(x, x[..., :1]), "triangular_solve": lambda x: tf.linalg.triangular_solve(x, x[..., :1]),
                "triangular_upper": lambda x: tf.linalg.triangular_solve(x, x[..., :1], lower=False), "cholesky_solve": lambda x: tf.linalg.cholesky_solve(tf.linalg.cholesky(x), x[..., :1]),
                "lstsq": lambda x: tf.linalg.lstsq(x, x[..., :1]), "band_part": lambda x: tf.linalg.band_part(x, 1, 0), "set_diag": lambda x: tf.linalg.set_diag(x, x[..., 0]),
                "set_diag_k": lambda x: tf.linalg.set_diag(x, x[..., 0, :2], k=1), "diag_part_k": lambda x: tf.linalg.diag_part(x, k=(-1, 0)),
                "diag_band": lambda x: tf.linalg.diag(x[:, :2], k=(0, 1)), "diag": lambda x: tf.linalg.diag(x[0]), "tensor_diag": lambda x: tf.linalg.tensor_diag(x[0, 0]),
                "tensor_diag_part": lambda x: tf.linalg.tensor_diag_part(x[0]), "eye": lambda x: tf.eye(3, batch_shape=[2]) + x, "matvec": lambda x: tf.linalg.matvec(x, x[..., 0]),
                "matmul": lambda x: tf.matmul(x, x), "matrix_rank": lambda x: tf.linalg.matrix_rank(x), "normalize": lambda x: list(tf.linalg.normalize(x)),
                "norm_fro": lambda x: tf.linalg.norm(x, "fro", axis=[1, 2]), "norm_inf": lambda x: tf.linalg.norm(x, np.inf, axis=1), "norm_1": lambda x: tf.linalg.norm(x, 1, axis=1),
                "global_norm": lambda x: tf.linalg.global_norm([x, x]), "tridiagonal": lambda x: tf.linalg.tridiagonal_matmul(x, x, diagonals_format="compact"),
                "tridiagonal_solve": lambda x: tf.linalg.tridiagonal_solve(x[0] + tf.constant([[0.], [9], [0]]), x[0, 0]),
                "inv_const": lambda x: x + tf.linalg.inv(S[0]), "det_const": lambda x: x + tf.linalg.det(S[0]), "cholesky_const": lambda x: x + tf.linalg.cholesky(S[0]),
                "inv_2": lambda x: tf.linalg.inv(x[:, :2, :2]), "det_2": lambda x: tf.linalg.det(x[:, :2, :2]), "inv_adjoint": lambda x: tf.linalg.inv(x, adjoint=True), "cross": lambda x: tf.linalg.cross(x[0], x[1]),
                "einsum": lambda x: tf.einsum("bij,bkj->bik", x, x), "kron": lambda x: tf.reshape(tf.einsum("ij,kl->ikjl", x[0], x[1]), [9, 9]), "l2": lambda x: tf.linalg.l2_normalize(x, 1),
                "svd_only": lambda x: tf.linalg.svd(x, compute_uv=False), "circulant": lambda x: tf.stack([tf.roll(x[0, 0], i, 0) for i in range(3)]),
                "power": lambda x: tf.matmul(tf.matmul(x, x), x), "band_lower": lambda x: tf.linalg.band_part(x, -1, 0)}, S)  # fmt: skip
_add("image", _named(
    tf.image, "flip_left_right flip_up_down rgb_to_grayscale rgb_to_hsv hsv_to_rgb rgb_to_yiq yiq_to_rgb "
    "rgb_to_yuv yuv_to_rgb rot90 transpose image_gradients sobel_edges total_variation per_image_standardization"), IMAGE)  # fmt: skip
_add("image", {"grayscale_to_rgb": lambda x: tf.image.grayscale_to_rgb(x[..., :1]), "adjust_brightness": lambda x: tf.image.adjust_brightness(x, 0.1), "adjust_contrast": lambda x: tf.image.adjust_contrast(x, 1.4),
               "adjust_gamma": lambda x: tf.image.adjust_gamma(x, 1.4), "adjust_hue": lambda x: tf.image.adjust_hue(x, 0.1), "adjust_saturation": lambda x: tf.image.adjust_saturation(x, 1.3),
               "central_crop": lambda x: tf.image.central_crop(x, 0.5), "crop_to_bounding_box": lambda x: tf.image.crop_to_bounding_box(x, 1, 1, 3, 2), "pad_to": lambda x: tf.image.pad_to_bounding_box(x, 1, 1, 9, 8),
               "resize": lambda x: tf.image.resize(x, [8, 9]), "resize_nearest": lambda x: tf.image.resize(x, [3, 9], "nearest"), "resize_bicubic": lambda x: tf.image.resize(x, [8, 9], "bicubic"),
               "resize_area": lambda x: tf.image.resize(x, [4, 3], "area"), "resize_lanczos": lambda x: tf.image.resize(x, [8, 9], "lanczos5"), "resize_anti": lambda x: tf.image.resize(x, [3, 3], antialias=True),
               "resize_pad": lambda x: tf.image.resize_with_pad(x, 8, 8), "resize_crop": lambda x: tf.image.resize_with_crop_or_pad(x, 4, 8), "crop_and_resize": lambda x: tf.image.crop_and_resize(x, [[0., 0, .5, .7]], [1], [3, 3]),
               "extract_patches": lambda x: tf.image.extract_patches(x, [1, 3, 3, 1], [1, 1, 1, 1], [1, 1, 1, 1], "SAME"), "extract_rates": lambda x: tf.image.extract_patches(x, [1, 2, 2, 1], [1, 1, 1, 1], [1, 2, 2, 1], "VALID"),
               "extract_glimpse": lambda x: tf.image.extract_glimpse(x, [3, 3], [[0., 0], [.2, .1]]), "draw_boxes": lambda x: tf.image.draw_bounding_boxes(x, [[[.1, .1, .8, .8]]] * 2, [[1., 0, 0]]),
               "psnr": lambda x: tf.image.psnr(x, x * .9, 1.0), "ssim": lambda x: tf.image.ssim(x, x * .9, 1.0, filter_size=3), "convert_uint8": lambda x: tf.cast(tf.image.convert_image_dtype(x, tf.uint8), tf.int32),
               "convert_float": lambda x: tf.image.convert_image_dtype(tf.cast(x * 255, tf.uint8), tf.float32), "stateless_flip": lambda x: tf.image.stateless_random_flip_left_right(x, [1, 2]), "rot180": lambda x: tf.image.rot90(x, 2),
               "rot270": lambda x: tf.image.rot90(x, 3), "quality": lambda x: tf.image.resize(x, [tf.shape(x)[1] * 2, tf.shape(x)[2]]), "upsample": lambda x: tf.repeat(tf.repeat(x, 2, 1), 2, 2), "projective": lambda x: raw.ImageProjectiveTransformV3(images=x, transforms=[[1., .1, 0, 0, 1., .2, 0, 0]], output_shape=[6, 5], fill_value=0., interpolation="BILINEAR"),
               "scale_translate": lambda x: raw.ScaleAndTranslate(images=x, size=[4, 4], scale=[.8, .8], translation=[0., 0.]), "decode": lambda x: tf.image.decode_png(tf.io.encode_png(tf.cast(x[0] * 255, tf.uint8))),
               "ssim_multi": lambda x: tf.image.ssim(x[..., :1], x[..., 1:2], 1.0, filter_size=2), "area_v1": lambda x: raw.ResizeArea(images=x, size=[3, 3])}, IMAGE)  # fmt: skip
_add("signal", {"fft": lambda x: tf.abs(tf.signal.fft(tf.cast(x, tf.complex64))), "ifft": lambda x: tf.abs(tf.signal.ifft(tf.cast(x, tf.complex64))), "rfft": lambda x: tf.abs(tf.signal.rfft(x)), "irfft": lambda x: tf.signal.irfft(tf.signal.rfft(x)),
                "fft2d": lambda x: tf.abs(tf.signal.fft2d(tf.cast(x, tf.complex64))), "rfft2d": lambda x: tf.abs(tf.signal.rfft2d(x)), "irfft2d": lambda x: tf.signal.irfft2d(tf.signal.rfft2d(x)), "ifft2d": lambda x: tf.abs(tf.signal.ifft2d(tf.cast(x, tf.complex64))), "fft3d": lambda x: tf.abs(tf.signal.fft3d(tf.cast(x[None], tf.complex64))),
                "dct": tf.signal.dct, "idct": tf.signal.idct, "dct1": lambda x: tf.signal.dct(x, 1), "dct3": lambda x: tf.signal.dct(x, 3), "dct4": lambda x: tf.signal.dct(x, 4), "mdct": lambda x: tf.signal.mdct(x, 4), "inverse_mdct": lambda x: tf.signal.inverse_mdct(tf.reshape(x, [4, 4])), "stft": lambda x: tf.abs(tf.signal.stft(x, 4, 2)), "inverse_stft": lambda x: tf.signal.inverse_stft(tf.signal.stft(x, 4, 2), 4, 2),
                "frame": lambda x: tf.signal.frame(x, 3, 2), "frame_pad": lambda x: tf.signal.frame(x, 3, 2, pad_end=True), "overlap": lambda x: tf.signal.overlap_and_add(x, 2), "hann": lambda x: x * tf.signal.hann_window(8), "hamming": lambda x: x * tf.signal.hamming_window(8), "kaiser": lambda x: x * tf.signal.kaiser_window(8), "vorbis": lambda x: x * tf.signal.vorbis_window(8),
                "mel": lambda x: tf.matmul(tf.abs(tf.signal.rfft(x)), tf.signal.linear_to_mel_weight_matrix(4, 5, 8000, 100., 3000.)), "mfcc": lambda x: tf.signal.mfccs_from_log_mel_spectrograms(x), "fftshift": lambda x: tf.signal.fftshift(x), "ifftshift": tf.signal.ifftshift, "spectrogram": lambda x: raw.AudioSpectrogram(input=tf.transpose(x)[:, :1], window_size=4, stride=2, magnitude_squared=True),
                "mfcc_raw": lambda x: raw.Mfcc(spectrogram=tf.abs(x)[None], sample_rate=16000), "rfft_len": lambda x: tf.abs(tf.signal.rfft(x, [6])), "hilbert": lambda x: tf.math.imag(tf.signal.ifft(tf.signal.fft(tf.cast(x, tf.complex64)) * tf.constant([1, 2, 2, 2, 1, 0, 0, 0], tf.complex64))), "conv_fft": lambda x: tf.signal.irfft(tf.signal.rfft(x) * tf.signal.rfft(x[:1])),
                "decode_wav": lambda x: tf.audio.decode_wav(tf.audio.encode_wav(tf.transpose(x), 16000)).audio}, _floats(2, 8))  # fmt: skip
_add("strings", _named(
    tf.strings, "length lower upper strip bytes_split"), WORDS)  # fmt: skip
_add("strings", {"join": lambda x: tf.strings.join([x, x], "-"), "reduce_join": lambda x: tf.strings.reduce_join(x), "regex_replace": lambda x: tf.strings.regex_replace(x, "[aeiou]", "_"), "regex_full_match": lambda x: tf.strings.regex_full_match(x, ".*a.*"), "substr": lambda x: tf.strings.substr(x, 0, 2),
                 "hash_fast": lambda x: tf.strings.to_hash_bucket_fast(x, 100), "hash": lambda x: tf.strings.to_hash_bucket(x, 100), "hash_strong": lambda x: tf.strings.to_hash_bucket_strong(x, 100, [1, 2]), "to_number": lambda x: tf.strings.to_number(tf.where(tf.equal(x, x), "1.5", x)), "ngrams": lambda x: tf.strings.ngrams(x, 2),
                 "equal": lambda x: tf.equal(x, "été"), "where": lambda x: tf.where(tf.equal(x, ""), "none", x), "lookup": lambda x: tf.gather([3., 4.], tf.cast(tf.equal(x, ""), tf.int32)), "concat": lambda x: tf.concat([x, x], 0), "reverse": lambda x: tf.reverse(x, [0]), "unique": lambda x: list(tf.unique(x)), "expand": lambda x: x[:, None],
                 "length_utf8": lambda x: tf.strings.length(x, "UTF8_CHAR"), "decode_raw": lambda x: tf.io.decode_raw(x[:2], tf.uint8, fixed_length=4), "base64": lambda x: tf.io.encode_base64(x), "sorted_match": lambda x: tf.reduce_any(tf.equal(x[:, None], ["été", "z"]), 1), "onehot": lambda x: tf.cast(tf.equal(x[:, None], ["été", "z"]), tf.float32), "tile": lambda x: tf.tile(x, [2]), "shape": tf.shape, "gather": lambda x: tf.gather(x, [2, 0]), "stack": lambda x: tf.stack([x, x]), "reshape": lambda x: tf.reshape(x, [5, 1]), "format": lambda x: tf.strings.format("{}", x)}, WORDS)  # fmt: skip
_add("array", {"concat": lambda x: tf.concat([x, x], 1), "stack": lambda x: tf.stack([x, x], 1), "unstack": lambda x: tf.unstack(x, axis=1), "split": lambda x: tf.split(x, [1, 2], 1), "split2": lambda x: tf.split(x, 2, 2), "transpose": lambda x: tf.transpose(x, [2, 0, 1]), "reshape": lambda x: tf.reshape(x, [-1, 6]), "squeeze": lambda x: tf.squeeze(x[:1]),
               "expand_dims": lambda x: tf.expand_dims(x, -2), "tile": lambda x: tf.tile(x, [1, 2, 3]), "pad": lambda x: tf.pad(x, [[1, 0], [0, 2], [1, 1]]), "pad_reflect": lambda x: tf.pad(x, [[1, 0], [0, 2], [1, 1]], "REFLECT"), "pad_value": lambda x: tf.pad(x, [[1, 0], [0, 2], [1, 1]], constant_values=3.), "pad_symmetric": lambda x: tf.pad(x, [[1, 0], [0, 2], [1, 1]], "SYMMETRIC"),
               "slice": lambda x: tf.slice(x, [0, 1, 0], [-1, 2, 3]), "strided": lambda x: x[::-1, 1:, ::2], "newaxis": lambda x: x[:, tf.newaxis, 1, ...], "gather": lambda x: tf.gather(x, [2, 0], axis=1), "gather_nd": lambda x: tf.gather_nd(x, [[0, 1], [1, 2]]), "gather_batch": lambda x: tf.gather(x, [[0, 1], [2, 0]], batch_dims=1), "scatter_nd": lambda x: tf.scatter_nd([[1], [0]], x, [4, 3, 4]),
               "scatter_update": lambda x: tf.tensor_scatter_nd_update(x, [[1]], x[:1]), "scatter_add": lambda x: tf.tensor_scatter_nd_add(x, [[1], [1]], x), "scatter_sub": lambda x: tf.tensor_scatter_nd_sub(x, [[1]], x[:1]), "scatter_max": lambda x: tf.tensor_scatter_nd_max(x, [[1]], x[:1]), "scatter_min": lambda x: tf.tensor_scatter_nd_min(x, [[1], [1]], x), "scatter_deep": lambda x: tf.tensor_scatter_nd_max(x, [[1, 2], [0, 1]], x[0, :2]),
               "reverse": lambda x: tf.reverse(x, [0, 2]), "reverse_sequence": lambda x: tf.reverse_sequence(x, [2, 3], 1), "roll": lambda x: tf.roll(x, [1, 2], [0, 2]), "meshgrid": lambda x: tf.meshgrid(x[0, 0], x[0, 1], indexing="ij"), "broadcast_to": lambda x: tf.broadcast_to(x, [5, 2, 3, 4]), "where": lambda x: tf.where(x > 0), "boolean_mask": lambda x: tf.boolean_mask(x, x[:, 0, 0] > -9), "identity_n": lambda x: tf.identity_n([x, x]),
               "shape": lambda x: tf.shape(x), "size": lambda x: tf.size(x), "rank": lambda x: tf.rank(x), "ones_like": tf.ones_like, "zeros_like": tf.zeros_like, "one_hot": lambda x: tf.one_hot(tf.argmax(x, -1), 4), "sort": lambda x: tf.sort(x, axis=1), "argsort": lambda x: tf.argsort(x, direction="DESCENDING"), "searchsorted": lambda x: tf.searchsorted(tf.sort(x), x), "top_k": lambda x: list(tf.math.top_k(x, 2)), "unique_axis": lambda x: list(raw.UniqueV2(x=tf.cast(x > 0, tf.int32)[0], axis=[0])),
               "argmax": lambda x: tf.argmax(x, 1), "linspace": lambda x: tf.linspace(x[0, 0], x[0, 1], 5), "range": lambda x: tf.range(tf.shape(x)[1]), "eye": lambda x: tf.eye(tf.shape(x)[1], tf.shape(x)[2]), "fill": lambda x: tf.fill([2, 2], x[0, 0, 0]), "dynamic_stitch": lambda x: tf.dynamic_stitch([[1], [0]], [x[:1], x[1:]]), "batch_to_space": lambda x: tf.batch_to_space(x[..., None], [2, 1], [[0, 0], [0, 0]]), "space_to_batch": lambda x: tf.space_to_batch(x[..., None], [1, 2], [[0, 0], [0, 0]]),
               "cast": lambda x: tf.cast(x * 3, tf.int32), "cast_half": lambda x: tf.cast(x, tf.float16), "cast_double": lambda x: tf.cast(x, tf.float64) * 2, "bitcast": lambda x: tf.bitcast(x, tf.int32), "clip": lambda x: tf.clip_by_value(x, -.5, .5), "clip_norm": lambda x: tf.clip_by_norm(x, 1.), "clip_global": lambda x: tf.clip_by_global_norm([x, x], 1.)[0], "clip_each": lambda x: tf.clip_by_norm(x, 1., axes=[2]), "stop": tf.stop_gradient, "ensure": lambda x: tf.ensure_shape(x, [None, 3, 4]),
               "repeat": lambda x: tf.repeat(x, 2, 1), "segment_sum": lambda x: tf.math.segment_sum(x[0], [0, 0, 1]), "segment_mean": lambda x: tf.math.segment_mean(x[0], [0, 0, 1]), "segment_max": lambda x: tf.math.segment_max(x[0], [0, 0, 1]), "unsorted_sum": lambda x: tf.math.unsorted_segment_sum(x[0], [2, 0, 2], 3), "unsorted_mean": lambda x: tf.math.unsorted_segment_mean(x[0], [2, 0, 2], 3), "unsorted_max": lambda x: tf.math.unsorted_segment_max(x[0], [2, 0, 2], 3),
               "unsorted_sqrt_n": lambda x: tf.math.unsorted_segment_sqrt_n(x[0], [2, 0, 2], 3), "sparse_segment_sum": lambda x: tf.sparse.segment_sum(x[0], [0, 2, 1], [0, 0, 1]), "sparse_segment_mean": lambda x: tf.sparse.segment_mean(x[0], [0, 2, 1], [0, 0, 1]), "sparse_segment_sqrt_n": lambda x: tf.sparse.segment_sqrt_n(x[0], [0, 2, 1], [0, 0, 1]), "sparse_matmul": lambda x: tf.sparse.sparse_dense_matmul(tf.sparse.from_dense(x[0]), x[0], adjoint_b=True), "sparse_const": lambda x: tf.sparse.sparse_dense_matmul(tf.SparseTensor([[0, 1], [1, 2]], [2., 3], [2, 3]), x[0]), "sparse_to_dense": lambda x: tf.sparse.to_dense(tf.SparseTensor([[0, 1], [1, 2]], x[0, 0, :2], [2, 3])), "embedding_sparse": lambda x: tf.nn.embedding_lookup_sparse(x[0], tf.SparseTensor([[0, 0], [0, 1], [1, 0]], np.array([1, 2, 0], "i8"), [2, 2]), None, combiner="mean"), "safe_embedding": lambda x: tf.nn.safe_embedding_lookup_sparse(x[0], tf.SparseTensor([[0, 0], [0, 1], [1, 0]], np.array([1, 2, 0], "i8"), [2, 2])),
               "ragged": lambda x: tf.RaggedTensor.from_tensor(x[0], lengths=[1, 2, 3]).to_tensor(), "ragged_sum": lambda x: tf.reduce_sum(tf.RaggedTensor.from_row_lengths(x[0, 0], [1, 3]), 1), "ragged_mean": lambda x: tf.reduce_mean(tf.RaggedTensor.from_row_lengths(x[0, 0], [1, 3]), 1), "map_fn": lambda x: tf.map_fn(tf.nn.softmax, x), "vectorized_map": lambda x: tf.vectorized_map(lambda y: tf.matmul(y, y, transpose_b=True), x), "scan": lambda x: tf.scan(lambda a, y: a + y, x), "foldl": lambda x: tf.foldl(lambda a, y: a * y, x), "foldr": lambda x: tf.foldr(lambda a, y: a - y, x), "while": lambda x: tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2), [0, x])[1], "cond": lambda x: tf.cond(x[0, 0, 0] > 0, lambda: x, lambda: -x), "case": lambda x: tf.case([(x[0, 0, 0] > 5, lambda: x), (x[0, 0, 1] > -9, lambda: x + 1)], default=lambda: -x), "switch_case": lambda x: tf.switch_case(tf.constant(1) + tf.cast(x[0, 0, 0] > 99, tf.int32), [lambda: x, lambda: x + 1, lambda: -x]),
               "gradient": lambda x: tf.gradients(tf.reduce_sum(tf.tanh(x) * x), x)[0], "gradient_softmax": lambda x: tf.gradients(tf.nn.softmax(x)[..., 0], x)[0], "gradient_relu": lambda x: tf.gradients(tf.nn.relu(x) ** 2, x)[0], "gradient_elu": lambda x: tf.gradients(tf.nn.elu(x), x)[0], "gradient_sqrt": lambda x: tf.gradients(tf.sqrt(tf.abs(x) + 1), x)[0], "gradient_sigmoid": lambda x: tf.gradients(tf.sigmoid(x), x)[0], "gradient_max": lambda x: tf.gradients(tf.reduce_max(x, 1), x)[0], "gradient_softplus": lambda x: tf.gradients(tf.nn.softplus(x), x)[0], "gradient_matmul": lambda x: tf.gradients(tf.matmul(x, x, transpose_b=True), x)[0], "gradient_selu": lambda x: tf.gradients(tf.nn.selu(x), x)[0], "gradient_leaky": lambda x: tf.gradients(tf.nn.leaky_relu(x), x)[0], "gradient_rsqrt": lambda x: tf.gradients(tf.math.rsqrt(tf.abs(x) + 1), x)[0], "gradient_gather": lambda x: tf.gradients(tf.gather(x, [1, 0, 1]), x)[0],
               "hessian_free": lambda x: tf.gradients(tf.gradients(tf.reduce_sum(tf.sin(x)), x)[0], x)[0], "tensor_list": lambda x: tf.TensorArray(tf.float32, 2).unstack(x).stack(), "print": lambda x: _printed(x), "assert": lambda x: _asserted(x), "numpy_like": lambda x: tf.experimental.numpy.diff(x, axis=-1), "tnp_std": lambda x: tf.experimental.numpy.std(x, axis=0), "tnp_tril": lambda x: tf.experimental.numpy.tril(x), "tnp_var": lambda x: tf.experimental.numpy.var(x, axis=0), "tnp_outer": lambda x: tf.experimental.numpy.outer(x[0, 0], x[0, 1]), "tnp_cumprod": lambda x: tf.experimental.numpy.cumprod(x, axis=1), "tnp_nansum": lambda x: tf.experimental.numpy.nansum(x, axis=1), "tnp_take_along": lambda x: tf.experimental.numpy.take_along_axis(x, tf.argsort(x), -1), "tnp_logaddexp": lambda x: tf.experimental.numpy.logaddexp(x, x[:1]), "tnp_hypot": lambda x: tf.experimental.numpy.hypot(x, x[:1]), "tnp_sinc": lambda x: tf.experimental.numpy.sinc(x), "tnp_swapaxes": lambda x: tf.experimental.numpy.swapaxes(x, 0, 2), "tnp_rot90": lambda x: tf.experimental.numpy.rot90(x), "tnp_interp": lambda x: tf.experimental.numpy.average(x, axis=1), "tnp_heaviside": lambda x: tf.experimental.numpy.heaviside(x, 0.5), "tnp_kron": lambda x: tf.experimental.numpy.kron(x[0], x[1]), "tnp_trace": lambda x: tf.experimental.numpy.trace(x, axis1=1, axis2=2), "tnp_exp2": lambda x: tf.experimental.numpy.exp2(x), "tnp_log2": lambda x: tf.experimental.numpy.log2(tf.abs(x)), "tnp_cbrt": lambda x: tf.experimental.numpy.cbrt(x), "tnp_isclose": lambda x: tf.experimental.numpy.isclose(x, x[:1]), "tnp_polyval": lambda x: tf.math.polyval([x, x[:1], 2.], 0.3), "tnp_sign": lambda x: tf.experimental.numpy.signbit(x), "tnp_deg": lambda x: tf.experimental.numpy.deg2rad(x), "tnp_all": lambda x: tf.experimental.numpy.all(x > 0), "tnp_count": lambda x: tf.experimental.numpy.count_nonzero(x, axis=1), "tnp_ptp": lambda x: tf.experimental.numpy.ptp(x, axis=1), "tnp_vander": lambda x: tf.experimental.numpy.vander(x[0, 0], 3),
               "quantize": lambda x: tf.quantization.fake_quant_with_min_max_vars(x, -1., 1.), "fake_args": lambda x: tf.quantization.fake_quant_with_min_max_args(x, -1., 1.), "fake_channel": lambda x: tf.quantization.fake_quant_with_min_max_vars_per_channel(x, [-1.] * 4, [1., 2, 3, 4]), "quantize_dequantize": lambda x: tf.quantization.quantize_and_dequantize_v2(x, -1., 1., range_given=True), "quantize_v2": lambda x: tf.quantization.dequantize(*tf.quantization.quantize(x, -1., 1., tf.quint8)), "mirror_pad_grad": lambda x: tf.gradients(tf.pad(x, [[0, 0], [1, 1], [0, 0]], "REFLECT"), x)[0], "check": lambda x: tf.debugging.check_numerics(x, "bad"), "norm": lambda x: tf.norm(x, axis=-1), "euclidean": lambda x: tf.sqrt(tf.reduce_sum(tf.square(x[:, :, None] - x[:, None]), -1)), "cosine": lambda x: tf.reduce_sum(tf.nn.l2_normalize(x, -1) * x, -1), "sobol": lambda x: tf.math.sobol_sample(2, 4), "bernoulli0": lambda x: tf.cast(tf.random.stateless_uniform([2], [1, 2]) < 2, tf.float32), "stateless_uniform": lambda x: tf.random.stateless_uniform([2], [1, 2]), "stateless_normal": lambda x: tf.random.stateless_normal([2], [1, 2]), "tensor_equals": lambda x: x == x[:1], "lower_bound": lambda x: tf.searchsorted(tf.constant([0., 1.]), x[0, 0]), "matrix_square": lambda x: tf.matmul(x, x, transpose_a=True), "deep_scale": lambda x: x[:, None, :, None] * [1.0, -2, 3, 4] + [1.0, 2, 3, 4], "deeper_scale": lambda x: [1.0, -2, 3, 4] - tf.square(x[:, None, :, None, None]), "deep_bias": lambda x: tf.nn.bias_add(x[:, None, :, None] * 2, [1.0, 2, 3, 4]), "deep_transpose": lambda x: tf.transpose(x[:, None, :, None, :, None], [5, 4, 3, 2, 1, 0]), "slice_dynamic": lambda x: x[:, : tf.shape(x)[1] - 1], "slice_tensor": lambda x: x[:, tf.cast(x[0, 0, 0] > 0, tf.int32) :], "empty_concat": lambda x: tf.concat([x[:, :0], x], 1), "ctc": lambda x: tf.nn.ctc_loss([[1, 2]] * 2, tf.transpose(x, [1, 0, 2]), [2, 2], [3, 3])}, STACK)  # fmt: skip


def _printed(x: Any) -> Any:
    with tf.control_dependencies([tf.print(x)]):
        return x + 1


def _asserted(x: Any) -> Any:
    with tf.control_dependencies([tf.debugging.assert_greater(x, -99.0)]):
        return x + 1
