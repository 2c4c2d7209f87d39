"""Products of matrices and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfjs_codec.ir.shapes import broadcast
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops.reductions import sum_
from tfjs_codec.operations.ops.shapes import (
    dynamic_shape,
    expand_dims,
    normalize_axis,
    reshape,
    size_of,
    squeeze,
    stack,
    total_size,
    transpose,
)
from tfjs_codec.operations.ops.slicing import diagonal, unstack
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value, is_float
from tfjs_codec.tracing.refusal import LOST_OPERANDS, Refusal


@operation("matmul")
def matmul(
    b: Builder, x1: Operand, x2: Operand, transpose_a: Any = False, transpose_b: Any = False
) -> Value:
    """Return the product of matrices, or stacks of them."""
    x, y = a.promote(b, x1, x2)
    if not is_float(x.dtype):
        left, right = (b.value(one, "float32") for one in (x, y))
        return b.value(matmul(b, left, right, transpose_a, transpose_b), x.dtype)
    if x.rank == 1 and y.rank == 1:
        return squeeze(b, _product(b, expand_dims(b, x, 0), expand_dims(b, y, 1)), [0, 1])
    if x.rank == 1:
        return squeeze(b, _product(b, expand_dims(b, x, 0), y, False, bool(transpose_b)), -2)
    if y.rank == 1:
        return squeeze(b, _product(b, x, expand_dims(b, y, 1), bool(transpose_a), False), -1)
    return _product(b, x, y, bool(transpose_a), bool(transpose_b))


def _product(
    b: Builder, x: Value, y: Value, transpose_x: bool = False, transpose_y: bool = False
) -> Value:
    rows = x.shape[-1] if transpose_x else x.shape[-2]
    columns = y.shape[-2] if transpose_y else y.shape[-1]
    if x.rank == 2 and y.rank == 2:
        flags = {"transpose_a": transpose_x, "transpose_b": transpose_y}
        return b.emit("MatMul", x, y, shape=(rows, columns), dtype=x.dtype, **flags)
    if y.rank == 2 and not transpose_x:
        flat = reshape(b, x, [-1, x.shape[-1]]) if x.shape[-1] is not None else None
        if flat is not None:
            product = _product(b, flat, y, False, transpose_y)
            return reshape(b, product, [*dynamic_shape(b, x)[:-1], columns])
    shape = (*broadcast(x.shape[:-2], y.shape[:-2]), rows, columns)
    flags = {"adj_x": transpose_x, "adj_y": transpose_y}
    return b.emit("BatchMatMulV2", x, y, shape=shape, dtype=x.dtype, **flags)


@operation("dot")
def dot(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return the product over the last axis and the one before the last of the second operand."""
    x, y = a.promote(b, x1, x2)
    if not x.rank or not y.rank:
        return a.multiply(b, x, y)
    return tensordot(b, x, y, [[x.rank - 1], [max(y.rank - 2, 0)]])


@operation("inner")
def inner(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return the product over the last axes."""
    x, y = a.promote(b, x1, x2)
    return tensordot(b, x, y, [[x.rank - 1], [y.rank - 1]])


@operation("vdot")
def vdot(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return the sum of the products of all elements."""
    return tensordot(b, reshape(b, x1, [-1]), reshape(b, x2, [-1]), 1)


@operation("outer")
def outer(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return the products of all pairs of elements."""
    return a.multiply(b, reshape(b, x1, [-1, 1]), reshape(b, x2, [1, -1]))


@operation("tensordot")
def tensordot(b: Builder, x1: Operand, x2: Operand, axes: Any = 2) -> Value:
    """Return the product over pairs of axes."""
    x, y = a.promote(b, x1, x2)
    if isinstance(axes, int):
        pairs = (list(range(x.rank - axes, x.rank)), list(range(axes)))
    else:
        first, second = (np.atleast_1d(one).tolist() for one in axes)
        pairs = ([normalize_axis(x, i) for i in first], [normalize_axis(y, i) for i in second])
    left = "abcdefghijklm"[: x.rank]
    right = list("nopqrstuvwxyz"[: y.rank])
    for i, j in zip(*pairs, strict=True):
        right[j] = left[i]
    out = [c for i, c in enumerate(left) if i not in pairs[0]]
    out += [c for j, c in enumerate(right) if j not in pairs[1]]
    return einsum(b, f"{left},{''.join(right)}->{''.join(out)}", x, y)


@operation("cross")
def cross(
    b: Builder, x1: Operand, x2: Operand, axisa: int = -1, axisb: int = -1, axisc: int = -1,
    axis: int | None = None,
) -> Value:  # fmt: skip
    """Return the vectors orthogonal to pairs of vectors of three elements, or their length."""
    x, y = a.promote(b, x1, x2)
    first, second, out = (one if axis is None else axis for one in (axisa, axisb, axisc))
    u, v = unstack(b, x, axis=first), unstack(b, y, axis=second)

    def part(i: int, j: int) -> Value:
        return a.subtract(b, a.multiply(b, u[i], v[j]), a.multiply(b, u[j], v[i]))

    if len(u) == len(v) == 2:
        return part(0, 1)
    if len(u) != 3 or len(v) != 3:
        raise Refusal("a cross product of vectors of two elements and of three")
    return stack(b, [part(1, 2), part(2, 0), part(0, 1)], out)


@operation("kron")
def kron(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return the products of all pairs of elements, in blocks."""
    x, y = a.promote(b, x1, x2)
    rank = max(x.rank, y.rank)
    while x.rank < rank:
        x = expand_dims(b, x, 0)
    while y.rank < rank:
        y = expand_dims(b, y, 0)
    sizes = [total_size(b, [size_of(b, x, i), size_of(b, y, i)]) for i in range(rank)]
    wide = expand_dims(b, x, [2 * i + 1 for i in range(rank)])
    deep = expand_dims(b, y, [2 * i for i in range(rank)])
    return reshape(b, a.multiply(b, wide, deep), sizes)


# ------------------------------------------------------------------------------------- einsum


@operation("einsum")
def einsum(b: Builder, subscripts: str, *operands: Operand) -> Value:
    """Return sums of products in Einstein's notation, two operands at a time."""
    if not operands:
        raise Refusal(*LOST_OPERANDS)
    values = a.promote(b, *operands)
    inputs, out = _letters(subscripts, values)
    if not is_float(values[0].dtype):
        kind = values[0].dtype
        wide = [b.value(one, "float32") for one in values]
        return b.value(einsum(b, f"{','.join(inputs)}->{out}", *wide), kind)
    terms = [_sum_letters(b, x, letters, [*inputs[:i], *inputs[i + 1 :], out])
             for i, (x, letters) in enumerate(zip(values, inputs, strict=True))]  # fmt: skip
    while len(terms) > 1:
        (x, left), (y, right), *rest = terms
        needed = set(out).union(*(letters for _, letters in rest))
        made = "".join(dict.fromkeys(c for c in left + right if c in needed))
        made = made if rest else out
        terms = [(contract(b, x, left, y, right, made), made), *rest]
    x, letters = terms[0]
    return transpose(b, x, [letters.index(c) for c in out])


def _letters(subscripts: str, values: Sequence[Value]) -> tuple[list[str], str]:
    """Return the letters of all operands and of the result, ellipses spelled out."""
    sides, arrow, out = subscripts.replace(" ", "").partition("->")
    inputs = sides.split(",")
    if len(inputs) != len(values):
        raise ValueError(f"the equation '{subscripts}' of {len(values)} operands")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts]
    extra = [x.rank - len(text.replace("...", "")) if "..." in text else 0
             for text, x in zip(inputs, values, strict=True)]  # fmt: skip
    dots = "".join(spare[: max(extra, default=0)])
    if not arrow:
        once = [c for c in sorted(set(sides) - set(",.")) if sides.count(c) == 1]
        out = ("..." if dots else "") + "".join(once)
    texts = [
        text.replace("...", dots[len(dots) - n :]) for text, n in zip(inputs, extra, strict=True)
    ]
    out = out.replace("...", dots)
    if any(len(text) != x.rank for text, x in zip(texts, values, strict=True)):
        raise ValueError(f"the equation '{subscripts}' does not fit its operands")
    return texts, out


def _sum_letters(b: Builder, x: Value, letters: str, others: Sequence[str]) -> tuple[Value, str]:
    """Sum over letters that stand nowhere else; take the diagonal of repeated ones."""
    if len(set(letters)) != len(letters):
        repeated = next(c for c in letters if letters.count(c) > 1)
        i, j = letters.index(repeated), letters.rindex(repeated)
        order = letters[:i] + letters[i + 1 : j] + letters[j + 1 :] + repeated
        return _sum_letters(b, diagonal(b, x, 0, i, j), order, others)
    gone = [i for i, c in enumerate(letters) if not any(c in other for other in others)]
    left = "".join(c for i, c in enumerate(letters) if i not in gone)
    return (sum_(b, x, gone) if gone else x), left


def contract(b: Builder, x: Value, left: str, y: Value, right: str, out: str) -> Value:
    """Return ``left,right->out`` as one product of (stacks of) matrices.

    Letters of both operands are summed, or shared if the result has them.
    """
    shared = [c for c in out if c in left and c in right]
    summed = [c for c in left if c in right and c not in out]
    rows = [c for c in out if c in left and c not in right]
    columns = [c for c in out if c in right and c not in left]
    if rows and list(out) == [*shared, *columns, *rows]:
        return contract(b, y, right, x, left, out)
    if not summed:  # an outer product
        wide = [_spread(b, value, letters, out) for value, letters in ((x, left), (y, right))]
        return a.multiply(b, *wide)
    sizes: dict[str, Any] = {}
    for value, letters in ((y, right), (x, left)):
        for c, size in zip(letters, value.shape, strict=True):
            if size is not None or c not in sizes:
                sizes[c] = size if size is not None else (value, letters.index(c))
    first, flip_x = _matrix(b, x, left, shared, rows, summed, sizes)
    second, flip_y = _matrix(b, y, right, shared, summed, columns, sizes)
    made = _product(b, first, second, flip_x, flip_y)
    full = reshape(b, made, [_as_size(b, sizes[c]) for c in [*shared, *rows, *columns]])
    order = [*shared, *rows, *columns]
    return transpose(b, full, [order.index(c) for c in out])


def _spread(b: Builder, x: Value, letters: str, out: str) -> Value:
    """Return *x* with axes in the order of *out*, size 1 for letters that it has not."""
    moved = transpose(b, x, [letters.index(c) for c in out if c in letters])
    missing = [i for i, c in enumerate(out) if c not in letters]
    return expand_dims(b, moved, missing) if missing else moved


def _matrix(
    b: Builder, x: Value, letters: str, shared: list[str], rows: list[str], columns: list[str],
    sizes: dict[str, Any],
) -> tuple[Value, bool]:  # fmt: skip
    """Return *x* as (stacks of) matrices, and whether they are transposed."""
    flipped = bool(rows and columns) and letters.index(columns[0]) < letters.index(rows[0])
    groups = (columns, rows) if flipped else (rows, columns)
    order = [*shared, *groups[0], *groups[1]]
    moved = transpose(b, x, [letters.index(c) for c in order])
    if len(groups[0]) == 1 and len(groups[1]) == 1:
        return moved, flipped
    lengths = [total_size(b, [_as_size(b, sizes[c]) for c in group]) for group in groups]
    stack = [_as_size(b, sizes[c]) for c in shared]
    return reshape(b, moved, [*stack, *lengths]), flipped


def _as_size(b: Builder, size: Any) -> Any:
    """Return a size as a number or a scalar."""
    if isinstance(size, tuple):
        return size_of(b, *size)
    return size
