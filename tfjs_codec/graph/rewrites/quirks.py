"""Operations that tfjs 4.22 has, and computes differently from TensorFlow.

What is wrong was found by running single operations in both: ``MatrixBandPart`` reads its first
number twice, ``StridedSlice`` reads past the end when it has strides and drops or adds an axis,
``OneHot`` ignores ``axis`` and makes no floats on wasm, ``Cumsum`` and ``Cumprod`` take no negative
axis, ``FakeQuantWithMinMaxVars`` does nothing, ``Mean`` of whole numbers has a fraction, ``Select``
does not choose rows, Fourier transforms ignore their length, ``BitwiseAnd`` fails, windows with
gaps are shifted in three dimensions, ``Complex`` does not spread its parts, ``TensorListConcatV2``
fails, soft ``NonMaxSuppressionV5`` returns too few boxes.
"""

from __future__ import annotations

from itertools import dropwhile
from typing import Any

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.backends import converted
from tfjs_codec.graph.shapes import Dims
from tfjs_codec.ir.graph import Node, Ref, Shape

_SMALL = frozenset(("int8", "int16", "uint8", "uint16"))
_OVERFLOWING = frozenset(
    (
        *("Add", "AddN", "AddV2", "Cumprod", "Cumsum", "MatMul", "Mul", "Neg", "Pow", "Prod"),
        *("Square", "SquaredDifference", "Sub", "Sum"),
    )
)
_BOUNDING = frozenset(
    ("Cast", "Ceil", "ClipByValue", "Floor", "Identity", "Maximum", "Minimum", "Rint", "Round")
)
_STEPS = 6
_INT32 = np.iinfo(np.int32)
_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def wraps(build: Build, node: Node) -> bool:
    """Tell whether results of *node* wrap around in 8 or 16 bits; all integers of tfjs have 32."""
    if node.op == "Cast":
        given, wanted = node.attrs["SrcT"], node.attrs["DstT"]
        if wanted not in _SMALL or (given in _SMALL | {"bool"} and np.can_cast(given, wanted)):
            return False
        low, high = _range(build, node.inputs[0], _STEPS)
        limits = np.iinfo(wanted)
        return not limits.min <= low <= high <= limits.max
    return node.op in _OVERFLOWING and node.attrs.get("T") in _SMALL


def _range(build: Build, ref: Ref, steps: int) -> tuple[float, float]:
    """Return bounds of the numbers of *ref*, looking *steps* nodes back; NaN if they may wrap."""
    node = build.nodes[ref.node]
    numbers = build.numbers(ref) if node.op == "Const" and node.value.size == 1 else None
    if numbers is not None:
        return numbers[0], numbers[0]
    if node.op == "Relu6":
        return 0, 6
    if not steps or node.op not in _BOUNDING:
        return -np.inf, np.inf
    given = [_range(build, each, steps - 1) for each in node.inputs]
    lows, highs = (np.array(ends, np.float64) for ends in zip(*given, strict=True))
    low, high = lows[0], highs[0]
    if node.op == "Minimum":
        low, high = lows.min(), highs.min()
    elif node.op == "Maximum":
        low, high = lows.max(), highs.max()
    elif node.op == "ClipByValue":
        low, high = (np.minimum(np.maximum(x[0], x[1]), x[2]) for x in (lows, highs))
    elif node.op == "Cast" and not node.attrs["SrcT"].startswith(("int", "uint", "bool")):
        whole = not node.attrs["DstT"].startswith(("float", "bfloat"))
        if whole and not _INT32.min <= low <= high <= _INT32.max:
            return np.nan, np.nan
    return float(low), float(high)


def band_part(build: Build, node: Node) -> list[Ref]:
    """Keep where ``row - column <= lower`` and ``column - row <= upper``; negative: all."""
    x, lower, upper = node.inputs
    scalars = [build.scalar(number) for number in (0, 1)]

    def places(end: int, axis: int) -> Ref:
        shape = build.op("Shape", x, out_type="int32")
        masks = {**dict.fromkeys(_MASKS, 0), "shrink_axis_mask": 1}
        bounds = build.ints(end), build.ints(end + 1), build.ints(1)
        size = build.op("StridedSlice", shape, *bounds, T="int32", Index="int32", **masks)
        count = build.op("Range", scalars[0], size, scalars[1], Tidx="int32")
        at = build.scalar(axis)
        return build.op("ExpandDims", count, at, T="int32", Tdim="int32")

    rows, columns = places(-2, 1), places(-1, 0)

    def within(first: Ref, second: Ref, limit: Ref) -> Ref:
        limit = build.op("Cast", limit, SrcT="int64", DstT="int32", Truncate=False)
        distance = build.op("Sub", first, second, T="int32")
        near = build.op("LessEqual", distance, limit, T="int32")
        return build.op("LogicalOr", near, build.op("Less", limit, scalars[0], T="int32"))

    kept = build.op("LogicalAnd", within(rows, columns, lower), within(columns, rows, upper))
    return build.same("SelectV2", kept, x, build.op("ZerosLike", x))


def strided_slice(build: Build, node: Node) -> list[Ref] | None:
    """Slice with the strides first, then drop and add axes; slice whole numbers as floats.

    The wasm backend takes the bits of whole numbers for floats.
    """
    masks = {name: int(node.attrs[name]) for name in _MASKS}
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
        return converted(build, made, "float32", kind)
    begin, end = build.numbers(node.inputs[1]), build.numbers(node.inputs[2])
    if begin is None or end is None or strides is None:
        build.refuse("tfjs gets slices with strides wrong that drop or add an axis")
        return None
    first = _Bounds()
    second = _Bounds()
    for at, step in enumerate(strides):
        has = {name: masks[name] >> at & 1 for name in _MASKS}
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
    return converted(build, made, "float32", kind)


def shifted_windows(build: Build, node: Node) -> list[Ref] | None:
    """Cut off what windows with gaps between them leave; tfjs shifts them in three dimensions."""
    x, *rest = node.inputs
    steps = node.attrs["strides"][1:4]
    windows: Any = node.attrs.get("ksize", (1,))[1:4]
    if node.op == "Conv3D":
        weights = build.shape(rest[0])
        windows = weights[:3] if weights else (None,) * 3
        rates = node.attrs["dilations"][1:4]
        windows = [
            None if size is None else (size - 1) * rate + 1
            for size, rate in zip(windows, rates, strict=True)
        ]
    if node.attrs["padding"] != b"SAME" or all(
        size is not None and step <= size for size, step in zip(windows, steps, strict=True)
    ):
        return None
    shape = build.shape(x)
    if not shape or None in shape[1:4] or None in windows:
        build.refuse("tfjs shifts windows with gaps", "Give the model a fixed size.")
        return None
    kept = [
        min(size or 0, (-(-(size or 0) // step) - 1) * step + window)
        for size, step, window in zip(shape[1:4], steps, windows, strict=True)
    ]
    begin, sizes = build.ints(0, 0, 0, 0, 0), build.ints(-1, *kept, -1)
    cut = build.op("Slice", x, begin, sizes, Index="int32")
    return build.same(node.op, cut, *rest, **node.attrs)


class _Bounds:
    """The bounds and masks of a StridedSlice, one axis after the other."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int]] = []
        self._masks = dict.fromkeys(_MASKS, 0)

    def add(self, begin: int, end: int, step: int, **masks: int) -> None:
        for name, value in masks.items():
            self._masks[name] |= value << len(self._rows)
        self._rows.append((begin, end, step))

    def refs(self, build: Build) -> list[Ref]:
        return [build.ints(*column) for column in zip(*self._rows, strict=True)]

    def attrs(self) -> dict[str, int | str]:
        return {"Index": "int32", **self._masks}


def one_hot(build: Build, node: Node) -> list[Ref] | None:
    """Make whole numbers, with the classes on the last axis; then their type and their place."""
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


def cumulative(build: Build, node: Node) -> list[Ref] | None:
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


def stacked_product(build: Build, node: Node) -> list[Ref] | None:
    """Repeat matrices where each stack is to repeat its own; tfjs takes the shorter one in turn.

    So it does what is asked if one stack is the end of the other, and single ones before it.
    """
    given = [build.shape(ref) for ref in node.inputs]
    shapes = [shape or () for shape in given]
    stacks = [tuple(dropwhile(lambda size: size == 1, shape[:-2])) for shape in shapes]
    pairs = _ends(*stacks)
    unsure = None in given or any(  # an unknown size, with others before it, may be 1
        pair[here] is None and number < len(stacks[here]) and pair[there] != 1
        for number, pair in enumerate(pairs, start=1)
        for here, there in ((0, 1), (1, 0))
    )
    if unsure:
        return build.same(node.op, *_spread_stacks(build, *node.inputs), **node.attrs)
    if all((one == 1) == (other == 1) for one, other in pairs):
        return None
    made = []
    for here, there in ((0, 1), (1, 0)):
        x, other = node.inputs[here], node.inputs[there]
        times = [build.ints(1) for _ in shapes[here]]
        for back, (one, size) in enumerate(_ends(stacks[here], stacks[there]), start=3):
            if one == 1 and size is not None:
                times[-back] = build.ints(size)
            elif one == 1:
                times[-back] = build.sizes(other, len(shapes[there]) - back, 1)
        made.append(build.op("Tile", x, build.concat(*times), Tmultiples="int32"))
    return build.same(node.op, *made, **node.attrs)


def _spread_stacks(build: Build, *factors: Ref) -> list[Ref]:
    """Give both stacks the same sizes, whatever these are when the model runs."""
    last = build.ints(-2, -1)
    single = [build.op("Max", x, last, keep_dims=True, Tidx="int32") for x in factors]
    both = build.op("Shape", build.op("AddV2", *single), out_type="int32")

    def part(shape: Ref, begin: int, end: int, **masks: int) -> Ref:
        bounds = (build.ints(number) for number in (begin, end, 1))
        attrs = {**dict.fromkeys(_MASKS, 0), **masks, "T": "int32", "Index": "int32"}
        return build.op("StridedSlice", shape, *bounds, **attrs)

    stack = part(both, 0, -2, begin_mask=1)
    shapes = [build.op("Shape", x, out_type="int32") for x in factors]
    whole = [build.concat(stack, part(shape, -2, 0, end_mask=1)) for shape in shapes]
    return [
        build.op("BroadcastTo", x, sizes, Tidx="int32")
        for x, sizes in zip(factors, whole, strict=True)
    ]


def _ends(one: Dims, other: Dims) -> list[tuple[int | None, int | None]]:
    """Return the sizes of both from the last one on, as far as both have any."""
    return list(zip(one[::-1], other[::-1], strict=False))


def grouped_convolution(build: Build, node: Node) -> list[Ref] | None:
    """Convolve groups of channels one by one; groups of one channel are a depthwise convolution."""
    x, weights = (build.shape(ref) for ref in node.inputs[:2])
    if not x or not weights or not x[-1] or not weights[-2] or x[-1] == weights[-2]:
        return None
    groups, filters = x[-1] // weights[-2], weights[-1]
    if x[-1] % weights[-2] or not filters or filters % groups:
        build.refuse("its weights do not fit its channels, or their number is not known")
        return None
    image, kernel = node.inputs
    if node.op == "Conv2D" and weights[-2] == 1:
        attrs = {key: value for key, value in node.attrs.items() if key != "use_cudnn_on_gpu"}
        sizes = build.sizes(kernel, 0, 2), build.ints(groups, filters // groups)
        kernel = build.op("Reshape", kernel, build.concat(*sizes), Tshape="int32")
        return build.same("DepthwiseConv2dNative", image, kernel, **attrs)
    axis = build.scalar(len(x) - 1)
    parts = [build.op("Split", axis, ref, num_split=groups) for ref in (image, kernel)]
    made = [
        build.op(node.op, *(Ref(part.node, number) for part in parts), **node.attrs)
        for number in range(groups)
    ]
    return build.same("ConcatV2", *made, axis, N=groups, Tidx="int32")


def mean(build: Build, node: Node) -> list[Ref] | None:
    """Round the mean of whole numbers towards zero."""
    if not build.dtype.startswith(("int", "uint")):
        return None
    made = build.op("Mean", *node.inputs, **node.attrs)
    return build.same("Cast", made, SrcT="float32", DstT=build.dtype, Truncate=False)


def fake_quant(build: Build, node: Node) -> list[Ref] | None:
    """Round to the levels that ``num_bits`` can tell apart, with zero among them."""
    if node.op == "FakeQuantWithMinMaxArgs":
        low, high = np.float32(node.attrs["min"]), np.float32(node.attrs["max"])
    else:
        ends = [build.nodes[ref.node] for ref in node.inputs[1:]]
        if any(end.op != "Const" for end in ends):
            build.refuse("tfjs does not quantise", "Its range must be constant.")
            return None
        low, high = (end.value.numpy().astype(np.float32) for end in ends)
    # In float32, because TensorFlow rounds a number of it.
    first = np.float32(1 if node.attrs["narrow_range"] else 0)
    last = np.float32((1 << int(node.attrs["num_bits"])) - 1)
    scale = (high - low) / (last - first)
    zero = np.clip(np.floor(first - low / scale + np.float32(0.5)), first, last)
    bottom, top = (first - zero) * scale, (last - zero) * scale

    def number(value: Any) -> Ref:
        return build.const(np.asarray(value, np.float32), "float32")

    inside = build.op("Minimum", node.inputs[0], number(top), T="float32")
    inside = build.op("Maximum", inside, number(bottom), T="float32")
    steps = build.op("Sub", inside, number(bottom), T="float32")
    steps = build.op("RealDiv", steps, number(scale), T="float32")
    level = build.op("AddV2", steps, number(0.5), T="float32")
    level = build.op("Floor", level, T="float32")
    level = build.op("Mul", level, number(scale), T="float32")
    return build.same("AddV2", level, number(bottom), T="float32")


def select(build: Build, node: Node) -> list[Ref]:
    """Give the condition as many axes as the operands: a vector chooses their rows."""
    condition, x, y = node.inputs
    ranks = build.rank(condition), build.rank(x)
    if None in ranks or ranks[0] != ranks[1]:
        shape = build.op("Shape", condition, T="bool", out_type="int32")
        rank = build.op("Shape", shape, T="int32", out_type="int32")
        whole = build.op("Shape", x, out_type="int32")
        masks = {**dict.fromkeys(_MASKS, 0), "end_mask": 1}
        bounds = rank, build.ints(0), build.ints(1)
        rest = build.op("StridedSlice", whole, *bounds, T="int32", Index="int32", **masks)
        ones = build.op("OnesLike", rest, T="int32")
        target = build.concat(shape, ones)
        condition = build.op("Reshape", condition, target, T="bool", Tshape="int32")
    return build.same("SelectV2", condition, x, y)


def real_fft(build: Build, node: Node) -> list[Ref] | None:
    """Cut to the length of the transform."""
    length = build.numbers(node.inputs[1])
    if length is None:
        build.refuse("tfjs ignores the length of the transform", "Make it constant.")
        return None
    masks = {**dict.fromkeys(_MASKS, 0), "begin_mask": 2, "ellipsis_mask": 1}
    bounds = build.ints(0, 0), build.ints(0, length[0]), build.ints(1, 1)
    cut = build.op("StridedSlice", node.inputs[0], *bounds, T="float32", Index="int32", **masks)
    return build.same("RFFT", cut, node.inputs[1], **node.attrs)


def inverse_real_fft(build: Build, node: Node) -> list[Ref] | None:
    """Refuse odd lengths: tfjs takes twice the bins less two, whatever it is told."""
    length = build.numbers(node.inputs[1])
    if length is None or length[0] % 2:
        build.refuse("tfjs has it only for even lengths")
    return None


def complex_number(build: Build, node: Node) -> list[Ref] | None:
    """Give both parts the same shape."""
    parts = node.inputs
    shapes = [build.shape(part) for part in parts]
    if shapes[0] == shapes[1] and shapes[0] is not None and None not in shapes[0]:
        return None
    spread = [
        build.op("AddV2", one, build.op("ZerosLike", other)) for one, other in (parts, parts[::-1])
    ]
    return build.same("Complex", *spread, Tout=node.attrs["Tout"])


def list_concat(build: Build, node: Node) -> list[Ref] | None:
    """Say the shape of the elements as tfjs wants it; it does not tell their lengths."""
    sizes = build.numbers(node.inputs[1])
    if build.uses(node, 1):
        build.refuse("tfjs does not tell the lengths of what it joins")
    shape = Shape(None if sizes is None or sizes == [-1] else tuple(sizes))
    kind = node.attrs["element_dtype"]
    return build.same("TensorListConcat", node.inputs[0], element_dtype=kind, element_shape=shape)


def unknown(build: Build, _: Node) -> list[Ref] | None:
    """Refuse what tfjs lists, and fails to execute."""
    build.refuse("tfjs fails to execute this operation")
    return None


def soft_suppression(build: Build, node: Node) -> list[Ref] | None:
    """Refuse scores that decay."""
    if build.numbers(node.inputs[5]) != [0]:
        build.refuse("tfjs returns too few boxes when scores decay", "Set soft_nms_sigma=0.")
    return None
