"""Fourier transforms."""

from __future__ import annotations

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.complex_numbers import is_complex, join, parts
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.tracing.refusal import Refusal


@op("RFFT", because=WRONG)
def real_fft(build: Build, node: Node) -> list[Ref] | None:
    """Cut to the length of the transform, which tfjs ignores."""
    length = build.content(node.inputs[1])
    if length is None:
        raise Refusal("tfjs ignores the length of the transform", "Make it constant.")
    masks = {"begin_mask": 2, "ellipsis_mask": 1}
    bounds = build.ints(0, 0), build.ints(0, length[0]), build.ints(1, 1)
    cut = build.op("StridedSlice", node.inputs[0], *bounds, T="float32", **masks)
    return build.same("RFFT", cut, node.inputs[1], **node.attrs)


@op("IRFFT", because=WRONG)
def inverse_real_fft(build: Build, node: Node) -> list[Ref] | None:
    """Refuse odd lengths: tfjs returns twice the bins less two numbers."""
    length = build.content(node.inputs[1])
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
    shape = build.op("Shape", real, T="float32")
    outer = build.strided_slice(shape, build.ints(0), build.ints(-1), build.ints(1))
    target = build.concat(outer, build.ints(-1))
    both = [build.op("Reshape", part, target, T="float32") for part in parts(build, made)]
    return join(build, *both)


@op("FFT2D", "FFT3D", "IFFT2D", "IFFT3D", because=LACKS)
def transform_axes(build: Build, node: Node) -> list[Ref] | None:
    """Transform along one axis after the other."""
    rank = build.known_rank(node.inputs[0])
    made = node.inputs[0]
    for axis in range(rank - int(node.op[-2]), rank):
        made = _transform(build, node.op[:-2], made, axis, rank)
    return [made]


def _transform(build: Build, name: str, x: Ref, axis: int, rank: int) -> Ref:
    """Transform complex numbers along one axis."""
    kinds = {"T": "complex64", "Tcomplex": "complex64"}
    if axis == rank - 1:
        return build.op(name, x, **kinds)
    order = [*range(rank)]
    order[axis], order[-1] = rank - 1, axis
    turn = build.ints(*order)
    turned = build.op("Transpose", x, turn, T="complex64")
    made = build.op(name, turned, **kinds)
    return build.op("Transpose", made, turn, T="complex64")


@op("RFFT2D", "IRFFT2D", because=LACKS)
def transform_real_planes(build: Build, node: Node) -> list[Ref] | None:
    """Transform along one axis as real numbers, along the one before as complex ones."""
    x, lengths = node.inputs
    rank, sizes = build.rank(x), build.content(lengths)
    shape = build.shape(x) or ()
    if rank is None or sizes is None or shape[-2] != sizes[0]:
        raise Refusal("only transforms of a known size, that of the input, are supported")
    last = build.ints(sizes[1])
    kinds = {"T": "float32", "Treal": "float32", "Tcomplex": "complex64"}
    if node.op == "RFFT2D":
        made = build.op("RFFT", x, last, **kinds)
        return [_transform(build, "FFT", made, rank - 2, rank)]
    made = _transform(build, "IFFT", x, rank - 2, rank)
    return build.same("IRFFT", made, last, **kinds)
