"""Slices, gathering, scattering and choosing elements."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfjs_codec.graph.build import NO_MASKS, Build
from tfjs_codec.graph.rewrites.forms import along, convert, gather_rows
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op, wrong_on
from tfjs_codec.ir.graph import MASKS, Node, Ref
from tfjs_codec.tracing.refusal import Refusal

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
        raise Refusal("gathering by batches needs a known rank and axis")
    (at,), batch = number, batch + places if batch < 0 else batch
    at = at + rank if at < 0 else at
    if node.attrs["Tindices"] != "int32":
        kind = node.attrs["Tindices"]
        indices = build.cast(indices, kind, "int32")
    if at == batch:
        return [gather_rows(build, x, indices, batch, rank, places)]
    first = (*range(batch), at, *(axis for axis in range(batch, rank) if axis != at))
    x = build.op("Transpose", x, build.ints(*first))
    made = gather_rows(build, x, indices, batch, rank, places)
    order = [
        *range(batch), *range(places, places + at - batch), *range(batch, places),
        *range(places + at - batch, rank + places - batch - 1),
    ]  # fmt: skip
    return build.same("Transpose", made, build.ints(*order))


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
        x = build.cast(x, kind, "float32")
    if not other:
        made = build.op("StridedSlice", x, *bounds, **attrs)
        return convert(build, made, "float32", kind)
    begin, end = build.numbers(node.inputs[1]), build.numbers(node.inputs[2])
    if begin is None or end is None or strides is None:
        raise Refusal("tfjs reads past the end in slices with strides that drop or add an axis")
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
        self._masks: dict[str, int] = dict(NO_MASKS)

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
        raise Refusal("tfjs ignores its axis", "Use axis=-1.")
    kind = str(node.attrs["TI"])
    numbers = [build.scalar(number) for number in (1, 0)]
    made = build.op("OneHot", indices, depth, *numbers, T="int32", TI=kind, axis=-1)
    if [build.numbers(on), build.numbers(off)] == [[1], [0]]:
        made = build.cast(made, "int32", build.dtype)
    else:
        chosen = build.cast(made, "int32", "bool")
        made = build.op("SelectV2", chosen, on, off)
    if last or rank is None:
        return [made]
    order = build.ints(*range(axis), rank, *range(axis, rank))
    return build.same("Transpose", made, order)


@op("TensorScatterAdd", "TensorScatterSub", because=LACKS)
def scatter_onto(build: Build, node: Node) -> list[Ref]:
    """Scatter onto zeros, then add or subtract."""
    x, indices, updates = node.inputs
    whole = build.op("Shape", x)
    kinds = {"Tindices": node.attrs["Tindices"]}
    scattered = build.op("ScatterNd", indices, updates, whole, **kinds)
    return build.same("Sub" if node.op == "TensorScatterSub" else "AddV2", x, scattered)


@op("TensorScatterMax", "TensorScatterMin", because=LACKS)
def scatter_extremes(build: Build, node: Node) -> list[Ref] | None:
    """Compare each row with all updates of it, those of other rows made neutral."""
    x, indices, updates = node.inputs
    shape, kind = build.shape(indices), str(node.attrs["Tindices"])
    depth, rank = (shape or (None,))[-1], build.rank(x)
    if depth is None or rank is None or build.dtype not in ("float32", "int32", "int64"):
        raise Refusal("only numbers of a known rank are supported")
    if kind != "int32":
        indices = build.cast(indices, kind, "int32")
    whole = {"T": "int32"}
    columns = build.op("Reshape", indices, build.ints(-1, depth), **whole)
    row = build.op("Slice", columns, build.ints(0, 0), build.ints(-1, 1), **whole)
    for axis in range(1, depth):
        bounds = build.ints(0, axis), build.ints(-1, 1)
        column = build.op("Slice", columns, *bounds, **whole)
        row = build.op("Mul", row, build.sizes(x, axis, 1), **whole)
        row = build.op("AddV2", row, column, **whole)
    row = build.op("Reshape", row, build.ints(1, -1), **whole)
    split = build.op("Reshape", x, build.concat(build.sizes(x, 0, depth), build.ints(-1)))
    target = build.concat(build.ints(-1), build.sizes(split, depth, 1))
    rows, given = (build.op("Reshape", each, target) for each in (split, updates))
    numbers = build.expand_dims(build.count(build.sizes(rows, 0, 1)), 1)
    here = build.op("Equal", numbers, row, **whole)
    largest = node.op == "TensorScatterMax"
    limits = np.finfo(np.float32) if build.dtype == "float32" else np.iinfo(np.int32)
    neutral = build.number(limits.min if largest else limits.max)
    mask, given = build.expand_dims(here, 2, "bool"), build.expand_dims(given, 0, build.dtype)
    made = build.op("SelectV2", mask, given, neutral)
    name = "Max" if largest else "Min"
    made = build.op(name, made, build.ints(1))
    made = build.op(f"{name}imum", rows, made)
    return build.same("Reshape", made, build.op("Shape", x))


@op("UnravelIndex", because=LACKS)
def unravel(build: Build, node: Node) -> list[Ref] | None:
    """Divide by the sizes of the later axes, one axis after the other."""
    indices, sizes = node.inputs[0], build.numbers(node.inputs[1])
    if sizes is None or not sizes:
        raise Refusal("only constant sizes are supported")
    kind = str(node.attrs["Tidx"])
    places = []
    for axis, size in enumerate(sizes):
        later = build.value(int(np.prod(sizes[axis + 1 :])), kind)
        place = build.op("FloorDiv", indices, later, T=kind)
        places.append(build.op("FloorMod", place, build.value(size, kind), T=kind))
    return build.same("Pack", *places, T=kind, N=len(places), axis=0)


@op("HistogramFixedWidth", because=LACKS)
def histogram(build: Build, node: Node) -> list[Ref] | None:
    """Count numbers by bins of equal width; those out of range are in the outer bins."""
    values, (ends, count) = node.inputs[0], map(build.numbers, node.inputs[1:])
    if ends is None or count is None or build.dtype != "float32":
        raise Refusal("only floats and constant bins are supported")
    (low, high), (bins,) = ends, count
    scale = build.number(bins / (high - low))
    place = build.op("Mul", build.op("Sub", values, build.number(low)), scale)
    place = build.op("Minimum", build.op("Floor", place), build.number(bins - 1))
    place = build.cast(build.op("Maximum", place, build.number(0)), "float32", "int32")
    flat = build.op("Reshape", place, build.ints(-1), T="int32")
    size, none = build.scalar(bins), build.const(np.zeros(0, np.int32), "int32")
    made = build.op("Bincount", flat, size, none, T="int32")
    kind = str(node.attrs["dtype"])
    return [made if kind == "int32" else build.cast(made, "int32", kind)]


@op("NthElement", because=LACKS)
def find_nth(build: Build, node: Node) -> list[Ref] | None:
    """Take the last of the n + 1 largest numbers, or of their negatives."""
    x, number = node.inputs[0], build.numbers(node.inputs[1])
    rank = build.rank(x)
    if number is None or rank is None:
        raise Refusal("only a constant position and a known rank are supported")
    upwards, place = not node.attrs["reverse"], int(number[0])
    given = build.op("Neg", x) if upwards else x
    attrs = {"Tk": "int32", "index_type": "int32", "sorted": True}
    best = build.op("TopKV2", given, build.scalar(place + 1), **attrs)
    bounds = build.ints(*[0] * (rank - 1), place), build.ints(*[-1] * (rank - 1), 1)
    made = build.op("Slice", best, *bounds)
    made = build.op("Squeeze", made, squeeze_dims=(rank - 1,))
    return [build.op("Neg", made) if upwards else made]


@op("SparseTensorDenseMatMul", because=LACKS)
def multiply_sparse(build: Build, node: Node) -> list[Ref]:
    """Add up the rows of the dense matrix, each times its number, in the rows of the result."""
    places, values, shape, dense = node.inputs
    kind = str(node.attrs["Tindices"])
    if node.attrs["adjoint_b"]:
        dense = build.op("Transpose", dense, build.ints(1, 0))
    first, second = (
        build.op("Slice", places, build.ints(0, at), build.ints(-1, 1), T=kind) for at in (0, 1)
    )
    into, of = (second, first) if node.attrs["adjoint_a"] else (first, second)
    of = build.op("Reshape", of, build.ints(-1), T=kind)
    rows = build.op("GatherV2", dense, of, build.scalar(0), Tindices=kind)
    rows = build.op("Mul", rows, build.expand_dims(values, 1, build.dtype))
    at = build.ints(1 if node.attrs["adjoint_a"] else 0)
    sizes = build.cast(shape, "int64", "int32")
    count = build.op("Slice", sizes, at, build.ints(1), T="int32")
    whole = build.concat(count, build.sizes(dense, 1, 1))
    kinds = {"Tindices": kind}
    return build.same("ScatterNd", into, rows, whole, **kinds)


@op("Bucketize", because=LACKS)
def bucketize(build: Build, node: Node) -> list[Ref] | None:
    """Count the boundaries at or below a number."""
    ends = np.array(node.attrs["boundaries"], np.float32)
    if not ends.size:
        raise Refusal("there are no boundaries")
    x = build.cast(node.inputs[0], build.dtype, "float32")
    spread = build.expand_dims(x, -1, "float32")
    above = build.op("GreaterEqual", spread, build.const(ends, "float32"), T="float32")
    ones = build.cast(above, "bool", "int32")
    return build.same("Sum", ones, build.ints(-1), T="int32")


@op("InvertPermutation", because=LACKS)
def invert_permutation(build: Build, node: Node) -> list[Ref]:
    """Scatter 0, 1, … to the places that it names."""
    (x,) = node.inputs
    kind = build.dtype
    size = build.op("Shape", x)
    numbers = build.count(size)
    if kind != "int32":
        numbers = build.cast(numbers, "int32", kind)
    attrs = {"Tindices": kind}
    return build.same("ScatterNd", build.expand_dims(x, 1, kind), numbers, size, **attrs)


@op("DynamicPartition", because=LACKS)
def partition(build: Build, node: Node) -> list[Ref] | None:
    """Gather the rows of each part."""
    x, parts = node.inputs
    rank, places = build.rank(x), build.rank(parts)
    if rank is None or places is None:
        raise Refusal("only a known rank is supported")
    if places != 1:
        rest = [build.sizes(x, places, rank - places)] if rank > places else []
        x = build.op("Reshape", x, build.concat(build.ints(-1), *rest))
        parts = build.op("Reshape", parts, build.ints(-1), T="int32")
    made, same = [], {"T": "int32"}
    for number in range(int(node.attrs["num_partitions"])):
        here = build.op("Equal", parts, build.scalar(number), **same)
        rows = build.op("Where", here, T="bool")
        rows = build.op("Reshape", rows, build.ints(-1), T="int64")
        made.append(build.op("GatherV2", x, rows, build.scalar(0), Tindices="int64"))
    return made


@op("DynamicStitch", "ParallelDynamicStitch", because=LACKS)
def stitch(build: Build, node: Node) -> list[Ref] | None:
    """Gather from all rows in the order that constant indices name; the last of a place counts."""
    half = len(node.inputs) // 2
    indices, data = node.inputs[:half], node.inputs[half:]
    places = [build.numbers(ref) for ref in indices]
    ranks = [build.rank(ref) for ref in indices]
    if None in places or None in ranks:
        raise Refusal("only constant indices are supported")
    rows = []
    for ref, rank in zip(data, ranks, strict=True):
        whole = build.rank(ref)
        if whole is None or rank is None:
            raise Refusal("only a known rank is supported")
        rest = [build.sizes(ref, rank, whole - rank)] if whole > rank else []
        target = build.concat(build.ints(-1), *rest)
        rows.append(build.op("Reshape", ref, target))
    listed = [place for each in places for place in each or ()]
    last = {place: number for number, place in enumerate(listed)}
    order = build.ints(*(last.get(place, 0) for place in range(max(last, default=-1) + 1)))
    joined = build.op("ConcatV2", *rows, build.scalar(0), N=half)
    return build.same("GatherV2", joined if half > 1 else rows[0], order, build.scalar(0))


@op("ListDiff", because=wrong_on("cpu"))
def difference(build: Build, node: Node) -> list[Ref]:
    """Gather the numbers that equal no other one; tfjs may lose its operands before it is done."""
    x, y = node.inputs
    kind, out = build.dtype, str(node.attrs["out_idx"])
    pair = build.expand_dims(x, 1, kind), build.expand_dims(y, 0, kind)
    same = build.op("Equal", *pair)
    found = build.op("Any", same, build.ints(1), T="bool")
    places = build.op("Where", build.op("LogicalNot", found), T="bool")
    places = build.op("Reshape", places, build.ints(-1), T="int64")
    rows = build.op("GatherV2", x, places, build.scalar(0), Tindices="int64")
    return [rows, places if out == "int64" else build.cast(places, "int64", out)]


@op("UniqueWithCounts", because=LACKS)
def unique_with_counts(build: Build, node: Node) -> list[Ref]:
    """Count how often each number of a value occurs."""
    (x,), out = node.inputs, str(node.attrs["out_idx"])
    found = build.op("Unique", x, out_idx=out)
    places = Ref(found.node, 1)
    classes = build.enumerate(found, build.dtype)
    classes = classes if out == "int32" else build.cast(classes, "int32", out)
    same = {"T": out}
    here = build.op(
        "Equal", build.expand_dims(classes, 1), build.expand_dims(places, 0, out), **same
    )
    ones = build.cast(here, "bool", out)
    return [
        found, places,
        build.op("Sum", ones, build.ints(-1), T=out),
    ]  # fmt: skip
