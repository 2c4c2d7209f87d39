"""Products of matrices and tensors, in Einstein's notation.

One letter for each axis; the first letter of every tensor and of the result is the batch. Letters
of both operands are summed, unless the result has them: then they are like a batch, and tfjs,
which has no such products, computes them piece by piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.shapes import product, resolve_axis
from tfjs_codec.ir.tensors import Array, ArrayTensor, LazyTensor, map_float32
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import op, rule
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.layers.primitives import affine, batch_dot, dense, permute, reshape, slice_axis
from tfjs_codec.layers.rules.activation import apply
from tfjs_codec.tracing.refusal import (
    LOST_OPERANDS,
    Refusal,
    StaticShapeNeeded,
    check_policy,
)
from tfjs_codec.tracing.sizes import dot_equation, per_axis

_MOST_PIECES = 256


def contract(
    b: Scope, x: Tensor, left: str, other: Tensor | LazyTensor, right: str, out: str
) -> Tensor:
    """Return ``left,right->out`` of *x* and a tensor, or a constant (which has no batch)."""
    constant = not isinstance(other, Tensor)
    batch = left[0]
    letters = [set(text) for text in (left, right, out)]
    if any(len(text) != len(seen) for text, seen in zip((left, right, out), letters, strict=True)):
        raise Refusal(f"the product '{left},{right}->{out}', which repeats an axis")
    fits = out[0] == batch and (batch not in right if constant else right[0] == batch)
    if (
        not fits
        or letters[2] - letters[0] - letters[1]
        or (letters[0] ^ letters[1]) - letters[2] - {batch}
    ):
        raise Refusal(f"the product '{left},{right}->{out}'")
    sizes: dict[str, int | None] = dict(zip(right, other.shape, strict=True))
    sizes.update(
        (letter, size)
        for letter, size in zip(left, x.shape, strict=True)
        if size is not None or sizes.get(letter) is None
    )
    both = [letter for letter in left[1:] if letter in right]
    shared = [letter for letter in both if letter in out]
    summed = [letter for letter in both if letter not in out]
    rows = [letter for letter in left[1:] if letter not in both]
    columns = [letter for letter in right if letter not in both and letter != batch]

    def size(some: Sequence[str]) -> int | None:
        return product([sizes[letter] for letter in some])

    pieces = size(shared)
    if pieces is None:
        raise StaticShapeNeeded(f"the shared axes of {list(x.shape)} must be known")
    if pieces > _MOST_PIECES:
        raise Refusal(f"a product of {pieces} pairs of matrices")
    first = _pieces(b, x, left, (shared, rows, summed), pieces, (size(rows), size(summed)))
    groups = (shared, summed, columns)
    if isinstance(other, Tensor):
        second = _pieces(b, other, right, groups, pieces, (size(summed), size(columns)))
        results = [
            batch_dot(b, one, two, [2, 1], "product")
            for one, two in zip(first, second, strict=True)
        ]
    else:
        kernels = _kernels(other, right, groups)
        results = [dense(b, one, kernel) for one, kernel in zip(first, kernels, strict=True)]
    if pieces > 1:
        stacked = [reshape(b, one, (1, *one.shape[1:])) for one in results]
        results = [b.add("Concatenate", stacked, {"axis": 1})]
    made = [*shared, *rows, *columns]
    y = reshape(b, results[0], [sizes[letter] for letter in made])
    return permute(b, y, [made.index(letter) + 1 for letter in out[1:]])


def _pieces(
    b: Scope, x: Tensor, letters: str, groups: Sequence[list[str]], pieces: int,
    matrix: tuple[int | None, int | None],
) -> list[Tensor]:  # fmt: skip
    """Return the matrices of *x*, one for each value of the shared axes (the first group)."""
    moved = permute(b, x, [letters.index(letter) for group in groups for letter in group])
    if pieces == 1:
        return [reshape(b, moved, matrix)]
    flat = reshape(b, moved, (pieces, *matrix))
    cut = [slice_axis(b, flat, 1, i, i + 1, part="piece") for i in range(pieces)]
    return [reshape(b, one, matrix) for one in cut]


def _kernels(constant: LazyTensor, letters: str, groups: Sequence[list[str]]) -> list[LazyTensor]:
    """Return the matrices of *constant*, one for each value of the shared axes."""
    order = [letters.index(letter) for group in groups for letter in group]
    counts = [int(np.prod([constant.shape[letters.index(c)] for c in group])) for group in groups]

    def piece(i: int) -> LazyTensor:
        def cut(values: Array) -> Array:
            matrix: Array = values.transpose(order).reshape(counts)[i]
            return matrix

        return map_float32(constant, (counts[1], counts[2]), cut)

    return [piece(i) for i in range(counts[0])]


# -------------------------------------------------------------------------------------- layers


@rule("EinsumDense")
def einsum_dense(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Permute, Dense, Permute; a Dense for each value of an axis that kernel and output share."""
    check_policy(layer.config.get("dtype"))
    if "kernel_scale" in layer.weights:
        raise Refusal("int8 weights of an EinsumDense", "Pass --to graph.")
    left, right, out = _letters(layer.config["equation"], x.rank)
    y = contract(b, x, left, layer.weights["kernel"], right, out)
    bias = layer.weights.get("bias")
    if bias is not None:
        y = affine(b, y, 1, bias.numpy())
    return apply(b, y, layer.config["activation"])


def _letters(equation: str, rank: int, other: int = 0) -> tuple[str, str, str]:
    """Return the letters of both operands and the result, with an ellipsis spelled out."""
    sides, _, out = equation.replace(" ", "").partition("->")
    left, _, right = sides.partition(",")
    spare = "".join(letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in equation)
    dots = spare[: max(rank - len(left.replace("...", "")), 0)]
    left, right, out = (text.replace("...", dots) for text in (left, right, out))
    if len(left) != rank or (other and len(right) != other) or not out or not right:
        raise Refusal(f"the equation '{equation}' on {rank} axes")
    return left, right, out


@rule("Dot")
def dot(b: Scope, layer: KerasLayer, x: list[Tensor]) -> Tensor:
    """Dot; of more than three axes, as a sum of products."""
    pair = per_axis(layer.config["axes"], 2)
    pair = [resolve_axis(axis, one.rank) for axis, one in zip(pair, x, strict=True)]
    normalize = bool(layer.config.get("normalize"))
    if all(tensor.rank <= 3 for tensor in x):
        return b.add("Dot", x, {"axes": pair, "normalize": normalize})
    if normalize:
        raise Refusal("a normalised Dot of tensors of more than 3 axes")
    left, right, out = dot_equation([tensor.rank for tensor in x], pair)
    return contract(b, x[0], left, x[1], right, out)


# ---------------------------------------------------------------------------------- operations


@op("matmul", "dot")
def _matmul(
    b: Scope, x1: Any, x2: Any, transpose_a: Any = False, transpose_b: Any = False
) -> Tensor:
    """Dot of two tensors, one for each pair of matrices; Dense for a constant matrix."""
    if not isinstance(x1, Tensor):
        raise Refusal("a product whose first operand is a constant")
    if x1.dtype == "bool":
        raise Refusal("a product of booleans, which is boolean")
    if not isinstance(x2, Tensor):
        matrix = np.asarray(x2, np.float32)
        if matrix.ndim == 1:
            y = dense(b, x1, matrix[:, None])
            return reshape(b, y, y.shape[1:-1])
        if matrix.ndim != 2 or transpose_a:
            raise Refusal("a product with a constant that is not a matrix")
        return dense(b, x1, matrix.T if transpose_b else matrix)
    if x1.rank != x2.rank or x1.rank < 3 or (b.layer.class_name == "dot"):
        raise Refusal("a matrix product that does not keep the batch apart")
    stacked = "bcdef"[: x1.rank - 3]
    if x1.shape[1:-2] != x2.shape[1:-2]:
        raise Refusal("a matrix product that repeats matrices")
    left, right = ("ki" if transpose_a else "ik"), ("jk" if transpose_b else "kj")
    return contract(b, x1, f"a{stacked}{left}", x2, f"a{stacked}{right}", f"a{stacked}ij")


@op("einsum")
def _einsum(b: Scope, *operands: Any, subscripts: str = "", equation: str = "") -> Tensor:
    """Permute and Dot, or Dense for a constant; of two operands."""
    texts = [text for text in (*operands, subscripts, equation) if isinstance(text, str) and text]
    pair = [operand for operand in operands if not isinstance(operand, str)]
    if not pair:
        raise Refusal(*LOST_OPERANDS)
    if len(texts) != 1 or len(pair) != 2 or "->" not in texts[0]:
        raise Refusal("an einsum of one operand, or of more than two")
    x, y = (v if isinstance(v, Tensor) else ArrayTensor("constant", np.asarray(v)) for v in pair)
    left, right, out = _letters(texts[0], len(x.shape))
    if not isinstance(x, Tensor):
        x, left, y, right = y, right, x, left
    if not isinstance(x, Tensor) or (len(left), len(right)) != (len(x.shape), len(y.shape)):
        raise Refusal(f"the equation '{texts[0]}' on these operands")
    return contract(b, x, left, y, right, out)
