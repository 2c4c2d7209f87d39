"""Convolutions, pooling and normalisation."""

from __future__ import annotations

import tensorflow as tf
from asking import Made, R, pick, positive, question, values


@question
def convolution(rng: R) -> Made:
    batch, size, channels = (
        int(rng.integers(1, 3)),
        int(rng.integers(5, 9)),
        int(rng.integers(1, 4)),
    )
    window, filters = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    strides, rates = pick(rng, (1, 1), (2, 1), (1, 2), (3, 1))
    padding = pick(rng, "SAME", "VALID", [[0, 0], [1, 1], [1, 0], [0, 0]])
    padding = "SAME" if rates > 1 and not isinstance(padding, str) else padding
    groups = pick(rng, 1, 1, 1, 2)
    w = values(rng, (window, window, channels, filters * groups))
    after = pick(rng, tf.identity, tf.nn.relu, lambda x: tf.nn.relu6(x + 0.5), tf.nn.elu,
                 lambda x: tf.nn.leaky_relu(x + w[0, 0, 0]))  # fmt: skip
    x = values(rng, (batch, size, size + 1, channels * groups))
    return (lambda x: after(tf.nn.conv2d(x, w, strides, padding, dilations=rates))), [x]


@question
def depthwise(rng: R) -> Made:
    channels, multiplier = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    window, (stride, rate) = int(rng.integers(1, 4)), pick(rng, (1, 1), (2, 1), (1, 2))
    w = values(rng, (window, window, channels, multiplier))
    padding = pick(rng, "SAME", "VALID")
    after = pick(rng, tf.identity, tf.nn.relu, tf.nn.relu6, tf.nn.leaky_relu)
    return (
        lambda x: after(tf.nn.depthwise_conv2d(
            x, w, [1, stride, stride, 1], padding, dilations=[rate, rate]))
    ), [values(rng, (2, 7, 6, channels))]  # fmt: skip


@question
def transposed_convolution(rng: R) -> Made:
    stride, window, padding = (
        pick(rng, 1, 2, 3),
        int(rng.integers(1, 5)),
        pick(rng, "SAME", "VALID"),
    )
    size = 4 * stride if padding == "SAME" else 3 * stride + max(window, stride)
    w = values(rng, (window, window, 3, 2))
    return (lambda x: tf.nn.conv2d_transpose(x, w, [2, size, size, 3], stride, padding)), [
        values(rng, (2, 4, 4, 2))
    ]


@question
def convolution_1d(rng: R) -> Made:
    w = values(rng, (int(rng.integers(1, 4)), 2, 3))
    stride, padding = pick(rng, 1, 2), pick(rng, "SAME", "VALID")
    return (lambda x: tf.nn.conv1d(x, w, stride, padding)), [values(rng, (2, 7, 2))]


@question
def convolution_3d(rng: R) -> Made:
    w = values(rng, (*(int(n) for n in rng.integers(1, 3, 3)), 2, 3))
    strides, padding = [1, *(int(n) for n in rng.integers(1, 3, 3)), 1], pick(rng, "SAME", "VALID")
    return (lambda x: tf.nn.conv3d(x, w, strides, padding)), [values(rng, (1, 4, 5, 4, 2))]


@question
def pooling(rng: R) -> Made:
    fn = pick(rng, tf.nn.max_pool2d, tf.nn.avg_pool2d)
    window, stride = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    padding = pick(rng, "SAME", "VALID")
    if fn is tf.nn.max_pool2d and rng.random() < 0.3:
        padding = [[0, 0], [0, window // 2], [window // 2, 0], [0, 0]]
    return (lambda x: fn(x, window, stride, padding)), [values(rng, (2, 7, 6, 2)) - 3]


@question
def pooling_3d(rng: R) -> Made:
    fn = pick(rng, tf.nn.max_pool3d, tf.nn.avg_pool3d)
    window, stride = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    padding = pick(rng, "SAME", "VALID")
    return (lambda x: fn(x, window, stride, padding)), [values(rng, (1, 4, 5, 4, 2)) - 3]


@question
def channels_first(rng: R) -> Made:
    """Only the graph is made: TensorFlow cannot compute it on a processor, so it is transposed."""
    w = values(rng, (3, 3, 2, 4))
    order, back = [0, 3, 1, 2], [0, 2, 3, 1]
    return (
        lambda x: tf.transpose(tf.nn.relu(tf.nn.conv2d(tf.transpose(x, back), w, 1, "SAME")), order)
    ), [values(rng, (1, 2, 5, 6))]


@question
def normalisation(rng: R) -> Made:
    shape = (2, 4, 3, 5)
    scale, offset, mean = (values(rng, (5,)) for _ in range(3))
    variance = positive(rng, (5,))
    fn = pick(
        rng, lambda x: tf.nn.batch_normalization(x, mean, variance, offset, scale, 1e-3),
        lambda x: tf.compat.v1.nn.fused_batch_norm(
            x, scale, offset, mean, variance, is_training=False)[0],
        lambda x: tf.compat.v1.nn.fused_batch_norm(x, scale, offset, is_training=True)[0],
        lambda x: tf.nn.local_response_normalization(x, 2, 1.0, 0.5, 0.75),
        lambda x: tf.nn.l2_normalize(x, -1), lambda x: tf.nn.moments(x, [0, 1]),
        lambda x: tf.nn.softmax(x, axis=1),
    )  # fmt: skip
    return fn, [values(rng, shape)]
