"""Shapes, and moving elements."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from asking import (
    Made,
    R,
    anything,
    broadcast,
    const_or_input,
    dims,
    pick,
    question,
    raw,
    storable,
    values,
)


@question
def transpose(rng: R) -> Made:
    shape = dims(rng, 1, 6, 3)
    order = [int(a) for a in rng.permutation(len(shape))]
    return (lambda x: tf.transpose(x, order)), [values(rng, shape, anything(rng))]


@question
def reshape(rng: R) -> Made:
    shape = dims(rng, 1, 5)
    target = pick(rng, [-1], [*shape[::-1]], [1, *shape, 1], [shape[0], -1])
    return (lambda x: tf.reshape(x, target)), [values(rng, shape, anything(rng))]


@question
def expand(rng: R) -> Made:
    shape = dims(rng, 1, 4)
    axis = int(rng.integers(-len(shape) - 1, len(shape) + 1))
    return (lambda x: tf.expand_dims(x, axis)), [values(rng, shape, anything(rng))]


@question
def squeeze(rng: R) -> Made:
    shape = (1, *dims(rng, 1, 3), 1)
    axes = pick(rng, [0], [-1], [0, -1])
    return (lambda x: tf.squeeze(x, axes)), [values(rng, shape, anything(rng))]


@question
def pad(rng: R) -> Made:
    shape = tuple(n + 1 for n in dims(rng, 1, 6, 2))
    mode = pick(rng, "CONSTANT", "CONSTANT", "REFLECT", "SYMMETRIC")
    dtype = pick(rng, "float32", "float32", "int32", "bool") if mode == "CONSTANT" else "float32"
    widths = [[int(a), int(b)] for a, b in rng.integers(0, 2, (len(shape), 2))]
    value = pick(rng, 0, 2) if dtype != "bool" else 0
    fn = (lambda x: tf.pad(x, widths)) if dtype == "bool" else (
        lambda x: tf.pad(x, widths, mode, constant_values=value))  # fmt: skip
    return fn, [values(rng, shape, dtype)]


@question
def tile(rng: R) -> Made:
    shape = dims(rng, 1, 5, 3)
    times = [int(n) for n in rng.integers(1, 4, len(shape))]
    return (lambda x: tf.tile(x, times)), [values(rng, shape, anything(rng))]


@question
def reverse(rng: R) -> Made:
    shape = dims(rng, 1, 6, 3)
    axes = [int(a) for a in rng.choice(len(shape), rng.integers(0, len(shape) + 1), replace=False)]
    return (lambda x: tf.reverse(x, axes)), [values(rng, shape, anything(rng))]


@question
def reverse_sequence(rng: R) -> Made:
    shape = (int(rng.integers(1, 4)), int(rng.integers(2, 6)), *dims(rng, 0, 2))
    lengths = rng.integers(1, shape[1] + 1, shape[0]).astype("i4")
    dtype = storable(rng)
    return const_or_input(
        rng, lambda x, n: tf.reverse_sequence(x, n, 1, batch_axis=0), values(rng, shape, dtype),
        lengths,
    )  # fmt: skip


@question
def roll(rng: R) -> Made:
    shape = dims(rng, 1, 4)
    axis, shift = int(rng.integers(-len(shape), len(shape))), int(rng.integers(-6, 7))
    return (lambda x: tf.roll(x, shift, axis)), [values(rng, shape, storable(rng))]


@question
def simple_slice(rng: R) -> Made:
    shape = tuple(n + 1 for n in dims(rng, 1, 6, 2))
    begin = [int(rng.integers(0, n)) for n in shape]
    size = [pick(rng, -1, int(rng.integers(1, n - b + 1))) for n, b in zip(shape, begin)]
    return (lambda x: tf.slice(x, begin, size)), [values(rng, shape, anything(rng))]


@question
def strided_slice(rng: R) -> Made:
    shape = tuple(n + 2 for n in dims(rng, 1, 5, 2))
    spec: list[Any] = []
    for n in shape[: int(rng.integers(1, len(shape) + 1))]:
        step = pick(rng, 1, 1, 2, -1, None)
        spec.append(pick(
            rng, int(rng.integers(-n, n)), slice(None, None, step),
            slice(1, None, 1), slice(-2, None), slice(0, n - 1, 2), slice(n, 0, -1),
        ))  # fmt: skip
    if rng.random() < 0.3:
        spec.insert(int(rng.integers(len(spec) + 1)), tf.newaxis)
    if rng.random() < 0.3:
        spec.append(Ellipsis)
    return (lambda x: x[tuple(spec)]), [values(rng, shape, anything(rng))]


@question
def joined(rng: R) -> Made:
    dtype, shape = anything(rng), dims(rng, 1, 5, 3)
    count, axis = int(rng.integers(1, 5)), int(rng.integers(-len(shape), len(shape)))
    arrays = [values(rng, shape, dtype) for _ in range(count)]
    fn = pick(rng, tf.concat, tf.stack)
    return const_or_input(rng, lambda *x: fn(list(x), axis), *arrays)


@question
def parts(rng: R) -> Made:
    dtype, shape = anything(rng), (4, *dims(rng, 0, 4, 3))
    axis = pick(rng, 0, -len(shape))
    fn = pick(
        rng, lambda x: tf.split(x, 2, axis), lambda x: tf.split(x, [1, 3], axis),
        lambda x: tf.unstack(x, axis=axis), lambda x: tf.split(x, [1, -1], axis),
    )  # fmt: skip
    return fn, [values(rng, shape, dtype)]


@question
def broadcast_to(rng: R) -> Made:
    shape = dims(rng, 1, 5, 3)
    given = broadcast(rng, shape)
    return (lambda x: tf.broadcast_to(x, shape)), [values(rng, given, anything(rng))]


@question
def blocks(rng: R) -> Made:
    dtype = pick(rng, "float32", "int32")
    fn, shape = pick(
        rng, (lambda x: tf.nn.space_to_depth(x, 2), (1, 4, 6, 3)),
        (lambda x: tf.nn.depth_to_space(x, 2), (2, 3, 2, 8)),
        (lambda x: tf.space_to_batch(x, [2, 2], [[0, 0], [1, 1]]), (1, 4, 4, 2)),
        (lambda x: tf.batch_to_space(x, [2, 2], [[0, 1], [0, 0]]), (4, 2, 3, 2)),
    )  # fmt: skip
    return fn, [values(rng, shape, dtype)]


@question
def shapes(rng: R) -> Made:
    fn = pick(rng, tf.shape, tf.size, tf.rank, lambda x: tf.shape_n([x, x]),
              lambda x: tf.shape(x, out_type=tf.int64),
              lambda x: raw.ShapeN(input=[x, x], out_type=tf.int64))  # fmt: skip
    return (lambda x: fn(x)), [values(rng, dims(rng, 1, 6, 3), storable(rng))]


@question
def creation(rng: R) -> Made:
    fn = pick(
        rng, lambda x: tf.fill(tf.shape(x), 2.5), lambda x: tf.range(tf.shape(x)[0]),
        lambda x: tf.linspace(0.0, 1.0, 5) + x[0, 0], lambda x: tf.ones(tf.shape(x), tf.int32),
        lambda x: tf.eye(tf.shape(x)[0]), lambda x: tf.zeros([2, 3]) + x[:1, :1],
        lambda x: tf.cast(tf.range(0, 6, 2), tf.float32) + x[0, 0],
        lambda x: tf.meshgrid(x[0], x[1]),
    )  # fmt: skip
    return fn, [values(rng, (2, int(rng.integers(1, 5))))]
