"""Linear algebra of small matrices; a later pass writes the operations out."""

from __future__ import annotations

from typing import Any

from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.linalg import matmul
from tfjs_codec.operations.ops.shapes import (
    broadcast_to,
    dynamic_shape,
    expand_dims,
    squeeze,
    swapaxes,
)
from tfjs_codec.operations.registry import operation, refuse
from tfjs_codec.operations.values import Operand, Value


@operation("inv")
def inv(b: Builder, x: Operand) -> Value:
    """Return the inverses."""
    return b.emit("MatrixInverse", f.real(b, x))


@operation("det")
def det(b: Builder, x: Operand) -> Value:
    """Return the determinants."""
    x = f.real(b, x)
    return b.emit("MatrixDeterminant", x, shape=x.shape[:-2])


@operation("slogdet")
def slogdet(b: Builder, x: Operand) -> list[Value]:
    """Return the signs of determinants and the logarithms of their absolute values."""
    x = f.real(b, x)
    return b.emit_many("LogMatrixDeterminant", x, results=[(x.shape[:-2], x.dtype)] * 2)


@operation("logdet")
def logdet(b: Builder, x: Operand) -> Value:
    """Return the logarithms of determinants."""
    return slogdet(b, x)[1]


@operation("cholesky")
def cholesky(b: Builder, x: Operand, upper: Any = False) -> Value:
    """Return the triangular roots of symmetric matrices."""
    made = b.emit("Cholesky", f.real(b, x))
    return swapaxes(b, made, -1, -2) if upper else made


@operation("solve")
def solve(b: Builder, a_: Operand, b_: Operand) -> Value:
    """Return x with ``a x = b``."""
    return _solved(b, "MatrixSolve", a_, b_)


@operation("solve_triangular")
def solve_triangular(b: Builder, a_: Operand, b_: Operand, lower: Any = False) -> Value:
    """Return x with ``a x = b`` for triangular matrices."""
    return _solved(b, "MatrixTriangularSolve", a_, b_, lower=bool(lower))


def _solved(b: Builder, op: str, matrix: Operand, right: Operand, **attrs: Any) -> Value:
    x, y = a.floats(b, matrix, right)
    vector = y.rank == x.rank - 1
    y = expand_dims(b, y, -1) if vector else y
    made = b.emit(op, x, y, shape=(*x.shape[:-2], x.shape[-1], y.shape[-1]), **attrs)
    return squeeze(b, made, -1) if vector else made


@operation("cholesky_inverse")
def cholesky_inverse(b: Builder, x: Operand, upper: Any = False) -> Value:
    """Return the inverses of the matrices whose triangular roots are *x*."""
    root = swapaxes(b, x, -1, -2) if upper else f.real(b, x)
    size = root.shape[-1] or 0
    unit = b.formula((size, size), lambda i, j: i == j)
    unit = broadcast_to(b, unit, [*dynamic_shape(b, root)[:-2], size, size])
    half = solve_triangular(b, root, unit, lower=True)
    return matmul(b, swapaxes(b, half, -1, -2), half)


refuse(
    "svd", "qr", "eig", "eigh", "lu_factor", "lstsq", "pinv", "matrix_rank",
    reason="tfjs has no decompositions of matrices",
    hint="Compute it in JavaScript.",
)  # fmt: skip
