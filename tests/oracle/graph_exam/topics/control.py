"""Control flow and lists."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from asking import Made, R, pick, question, values


@question
def conditional(rng: R) -> Made:
    fn = pick(
        rng, lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2, lambda: tf.zeros_like(x)),
        lambda x: tf.cond(x[0, 0] > 0, lambda: tf.reverse(x > 0, [1]), lambda: x > 1),
        lambda x: tf.switch_case(tf.argmax(x[0], output_type=tf.int32) % 3, [
            lambda: x + 1, lambda: -x, lambda: tf.ones_like(x)]),
        lambda x: tf.while_loop(
            lambda i, y: i < 3, lambda i, y: (i + 1, y * 0.5 + x), [tf.constant(0), x])[1],
        lambda x: tf.map_fn(lambda row: tf.cumsum(row) * 2, x),
        lambda x: tf.scan(lambda a, row: a * 0.5 + row, x),
        lambda x: tf.vectorized_map(lambda row: tf.nn.softmax(row), x),
        lambda x: tf.while_loop(lambda y: tf.reduce_sum(tf.abs(y)) > 1, lambda y: [y / 2], [x])[0],
    )  # fmt: skip
    return fn, [values(rng, (int(rng.integers(1, 4)), 4))]


@question
def lists(rng: R) -> Made:
    def filled(x: Any) -> Any:
        array = tf.TensorArray(tf.float32, 3, element_shape=[4])
        for i in range(3):
            array = array.write(i, x[0] * i)
        return pick_end(array)

    def split(x: Any) -> Any:
        array = tf.TensorArray(tf.float32, 2, infer_shape=False)
        return array.split(x, [1, 2]).read(1)

    def unstacked(x: Any) -> Any:
        return tf.TensorArray(tf.float32, 3).unstack(x).gather([2, 0])

    pick_end = pick(rng, lambda a: a.stack(), lambda a: a.concat(), lambda a: a.gather([2, 1]))
    return pick(rng, filled, split, unstacked), [values(rng, (3, 4))]
