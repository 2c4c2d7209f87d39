"""Operations that tfjs lacks or gets wrong, in operations that it has.

One rule for each op: ``rule(build, node)`` returns what the node's results become, or None to leave
the node as it is. A rule says what it needs by :class:`~tfjs_codec.graph.build.Build`, whose nodes
are named after the one they replace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites import backends, composed, quirks
from tfjs_codec.graph.rewrites.einsum import einsum
from tfjs_codec.ir.graph import Graph, Node, Ref, pruned, redirected

Rule = Callable[[Build, Node], list[Ref] | None]

_INTS = frozenset(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"))


def rewritten(graph: Graph) -> Graph:
    """Return *graph* with the operations of :data:`RULES` expressed by others.

    Raises:
        UnsupportedModelError: A form of an operation that tfjs would compute wrongly.
    """
    build = Build(graph)
    moved: dict[Ref, Ref] = {}
    for node in graph.nodes.values():
        build.begin(node)
        if quirks.wraps(build, node):
            build.refuse("its small integers wrap around, those of tfjs do not", "Use int32.")
        rule = RULES.get(node.op)
        if rule is None:
            continue
        results = rule(build, node)
        for number, ref in enumerate(results or ()):
            if ref != Ref(node.name, number):
                moved[Ref(node.name, number)] = ref
    if build.problems:
        raise UnsupportedModelError(
            "operations in forms that tfjs lacks", path=graph.path, problems=tuple(build.problems)
        )
    return pruned(redirected(replace(graph, nodes=build.nodes), moved))


def _renamed(op: str) -> Rule:
    def rule(build: Build, node: Node) -> list[Ref]:
        return build.same(op, *node.inputs)

    return rule


def _erfc(build: Build, node: Node) -> list[Ref]:
    return build.same("Sub", build.number(1), build.op("Erf", node.inputs[0]))


def _softsign(build: Build, node: Node) -> list[Ref]:
    (x,) = node.inputs
    size = build.op("AddV2", build.number(1), build.op("Abs", x))
    return build.same("RealDiv", x, size)


def _logical_xor(build: Build, node: Node) -> list[Ref]:
    return build.same("NotEqual", *node.inputs, T="bool", incompatible_shape_error=True)


def _xlogy(build: Build, node: Node) -> list[Ref]:
    """x·log(y), 0 where x is 0, whatever y."""
    x, y = node.inputs
    product = build.op("Mul", x, build.op("Log", y))
    zero = build.op("Equal", x, build.number(0), incompatible_shape_error=True)
    return build.same("SelectV2", zero, build.op("Mul", x, build.number(0)), product)


def _truncated_quotient(build: Build, node: Node) -> list[Ref] | None:
    """Whole numbers rounded towards zero; tfjs rounds their quotients down."""
    if build.dtype not in _INTS:
        return None if node.op == "Div" else build.same("RealDiv", *node.inputs)
    x, y = node.inputs
    size = build.op("FloorDiv", build.op("Abs", x), build.op("Abs", y))
    sign = build.op("Mul", build.op("Sign", x), build.op("Sign", y))
    return build.same("Mul", sign, size)


def _truncated_remainder(build: Build, node: Node) -> list[Ref]:
    """The remainder with the sign of x; that of tfjs has the sign of y."""
    x, y = node.inputs
    size = build.op("FloorMod", build.op("Abs", x), build.op("Abs", y))
    return build.same("Mul", build.op("Sign", x), size)


def _conv3d(build: Build, node: Node) -> list[Ref] | None:
    return quirks.grouped_convolution(build, node) or quirks.shifted_windows(build, node)


def _batch_matmul(build: Build, node: Node) -> list[Ref] | None:
    kinds = {node.attrs.get(key) for key in ("Ta", "Tb", "Tout")}
    if len(kinds) != 1:
        return None
    flags = {key: node.attrs.get(key, False) for key in ("adj_x", "adj_y")}
    older = replace(node, op="BatchMatMulV2", attrs={"T": kinds.pop(), **flags})
    build.begin(older)
    return quirks.stacked_product(build, older) or build.same(
        older.op, *older.inputs, **older.attrs
    )


def _batch_norm(build: Build, node: Node) -> list[Ref] | None:
    """Spell out what tfjs gets wrong: training."""
    if not node.attrs.get("is_training", True):
        return None
    x, scale, offset, _, _ = node.inputs
    over = build.ints(*range(len(node.attrs.get("data_format", b"NHWC")) - 1))
    mean = build.op("Mean", x, over, keep_dims=True, Tidx="int32")
    squares = build.op("SquaredDifference", x, mean)
    variance = build.op("Mean", squares, over, keep_dims=True, Tidx="int32")
    count = build.op("RealDiv", *(_count(build, each) for each in (x, mean)))
    unbiased = build.op("RealDiv", count, build.op("Sub", count, build.number(1)))
    flat = build.ints(-1)
    results = [
        build.op("Reshape", each, flat, Tshape="int32")
        for each in (mean, build.op("Mul", variance, unbiased))
    ]
    epsilon = build.number(node.attrs.get("epsilon", 1e-4))
    factor = build.op("Mul", build.op("Rsqrt", build.op("AddV2", variance, epsilon)), scale)
    centred = build.op("Mul", build.op("Sub", x, mean), factor)
    return [*build.same("AddV2", centred, offset), *results]


def _count(build: Build, x: Ref) -> Ref:
    """Return how many elements *x* has, in its type."""
    size = build.op("Size", x, out_type="int32")
    return build.op("Cast", size, SrcT="int32", DstT=build.dtype, Truncate=False)


def _roll(build: Build, node: Node) -> list[Ref] | None:
    """Shifts that are constant, of any size: cut off the end and put it in front."""
    shift, axis = (build.nodes[ref.node] for ref in node.inputs[1:])
    if shift.op != "Const" or axis.op != "Const":
        return None
    x = node.inputs[0]
    shape = build.shape(x) or ()
    axes, shifts = (np.ravel(each.value.numpy()).tolist() for each in (axis, shift))
    for dim, by in zip(axes, shifts, strict=True):
        if dim < 0:
            return None
        x = _rolled(build, x, dim, by, shape[dim] if dim < len(shape) else None)
    return [x]


def _rolled(build: Build, x: Ref, axis: int, shift: int, size: int | None) -> Ref:
    """Return *x* rolled along *axis* of *size*: the part from -shift on, then that before it."""
    if size:
        shift %= size
    if shift == 0:
        return x
    if size is None:
        there = build.sizes(x, axis, 1)
        turned = build.op("FloorMod", build.ints(shift), there, T="int32")
        cut = build.op("Sub", there, turned, T="int32")
    else:
        cut = build.ints(size - shift)
    nothing = build.ints(0)

    def part(start: Ref, stop: Ref, *, to_end: bool, from_start: bool) -> Ref:
        # Masks: earlier axes whole; of this one, an open end where there is one.
        earlier = (1 << axis) - 1
        whole = (build.ints(*[0] * axis),) if axis else ()
        begin, end = (build.concat(*whole, each) if whole else each for each in (start, stop))
        return build.op(
            "StridedSlice", x, begin, end, build.ints(*[1] * (axis + 1)), Index="int32",
            begin_mask=earlier | (from_start << axis), end_mask=earlier | (to_end << axis),
            ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0,
        )  # fmt: skip

    last = part(cut, nothing, to_end=True, from_start=False)
    before = part(nothing, cut, to_end=False, from_start=True)
    dim = build.scalar(axis)
    return build.op("ConcatV2", last, before, dim, N=2, Tidx="int32")


def _max_pool_3d(build: Build, node: Node) -> list[Ref]:
    """Pool the last two axes, then the first: the wasm backend gets three at once wrong."""
    (x,) = node.inputs
    (_, *sizes, _), (_, *strides, _) = node.attrs["ksize"], node.attrs["strides"]
    rest = build.ints(-1)

    def pool(x: Ref, size: Sequence[int], stride: Sequence[int]) -> Ref:
        return build.op(
            "MaxPool", x, ksize=(1, *size, 1), strides=(1, *stride, 1),
            padding=node.attrs["padding"], data_format=b"NHWC", explicit_paddings=(),
        )  # fmt: skip

    def reshape(x: Ref, *parts: Ref) -> Ref:
        return build.op("Reshape", x, build.concat(*parts), Tshape="int32")

    images = pool(reshape(x, rest, build.sizes(x, 2, 3)), sizes[1:], strides[1:])
    columns = reshape(images, build.sizes(x, 0, 2), rest, build.sizes(x, 4, 1))
    pooled = pool(columns, (sizes[0], 1), (strides[0], 1))
    return [reshape(pooled, build.sizes(pooled, 0, 2), build.sizes(images, 1, 3))]


RULES: dict[str, Rule] = {
    "Abs": backends.whole_abs,
    "AdjustContrastv2": composed.contrast,
    "Angle": composed.angle,
    "AvgPool3D": quirks.shifted_windows,
    "BatchMatMulV2": quirks.stacked_product,
    "BatchMatMulV3": _batch_matmul,
    "BitwiseAnd": quirks.unknown,
    "Bucketize": composed.bucketize,
    "Cast": backends.cast,
    "Complex": quirks.complex_number,
    "Conv2D": quirks.grouped_convolution,
    "Conv3D": _conv3d,
    "Conv3DBackpropInputV2": composed.transposed_convolution_3d,
    "CropAndResize": backends.crops,
    "Cumprod": quirks.cumulative,
    "Cumsum": quirks.cumulative,
    "Dilation2D": backends.differs,
    "Div": _truncated_quotient,
    "Einsum": einsum,
    "Erfc": _erfc,
    "ExtractImagePatches": composed.image_patches,
    "FakeQuantWithMinMaxArgs": quirks.fake_quant,
    "FakeQuantWithMinMaxVars": quirks.fake_quant,
    "FakeQuantWithMinMaxVarsPerChannel": quirks.fake_quant,
    "FloorDiv": backends.floor_quotient,
    "FusedBatchNorm": _batch_norm,
    "FusedBatchNormV2": _batch_norm,
    "FusedBatchNormV3": _batch_norm,
    "GatherV2": backends.gather,
    "IRFFT": quirks.inverse_real_fft,
    "ImageProjectiveTransformV3": backends.differs,
    "Inv": _renamed("Reciprocal"),
    "LogicalXor": _logical_xor,
    "MatrixBandPart": quirks.band_part,
    "MatrixDiag": composed.diagonal_matrix,
    "MatrixDiagPart": composed.diagonal,
    "MatrixDiagPartV3": composed.diagonal,
    "MatrixDiagV3": composed.diagonal_matrix,
    "MaxPool3D": _max_pool_3d,
    "MaxPoolWithArgmax": backends.pool_with_places,
    "Mean": quirks.mean,
    "MirrorPad": backends.pads,
    "Mod": _truncated_remainder,
    "MulNoNan": composed.mul_no_nan,
    "NonMaxSuppressionV5": quirks.soft_suppression,
    "OneHot": quirks.one_hot,
    "Pad": backends.pads,
    "PadV2": backends.pads,
    "RFFT": quirks.real_fft,
    "ReverseSequence": composed.reversed_sequences,
    "ReverseV2": backends.pads,
    "Rint": _renamed("Round"),
    "Roll": _roll,
    "SegmentSum": composed.segment_sum,
    "Select": quirks.select,
    "Softsign": _softsign,
    "SpaceToDepth": composed.space_to_depth,
    "StridedSlice": quirks.strided_slice,
    "TensorListConcatV2": quirks.list_concat,
    "TensorScatterAdd": composed.scatter_onto,
    "TensorScatterSub": composed.scatter_onto,
    "TruncateDiv": _truncated_quotient,
    "TruncateMod": _truncated_remainder,
    "UnsortedSegmentSum": composed.segment_sum,
    "Xdivy": composed.xdivy,
    "Xlogy": _xlogy,
}
