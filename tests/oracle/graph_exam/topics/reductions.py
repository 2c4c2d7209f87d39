"""Reductions, running sums and segments."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from asking import Made, R, const_or_input, dims, pick, question, values


@question
def reduction(rng: R) -> Made:
    dtype = pick(rng, "float32", "float32", "int32", "bool")
    fns = {
        "bool": (tf.reduce_any, tf.reduce_all),
        "int32": (tf.reduce_sum, tf.reduce_max, tf.reduce_min, tf.reduce_prod, tf.reduce_mean),
        "float32": (tf.reduce_sum, tf.reduce_max, tf.reduce_min, tf.reduce_prod, tf.reduce_mean,
                    tf.norm, tf.math.reduce_std, tf.reduce_logsumexp, tf.math.reduce_variance),
    }  # fmt: skip
    fn, shape = pick(rng, *fns[dtype]), dims(rng, 1, 6, 3)
    count = int(rng.integers(1, len(shape) + 1)) if fn is not tf.norm else 1
    axes = [int(a) for a in rng.choice(len(shape), count, replace=False)]
    axes = [a - len(shape) if rng.random() < 0.3 else a for a in axes]
    axis = pick(rng, axes, axes, None)
    keep = bool(rng.random() < 0.4)
    return (lambda x: fn(x, axis=axis, keepdims=keep)), [values(rng, shape, dtype)]


@question
def reduction_of_nothing(rng: R) -> Made:
    dtype = pick(rng, "float32", "int32", "bool")
    fns = {"bool": (tf.reduce_any, tf.reduce_all)}.get(dtype, (tf.reduce_sum, tf.reduce_prod))
    fn, shape = pick(rng, *fns), (int(rng.integers(1, 4)), 0, 3)
    axis = pick(rng, 1, [0, 1], None, [1, 2])
    return (lambda x: fn(x, axis=axis)), [values(rng, shape, dtype)]


@question
def reduction_of_few(rng: R) -> Made:
    dtype = pick(rng, "float32", "float32", "int32")
    fns = (tf.reduce_sum, tf.reduce_prod, tf.reduce_max, tf.reduce_min)
    fn, shape = pick(rng, *fns[: 2 if dtype == "int32" else 4]), (4, *dims(rng, 0, 3, 3))
    axis, kept = pick(rng, 0, [0, len(shape) - 1]), int(rng.integers(0, 2))
    start = np.full((), pick(rng, 4, 4, 2), "i4")
    select = pick(
        rng, lambda x, n: tf.boolean_mask(x, tf.range(4) >= n), lambda x, n: x[n:],
        lambda x, n: tf.gather(x, tf.reshape(tf.where(tf.range(4) >= n), [-1])) * 2,
    )  # fmt: skip
    return (lambda x, n: fn(select(x, n), axis=axis, keepdims=bool(kept))), [
        values(rng, shape, dtype), start
    ]  # fmt: skip


@question
def argument(rng: R) -> Made:
    dtype, shape = pick(rng, "float32", "int32"), dims(rng, 1, 5)
    fn, axis = pick(rng, tf.argmax, tf.argmin), int(rng.integers(-len(shape), len(shape)))
    x = rng.permutation(int(np.prod(shape))).reshape(shape).astype(dtype)
    kind = pick(rng, tf.int32, tf.int64)
    return (lambda x: fn(x, axis=axis, output_type=kind)), [x]


@question
def cumulative(rng: R) -> Made:
    dtype, shape = pick(rng, "float32", "int32"), dims(rng, 1, 5)
    fn = pick(rng, tf.cumsum, tf.math.cumprod)
    if dtype == "float32" and rng.random() < 0.2:
        fn = tf.math.cumulative_logsumexp
    options = {"axis": int(rng.integers(-len(shape), len(shape))),
               "exclusive": bool(rng.random() < 0.4 and fn is not tf.math.cumulative_logsumexp),
               "reverse": bool(rng.random() < 0.4)}  # fmt: skip
    return (lambda x: fn(x, **options)), [values(rng, shape, dtype)]


@question
def top_k(rng: R) -> Made:
    shape = (*dims(rng, 0, 2, 3), int(rng.integers(3, 8)))
    x = rng.permutation(int(np.prod(shape))).reshape(shape).astype(pick(rng, "float32", "int32"))
    k = int(rng.integers(1, 4))
    return (lambda x: list(tf.math.top_k(x, k))), [x]


@question
def in_top_k(rng: R) -> Made:
    x = rng.permutation(20).reshape(4, 5).astype("f4")
    k = int(rng.integers(1, 4))
    return const_or_input(
        rng, lambda x, t: tf.math.in_top_k(t, x, k), x, rng.integers(0, 5, 4).astype("i4")
    )


@question
def segments(rng: R) -> Made:
    fns = (tf.math.segment_sum, tf.math.segment_mean, tf.math.segment_max, tf.math.segment_min,
           tf.math.segment_prod)  # fmt: skip
    many = (tf.math.unsorted_segment_sum, tf.math.unsorted_segment_max,
            tf.math.unsorted_segment_mean)  # fmt: skip
    rows, shape = int(rng.integers(2, 6)), dims(rng, 0, 2)
    x = values(rng, (rows, *shape), pick(rng, "float32", "int32"))
    ids = np.sort(np.r_[0, rng.integers(0, 3, rows - 1)]).astype("i4")
    if rng.random() < 0.5:
        fn = pick(rng, *many[: 2 if x.dtype == np.int32 else 3])
        return const_or_input(rng, lambda x, i: fn(x, i, 4), x, rng.permutation(ids))
    ids = np.unique(ids, return_inverse=True)[1].astype("i4")
    return const_or_input(rng, pick(rng, *fns[: 1 if x.dtype == np.int32 else 5]), x, ids)


@question
def counts(rng: R) -> Made:
    x = rng.integers(0, 6, rng.integers(1, 12)).astype("i4")
    if rng.random() < 0.5:
        return (lambda x: tf.math.bincount(x, minlength=7, maxlength=7)), [x]
    weights = values(rng, x.shape)
    return (lambda x, w: tf.math.bincount(x, w, minlength=7, maxlength=7)), [x, weights]
