"""Reductions, cumulative ones and segments."""

from __future__ import annotations

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.forms import along
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.tracing.refusal import Refusal

_VOLUME = 3  # axes from which on webgpu transposes floats only


@op("Mean", because=WRONG)
def mean(build: Build, node: Node) -> list[Ref] | None:
    """Round the mean of whole numbers towards zero."""
    if not build.dtype.startswith(("int", "uint")):
        return None
    made = build.op("Mean", *node.inputs, **node.attrs)
    return build.same("Cast", made, SrcT="float32", DstT=build.dtype)


@op("Cumprod", "Cumsum", because=WRONG)
def count_axis(build: Build, node: Node) -> list[Ref] | None:
    """Count a negative axis from the front."""
    axis = build.numbers(node.inputs[1])
    if axis is not None and axis[0] >= 0:
        return None
    rank = build.rank(node.inputs[0])
    if rank is None or axis is None:
        raise Refusal("tfjs takes no negative axis", "Write the axis as a positive number.")
    place = build.scalar(axis[0] + rank)
    attrs = {**node.attrs, "Tidx": "int32"}
    return build.same(node.op, node.inputs[0], place, **attrs)


@op("SegmentSum", "UnsortedSegmentSum", because=LACKS)
def segment_sum(build: Build, node: Node) -> list[Ref] | None:
    """Scatter the rows to their segments, which adds up rows of one segment."""
    x, segments, *number = node.inputs
    rank, places = build.rank(x), build.rank(segments)
    if rank is None or places is None:
        raise Refusal("only a known rank is supported")
    kind = node.attrs["Tindices"]
    flat = build.op("Reshape", segments, build.ints(-1), T=kind)
    if number:
        count = build.op("Reshape", number[0], build.ints(1), T="int32")
    else:
        last = build.op("Max", flat, build.ints(0), T=kind, keep_dims=True)
        last = build.cast(last, kind, "int32")
        count = build.op("AddV2", last, build.ints(1), T="int32")
    rest = [build.sizes(x, places, rank - places)] if rank > places else []
    rows = build.op("Reshape", x, build.concat(build.ints(-1), *rest))
    attrs = {"Tindices": kind}
    where = build.expand_dims(flat, 1, kind)
    return build.same("ScatterNd", where, rows, build.concat(count, *rest), **attrs)


@op("Bincount", "DenseBincount", because=wrong_on("webgpu"))
def count(build: Build, node: Node) -> list[Ref] | None:
    """Count in floats: webgpu returns the bits of whole numbers, and cannot compile binary counts.

    Of a matrix it skips columns, so each number becomes a row of zeros and its weight.
    """
    (x, size, weights), kind = node.inputs, str(node.attrs.get("Tidx", "int32"))
    binary = bool(node.attrs.get("binary_output"))
    given = build.shape(weights)
    weighed = not binary and (given is None or 0 not in given)
    if build.rank(x) == 2 and (not weighed or (given and None not in given[1:])):
        attrs = {"T": "float32", "TI": kind, "axis": -1}
        marks = build.op(
            "OneHot", x, size, build.value(1, "float32"), build.value(0, "float32"), **attrs
        )
        if weighed:
            floats = build.expand_dims(build.cast(weights, build.dtype, "float32"), 2, "float32")
            marks = build.op("Mul", marks, floats, T="float32")
        attrs = {"T": "float32", "Tidx": "int32"}
        made = build.op("Max" if binary else "Sum", marks, build.ints(1), **attrs)
    elif binary or build.dtype != "float32":
        floats = build.const(np.zeros(0, np.float32), "float32")
        if not binary:
            floats = build.cast(weights, build.dtype, "float32")
        attrs = {**node.attrs, "T": "float32"} | ({"binary_output": False} if binary else {})
        made = build.op(node.op, x, size, floats, **attrs)
        if binary:
            made = build.op("Minimum", made, build.value(1, "float32"), T="float32")
    else:
        return None
    return build.same("Cast", made, SrcT="float32", DstT=build.dtype)


@op("Prod", because=wrong_on("webgpu"))
def multiply(build: Build, node: Node) -> list[Ref] | None:
    """Insert the axes of size 1 that webgpu leaves out of what it computes on the processor."""
    x, axes = node.inputs
    rank, over = build.rank(x), build.numbers(axes)
    if not node.attrs.get("keep_dims") or not rank or not over:
        return None
    attrs = {**node.attrs, "keep_dims": False}
    made = build.op("Prod", x, axes, **attrs)
    *inner, last = sorted({axis % rank for axis in over})
    for axis in inner:
        made = build.expand_dims(made, axis, build.dtype)
    return build.same("ExpandDims", made, build.scalar(last))


@op("ArgMax", "ArgMin", because=wrong_on("webgpu"))
def find(build: Build, node: Node) -> list[Ref] | None:
    """Drop the axis that webgpu leaves of a vector."""
    if build.rank(node.inputs[0]) != 1:
        return None
    made = build.op(node.op, *node.inputs, **node.attrs)
    return build.same("Reshape", made, build.ints(), T=node.attrs["output_type"])


@op(
    *("All", "Any", "ArgMax", "ArgMin", "Max", "Mean", "Min", "Prod", "Sum"),
    because=wrong_on("webgpu"),
)
def reduce_last(build: Build, node: Node) -> list[Ref] | None:
    """Transpose whole numbers first: webgpu does it, and transposes floats only."""
    x, axes = node.inputs
    rank, over, kind = build.rank(x), build.numbers(axes), build.type_of(x)
    if rank is None or over is None or not kind.startswith(("int", "uint", "bool")):
        return None
    gone = sorted(axis % rank for axis in over)
    kept = [axis for axis in range(rank) if axis not in gone]
    last = [*range(len(kept), rank)]
    if rank < _VOLUME or gone == last:
        return None
    turned = build.op("Transpose", x, build.ints(*kept, *gone), T=kind)
    scalar = node.op in ("ArgMax", "ArgMin")
    over_last = build.scalar(last[0]) if scalar else build.ints(*last)
    attrs = {**node.attrs, "Tidx": "int32"}
    if not node.attrs.get("keep_dims"):
        return build.same(node.op, turned, over_last, **attrs)
    made = build.op(node.op, turned, over_last, **{**attrs, "keep_dims": False})
    sizes = [build.ints(1) if axis in gone else build.sizes(x, axis, 1) for axis in range(rank)]
    out = "bool" if node.op in ("All", "Any") else kind
    return build.same("Reshape", made, build.concat(*sizes), T=out)


_FLOATS = np.finfo(np.float32)
_NEUTRAL = {"Max": float(_FLOATS.min), "Min": float(_FLOATS.max), "Prod": 1.0}


@op(
    *("SegmentMax", "SegmentMin", "SegmentProd", "UnsortedSegmentMax", "UnsortedSegmentMin"),
    "UnsortedSegmentProd",
    because=LACKS,
)
def reduce_segments(build: Build, node: Node) -> list[Ref] | None:
    """Reduce all rows once for each segment, with those of others neutral."""
    x, segments, *number = node.inputs
    rank, kind = build.rank(x), str(node.attrs["Tindices"])
    if rank is None or build.rank(segments) != 1 or build.dtype != "float32":
        raise Refusal("only segments of rows of floats are supported")
    name = node.op[-4:] if node.op.endswith("Prod") else node.op[-3:]
    ids = build.cast(segments, kind, "int32") if kind != "int32" else segments
    if number:
        count = build.op("Reshape", number[0], build.ints(1), T="int32")
    else:
        last = build.op("Max", ids, build.ints(0), T="int32", keep_dims=True)
        count = build.op("AddV2", last, build.ints(1), T="int32")
    rows = build.op("Reshape", x, build.concat(build.sizes(x, 0, 1), build.ints(-1)))
    same = {"T": "int32"}
    numbers = build.expand_dims(build.count(count), 1)
    here = build.op("Equal", numbers, build.expand_dims(ids, 0), **same)
    neutral = build.number(_NEUTRAL[name])
    mask = build.expand_dims(here, 2, "bool")
    chosen = build.op("SelectV2", mask, build.expand_dims(rows, 0, build.dtype), neutral)
    made = build.op(name, chosen, build.ints(1))
    if name != "Prod":  # a segment without rows; webgl knows no extreme beyond 1e20
        some = build.op("Any", here, build.ints(1), keep_dims=True)
        made = build.op("SelectV2", some, made, neutral if number else build.number(0))
    rest = [build.sizes(x, 1, rank - 1)] if rank > 1 else []
    target = build.concat(count, *rest) if rest else count
    return build.same("Reshape", made, target)


@op("SegmentMean", because=LACKS)
def average_segments(build: Build, node: Node) -> list[Ref] | None:
    """Divide the sums by the numbers of rows."""
    x, segments = node.inputs
    rank = build.rank(x)
    if rank is None or build.rank(segments) != 1 or build.dtype != "float32":
        raise Refusal("only segments of rows of floats are supported")
    ones = build.op("OnesLike", segments, T=node.attrs["Tindices"])
    ones = build.cast(ones, str(node.attrs["Tindices"]), "float32")
    sums, counts = (build.op("SegmentSum", each, segments, **node.attrs) for each in (x, ones))
    shape = build.ints(-1, *[1] * (rank - 1))
    counts = build.op("Reshape", counts, shape)
    return build.same("RealDiv", sums, build.op("Maximum", counts, build.number(1)))


@op("CumulativeLogsumexp", because=LACKS)
def accumulate_exponents(build: Build, node: Node) -> list[Ref] | None:
    """Add up the exponentials of all elements before each one, relative to the largest of them."""
    x, axis = node.inputs
    rank, numbers = build.rank(x), build.numbers(axis)
    if rank is None or numbers is None:
        raise Refusal("only a known rank and axis are supported")
    names = {(False, False): "LessEqual", (True, False): "Less"}
    compare = names.get((bool(node.attrs["exclusive"]), False), "LessEqual")
    reverse = bool(node.attrs["reverse"])

    def change(x: Ref) -> Ref:
        turned = build.op("Transpose", x, build.ints(0, 2, 1))
        places = build.count(build.sizes(x, 1, 1))
        ours, theirs = build.expand_dims(places, 1), build.expand_dims(places, 0)
        pair = (ours, theirs) if reverse else (theirs, ours)
        taken = build.op(compare, *pair, T="int32")
        lowest = build.number(-np.inf)
        spread = build.op("SelectV2", taken, build.expand_dims(turned, 2, "float32"), lowest)
        top = build.op("Max", spread, build.ints(3), keep_dims=True)
        top = build.op("Maximum", top, build.number(np.finfo(np.float32).min))
        powers = build.op("Exp", build.op("Sub", spread, top))
        total = build.op("Sum", powers, build.ints(3))
        flat = build.op("Squeeze", top, squeeze_dims=(3,))
        made = build.op("AddV2", build.op("Log", total), flat)
        return build.op("Transpose", made, build.ints(0, 2, 1))

    return [along(build, x, numbers[0] % rank, rank, change)]
