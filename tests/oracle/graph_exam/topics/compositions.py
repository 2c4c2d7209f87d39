"""Chains of operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from asking import Made, R, dims, pick, question, values

STEPS: tuple[Callable[[R, Any], Any], ...] = (
    lambda r, x: pick(r, tf.nn.relu, tf.tanh, tf.sigmoid, tf.abs, tf.square, tf.nn.gelu)(x),
    lambda r, x: x + values(r, (1,) * (x.shape.rank - 1) + (int(x.shape[-1]),)),
    lambda r, x: tf.where(x > 0, x, tf.zeros_like(x) - 1),
    lambda r, x: tf.reverse(x, [int(r.integers(x.shape.rank))]),
    lambda r, x: tf.cast(tf.cast(x > 0, tf.int32), tf.float32) * x,
    lambda r, x: tf.transpose(tf.transpose(x, [*range(x.shape.rank)][::-1]), [*range(x.shape.rank)][::-1]),
    lambda r, x: tf.nn.softmax(x),
    lambda r, x: tf.expand_dims(x, 1) if x.shape.rank < 5 else tf.reduce_mean(x, 1),
    lambda r, x: tf.pad(x, [[0, 0]] * (x.shape.rank - 1) + [[1, 0]]),
    lambda r, x: tf.matmul(x, values(r, (int(x.shape[-1]), 3))) if x.shape.rank > 1 else x,
    lambda r, x: x - tf.reduce_mean(x, -1, keepdims=True),
    lambda r, x: tf.concat([x, -x], -1),
    lambda r, x: tf.gather(x, [int(x.shape[-1]) - 1, 0], axis=-1),
    lambda r, x: x[..., ::2],
    lambda r, x: x[:, tf.newaxis] if x.shape.rank < 5 else x[:, -1],
    lambda r, x: tf.cumsum(x, pick(r, -1, 1) if x.shape.rank > 1 else 0),
    lambda r, x: tf.cond(tf.reduce_mean(x) > 0, lambda: x * 2, lambda: x - 1),
    lambda r, x: tf.linalg.band_part(x, -1, 0) if x.shape.rank > 1 else x,
    lambda r, x: tf.where(tf.logical_and(x > -1, tf.reverse(x > 0, [0])), x, 0.5),
    lambda r, x: tf.nn.conv2d(x, values(r, (2, 2, int(x.shape[-1]), 3)), 1, "SAME")
    if x.shape.rank == 4 else tf.minimum(x, 1.5),
    lambda r, x: tf.nn.max_pool2d(x, 2, 1, "SAME") if x.shape.rank == 4 else tf.maximum(x, -1.5),
    lambda r, x: tf.math.l2_normalize(x, -1) if x.shape.rank > 1 else x,
    lambda r, x: tf.einsum("...a,ab->...b", x, values(r, (int(x.shape[-1]), 2)))
    if x.shape.rank < 5 else x,  # TensorFlow 2.19 itself differs from numpy there
    lambda r, x: tf.tile(x, [1] * (x.shape.rank - 1) + [2]),
    lambda r, x: tf.one_hot(tf.argmax(x, -1), int(x.shape[-1])) + x,
    lambda r, x: tf.cast(tf.cast(x * 3, tf.int32) // 2, tf.float32),
    lambda r, x: tf.map_fn(lambda row: row * 2 + 1, x),
    lambda r, x: tf.reshape(x, [-1, int(x.shape[-1])]),
)  # fmt: skip


@question
def mix(rng: R) -> Made:
    seed, count = int(rng.integers(1 << 30)), int(rng.integers(3, 9))
    shape = dims(rng, 2, 5, 3)

    def fn(x: Any) -> Any:
        inner = np.random.default_rng(seed)
        for _ in range(count):
            x = pick(inner, *STEPS)(inner, x)
        return x

    return fn, [values(rng, (*shape[:-1], shape[-1] + 1))]


mix_again = question(type(mix)(mix.__code__, globals(), "mix2"))
mix_more = question(type(mix)(mix.__code__, globals(), "mix3"))
