"""Operations element by element."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from asking import (
    Made,
    R,
    anything,
    broadcast,
    const_or_input,
    dims,
    numbers,
    pick,
    positive,
    question,
    raw,
    storable,
    values,
)

UNARY = {
    "float32": (
        *(tf.abs, tf.negative, tf.sign, tf.square, tf.exp, tf.math.expm1, tf.sigmoid, tf.tanh),
        *(tf.sin, tf.cos, tf.atan, tf.asinh, tf.sinh, tf.cosh, tf.math.erf, tf.math.erfc),
        *(tf.floor, tf.math.ceil, tf.round, tf.math.rint, tf.nn.relu, tf.nn.relu6, tf.nn.elu),
        *(tf.nn.selu, tf.nn.softplus, tf.nn.softsign, tf.nn.leaky_relu, tf.nn.gelu, tf.nn.silu),
        *(tf.math.is_nan, tf.math.is_finite, tf.math.is_inf, tf.ones_like, tf.zeros_like),
        *(tf.nn.l2_loss, tf.math.reciprocal, tf.tan, tf.nn.softmax, tf.nn.log_softmax),
    ),
    "int32": (tf.abs, tf.negative, tf.sign, tf.square, tf.ones_like, tf.zeros_like, tf.bitwise.invert,
              tf.nn.relu, tf.nn.relu6),
    "int64": (tf.abs, tf.negative, tf.sign, tf.square),
    "bool": (tf.logical_not, tf.ones_like, tf.zeros_like),
    "complex64": (tf.abs, tf.math.real, tf.math.imag, tf.math.conj, tf.math.angle, tf.negative,
                  tf.square, tf.exp),
}  # fmt: skip


@question
def unary(rng: R) -> Made:
    dtype = pick(rng, "float32", "float32", "float32", "int32", "int64", "bool", "complex64")
    fn = pick(rng, *UNARY[dtype])
    return (lambda x: fn(x)), [values(rng, dims(rng, 1, 6, 3), dtype)]


@question
def unary_positive(rng: R) -> Made:
    fn = pick(rng, tf.sqrt, tf.math.rsqrt, tf.math.log, tf.math.log1p, tf.acosh)
    x = positive(rng, dims(rng, 1, 6, 3))
    return (lambda x: fn(x)), [x + 1 if fn is tf.acosh else x]


@question
def unary_unit(rng: R) -> Made:
    fn = pick(rng, tf.asin, tf.acos, tf.atanh, tf.math.erfinv, tf.math.ndtri)
    return (lambda x: fn(x)), [rng.uniform(0.05, 0.9, dims(rng, 1, 4)).astype("f4")]


@question
def binary(rng: R) -> Made:
    dtype = numbers(rng)
    fns = (tf.add, tf.subtract, tf.multiply, tf.maximum, tf.minimum, tf.math.squared_difference)
    fn, shape = pick(rng, *fns), dims(rng, 1, 6, 3)
    arrays = [values(rng, shape, dtype), values(rng, broadcast(rng, shape), dtype)]
    return const_or_input(rng, fn, *(arrays if rng.random() < 0.5 else arrays[::-1]))


@question
def quotient(rng: R) -> Made:
    dtype = numbers(rng)
    fns = (tf.math.floordiv, tf.math.floormod, tf.truediv, tf.truncatediv, tf.truncatemod,
           tf.math.divide_no_nan)  # fmt: skip
    fn, shape = pick(rng, *fns[: 5 if dtype[0] == "i" else 6]), dims(rng, 1, 5, 3)
    x, y = values(rng, shape, dtype), values(rng, broadcast(rng, shape), dtype)
    y = np.where(y == 0, 3, y).astype(dtype) if fn is not fns[5] else y
    return const_or_input(rng, fn, x, y)


@question
def power(rng: R) -> Made:
    shape = dims(rng, 1, 5)
    fn = pick(rng, tf.pow, tf.math.xlogy, tf.math.xdivy, tf.math.xlog1py, tf.math.multiply_no_nan,
              tf.atan2)  # fmt: skip
    x = positive(rng, shape) * (rng.random(shape) < 0.7)
    y = positive(rng, broadcast(rng, shape))
    return const_or_input(rng, fn, x.astype("f4"), y)


@question
def comparison(rng: R) -> Made:
    fns = (tf.equal, tf.not_equal, tf.less, tf.less_equal, tf.greater, tf.greater_equal)
    dtype = anything(rng)
    fn = pick(rng, *fns[: 2 if dtype in ("bool", "string", "complex64") else 6])
    shape = dims(rng, 1, 6, 3)
    x, y = values(rng, shape, dtype), values(rng, broadcast(rng, shape), dtype)
    return const_or_input(rng, fn, x, y)


@question
def logical(rng: R) -> Made:
    fn, shape = pick(rng, tf.logical_and, tf.logical_or, tf.math.logical_xor), dims(rng, 1, 6, 3)
    return const_or_input(
        rng, fn, values(rng, shape, "bool"), values(rng, broadcast(rng, shape), "bool")
    )


@question
def bits(rng: R) -> Made:
    fn = pick(rng, tf.bitwise.bitwise_and, tf.bitwise.bitwise_or, tf.bitwise.bitwise_xor,
              tf.bitwise.left_shift, tf.bitwise.right_shift)  # fmt: skip
    shape = dims(rng)
    x, y = (np.abs(values(rng, each, "int32")) for each in (shape, broadcast(rng, shape)))
    return const_or_input(rng, fn, x, y)


@question
def select(rng: R) -> Made:
    dtype, shape = anything(rng), dims(rng, 1, 6, 3)
    condition = values(rng, broadcast(rng, shape), "bool")
    x, y = values(rng, shape, dtype), values(rng, broadcast(rng, shape), dtype)
    return const_or_input(rng, tf.where, condition, x, y)


@question
def select_v1(rng: R) -> Made:
    dtype, shape = storable(rng), dims(rng, 1, 5, 3)
    condition = values(rng, pick(rng, shape, shape[:1], ()), "bool")
    arrays = np.asarray(condition), values(rng, shape, dtype), values(rng, shape, dtype)
    return const_or_input(rng, lambda c, x, y: raw.Select(condition=c, x=x, y=y), *arrays)


@question
def clip(rng: R) -> Made:
    dtype = pick(rng, "float32", "int32")
    low, high = np.array(-2, dtype), np.array(3, dtype)
    fn = pick(rng, tf.clip_by_value, lambda x, a, b: raw.ClipByValue(
        t=x, clip_value_min=a, clip_value_max=b))  # fmt: skip
    return (lambda x: fn(x, low, high)), [values(rng, dims(rng, 1, 5, 3), dtype)]


@question
def cast(rng: R) -> Made:
    given = pick(rng, "float32", "float32", "int32", "int64", "bool", "uint8")
    wanted = pick(rng, "float32", "int32", "bool", "float16", "int64", "float64", "complex64")
    then = pick(rng, lambda x: x, lambda x: tf.transpose(x), lambda x: tf.concat([x, x], 0))
    return (lambda x: then(tf.cast(x, wanted))), [values(rng, dims(rng, 1, 5, 3), given)]


@question
def add_n(rng: R) -> Made:
    dtype, shape = numbers(rng), dims(rng)
    return (lambda *x: tf.add_n(x)), [values(rng, shape, dtype) for _ in range(rng.integers(1, 5))]
