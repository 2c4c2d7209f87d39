"""Operations that move elements, for types and ranks that a backend moves wrongly."""

from __future__ import annotations

from math import prod

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.forms import along, broadcast, convert
from tfjs_codec.graph.rewrites.registry import WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.tracing.refusal import Refusal

_MOST_AXES = 4  # of some kernels of webgl and webgpu
_SMALL = 1 << 16  # elements whose order is worth a constant


@op("ShapeN", because=WRONG)
def measure(build: Build, node: Node) -> list[Ref]:
    """Take the shapes one by one; tfjs makes floats of them."""
    out = node.attrs["out_type"]
    return [build.op("Shape", x, out_type=out) for x in node.inputs]


@op("ReverseV2", "ScatterNd", "GatherNd", "GatherV2", because=wrong_on("wasm"))
def move_bools(build: Build, node: Node) -> list[Ref] | None:
    """Move bools as whole numbers; wasm takes four bytes for each."""
    if build.dtype != "bool":
        return None
    place = 1 if node.op == "ScatterNd" else 0
    inputs = list(node.inputs)
    inputs[place] = build.cast(inputs[place], "bool", "int32")
    kind = "Tparams" if "Tparams" in node.attrs else "T"
    made = build.op(node.op, *inputs, **{**node.attrs, kind: "int32"})
    return convert(build, made, "int32", "bool")


@op("ReverseV2", because=wrong_on("webgl"))
def reverse_no_axes(build: Build, node: Node) -> list[Ref] | None:
    """Pass on what is reversed along no axis; webgl reverses all axes then."""
    return [node.inputs[0]] if build.numbers(node.inputs[1]) == [] else None


@op("Select", because=WRONG)
def select(build: Build, node: Node) -> list[Ref]:
    """Give the condition the rank of the operands; a vector chooses their rows."""
    condition, x, y = node.inputs
    ranks = build.rank(condition), build.rank(x)
    if ranks[0] == 1 and ranks[1] is not None and ranks[1] > 1:
        target = build.ints(-1, *[1] * (ranks[1] - 1))
        condition = build.op("Reshape", condition, target, T="bool")
    elif None in ranks or ranks[0] != ranks[1]:
        shape = build.op("Shape", condition, T="bool")
        rank = build.op("Shape", shape, T="int32")
        whole = build.op("Shape", x)
        rest = build.strided_slice(whole, rank, build.ints(0), build.ints(1), end_mask=1)
        ones = build.op("OnesLike", rest, T="int32")
        target = build.concat(shape, ones)
        condition = build.op("Reshape", condition, target, T="bool")
    return build.same("SelectV2", condition, x, y)


@op("SelectV2", because=wrong_on("wasm", "webgl", "webgpu"))
def choose(build: Build, node: Node) -> list[Ref] | None:
    """Choose between bools by logic, and with many axes on flat tensors.

    wasm takes four bytes for each bool; webgl and webgpu take up to four axes.
    """
    condition, x, y = node.inputs
    if build.dtype == "bool":
        other = build.op("LogicalNot", condition)
        chosen = build.op("LogicalAnd", condition, x)
        return build.same("LogicalOr", chosen, build.op("LogicalAnd", other, y))
    ranks = [build.rank(ref) for ref in node.inputs]
    if max(rank or 0 for rank in ranks) <= _MOST_AXES or build.dtype == "string":
        return None
    numbers = build.cast(condition, "bool", "int32" if build.dtype == "string" else build.dtype)
    whole = broadcast(build, numbers, x, y)
    shape = build.op("Shape", whole[1])
    flat = [build.op("Reshape", ref, build.ints(-1)) for ref in whole]
    kind = {"T": build.dtype}
    flat[0] = build.op("NotEqual", flat[0], build.number(0), **kind)
    return build.same("Reshape", build.op("SelectV2", *flat), shape)


@op("Cumprod", "Cumsum", because=wrong_on("webgl", "webgpu"))
def accumulate_flat(build: Build, node: Node) -> list[Ref] | None:
    """Accumulate along the last of two axes.

    webgl and webgpu take up to four axes, and webgpu transposes no whole numbers.
    """
    x, axis = node.inputs
    rank, numbers = build.rank(x), build.numbers(axis)
    if rank is None or numbers is None or (rank <= _MOST_AXES and build.dtype == "float32"):
        return None
    at, attrs = numbers[0] % rank, {**node.attrs, "Tidx": "int32"}
    if at == rank - 1 and rank <= _MOST_AXES:
        return None

    def change(x: Ref) -> Ref:
        turned = build.op("Transpose", x, build.ints(0, 2, 1))
        made = build.op(node.op, turned, build.scalar(2), **attrs)
        return build.op("Transpose", made, build.ints(0, 2, 1))

    return [along(build, x, at, rank, change)]


@op("Transpose", because=wrong_on("webgpu"))
def transpose_whole(build: Build, node: Node) -> list[Ref] | None:
    """Transpose bools as floats and gather whole numbers; webgpu transposes floats only.

    It transposes matrices of any type.
    """
    kind, (x, order) = build.dtype, node.inputs
    perm, shape = build.numbers(order), build.shape(x)
    if kind.startswith(("float", "bfloat", "string", "complex")) or perm in ([0], [0, 1], [1, 0]):
        return None
    if kind not in ("int32", "int64") or perm is None:
        moved = build.op("Transpose", build.cast(x, kind, "float32"), order, T="float32",
                         Tperm=node.attrs["Tperm"])  # fmt: skip
        return convert(build, moved, "float32", kind)
    flat = build.op("Reshape", x, build.ints(-1))
    known = [size or 0 for size in shape or ()]
    if shape is not None and None not in shape and prod(known) < _SMALL:
        places = np.arange(prod(known), dtype=np.int32).reshape(known)
        turned = build.const(places.transpose(perm), "int32")
    else:
        numbers = build.cast(build.count(build.sizes(flat, 0, 1)), "int32", "float32")
        sizes = build.op("Shape", x)
        numbers = build.op("Reshape", numbers, sizes, T="float32")
        turned = build.op("Transpose", numbers, order, T="float32", Tperm=node.attrs["Tperm"])
        turned = build.cast(turned, "float32", "int32")
    return build.same("GatherV2", flat, turned, build.scalar(0))


@op(
    *("Add", "AddV2", "Atan2", "Equal", "FloorDiv", "FloorMod", "Greater", "GreaterEqual", "Less"),
    *("LessEqual", "LogicalAnd", "LogicalOr", "Maximum", "Minimum", "Mul", "NotEqual", "Pow"),
    *("RealDiv", "SquaredDifference", "Sub", "BiasAdd"),
    because=wrong_on("webgpu"),
)
def widen_vector(build: Build, node: Node) -> list[Ref] | None:
    """Give a vector a second axis beside a tensor of more than four; webgpu does not compile."""
    ranks = [build.rank(ref) for ref in node.inputs]
    if 1 not in ranks or max(rank or 0 for rank in ranks) <= _MOST_AXES:
        return None
    kind = build.type_of(node.inputs[0])
    wide = [
        build.op("Reshape", ref, build.ints(1, -1), T=kind) if rank == 1 else ref
        for ref, rank in zip(node.inputs, ranks, strict=True)
    ]
    return build.same("AddV2" if node.op == "BiasAdd" else node.op, *wide, **node.attrs)


@op("ClipByValue", because=wrong_on("wasm"))
def clip(build: Build, node: Node) -> list[Ref] | None:
    """Take the smaller and the larger of whole numbers; wasm has no other clip for them."""
    if not build.dtype.startswith(("int", "uint")):
        return None
    x, low, high = node.inputs
    return build.same("Maximum", build.op("Minimum", x, high), low)


@op("DepthToSpace", because=WRONG)
def depth_to_space(build: Build, node: Node) -> list[Ref] | None:
    """Transpose blocks of whole numbers; tfjs takes floats only."""
    if build.dtype == "float32":
        return None
    (x,), block = node.inputs, int(node.attrs["block_size"])
    rows = build.op("FloorDiv", build.sizes(x, 3, 1), build.ints(block), T="int32")
    depth = build.op("FloorDiv", rows, build.ints(block), T="int32")
    wide = build.op("Mul", build.sizes(x, 2, 1), build.ints(block), T="int32")
    parts = build.concat(build.ints(-1), build.sizes(x, 2, 1), build.ints(block), rows)
    cut = build.op("Reshape", x, parts)
    turned = build.op("Transpose", cut, build.ints(0, 2, 1, 3))
    sizes = build.concat(build.sizes(x, 0, 1), build.ints(-1), wide, depth)
    return build.same("Reshape", turned, sizes)


@op("BatchToSpaceND", "SpaceToBatchND", because=wrong_on("wasm", "webgpu"))
def move_whole(build: Build, node: Node) -> list[Ref] | None:
    """Move positions as floats, and gather whole numbers; webgpu transposes floats only."""
    x, block, widths = node.inputs
    kind = build.dtype
    if not kind.startswith(("int", "uint", "bool")):
        return None
    if node.op == "SpaceToBatchND":
        rank, pairs = build.rank(x), build.numbers(widths)
        if rank is None or pairs is None:
            raise Refusal("only a known rank and constant paddings are supported")
        rest = rank - 1 - len(pairs) // 2
        whole = np.array([0, 0, *pairs, *[0] * (2 * rest)], np.int32).reshape(rank, 2)
        x = build.op("Pad", x, build.const(whole, "int32"))
        widths = build.const(np.zeros((len(pairs) // 2, 2), np.int32), "int32")
    flat = build.op("Reshape", x, build.ints(-1))
    numbers = build.cast(build.count(build.sizes(flat, 0, 1)), "int32", "float32")
    shape = build.op("Shape", x)
    places = build.op("Reshape", numbers, shape, T="float32")
    inner = {"Tblock_shape": node.attrs["Tblock_shape"], "T": "float32"}
    inner["Tcrops" if node.op == "BatchToSpaceND" else "Tpaddings"] = "int32"
    moved = build.cast(build.op(node.op, places, block, widths, **inner), "float32", "int32")
    return build.same("GatherV2", flat, moved, build.scalar(0))


@op("All", "Any", "Max", "Mean", "Min", "Prod", "Sum", because=wrong_on("wasm", "webgl", "webgpu"))
def reduce_nothing(build: Build, node: Node) -> list[Ref] | None:
    """Fill with what a reduction of no elements is."""
    x, axes = node.inputs
    shape, over = build.shape(x), build.numbers(axes)
    if not shape or 0 not in shape or over is None:
        return None
    gone = {axis % len(shape) for axis in over}
    if prod(1 if size is None else size for axis, size in enumerate(shape) if axis in gone):
        return None
    keep = bool(node.attrs["keep_dims"])
    kind = str(node.attrs.get("T", "bool"))
    whole = kind.startswith(("int", "uint"))
    neutral = {
        "All": True, "Any": False, "Max": -(2**31) if whole else -float("inf"),
        "Mean": 0 if whole else float("nan"), "Min": 2**31 - 1 if whole else float("inf"),
        "Prod": 1, "Sum": 0,
    }[node.op]  # fmt: skip
    sizes = [
        build.ints(1) if axis in gone else build.sizes(x, axis, 1) for axis in range(len(shape))
    ]
    kept = [size for axis, size in enumerate(sizes) if keep or axis not in gone]
    target = build.concat(*kept) if len(kept) > 1 else kept[0] if kept else build.ints()
    return build.same("Fill", target, build.value(neutral, kind), T=kind, index_type="int32")
