"""Matrix products, diagonals and bands."""

from __future__ import annotations

from dataclasses import replace
from itertools import dropwhile

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.ir.shapes import Dims
from tfjs_codec.tracing.refusal import Refusal


@op("BatchMatMul", "BatchMatMulV2", "MatMul", because=wrong_on("wasm"))
def multiply_whole_numbers(build: Build, node: Node) -> list[Ref] | None:
    """Multiply matrices of whole numbers as floats."""
    kind = build.dtype
    if not kind.startswith(("int", "uint")):
        return None
    floats = [build.cast(ref, kind, "float32") for ref in node.inputs]
    made = build.op(node.op, *floats, **{**node.attrs, "T": "float32"})
    return build.same("Cast", made, SrcT="float32", DstT=kind)


@op("BatchMatMulV2", because=WRONG)
def multiply_stacks(build: Build, node: Node) -> list[Ref] | None:
    """Repeat matrices where both stacks broadcast; tfjs repeats the shorter stack as a whole.

    That is right if one stack of sizes is the end of the other, with ones before it.
    """
    given = [build.shape(ref) for ref in node.inputs]
    shapes = [shape or () for shape in given]
    stacks = [tuple(dropwhile(lambda size: size == 1, shape[:-2])) for shape in shapes]
    pairs = _ends(*stacks)
    if () in stacks and [shape for shape in given if shape is not None and len(shape) == 2]:
        return None
    unsure = None in given or any(  # an unknown size, with others before it, may be 1
        pair[here] is None and number < len(stacks[here]) and pair[there] != 1
        for number, pair in enumerate(pairs, start=1)
        for here, there in ((0, 1), (1, 0))
    )
    if unsure:
        return build.same(node.op, *_spread_stacks(build, *node.inputs), **node.attrs)
    if all((one == 1) == (other == 1) for one, other in pairs):
        return None
    made = []
    for here, there in ((0, 1), (1, 0)):
        x, other = node.inputs[here], node.inputs[there]
        times = [build.ints(1) for _ in shapes[here]]
        for back, (one, size) in enumerate(_ends(stacks[here], stacks[there]), start=3):
            if one == 1 and size is not None:
                times[-back] = build.ints(size)
            elif one == 1:
                times[-back] = build.sizes(other, len(shapes[there]) - back, 1)
        made.append(build.op("Tile", x, build.concat(*times)))
    return build.same(node.op, *made, **node.attrs)


def _spread_stacks(build: Build, *factors: Ref) -> list[Ref]:
    """Broadcast both stacks to the same sizes, which are computed when the model runs."""
    last = build.ints(-2, -1)
    single = [build.op("Max", x, last, keep_dims=True) for x in factors]
    both = build.op("Shape", build.op("AddV2", *single))

    def part(shape: Ref, begin: int, end: int, **masks: int) -> Ref:
        begins, ends = build.ints(begin), build.ints(end)
        return build.strided_slice(shape, begins, ends, build.ints(1), **masks)

    stack = part(both, 0, -2, begin_mask=1)
    shapes = [build.op("Shape", x) for x in factors]
    whole = [build.concat(stack, part(shape, -2, 0, end_mask=1)) for shape in shapes]
    return [build.op("BroadcastTo", x, sizes) for x, sizes in zip(factors, whole, strict=True)]


def _ends(one: Dims, other: Dims) -> list[tuple[int | None, int | None]]:
    """Return pairs of sizes from the last one on, as many as both have."""
    return list(zip(one[::-1], other[::-1], strict=False))


@op("BatchMatMulV3", because=LACKS)
def multiply_v3(build: Build, node: Node) -> list[Ref] | None:
    """Use the older operation where all types are the same."""
    kinds = {node.attrs.get(key) for key in ("Ta", "Tb", "Tout")}
    if len(kinds) != 1:
        return None
    flags = {key: node.attrs.get(key, False) for key in ("adj_x", "adj_y")}
    older = replace(node, op="BatchMatMulV2", attrs={"T": kinds.pop(), **flags})
    build.begin(older)
    return multiply_stacks(build, older) or build.same(older.op, *older.inputs, **older.attrs)


@op("MatrixBandPart", because=WRONG)
def band_part(build: Build, node: Node) -> list[Ref]:
    """Keep where ``row - column <= lower`` and ``column - row <= upper``; negative: all."""
    x, lower, upper = node.inputs
    scalars = [build.scalar(number) for number in (0, 1)]

    def places(end: int, axis: int) -> Ref:
        shape = build.op("Shape", x)
        bounds = build.ints(end), build.ints(end + 1), build.ints(1)
        size = build.strided_slice(shape, *bounds, shrink_axis_mask=1)
        count = build.op("Range", scalars[0], size, scalars[1])
        at = build.scalar(axis)
        return build.op("ExpandDims", count, at, T="int32")

    rows, columns = places(-2, 1), places(-1, 0)

    def within(first: Ref, second: Ref, limit: Ref) -> Ref:
        limit = build.cast(limit, "int64", "int32")
        distance = build.op("Sub", first, second, T="int32")
        near = build.op("LessEqual", distance, limit, T="int32")
        return build.op("LogicalOr", near, build.op("Less", limit, scalars[0], T="int32"))

    kept = build.op("LogicalAnd", within(rows, columns, lower), within(columns, rows, upper))
    return build.same("SelectV2", kept, x, build.op("ZerosLike", x))


@op("MatrixDiag", "MatrixDiagV3", because=LACKS)
def diagonal_matrix(build: Build, node: Node) -> list[Ref] | None:
    """Choose zero off a diagonal of a square matrix."""
    x, *rest = node.inputs
    rank, numbers = build.rank(x), [build.numbers(ref) for ref in rest]
    if not rank:
        raise Refusal("only a known rank is supported")
    first = numbers[0] if numbers else [0]
    if first is None or len(set(first)) != 1 or numbers[1:] not in ([], [[-1], [-1], [0]]):
        raise Refusal("only one diagonal of a square matrix is supported")
    offset = int(first[0])
    widths = np.zeros((rank, 2), np.int32)
    widths[-1, 1] = abs(offset)
    if offset:
        x = build.op("Pad", x, build.const(widths, "int32"))
    size = build.sizes(x, rank - 1, 1)
    spread = build.expand_dims(x, rank - (offset < 0), build.dtype)
    return build.same("SelectV2", _on_diagonal(build, size, size, offset), spread, build.number(0))


@op("MatrixDiagPart", "MatrixDiagPartV2", "MatrixDiagPartV3", because=LACKS)
def diagonal_part(build: Build, node: Node) -> list[Ref] | None:
    """Sum rows or columns with zeros off a diagonal."""
    x, *rest = node.inputs
    rank, first = build.rank(x), build.numbers(rest[0]) if rest else [0]
    if rank is None:
        raise Refusal("only a known rank is supported")
    if first is None or len(set(first)) != 1:
        raise Refusal("only one diagonal is supported")
    offset = int(first[0])
    rows, columns = build.sizes(x, rank - 2, 1), build.sizes(x, rank - 1, 1)
    here = _on_diagonal(build, rows, columns, offset)
    kept = build.op("SelectV2", here, x, build.number(0))
    whole, other = (columns, rows) if offset < 0 else (rows, columns)
    axis = build.ints(rank - 2 if offset < 0 else rank - 1)
    made = build.op("Sum", kept, axis)
    other = build.op("Sub", other, build.ints(abs(offset)), T="int32")
    size = build.op("Minimum", whole, other, T="int32")
    sizes = build.concat(*[build.ints(-1)] * (rank - 2), size) if rank > 2 else size
    return build.same("Slice", made, build.ints(*[0] * (rank - 1)), sizes)


@op("MatrixSetDiag", "MatrixSetDiagV3", because=LACKS)
def set_diagonal(build: Build, node: Node) -> list[Ref] | None:
    """Choose other numbers on the main diagonal."""
    x, values, *rest = node.inputs
    shape = build.shape(x)
    rows, columns = shape[-2:] if shape else (None, None)
    if shape is None or rows is None or columns is None:
        raise Refusal("only matrices of a known size are supported")
    if rest and build.numbers(rest[0]) != [0]:
        raise Refusal("only the main diagonal is supported")
    rank = len(shape)
    spread = build.expand_dims(values, rank - 1 if rows <= columns else rank - 2, build.dtype)
    here = _on_diagonal(build, build.ints(rows), build.ints(columns), 0)
    return build.same("SelectV2", here, spread, x)


@op("Diag", "DiagPart", because=LACKS)
def tensor_diagonal(build: Build, node: Node) -> list[Ref] | None:
    """Make or read the diagonal of a matrix of all axes together."""
    (x,) = node.inputs
    rank = build.known_rank(x)
    half = rank if node.op == "Diag" else rank // 2
    shape = build.sizes(x, 0, half)
    if node.op == "Diag":
        flat = build.op("Reshape", x, build.ints(-1))
        made = build.op("MatrixDiag", flat)
        return build.same("Reshape", made, build.concat(shape, shape))
    rows = build.op("Reshape", x, build.concat(shape, build.ints(-1)))
    square = build.concat(build.ints(-1), build.sizes(rows, half, 1))
    matrix = build.op("Reshape", x, square)
    made = build.op("MatrixDiagPart", matrix)
    return build.same("Reshape", made, shape)


def _on_diagonal(build: Build, rows: Ref, columns: Ref, offset: int) -> Ref:
    down, right = (
        build.expand_dims(build.count(rows), 1),
        build.expand_dims(build.count(columns), 0),
    )
    if offset:
        right = build.op("Sub", right, build.scalar(offset), T="int32")
    return build.op("Equal", down, right, T="int32")
