"""Fourier transforms."""

from __future__ import annotations

from tfjs_codec.graph.build import NO_MASKS, Build
from tfjs_codec.graph.rewrites.complex_numbers import is_complex, join, parts
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref


@op("RFFT", because=WRONG)
def real_fft(build: Build, node: Node) -> list[Ref] | None:
    """Cut to the length of the transform, which tfjs ignores."""
    length = build.numbers(node.inputs[1])
    if length is None:
        build.refuse("tfjs ignores the length of the transform", "Make it constant.")
        return None
    masks = {**NO_MASKS, "begin_mask": 2, "ellipsis_mask": 1}
    bounds = build.ints(0, 0), build.ints(0, length[0]), build.ints(1, 1)
    cut = build.op("StridedSlice", node.inputs[0], *bounds, T="float32", Index="int32", **masks)
    return build.same("RFFT", cut, node.inputs[1], **node.attrs)


@op("IRFFT", because=WRONG)
def inverse_real_fft(build: Build, node: Node) -> list[Ref] | None:
    """Refuse odd lengths: tfjs returns twice the bins less two numbers."""
    length = build.numbers(node.inputs[1])
    if length is None or length[0] % 2:
        build.refuse("only even lengths are supported")
    return None


@op("FFT", "IFFT", "RFFT", because=wrong_on("webgl", "webgpu"))
def shape_parts(build: Build, node: Node) -> list[Ref] | None:
    """Tell both parts their shape, which is that of a matrix there."""
    x = node.inputs[0]
    if build.rank(x) == 2:
        return None
    made = build.op(node.op, *node.inputs, **node.attrs)
    real = parts(build, x)[0] if is_complex(build.type_of(x)) else x
    shape = build.op("Shape", real, T="float32", out_type="int32")
    outer = build.strided_slice(shape, build.ints(0), build.ints(-1), build.ints(1))
    target = build.concat(outer, build.ints(-1))
    both = [
        build.op("Reshape", part, target, T="float32", Tshape="int32")
        for part in parts(build, made)
    ]
    return join(build, *both)


@op("FFT2D", "IFFT2D", because=LACKS)
def transform_planes(build: Build, node: Node) -> list[Ref] | None:
    """Transform along the last axis, then along the one before."""
    rank = build.rank(node.inputs[0])
    if rank is None:
        build.refuse("only a known rank is supported")
        return None
    kinds = {"T": "complex64", "Tcomplex": "complex64"}
    turn = build.ints(*range(rank - 2), rank - 1, rank - 2)
    made = build.op(node.op[:-2], node.inputs[0], **kinds)
    made = build.op("Transpose", made, turn, T="complex64", Tperm="int32")
    made = build.op(node.op[:-2], made, **kinds)
    return build.same("Transpose", made, turn, T="complex64", Tperm="int32")
