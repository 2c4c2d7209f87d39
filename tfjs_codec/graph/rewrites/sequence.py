"""Padding, reversing and rolling along axes."""

from __future__ import annotations

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.forms import along, gather_rows
from tfjs_codec.graph.rewrites.registry import LACKS, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.ir.tensors import Array
from tfjs_codec.tracing.refusal import Refusal


@op("MirrorPad", "Pad", "PadV2", "ReverseV2", because=wrong_on("webgl"))
def pad(build: Build, node: Node) -> list[Ref] | None:
    """Pad or reverse more than four axes one by one; webgl takes no more at once."""
    x, axes, *rest = node.inputs
    rank, numbers = build.rank(x), build.numbers(axes)
    if rank is None or rank <= 4 or numbers is None:
        return None
    if node.op == "ReverseV2":
        steps: dict[int, Array] = {int(axis) % rank: np.array([1], np.int32) for axis in numbers}
    else:
        sizes = np.reshape(numbers, (rank, 2))
        steps = {
            axis: np.array([[0, 0], pair, [0, 0]], np.int32)
            for axis, pair in enumerate(sizes)
            if any(pair)
        }
    for axis, step in steps.items():

        def change(x: Ref, step: Array = step) -> Ref:
            return build.op(node.op, x, build.const(step, "int32"), *rest, **node.attrs)

        x = along(build, x, axis, rank, change)
    return [x]


@op("ReverseSequence", because=LACKS)
def reverse_sequences(build: Build, node: Node) -> list[Ref] | None:
    """Gather each sequence backwards; elements past its end keep their position."""
    x, lengths = node.inputs
    axes = node.attrs["seq_dim"], node.attrs.get("batch_dim", 0)
    rank = build.rank(x)
    if sorted(axes) != [0, 1] or rank is None:
        raise Refusal("only sequences along the first two axes are supported")
    swap = build.ints(1, 0, *range(2, rank))
    first = axes == (0, 1)  # time
    if first:
        x = build.op("Transpose", x, swap)
    kind = node.attrs["Tlen"]
    ends = build.expand_dims(build.cast(lengths, kind, "int32"), 1)
    steps = build.expand_dims(build.count(build.sizes(x, 1, 1)), 0)
    last = build.op("Sub", ends, build.ints(1), T="int32")
    back = build.op("Sub", last, steps, T="int32")
    inside = build.op("Less", steps, ends, T="int32")
    places = build.op("SelectV2", inside, back, steps, T="int32")
    made = gather_rows(build, x, places, 1, rank, 2)
    turned = [build.ints(*range(rank))] if not first else [swap]
    return build.same("Transpose", made, *turned)


@op("Roll", because=LACKS)
def roll(build: Build, node: Node) -> list[Ref] | None:
    """Move the end to the front, by constant shifts of any size."""
    shift, axis = (build.nodes[ref.node] for ref in node.inputs[1:])
    if shift.op != "Const" or axis.op != "Const":
        return None
    x = node.inputs[0]
    shape = build.shape(x) or ()
    axes, shifts = (np.ravel(each.value.numpy()).tolist() for each in (axis, shift))
    for dim, by in zip(axes, shifts, strict=True):
        if dim < -len(shape):
            raise Refusal("only a known rank is supported")
        at = dim + len(shape) if dim < 0 else dim
        x = _shift(build, x, at, by, shape[at] if at < len(shape) else None)
    return [x]


def _shift(build: Build, x: Ref, axis: int, shift: int, size: int | None) -> Ref:
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
            "StridedSlice", x, begin, end, build.ints(*[1] * (axis + 1)),
            begin_mask=earlier | (from_start << axis), end_mask=earlier | (to_end << axis),
            ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0,
        )  # fmt: skip

    last = part(cut, nothing, to_end=True, from_start=False)
    before = part(nothing, cut, to_end=False, from_start=True)
    dim = build.scalar(axis)
    return build.op("ConcatV2", last, before, dim, N=2)
