"""Gathering, scattering, sorting and searching."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from asking import Made, R, anything, const_or_input, dims, pick, question, raw, values


@question
def gather(rng: R) -> Made:
    dtype, shape = anything(rng), dims(rng, 1, 5, 3)
    axis = int(rng.integers(-len(shape), len(shape)))
    batch = int(rng.integers(0, axis % len(shape) + 1))
    places = (*shape[:batch], *dims(rng, 0, 2, 3))
    indices = rng.integers(0, shape[axis], places).astype(pick(rng, "i4", "i8"))
    arrays = values(rng, shape, dtype), np.asarray(indices)
    return const_or_input(
        rng, lambda x, i: tf.gather(x, i, axis=axis, batch_dims=batch), *arrays, keep=0
    ) if rng.random() < 0.8 else ((lambda i: tf.gather(tf.constant(arrays[0]), i, axis=axis,
        batch_dims=batch)), [arrays[1]])  # fmt: skip


@question
def gather_nd(rng: R) -> Made:
    dtype, shape = anything(rng), dims(rng, 1, 5, 3)
    depth = int(rng.integers(1, len(shape) + 1))
    count = dims(rng, 1, 2, 3)
    indices = np.stack([rng.integers(0, n, count) for n in shape[:depth]], -1).astype("i4")
    return const_or_input(rng, tf.gather_nd, values(rng, shape, dtype), indices)


@question
def scatter(rng: R) -> Made:
    dtype, shape = pick(rng, "float32", "float32", "int32", "bool"), dims(rng, 1, 4)
    indices = rng.permutation(shape[0])[: int(rng.integers(1, shape[0] + 1)), None].astype("i4")
    updates = values(rng, (len(indices), *shape[1:]), dtype)
    x = values(rng, shape, dtype)
    fns = [tf.tensor_scatter_nd_update, tf.tensor_scatter_nd_add, tf.tensor_scatter_nd_sub,
           tf.tensor_scatter_nd_max, tf.tensor_scatter_nd_min]  # fmt: skip
    if rng.random() < 0.3:
        return const_or_input(rng, lambda u, i: tf.scatter_nd(i, u, shape), updates, indices)
    fn = pick(rng, *(fns[:1] if dtype == "bool" else fns))
    return const_or_input(rng, fn, x, indices, updates)


@question
def one_hot(rng: R) -> Made:
    indices = rng.integers(-1, 6, dims(rng, 0, 3)).astype(pick(rng, "i4", "i8"))
    dtype = pick(rng, tf.float32, tf.int32, tf.bool)
    axis = int(rng.integers(-1, indices.ndim + 1))
    on_off = pick(rng, {}, {"on_value": 3, "off_value": -1}) if dtype == tf.int32 else {}
    return (lambda i: tf.one_hot(i, 5, axis=axis, dtype=dtype, **on_off)), [np.asarray(indices)]


@question
def where(rng: R) -> Made:
    shape = dims(rng, 1, 4)
    fn = pick(rng, tf.where, lambda c: tf.boolean_mask(tf.range(tf.size(c)),
                                                       tf.reshape(c, [-1])))  # fmt: skip
    return (lambda c: fn(c)), [values(rng, shape, "bool")]


@question
def unique(rng: R) -> Made:
    x = rng.integers(0, 5, rng.integers(2, 9)).astype("i4")
    fn = pick(rng, tf.unique, tf.unique_with_counts)
    return (lambda x: list(fn(x))), [x]


@question
def sorting(rng: R) -> Made:
    shape = (*dims(rng, 0, 2, 3), int(rng.integers(2, 7)))
    x = rng.permutation(int(np.prod(shape))).reshape(shape).astype("f4")
    direction = pick(rng, "ASCENDING", "DESCENDING")
    fn = pick(rng, tf.sort, tf.argsort)
    return (lambda x: fn(x, direction=direction)), [x]


@question
def searched(rng: R) -> Made:
    edges = np.sort(rng.normal(size=(2, 5)), -1).astype("f4")
    side = pick(rng, "left", "right")
    return (lambda x: tf.searchsorted(edges, x, side)), [values(rng, (2, int(rng.integers(1, 5))))]


@question
def bucketized(rng: R) -> Made:
    edges = sorted(float(x) for x in rng.normal(size=4))
    return (lambda x: raw.Bucketize(input=x, boundaries=edges)), [values(rng, dims(rng))]


@question
def stitched(rng: R) -> Made:
    order = rng.permutation(5).astype("i4")
    x, y = values(rng, (2, 3)), values(rng, (3, 3))
    if rng.random() < 0.5:
        return (lambda x, y: tf.dynamic_stitch([order[:2], order[2:]], [x, y])), [x, y]
    ids = rng.integers(0, 2, 3).astype("i4")
    return (lambda y: tf.dynamic_partition(y, ids, 2)), [y]


@question
def permutation(rng: R) -> Made:
    x = rng.permutation(int(rng.integers(2, 7))).astype("i4")
    return (lambda x: tf.math.invert_permutation(x)), [x]
