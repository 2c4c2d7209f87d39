"""Systems of linear equations, by elimination that is written out for matrices of a known size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import LACKS, op
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.tracing.refusal import Refusal

MOST = 16  # rows of a matrix; each takes some twenty nodes


@op("MatrixInverse", "MatrixSolve", because=LACKS)
def solve(build: Build, node: Node) -> list[Ref] | None:
    """Eliminate all but one number of each column of the matrix, on the right side too."""
    stack = _Stack.of(build, node.inputs[0])
    if stack is None:
        return None
    matrix = stack.flat(node.inputs[0], stack.size, turned=bool(node.attrs["adjoint"]))
    if node.op == "MatrixInverse":
        zeros = build.op("ZerosLike", matrix)
        right, columns = build.op("AddV2", zeros, stack.identity()), stack.size
    else:
        shape = build.shape(node.inputs[1])
        if shape is None or shape[-1] is None:
            raise Refusal("only matrices of a known size are supported")
        right, columns = stack.flat(node.inputs[1], shape[-1]), shape[-1]
    both = stack.join(matrix, right)
    for step in _eliminate(stack, both):
        both = step.matrix
    made = stack.columns(both, stack.size, columns)
    like = node.inputs[-1]
    return build.same("Reshape", made, build.op("Shape", like))


@op("MatrixDeterminant", "LogMatrixDeterminant", because=LACKS)
def determinant(build: Build, node: Node) -> list[Ref] | None:
    """Multiply the pivots of the elimination; each swap of two rows changes the sign."""
    (x,) = node.inputs
    stack = _Stack.of(build, x)
    if stack is None:
        return None
    logarithm = node.op == "LogMatrixDeterminant"
    matrix = stack.flat(x, stack.size)
    sign, size = build.number(1), build.number(0 if logarithm else 1)
    for step in _eliminate(stack, matrix):
        length = build.op("Abs", step.pivot)
        size = build.op("AddV2", size, build.op("Log", length)) if logarithm else build.op(
            "Mul", size, length
        )  # fmt: skip
        turn = build.op("Sub", build.number(1), build.op("Mul", build.number(2), step.swapped))
        sign = build.op("Mul", sign, build.op("Mul", build.op("Sign", step.pivot), turn))
    outer = build.sizes(x, 0, stack.rank - 2) if stack.rank > 2 else build.ints()
    results = (sign, size) if logarithm else (build.op("Mul", sign, size),)
    return [build.op("Reshape", each, outer) for each in results]


@op("Cholesky", because=LACKS)
def factorise(build: Build, node: Node) -> list[Ref] | None:
    """Take one column after the other, and its product with itself from the rest."""
    (x,) = node.inputs
    stack = _Stack.of(build, x)
    if stack is None:
        return None
    matrix, made = stack.flat(x, stack.size), []
    for at in range(stack.size):
        root = build.op("Sqrt", stack.cell(matrix, at, at))
        column = build.op("RealDiv", stack.columns(matrix, at, 1), root)
        column = build.op("Mul", column, stack.mask(range(at, stack.size)))
        made.append(column)
        if at + 1 < stack.size:
            square = build.op("BatchMatMulV2", column, column, adj_x=False, adj_y=True)
            matrix = build.op("Sub", matrix, square)
    whole = made[0] if len(made) == 1 else build.op("ConcatV2", *made, build.scalar(2), N=len(made))
    return build.same("Reshape", whole, build.op("Shape", x))


@op("MatrixTriangularSolve", because=LACKS)
def substitute(build: Build, node: Node) -> list[Ref] | None:
    """Find one row of the solution after the other."""
    matrix, right = node.inputs
    stack, shape = _Stack.of(build, matrix), build.shape(right)
    if stack is None:
        return None
    outer = (build.shape(matrix) or ())[:-2]
    if shape is None or shape[-1] is None or (outer != shape[:-2] or outer.count(None) > 1):
        raise Refusal("only stacks of the same, known size are supported")
    x = stack.flat(matrix, stack.size, turned=bool(node.attrs["adjoint"]))
    both = stack.flat(right, shape[-1])
    downwards = bool(node.attrs["lower"]) != bool(node.attrs["adjoint"])
    order = range(stack.size) if downwards else range(stack.size)[::-1]
    for at in order:
        row = build.op("RealDiv", stack.rows(both, at), stack.cell(x, at, at))
        rest = range(at + 1, stack.size) if downwards else range(at)
        column = build.op("Mul", stack.columns(x, at, 1), stack.mask(rest))
        less = build.op("Sub", both, build.op("Mul", column, row))
        both = build.op("SelectV2", stack.here(at), row, less)
    target = build.op("Shape", right)
    return build.same("Reshape", both, target)


class _Stack:
    """Makes nodes that work on a stack of matrices, of three axes, the rows of a known size."""

    def __init__(self, build: Build, rank: int, size: int) -> None:
        self.build, self.rank, self.size = build, rank, size

    @classmethod
    def of(cls, build: Build, x: Ref) -> _Stack | None:
        """Return the stack of *x*; None after a refusal."""
        shape = build.shape(x) or ()
        size = next((each for each in shape[-2:] if each is not None), None)
        if size is None or not 0 < size <= MOST or build.dtype not in ("float32", "float64"):
            raise Refusal(f"only square matrices of a known size up to {MOST} are supported")
        return cls(build, len(shape), size)

    def flat(self, x: Ref, columns: int, *, turned: bool = False) -> Ref:
        flat = self.build.op("Reshape", x, self.build.ints(-1, self.size, columns))
        if not turned:
            return flat
        return self.build.op("Transpose", flat, self.build.ints(0, 2, 1))

    def identity(self) -> Ref:
        return self.build.const(np.eye(self.size, dtype=np.float32), self.build.dtype)

    def join(self, left: Ref, right: Ref) -> Ref:
        return self.build.op("ConcatV2", left, right, self.build.scalar(2), N=2)

    def columns(self, x: Ref, at: int, count: int) -> Ref:
        return self._slice(x, (0, 0, at), (-1, -1, count))

    def rows(self, x: Ref, at: int) -> Ref:
        return self._slice(x, (0, at, 0), (-1, 1, -1))

    def cell(self, x: Ref, row: int, column: int) -> Ref:
        return self._slice(x, (0, row, column), (-1, 1, 1))

    def _slice(self, x: Ref, begin: tuple[int, ...], size: tuple[int, ...]) -> Ref:
        bounds = self.build.ints(*begin), self.build.ints(*size)
        return self.build.op("Slice", x, *bounds)

    def mask(self, rows: range) -> Ref:
        """Return a column of ones in *rows* and zeros elsewhere."""
        values = np.isin(np.arange(self.size), list(rows)).reshape(1, -1, 1)
        return self.build.const(values.astype(np.float32), self.build.dtype)

    def here(self, row: int) -> Ref:
        """Return a column that is true in *row*."""
        return self.build.const(np.arange(self.size).reshape(1, -1, 1) == row, "bool")


class _Step:
    """One column of an elimination: the matrix after it, the pivot, 1 if two rows were swapped."""

    def __init__(self, matrix: Ref, pivot: Ref, swapped: Ref) -> None:
        self.matrix, self.pivot, self.swapped = matrix, pivot, swapped


def _eliminate(stack: _Stack, both: Ref) -> Iterator[_Step]:
    """Yield the steps of Gauss and Jordan; the pivot is the largest number left of a column."""
    build, numbers = stack.build, np.arange(stack.size, dtype=np.int32)
    for at in range(stack.size):
        sizes = build.op(
            "Mul", build.op("Abs", stack.columns(both, at, 1)), stack.mask(range(at, stack.size))
        )
        sizes = build.op("Sub", sizes, stack.mask(range(at)))  # rows that are done come last
        flat = build.op("Squeeze", sizes, squeeze_dims=(2,))
        largest = build.op("ArgMax", flat, build.scalar(1), output_type="int32")
        largest = build.op("Reshape", largest, build.ints(-1, 1, 1), T="int32")
        same = {"T": "int32"}
        chosen = build.op("Equal", build.const(numbers.reshape(1, -1, 1), "int32"), largest, **same)
        places = build.cast(chosen, "bool", build.dtype)
        top = build.op("BatchMatMulV2", places, both, adj_x=True, adj_y=False)
        row = stack.rows(both, at)
        moved = build.op("SelectV2", stack.here(at), top, build.op("SelectV2", chosen, row, both))
        pivot = stack.cell(moved, at, at)
        row = build.op("RealDiv", top, pivot)
        column = stack.columns(moved, at, 1)
        less = build.op("Sub", moved, build.op("Mul", column, row))
        both = build.op("SelectV2", stack.here(at), row, less)
        swapped = build.op("NotEqual", largest, build.scalar(at), **same)
        yield _Step(both, pivot, build.cast(swapped, "bool", build.dtype))
