"""Slices, gathering, scattering and choosing elements."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfjs_codec.graph.build import MASKS, NO_MASKS, Build
from tfjs_codec.graph.rewrites.forms import along, convert, gather_rows
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref

_MOST_AXES = 4  # of some kernels of webgl and webgpu


@op("GatherV2", because=wrong_on("wasm"))
def gather(build: Build, node: Node) -> list[Ref] | None:
    """Gather from all batches as from one; the wasm backend confuses batches."""
    x, indices, axis = node.inputs
    batch = node.attrs["batch_dims"]
    if not batch:
        return None
    number, rank, places = build.numbers(axis), build.rank(x), build.rank(indices)
    if number is None or rank is None or places is None:
        build.refuse("gathering by batches needs a known rank and axis")
        return None
    (at,), batch = number, batch + places if batch < 0 else batch
    at = at + rank if at < 0 else at
    if node.attrs["Tindices"] != "int32":
        kind = node.attrs["Tindices"]
        indices = build.op("Cast", indices, SrcT=kind, DstT="int32", Truncate=False)
    if at == batch:
        return [gather_rows(build, x, indices, batch, rank, places)]
    first = (*range(batch), at, *(axis for axis in range(batch, rank) if axis != at))
    x = build.op("Transpose", x, build.ints(*first), Tperm="int32")
    made = gather_rows(build, x, indices, batch, rank, places)
    order = [
        *range(batch), *range(places, places + at - batch), *range(batch, places),
        *range(places + at - batch, rank + places - batch - 1),
    ]  # fmt: skip
    return build.same("Transpose", made, build.ints(*order), Tperm="int32")


@op("StridedSlice", because=wrong_on("webgl", "webgpu"))
def slice_axes(build: Build, node: Node) -> list[Ref] | None:
    """Slice more than four axes one by one if there are strides; webgl does not compile."""
    x, *bounds = node.inputs
    rank, numbers = build.rank(x), [build.numbers(ref) for ref in bounds]
    begin, end, strides = numbers
    masks = {name: int(node.attrs[name]) for name in MASKS}
    if begin is None or end is None or strides is None or rank is None or rank <= _MOST_AXES:
        return None
    if masks["shrink_axis_mask"] or masks["new_axis_mask"] or set(strides) <= {1}:
        return None
    axis = 0
    for at, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        if masks["ellipsis_mask"] >> at & 1:
            axis += rank - len(strides) + 1
            continue
        open_ = {name: masks[name] >> at & 1 for name in ("begin_mask", "end_mask")}
        if step != 1 or not all(open_.values()):
            row = _Bounds()
            row.add(0, 0, 1, begin_mask=1, end_mask=1)
            row.add(first, last, step, **open_)
            refs, attrs = row.refs(build), row.attrs()

            def change(
                x: Ref, refs: list[Ref] = refs, attrs: Mapping[str, int | str] = attrs
            ) -> Ref:
                return build.op("StridedSlice", x, *refs, **attrs)

            x = along(build, x, axis, rank, change)
        axis += 1
    return [x]


@op("StridedSlice", because=WRONG)
def strided_slice(build: Build, node: Node) -> list[Ref] | None:
    """Slice with the strides first, then drop and add axes; slice whole numbers as floats.

    The wasm backend takes the bits of whole numbers for floats.
    """
    masks = {name: int(node.attrs[name]) for name in MASKS}
    strides = build.numbers(node.inputs[3])
    kind = build.dtype
    floats = kind.startswith(("bfloat", "float", "complex", "string"))
    other = masks["shrink_axis_mask"] | masks["new_axis_mask"]
    at_once = strides is not None and all(
        step == 1 or other >> at & 1 for at, step in enumerate(strides)
    )
    if at_once or (floats and (strides is None or not other)):
        return None
    x, *bounds = node.inputs
    attrs = {**masks, "Index": node.attrs["Index"], "T": kind if floats else "float32"}
    if not floats:
        x = build.op("Cast", x, SrcT=kind, DstT="float32", Truncate=False)
    if not other:
        made = build.op("StridedSlice", x, *bounds, **attrs)
        return convert(build, made, "float32", kind)
    begin, end = build.numbers(node.inputs[1]), build.numbers(node.inputs[2])
    if begin is None or end is None or strides is None:
        build.refuse("tfjs reads past the end in slices with strides that drop or add an axis")
        return None
    first = _Bounds()
    second = _Bounds()
    for at, step in enumerate(strides):
        has = {name: masks[name] >> at & 1 for name in MASKS}
        if has["new_axis_mask"]:
            second.add(0, 0, 1, new_axis_mask=1)
        elif has["ellipsis_mask"]:
            first.add(0, 0, 1, ellipsis_mask=1)
            second.add(0, 0, 1, ellipsis_mask=1)
        elif has["shrink_axis_mask"]:
            first.add(begin[at], begin[at] + 1, 1, end_mask=int(begin[at] == -1))
            second.add(0, 1, 1, shrink_axis_mask=1)
        else:
            open_ = {name: has[name] for name in ("begin_mask", "end_mask")}
            first.add(begin[at], end[at], step, **open_)
            second.add(0, 0, 1, begin_mask=1, end_mask=1)
    kinds = {"T": attrs["T"]}
    sliced = build.op("StridedSlice", x, *first.refs(build), **first.attrs() | kinds)
    if floats:
        return build.same("StridedSlice", sliced, *second.refs(build), **second.attrs())
    made = build.op("StridedSlice", sliced, *second.refs(build), **second.attrs() | kinds)
    return convert(build, made, "float32", kind)


class _Bounds:
    """The bounds and masks of a StridedSlice, one axis after the other."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int]] = []
        self._masks = dict(NO_MASKS)

    def add(self, begin: int, end: int, step: int, **masks: int) -> None:
        for name, value in masks.items():
            self._masks[name] |= value << len(self._rows)
        self._rows.append((begin, end, step))

    def refs(self, build: Build) -> list[Ref]:
        return [build.ints(*column) for column in zip(*self._rows, strict=True)]

    def attrs(self) -> dict[str, int | str]:
        return {"Index": "int32", **self._masks}


@op("OneHot", because=WRONG)
def one_hot(build: Build, node: Node) -> list[Ref] | None:
    """Encode as whole numbers with the classes on the last axis, then cast and transpose.

    tfjs ignores ``axis``, and makes no floats on wasm.
    """
    indices, depth, on, off = node.inputs
    axis, rank = int(node.attrs["axis"]), build.rank(indices)
    last, whole = axis in (-1, rank), build.dtype in ("int32", "int64")
    if last and whole:
        return None
    if not last and rank is None:
        build.refuse("tfjs ignores its axis", "Use axis=-1.")
        return None
    kind = str(node.attrs["TI"])
    numbers = [build.scalar(number) for number in (1, 0)]
    made = build.op("OneHot", indices, depth, *numbers, T="int32", TI=kind, axis=-1)
    if [build.numbers(on), build.numbers(off)] == [[1], [0]]:
        made = build.op("Cast", made, SrcT="int32", DstT=build.dtype, Truncate=False)
    else:
        chosen = build.op("Cast", made, SrcT="int32", DstT="bool", Truncate=False)
        made = build.op("SelectV2", chosen, on, off)
    if last or rank is None:
        return [made]
    order = build.ints(*range(axis), rank, *range(axis, rank))
    return build.same("Transpose", made, order, Tperm="int32")


@op("TensorScatterAdd", "TensorScatterSub", because=LACKS)
def scatter_onto(build: Build, node: Node) -> list[Ref]:
    """Scatter onto zeros, then add or subtract."""
    x, indices, updates = node.inputs
    whole = build.op("Shape", x, out_type="int32")
    kinds = {"Tindices": node.attrs["Tindices"], "bad_indices_policy": b""}
    scattered = build.op("ScatterNd", indices, updates, whole, **kinds)
    return build.same("Sub" if node.op == "TensorScatterSub" else "AddV2", x, scattered)


@op("Bucketize", because=LACKS)
def bucketize(build: Build, node: Node) -> list[Ref] | None:
    """Count the boundaries at or below a number."""
    ends = np.array(node.attrs["boundaries"], np.float32)
    if not ends.size:
        build.refuse("there are no boundaries")
        return None
    x = build.op("Cast", node.inputs[0], SrcT=build.dtype, DstT="float32", Truncate=False)
    spread = build.expand_dims(x, -1, "float32")
    above = build.op("GreaterEqual", spread, build.const(ends, "float32"), T="float32")
    ones = build.op("Cast", above, SrcT="bool", DstT="int32", Truncate=False)
    return build.same("Sum", ones, build.ints(-1), T="int32", keep_dims=False, Tidx="int32")


@op("InvertPermutation", because=LACKS)
def invert_permutation(build: Build, node: Node) -> list[Ref]:
    """Scatter 0, 1, … to the places that it names."""
    (x,) = node.inputs
    kind = build.dtype
    size = build.op("Shape", x, out_type="int32")
    numbers = build.count(size)
    if kind != "int32":
        numbers = build.cast(numbers, "int32", kind)
    attrs = {"Tindices": kind, "bad_indices_policy": b""}
    return build.same("ScatterNd", build.expand_dims(x, 1, kind), numbers, size, **attrs)


@op("DynamicPartition", because=LACKS)
def partition(build: Build, node: Node) -> list[Ref] | None:
    """Gather the rows of each part."""
    x, parts = node.inputs
    if build.rank(parts) != 1:
        build.refuse("only parts of rows are supported")
        return None
    made, same = [], {"T": "int32", "incompatible_shape_error": True}
    for number in range(int(node.attrs["num_partitions"])):
        here = build.op("Equal", parts, build.scalar(number), **same)
        rows = build.op("Where", here, T="bool")
        rows = build.op("Reshape", rows, build.ints(-1), T="int64", Tshape="int32")
        attrs = {"Tparams": build.dtype, "Tindices": "int64", "Taxis": "int32", "batch_dims": 0}
        made.append(build.op("GatherV2", x, rows, build.scalar(0), **attrs))
    return made


@op("DynamicStitch", "ParallelDynamicStitch", because=LACKS)
def stitch(build: Build, node: Node) -> list[Ref] | None:
    """Gather from all rows in the order that constant indices name; the last of a place counts."""
    half = len(node.inputs) // 2
    indices, data = node.inputs[:half], node.inputs[half:]
    places = [build.numbers(ref) for ref in indices]
    ranks = [build.rank(ref) for ref in indices]
    if None in places or None in ranks:
        build.refuse("only constant indices are supported")
        return None
    rows = []
    for ref, rank in zip(data, ranks, strict=True):
        whole = build.rank(ref)
        if whole is None or rank is None:
            build.refuse("only a known rank is supported")
            return None
        rest = [build.sizes(ref, rank, whole - rank)] if whole > rank else []
        target = build.concat(build.ints(-1), *rest)
        rows.append(build.op("Reshape", ref, target, Tshape="int32"))
    listed = [place for each in places for place in each or ()]
    last = {place: number for number, place in enumerate(listed)}
    order = build.ints(*(last.get(place, 0) for place in range(max(last, default=-1) + 1)))
    joined = build.op("ConcatV2", *rows, build.scalar(0), N=half, Tidx="int32")
    attrs = {"Tparams": build.dtype, "Tindices": "int32", "Taxis": "int32", "batch_dims": 0}
    return build.same("GatherV2", joined if half > 1 else rows[0], order, build.scalar(0), **attrs)


@op("UniqueWithCounts", because=LACKS)
def unique_with_counts(build: Build, node: Node) -> list[Ref]:
    """Count how often each number of a value occurs."""
    (x,), out = node.inputs, str(node.attrs["out_idx"])
    found = build.op("Unique", x, out_idx=out)
    places = Ref(found.node, 1)
    classes = build.enumerate(found, build.dtype)
    classes = classes if out == "int32" else build.cast(classes, "int32", out)
    same = {"T": out, "incompatible_shape_error": True}
    here = build.op(
        "Equal", build.expand_dims(classes, 1), build.expand_dims(places, 0, out), **same
    )
    ones = build.cast(here, "bool", out)
    return [
        found, places,
        build.op("Sum", ones, build.ints(-1), T=out, keep_dims=False, Tidx="int32"),
    ]  # fmt: skip
