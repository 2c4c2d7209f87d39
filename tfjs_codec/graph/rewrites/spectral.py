"""Complex numbers and Fourier transforms."""

from __future__ import annotations

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.forms import NO_MASKS
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op
from tfjs_codec.ir.graph import Node, Ref


@op("Angle", because=LACKS)
def angle(build: Build, node: Node) -> list[Ref]:
    """Compute the angle of the parts."""
    parts = [build.op(part, node.inputs[0], Tout="float32") for part in ("Imag", "Real")]
    return build.same("Atan2", *parts, T="float32")


@op("Complex", because=WRONG)
def complex_number(build: Build, node: Node) -> list[Ref] | None:
    """Broadcast both parts to the same shape."""
    parts = node.inputs
    shapes = [build.shape(part) for part in parts]
    if shapes[0] == shapes[1] and shapes[0] is not None and None not in shapes[0]:
        return None
    spread = [
        build.op("AddV2", one, build.op("ZerosLike", other)) for one, other in (parts, parts[::-1])
    ]
    return build.same("Complex", *spread, Tout=node.attrs["Tout"])


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
