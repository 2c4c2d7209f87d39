"""Random TensorFlow graphs, of single operations and of compositions, with what they compute.

    python questions.py FOLDER --seed 1 --count 300 [--functions] [--only REGEX]

With ``--functions`` each function of ``functions.py`` is a question, else one of them at random.

Runs in a Python with TensorFlow, without ``tfjs_codec``. A case is a folder ``SEED_NUMBER_NAME``
with ``model.pb`` (a frozen graph), ``io.npz`` (``in.KEY`` and ``out.KEY``) and ``case.json`` (the
keys, in order). The same seed and count make the same cases.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from functions import FUNCTIONS

R = np.random.Generator
Made = tuple[Callable[..., Any], list[Any]]  # a function of tensors, and arrays for it
QUESTIONS: dict[str, Callable[[R], Made]] = {}
raw = tf.raw_ops


def question(maker: Callable[[R], Made]) -> Callable[[R], Made]:
    QUESTIONS[maker.__name__.strip("_")] = maker
    return maker


def pick(rng: R, *items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


def dims(rng: R, low: int = 1, high: int = 4, most: int = 4) -> tuple[int, ...]:
    """Return a shape of *low* to *high* axes, each of up to *most* elements."""
    return tuple(int(n) for n in rng.integers(1, most + 1, rng.integers(low, high + 1)))


def values(rng: R, shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype == "string":
        return np.array([f"{n % 5}é{'ab' * (n % 3)}" for n in rng.integers(0, 90, shape).ravel()],
                        object).reshape(shape)  # fmt: skip
    if dtype.startswith(("int", "uint")):
        return rng.integers(0 if dtype[0] == "u" else -9, 10, shape).astype(dtype)
    if dtype.startswith("complex"):
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    return rng.normal(size=shape).astype(dtype)


def positive(rng: R, shape: tuple[int, ...]) -> np.ndarray:
    return (np.abs(rng.normal(size=shape)) + 0.1).astype("f4")


def numbers(rng: R) -> str:
    return pick(rng, "float32", "float32", "int32", "int64")


def anything(rng: R) -> str:
    return pick(rng, "float32", "float32", "int32", "int64", "bool", "string", "uint8", "complex64")


def storable(rng: R) -> str:
    return pick(rng, "float32", "float32", "int32", "bool", "bool", "string")


def broadcast(rng: R, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape that can be broadcast to *shape*."""
    kept = shape[int(rng.integers(len(shape) + 1)) :] if rng.random() < 0.5 else shape
    return tuple(1 if rng.random() < 0.3 else n for n in kept)


def const_or_input(rng: R, fn: Callable[..., Any], *arrays: Any, keep: int = 1) -> Made:
    """Make constants of some of *arrays*; the first *keep* stay inputs."""
    fixed = [i >= keep and rng.random() < 0.5 for i in range(len(arrays))]

    def call(*given: Any) -> Any:
        rest = iter(given)
        return fn(*(tf.constant(a) if f else next(rest) for a, f in zip(arrays, fixed)))

    return call, [a for a, f in zip(arrays, fixed) if not f]


# --- element by element ------------------------------------------------------------------------

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


# --- reductions --------------------------------------------------------------------------------


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


# --- shapes and movement -----------------------------------------------------------------------


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


# --- indexing ----------------------------------------------------------------------------------


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


# --- matrices ----------------------------------------------------------------------------------


@question
def product(rng: R) -> Made:
    rows, inner, columns = (int(n) for n in rng.integers(1, 5, 3))
    flip = [bool(rng.random() < 0.4) for _ in range(2)]
    stack = dims(rng, 0, 3, 3) if rng.random() < 0.6 else ()
    left, right = (
        (stack, broadcast(rng, stack)) if rng.random() < 0.5 else (broadcast(rng, stack), stack)
    )
    x = values(rng, (*left, *((inner, rows) if flip[0] else (rows, inner))))
    y = values(rng, (*right, *((columns, inner) if flip[1] else (inner, columns))))
    return const_or_input(
        rng, lambda x, y: tf.matmul(x, y, transpose_a=flip[0], transpose_b=flip[1]), x, y
    )


@question
def dense(rng: R) -> Made:
    flip = bool(rng.random() < 0.5)
    w = values(rng, (5, 4) if flip else (4, 5))
    b = values(rng, (5,))
    after = pick(rng, tf.identity, tf.nn.relu, tf.nn.relu6, tf.nn.elu, tf.nn.leaky_relu, tf.sigmoid,
                 tf.nn.gelu)  # fmt: skip
    return (lambda x: after(tf.nn.bias_add(tf.matmul(x, w, transpose_b=flip), b))), [
        values(rng, (int(rng.integers(1, 4)), 4))
    ]


@question
def einsum(rng: R) -> Made:
    equation = pick(rng, "ab,bc->ac", "abc,cd->abd", "abc,abd->acd", "abcd,acde->abce", "ab->ba",
                    "abc->a", "ab,ab->a", "abcd,aecd->abe", "a,b->ab", "...ab,bc->...ac",
                    "abc,dc->abd", "aecd,abcd->acbe")  # fmt: skip
    sizes = dict(zip("abcde", rng.integers(1, 4, 5)))
    arrays = [
        values(rng, tuple(int(sizes[c]) for c in part.replace("...", "d")))
        for part in equation.partition("->")[0].split(",")
    ]
    return const_or_input(rng, lambda *x: tf.einsum(equation, *x), *arrays)


@question
def diagonals(rng: R) -> Made:
    shape = (*dims(rng, 0, 2, 3), int(rng.integers(2, 5)))
    square = (*shape, shape[-1])
    fn, given = pick(
        rng, (tf.linalg.diag, shape), (tf.linalg.diag_part, square), (tf.linalg.trace, square),
        (lambda x: tf.linalg.set_diag(x, tf.reduce_sum(x, -1)), square),
        (lambda x: tf.linalg.diag(x, k=1), shape), (lambda x: tf.linalg.diag_part(x, k=-1), square),
        (lambda x: tf.linalg.band_part(x, 1, -1), square), (tf.linalg.tensor_diag, shape[-1:]),
        (tf.linalg.tensor_diag_part, square[-2:]), (lambda x: tf.linalg.band_part(x, -1, 0), square),
        (lambda x: tf.linalg.band_part(x > 0, -1, 0), square),
    )  # fmt: skip
    return (lambda x: fn(x)), [values(rng, given, pick(rng, "float32", "float32", "int32"))]


@question
def inverses(rng: R) -> Made:
    w = (np.eye(3) * 3 + rng.normal(size=(3, 3))).astype("f4")
    fn = pick(rng, lambda w: tf.linalg.inv(w), tf.linalg.det, tf.linalg.cholesky)
    w = (w @ w.T).astype("f4")
    return (lambda x: x * fn(tf.constant(w))), [values(rng, (3,))]


@question
def cross(rng: R) -> Made:
    shape = (*dims(rng, 0, 2), 3)
    return const_or_input(rng, tf.linalg.cross, values(rng, shape), values(rng, shape))


# --- convolutions and pooling ------------------------------------------------------------------


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


# --- images ------------------------------------------------------------------------------------


@question
def resized(rng: R) -> Made:
    method = pick(rng, "bilinear", "nearest", "bilinear", "bicubic", "area", "lanczos3", "gaussian",
                  "mitchellcubic")  # fmt: skip
    size = [int(n) for n in rng.integers(2, 9, 2)]
    antialias = bool(rng.random() < 0.2)
    return (lambda x: tf.image.resize(x, size, method, antialias=antialias)), [
        values(rng, (2, 5, 4, 3))
    ]


@question
def resized_v1(rng: R) -> Made:
    size = [int(n) for n in rng.integers(2, 9, 2)]
    align = bool(rng.random() < 0.5)
    dtype = pick(rng, "float32", "int32", "uint8")
    fn = pick(rng, raw.ResizeBilinear, raw.ResizeNearestNeighbor, raw.ResizeBicubic)
    options = pick(rng, {"align_corners": align}, {"half_pixel_centers": align})
    return (lambda x: fn(images=x, size=size, **options)), [values(rng, (2, 5, 4, 3), dtype)]


@question
def crops(rng: R) -> Made:
    boxes = np.sort(rng.uniform(-0.1, 1.1, (4, 2, 2)), 1).reshape(4, 4).astype("f4")
    places = rng.integers(0, 2, 4).astype("i4")
    method = pick(rng, "bilinear", "nearest")
    return const_or_input(
        rng, lambda x, b, i: tf.image.crop_and_resize(x, b, i, [3, 4], method),
        values(rng, (2, 5, 6, 2)), boxes, places,
    )  # fmt: skip


@question
def colours(rng: R) -> Made:
    fn = pick(
        rng, tf.image.rgb_to_grayscale, lambda x: tf.image.adjust_contrast(x, 1.7),
        lambda x: tf.image.adjust_brightness(x, 0.2), tf.image.flip_left_right, tf.image.rot90,
        tf.image.rgb_to_hsv, tf.image.hsv_to_rgb, lambda x: tf.image.adjust_hue(x, 0.2),
        lambda x: tf.image.adjust_saturation(x, 1.4), tf.image.per_image_standardization,
        lambda x: tf.image.central_crop(x, 0.5), lambda x: tf.image.pad_to_bounding_box(x, 1, 2, 9, 9),
        tf.image.rgb_to_yuv, lambda x: tf.image.resize_with_crop_or_pad(x, 4, 8),
        lambda x: tf.image.extract_patches(x, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID"),
        lambda x: tf.image.sobel_edges(x), lambda x: tf.image.total_variation(x),
    )  # fmt: skip
    return (lambda x: fn(x)), [rng.uniform(0, 1, (2, 6, 6, 3)).astype("f4")]


@question
def suppression(rng: R) -> Made:
    corners = np.sort(rng.uniform(0, 1, (6, 2, 2)), 1)
    boxes = corners.reshape(6, 4).astype("f4")
    scores = (rng.permutation(6) / 6 + 0.05).astype("f4")
    most, overlap = int(rng.integers(1, 8)), float(pick(rng, 0.3, 0.5))
    limit = float(pick(rng, 0.3, 0.2, float("-inf")))
    fn = pick(
        rng, lambda b, s: tf.image.non_max_suppression(b, s, most, overlap, limit),
        lambda b, s: list(raw.NonMaxSuppressionV4(
            boxes=b, scores=s, max_output_size=most, iou_threshold=overlap, score_threshold=limit,
            pad_to_max_output_size=True)),
        lambda b, s: list(raw.NonMaxSuppressionV5(
            boxes=b, scores=s, max_output_size=most, iou_threshold=overlap, score_threshold=limit,
            soft_nms_sigma=0.0, pad_to_max_output_size=bool(most % 2))),
        lambda b, s: raw.NonMaxSuppressionV2(
            boxes=b, scores=s, max_output_size=most, iou_threshold=overlap),
    )  # fmt: skip
    return fn, [boxes, scores]


# --- complex numbers, strings, quantisation ----------------------------------------------------


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


# --- control flow and lists --------------------------------------------------------------------


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


# --- compositions ------------------------------------------------------------------------------

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
    lambda r, x: tf.einsum("...a,ab->...b", x, values(r, (int(x.shape[-1]), 2))),
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


@question
def function(rng: R) -> Made:
    return FUNCTIONS[pick(rng, *FUNCTIONS)]


# --- writing them ------------------------------------------------------------------------------


def loosen(rng: R, name: str, shape: tuple[int, ...]) -> list[int | None]:
    """Return *shape* as a signature may know it."""
    if name[:3] == "mix":
        return [None, *shape[1:]]
    chance = rng.random() * (0.8 if name == "convolution" else 1)  # groups: known channels
    if name == "reduction_of_nothing":
        return list(shape)
    if chance < 0.4 or not shape:
        return list(shape)
    if chance < 0.8:
        return [None, *shape[1:]]
    return [None] * len(shape)


def real_inputs(fn: Callable[..., Any], arrays: list[Any]) -> Made:
    """Return the same with two inputs for each complex one: pages have no such arrays."""
    split = [np.iscomplexobj(a) for a in arrays]

    def call(*given: Any) -> Any:
        rest = iter(given)
        return fn(*(tf.complex(next(rest), next(rest)) if s else next(rest) for s in split))

    parts = [[np.real(a), np.imag(a)] if s else [a] for a, s in zip(arrays, split)]
    return call, [np.asarray(each) for pair in parts for each in pair]


def write(folder: Path, name: str, rng: R) -> bool:
    """Write one case of question *name*; return False if TensorFlow refuses it."""
    try:
        fn, arrays = real_inputs(*QUESTIONS[name](rng))
        specs = [
            tf.TensorSpec(loosen(rng, name, a.shape),
                          tf.as_dtype(a.dtype if a.dtype != object else "string"), f"i{k}")
            for k, a in enumerate(arrays)
        ]  # fmt: skip

        def listed(*x: Any) -> list[Any]:
            made = fn(*x)
            many = isinstance(made, list | tuple)
            return [tf.identity(each, f"o{k}") for k, each in enumerate(made if many else [made])]

        concrete = tf.function(
            listed, input_signature=specs, autograph=False
        ).get_concrete_function()
        results = concrete(*(tf.constant(a) for a in arrays))
    except (
        tf.errors.OpError,
        TypeError,
        ValueError,
        ZeroDivisionError,
        IndexError,
        AttributeError,
    ) as error:
        if os.environ.get("WHY"):
            print(name, str(error)[:200].replace(chr(10), " "))
        return False
    names = [each.name.partition(":")[0] for each in concrete.graph.outputs]
    inputs = [each.name.partition(":")[0] for each in concrete.inputs]
    if (
        len(inputs) != len(arrays)
        or len(set(names)) < len(names)
        or any(not isinstance(each, tf.Tensor) or each.dtype.name == "variant" for each in results)
    ):
        return False
    folder.mkdir(parents=True)
    graph = concrete.graph.as_graph_def(add_shapes=bool(rng.random() < 0.5))
    (folder / "model.pb").write_bytes(graph.SerializeToString())
    arrays_out = {f"in.{k}": a for k, a in zip(inputs, arrays)}
    arrays_out |= {f"out.{k}": each.numpy() for k, each in zip(names, results)}
    np.savez(folder / "io.npz", **{k: texts(a) for k, a in arrays_out.items()})
    ops = sorted({node.op for node in graph.node}
                 | {n.op for f in graph.library.function for n in f.node_def})  # fmt: skip
    case = {"inputs": inputs, "outputs": names, "ops": ops}
    (folder / "case.json").write_text(json.dumps(case))
    return True


def texts(array: Any) -> np.ndarray:
    """Return *array* as numpy stores it without pickle."""
    array = np.asarray(array)
    if array.dtype != object:
        return array
    decoded = [s if isinstance(s, str) else s.decode() for s in array.ravel()]
    return np.array(decoded, "U").reshape(array.shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--only", default="")
    parser.add_argument("--functions", action="store_true")
    options = parser.parse_args()
    if options.functions:
        QUESTIONS.clear()
        QUESTIONS.update((name, lambda rng, made=made: made) for name, made in FUNCTIONS.items())
    names = sorted(name for name in QUESTIONS if re.search(options.only, name))
    made = number = 0
    while made < options.count and number < 9 * options.count:
        rng = np.random.default_rng([options.seed, number])
        name = names[number % len(names)]
        made += write(options.folder / f"{options.seed}_{number}_{name}", name, rng)
        number += 1


if __name__ == "__main__":
    main()
