"""Operations that tfjs lacks, composed of several that it has.

Rules as in :mod:`tfjs_codec.graph.rewrites.rewrite`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.ir.graph import Node, Ref

_MOST_FILTERS = 1024  # of the convolution that cuts patches: its weights grow with the square
_INT = {"T": "int32"}


def _expand(build: Build, x: Ref, axis: int, dtype: str = "int32") -> Ref:
    return build.op("ExpandDims", x, build.scalar(axis), T=dtype, Tdim="int32")


def _count(build: Build, size: Ref) -> Ref:
    """Return 0, 1, … up to the number in the vector *size*."""
    end = build.op("Squeeze", size, squeeze_dims=(0,), **_INT)
    return build.op("Range", build.scalar(0), end, build.scalar(1), Tidx="int32")


def counted(build: Build, vector: Ref) -> Ref:
    """Return 0, 1, … for each element of *vector*."""
    return _count(build, build.op("Shape", vector, T="int32", out_type="int32"))


def space_to_depth(build: Build, node: Node) -> list[Ref]:
    """Put blocks of pixels behind each other: (n, h·b, w·b, c) to (n, h, w, b·b·c)."""
    return _blocks(build, node.inputs[0], [int(node.attrs["block_size"])] * 2)


def _blocks(build: Build, x: Ref, block: Sequence[int]) -> list[Ref]:
    high, wide = map(build.ints, block)
    columns = build.op("FloorDiv", build.sizes(x, 2, 1), wide, **_INT)
    width = build.op("Mul", build.sizes(x, 3, 1), wide, **_INT)
    rows = build.concat(build.ints(-1), high, columns, width)
    cut = build.op("Reshape", x, rows, Tshape="int32")
    turned = build.op("Transpose", cut, build.ints(0, 2, 1, 3), Tperm="int32")
    depth = build.op("Mul", width, high, **_INT)
    sizes = build.concat(build.sizes(x, 0, 1), build.ints(-1), columns, depth)
    return build.same("Reshape", turned, sizes, Tshape="int32")


def image_patches(build: Build, node: Node) -> list[Ref] | None:
    """Cut an image into tiles, or convolve it with a kernel for each element of a patch."""
    (x,) = node.inputs
    shape = build.shape(x)
    _, high, wide, _ = node.attrs["ksizes"]
    steps, rates = node.attrs["strides"], node.attrs["rates"]
    if not shape or shape[3] is None:
        build.refuse("tfjs cannot cut patches of an unknown number of channels")
        return None
    if tuple(steps[1:3]) == (high, wide) and tuple(rates) == (1, 1, 1, 1):
        sizes = zip(shape[1:3], (high, wide), strict=True)
        if all(size is not None and size % tile == 0 for size, tile in sizes):
            return _blocks(build, x, (high, wide))
    filters = high * wide * shape[3]
    if filters > _MOST_FILTERS or (max(steps) > 1 and max(rates) > 1):
        build.refuse("tfjs cannot cut such patches", "Cut tiles that do not overlap.")
        return None
    kernel = np.eye(filters, dtype=np.float32).reshape(high, wide, shape[3], filters)
    return build.same(
        "Conv2D", x, build.const(kernel, build.dtype), strides=steps, dilations=rates,
        padding=node.attrs["padding"], data_format=b"NHWC", explicit_paddings=(),
    )  # fmt: skip


def _on_diagonal(build: Build, rows: Ref, columns: Ref) -> Ref:
    places = _expand(build, _count(build, rows), 1), _expand(build, _count(build, columns), 0)
    return build.op("Equal", *places, incompatible_shape_error=True, **_INT)


def _main_diagonal(build: Build, given: Sequence[Ref], wanted: Sequence[int]) -> bool:
    """Tell whether the constants *given* say that it is the main diagonal; refuse others."""
    plain = [build.numbers(ref) for ref in given] == [[number] for number in wanted]
    if not plain:
        build.refuse("tfjs has it only by a detour, for the main diagonal of a square matrix")
    return plain


def diagonal_matrix(build: Build, node: Node) -> list[Ref] | None:
    """Zero off the diagonal; only the main one of a square matrix."""
    x, *rest = node.inputs
    rank = build.rank(x)
    if not rank:
        build.refuse("tfjs has it only for a known rank")
        return None
    if not _main_diagonal(build, rest, (0, -1, -1, 0)[: len(rest)]):
        return None
    size = build.sizes(x, rank - 1, 1)
    spread = _expand(build, x, rank, build.dtype)
    return build.same("SelectV2", _on_diagonal(build, size, size), spread, build.number(0))


def diagonal(build: Build, node: Node) -> list[Ref] | None:
    """The sum of each row without what is off the diagonal."""
    x, *rest = node.inputs
    shape = build.shape(x)
    rows, columns = shape[-2:] if shape else (None, None)
    if rows is None or columns is None or rows > columns:
        build.refuse("tfjs has it only by a detour, for matrices of a known size")
        return None
    if not _main_diagonal(build, rest[:1], (0,)):
        return None
    here = _on_diagonal(build, build.ints(rows), build.ints(columns))
    kept = build.op("SelectV2", here, x, build.number(0))
    return build.same("Sum", kept, build.ints(-1), keep_dims=False, Tidx="int32")


def scatter_onto(build: Build, node: Node) -> list[Ref]:
    """Scatter onto zeros, then add or subtract."""
    x, indices, updates = node.inputs
    whole = build.op("Shape", x, out_type="int32")
    kinds = {"Tindices": node.attrs["Tindices"], "bad_indices_policy": b""}
    scattered = build.op("ScatterNd", indices, updates, whole, **kinds)
    return build.same("Sub" if node.op == "TensorScatterSub" else "AddV2", x, scattered)


def segment_sum(build: Build, node: Node) -> list[Ref] | None:
    """Scatter the rows to their segments, where rows of one segment add up."""
    x, segments, *number = node.inputs
    rank, places = build.rank(x), build.rank(segments)
    if rank is None or places is None:
        build.refuse("tfjs has it only for a known rank")
        return None
    kind = node.attrs["Tindices"]
    flat = build.op("Reshape", segments, build.ints(-1), T=kind, Tshape="int32")
    if number:
        count = build.op("Reshape", number[0], build.ints(1), T="int32", Tshape="int32")
    else:
        last = build.op("Max", flat, build.ints(0), T=kind, keep_dims=True, Tidx="int32")
        last = build.op("Cast", last, SrcT=kind, DstT="int32", Truncate=False)
        count = build.op("AddV2", last, build.ints(1), **_INT)
    rest = [build.sizes(x, places, rank - places)] if rank > places else []
    rows = build.op("Reshape", x, build.concat(build.ints(-1), *rest), Tshape="int32")
    attrs = {"Tindices": kind, "bad_indices_policy": b""}
    where = _expand(build, flat, 1, kind)
    return build.same("ScatterNd", where, rows, build.concat(count, *rest), **attrs)


def bucketize(build: Build, node: Node) -> list[Ref] | None:
    """Count the boundaries that are not above a number."""
    ends = np.array(node.attrs["boundaries"], np.float32)
    if not ends.size:
        build.refuse("there are no boundaries")
        return None
    x = build.op("Cast", node.inputs[0], SrcT=build.dtype, DstT="float32", Truncate=False)
    spread = _expand(build, x, -1, "float32")
    above = build.op("GreaterEqual", spread, build.const(ends, "float32"), T="float32")
    ones = build.op("Cast", above, SrcT="bool", DstT="int32", Truncate=False)
    return build.same("Sum", ones, build.ints(-1), T="int32", keep_dims=False, Tidx="int32")


def angle(build: Build, node: Node) -> list[Ref]:
    """The angle of a complex number is that of its parts."""
    parts = [build.op(part, node.inputs[0], Tout="float32") for part in ("Imag", "Real")]
    return build.same("Atan2", *parts, T="float32")


def contrast(build: Build, node: Node) -> list[Ref]:
    """Stretch the distance from each channel's mean."""
    x, factor = node.inputs
    mean = build.op("Mean", x, build.ints(-3, -2), keep_dims=True, Tidx="int32")
    return build.same("AddV2", build.op("Mul", build.op("Sub", x, mean), factor), mean)


def xdivy(build: Build, node: Node) -> list[Ref]:
    """``x / y``, and 0 where x is, whatever y is."""
    x, y = node.inputs
    return _but_zero(build, x, build.op("RealDiv", x, y))


def mul_no_nan(build: Build, node: Node) -> list[Ref]:
    """``x · y``, and 0 where y is, whatever x is."""
    x, y = node.inputs
    return _but_zero(build, y, build.op("Mul", x, y))


def _but_zero(build: Build, where: Ref, x: Ref) -> list[Ref]:
    zero = build.number(0)
    none = build.op("Equal", where, zero, incompatible_shape_error=True)
    return build.same("SelectV2", none, zero, x)


def reversed_sequences(build: Build, node: Node) -> list[Ref] | None:
    """Gather each sequence from its end, what is behind its end from where it is."""
    x, lengths = node.inputs
    axes = node.attrs["seq_dim"], node.attrs.get("batch_dim", 0)
    rank = build.rank(x)
    if sorted(axes) != [0, 1] or rank is None:
        build.refuse("tfjs has it only by a detour, for the first two axes")
        return None
    swap = build.ints(1, 0, *range(2, rank))
    first = axes == (0, 1)  # time
    if first:
        x = build.op("Transpose", x, swap, Tperm="int32")
    kind = node.attrs["Tlen"]
    ends = _expand(build, build.op("Cast", lengths, SrcT=kind, DstT="int32", Truncate=False), 1)
    steps = _expand(build, _count(build, build.sizes(x, 1, 1)), 0)
    last = build.op("Sub", ends, build.ints(1), **_INT)
    back = build.op("Sub", last, steps, **_INT)
    inside = build.op("Less", steps, ends, **_INT)
    places = build.op("SelectV2", inside, back, steps, **_INT)
    made = gathered(build, x, places, 1, rank, 2)
    turned = [build.ints(*range(rank))] if not first else [swap]
    return build.same("Transpose", made, *turned, Tperm="int32")


def gathered(build: Build, x: Ref, indices: Ref, batch: int, rank: int, places: int) -> Ref:
    """Gather rows of *x*, each batch its own, on axis *batch*: all batches in one.

    *rank* is that of *x*, *places* that of *indices*, which are int32. The kernel of the wasm
    backend takes indices of one batch for another.
    """
    dtype = build.dtype
    outer = build.sizes(indices, 0, batch)
    kinds = {"T": "int32", "Tidx": "int32"}
    number = build.op("Prod", outer, build.ints(0), keep_dims=True, **kinds)
    starts = build.op("Mul", _count(build, number), build.sizes(x, batch, 1), **_INT)
    flat = build.op(
        "Reshape", indices, build.concat(number, build.ints(-1)), T="int32", Tshape="int32"
    )
    flat = build.op("AddV2", flat, _expand(build, starts, 1), **_INT)
    rest = [build.sizes(x, batch + 1, rank - batch - 1)] if rank > batch + 1 else []
    rows = build.op("Reshape", x, build.concat(build.ints(-1), *rest), T=dtype, Tshape="int32")
    attrs = {"Tparams": dtype, "Tindices": "int32", "Taxis": "int32", "batch_dims": 0}
    made = build.op("GatherV2", rows, flat, build.scalar(0), **attrs)
    sizes = build.concat(build.sizes(indices, 0, places), *rest)
    return build.op("Reshape", made, sizes, T=dtype, Tshape="int32")


def transposed_convolution_3d(build: Build, node: Node) -> list[Ref] | None:
    """Convolve with the kernel turned round what has zeros between and around its elements."""
    x, kernel = node.inputs[2], build.nodes[node.inputs[1].node]
    given, wanted = build.shape(x), build.shape(Ref(node.name))
    plain = all(size == 1 for size in node.attrs["dilations"])
    if kernel.op != "Const" or not plain or not given or not wanted or len(given) != len(wanted):
        build.refuse("tfjs has it only by a detour, for constant weights and known sizes")
        return None
    weights = kernel.value.numpy()[::-1, ::-1, ::-1].swapaxes(3, 4)
    for axis in (1, 2, 3):
        size, result, step = given[axis], wanted[axis], node.attrs["strides"][axis]
        window = weights.shape[axis - 1]
        if size is None or result is None:
            build.refuse("tfjs has it only by a detour, for known sizes")
            return None
        same = node.attrs["padding"] == b"SAME"
        cut = max((size - 1) * step + window - result, 0) // 2 if same else 0
        x = _spaced(build, x, axis, size, step, window - 1 - cut, result + window - 1)
    taken = {key: node.attrs[key] for key in ("dilations", "data_format")}
    weights = build.const(np.ascontiguousarray(weights), build.dtype)
    return build.same("Conv3D", x, weights, strides=(1,) * 5, padding=b"VALID", **taken)


def _spaced(build: Build, x: Ref, axis: int, size: int, step: int, before: int, total: int) -> Ref:
    """Put ``step - 1`` zeros behind each of *size* elements along *axis*, and zeros around them."""

    def pad(x: Ref, *ends: tuple[int, int]) -> Ref:
        return build.op("Pad", x, build.const(np.array(ends, np.int32), "int32"), Tpaddings="int32")

    def change(x: Ref) -> Ref:
        if step > 1:
            sizes = build.sizes(x, 0, 1), build.ints(size * step), build.sizes(x, 2, 1)
            spread = pad(_expand(build, x, 2, build.dtype), (0, 0), (0, 0), (0, step - 1), (0, 0))
            x = build.op("Reshape", spread, build.concat(*sizes), Tshape="int32")
        kept = min(total - before, size * step)
        if kept < size * step:
            begin, length = build.ints(0, 0, 0), build.ints(-1, kept, -1)
            x = build.op("Slice", x, begin, length, Index="int32")
        return pad(x, (0, 0), (before, total - before - kept), (0, 0))

    return along(build, x, axis, 5, change)


def along(build: Build, x: Ref, axis: int, rank: int, change: Callable[[Ref], Ref]) -> Ref:
    """Return *x* after *change* of its *axis*, which is given as the second one of three."""
    outer, inner = build.sizes(x, 0, axis), build.sizes(x, axis + 1, rank - axis - 1)
    behind = build.op("Prod", inner, build.ints(0), keep_dims=True, Tidx="int32", **_INT)
    flat = build.concat(build.ints(-1), build.sizes(x, axis, 1), behind)
    made = change(build.op("Reshape", x, flat, Tshape="int32"))
    whole = build.concat(outer, build.ints(-1), inner)
    return build.op("Reshape", made, whole, Tshape="int32")
