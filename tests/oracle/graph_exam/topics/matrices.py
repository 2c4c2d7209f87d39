"""Products and other operations on matrices."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from asking import Made, R, broadcast, const_or_input, dims, pick, question, values


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
