"""Complex numbers, strings, quantisation, losses."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from asking import Made, R, broadcast, const_or_input, dims, pick, question, values


@question
def complex_arithmetic(rng: R) -> Made:
    shape = dims(rng, 1, 4, 3)
    fn = pick(rng, tf.add, tf.subtract, tf.multiply, tf.divide)
    after = pick(rng, tf.abs, tf.math.real, tf.math.imag)
    x = [values(rng, shape), values(rng, shape)]
    y = [values(rng, other := broadcast(rng, shape)), values(rng, other)]
    return const_or_input(
        rng, lambda a, b, c, d: after(fn(tf.complex(a, b), tf.complex(c, d))), *x, *y
    )


@question
def fourier(rng: R) -> Made:
    size = pick(rng, 4, 8, 6)
    fn = pick(
        rng, lambda x: tf.abs(tf.signal.rfft(x)), lambda x: tf.math.real(tf.signal.rfft(x, [8])),
        lambda x: tf.math.imag(tf.signal.fft(tf.cast(x, tf.complex64))),
        lambda x: tf.signal.irfft(tf.signal.rfft(x)), lambda x: tf.signal.dct(x),
        lambda x: tf.abs(tf.signal.fft2d(tf.cast(x, tf.complex64))),
        lambda x: tf.abs(tf.signal.stft(x, 4, 2)), lambda x: tf.signal.frame(x, 3, 1),
        lambda x: tf.math.real(tf.signal.ifft(tf.cast(x, tf.complex64))),
    )  # fmt: skip
    return fn, [values(rng, (2, size))]


@question
def strings(rng: R) -> Made:
    words = values(rng, dims(rng, 1, 2), "string")
    fn = pick(
        rng, lambda x: tf.strings.to_hash_bucket_fast(x, 11), lambda x: tf.equal(x, "1éab"),
        lambda x: tf.strings.regex_replace(x, "a", "c"), lambda x: tf.not_equal(x, x[:1]),
        lambda x: tf.where(tf.equal(x, "1éab"), x, "none"),
        lambda x: tf.gather(["cat", "dog", "bird"],
                            tf.cast(tf.equal(x, "1éab"), tf.int32)),
    )  # fmt: skip
    return fn, [words]


@question
def labels(rng: R) -> Made:
    names = np.array(["cat", "dog", "bird", "fish"])
    fn = pick(
        rng, lambda x: tf.gather(names, tf.argmax(x, -1)),
        lambda x: tf.where(x[:, 0] > 0, "yes", "no"),
        lambda x: [tf.gather(names, tf.math.top_k(x, 2).indices), tf.math.top_k(x, 2).values],
        lambda x: tf.constant(names), lambda x: tf.tile(names[np.newaxis], [tf.shape(x)[0], 1]),
    )  # fmt: skip
    return (lambda x: fn(x)), [values(rng, (3, 4))]


@question
def fake_quantisation(rng: R) -> Made:
    return (lambda x: tf.quantization.fake_quant_with_min_max_args(x, -1.0, 1.5)), [
        values(rng, dims(rng))
    ]


@question
def losses(rng: R) -> Made:
    x = values(rng, (3, 4))
    y = rng.dirichlet(np.ones(4), 3).astype("f4")
    k = rng.integers(0, 4, 3).astype("i4")
    if rng.random() < 0.5:
        fn = pick(
            rng, tf.nn.softmax_cross_entropy_with_logits, tf.nn.sigmoid_cross_entropy_with_logits
        )
        return const_or_input(rng, lambda x, y: fn(y, x), x, y)
    return const_or_input(
        rng, lambda x, k: tf.nn.sparse_softmax_cross_entropy_with_logits(k, x), x, k
    )


@question
def bytes_and_bits(rng: R) -> Made:
    x = values(rng, dims(rng, 1, 3), "uint8")
    fn = pick(
        rng, lambda x: tf.cast(x, tf.float32) / 255, lambda x: tf.cast(tf.reduce_max(x, 0), tf.int32),
        lambda x: tf.cast(tf.argmax(x, -1), tf.uint8), lambda x: tf.cast(x > 3, tf.uint8),
        lambda x: tf.cast(tf.reduce_sum(tf.cast(x > 3, tf.uint8), -1), tf.int32),
        lambda x: tf.concat([x, x], 0), lambda x: tf.maximum(x, tf.constant(3, tf.uint8)),
    )  # fmt: skip
    return fn, [x]
