"""Reductions, cumulative ones and segments."""

from __future__ import annotations

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op
from tfjs_codec.ir.graph import Node, Ref


@op("Mean", because=WRONG)
def mean(build: Build, node: Node) -> list[Ref] | None:
    """Round the mean of whole numbers towards zero."""
    if not build.dtype.startswith(("int", "uint")):
        return None
    made = build.op("Mean", *node.inputs, **node.attrs)
    return build.same("Cast", made, SrcT="float32", DstT=build.dtype, Truncate=False)


@op("Cumprod", "Cumsum", because=WRONG)
def count_axis(build: Build, node: Node) -> list[Ref] | None:
    """Count a negative axis from the front."""
    axis = build.numbers(node.inputs[1])
    if axis is not None and axis[0] >= 0:
        return None
    rank = build.rank(node.inputs[0])
    if rank is None or axis is None:
        build.refuse("tfjs takes no negative axis", "Write the axis as a positive number.")
        return None
    place = build.scalar(axis[0] + rank)
    attrs = {**node.attrs, "Tidx": "int32"}
    return build.same(node.op, node.inputs[0], place, **attrs)


@op("SegmentSum", "UnsortedSegmentSum", because=LACKS)
def segment_sum(build: Build, node: Node) -> list[Ref] | None:
    """Scatter the rows to their segments, which adds up rows of one segment."""
    x, segments, *number = node.inputs
    rank, places = build.rank(x), build.rank(segments)
    if rank is None or places is None:
        build.refuse("only a known rank is supported")
        return None
    kind = node.attrs["Tindices"]
    flat = build.op("Reshape", segments, build.ints(-1), T=kind, Tshape="int32")
    if number:
        count = build.op("Reshape", number[0], build.ints(1), T="int32", Tshape="int32")
    else:
        last = build.op("Max", flat, build.ints(0), T=kind, keep_dims=True, Tidx="int32")
        last = build.op("Cast", last, SrcT=kind, DstT="int32", Truncate=False)
        count = build.op("AddV2", last, build.ints(1), T="int32")
    rest = [build.sizes(x, places, rank - places)] if rank > places else []
    rows = build.op("Reshape", x, build.concat(build.ints(-1), *rest), Tshape="int32")
    attrs = {"Tindices": kind, "bad_indices_policy": b""}
    where = build.expand_dims(flat, 1, kind)
    return build.same("ScatterNd", where, rows, build.concat(count, *rest), **attrs)
