"""Compositions of operations that rules of several families use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.ir.graph import Ref


def along(build: Build, x: Ref, axis: int, rank: int, change: Callable[[Ref], Ref]) -> Ref:
    """Apply *change* to one axis of *x*: it gets three axes, the second one is *axis*."""
    outer, inner = build.sizes(x, 0, axis), build.sizes(x, axis + 1, rank - axis - 1)
    size = build.sizes(x, axis, 1)
    # Without Prod, which webgpu cannot compute of sizes.
    rows = build.op("Reshape", x, build.concat(outer, size, build.ints(-1)))
    flat = build.concat(build.ints(-1), size, build.sizes(rows, axis + 1, 1))
    made = change(build.op("Reshape", rows, flat))
    whole = build.concat(outer, build.ints(-1), inner)
    return build.op("Reshape", made, whole)


def broadcast(build: Build, *refs: Ref, dtype: str = "") -> list[Ref]:
    """Broadcast *refs*, numbers of *dtype* or else of the type of the node, to the same shape."""
    shapes = [build.shape(ref) for ref in refs]
    if shapes[0] is not None and None not in shapes[0] and len(set(shapes)) == 1:
        return list(refs)
    kind = {"T": dtype or build.dtype}
    whole = build.op("ZerosLike", refs[0], **kind)
    for ref in refs[1:]:
        whole = build.op("AddV2", whole, build.op("ZerosLike", ref, **kind), **kind)
    return [build.op("AddV2", ref, whole, **kind) for ref in refs]


def convert(build: Build, x: Ref, given: str, wanted: str) -> list[Ref]:
    """Put *x*, cast from the type *given* to *wanted*, in the place of the node.

    A cast to bool compares with zero: the wasm backend keeps the number's last byte.
    """
    if wanted != "bool":
        return build.same("Cast", x, SrcT=given, DstT=wanted)
    zero = build.const(np.array(0, "float32" if given == "bfloat16" else given), given)
    return build.same("NotEqual", x, zero, T=given)


def gather_rows(build: Build, x: Ref, indices: Ref, batch: int, rank: int, places: int) -> Ref:
    """Gather rows of *x* on axis *batch*, each batch its own, with a gather without batches.

    *rank* is that of *x*, *places* that of *indices*, which are int32.
    """
    dtype = build.dtype
    outer = build.sizes(indices, 0, batch)
    flat = build.op("Reshape", indices, build.concat(outer, build.ints(-1)), T="int32")
    if batch > 1:  # without Prod, which webgpu cannot compute of sizes
        last = build.concat(build.ints(-1), build.sizes(flat, batch, 1))
        flat = build.op("Reshape", flat, last, T="int32")
    number = build.sizes(flat, 0, 1)
    starts = build.op("Mul", build.count(number), build.sizes(x, batch, 1), T="int32")
    flat = build.op("AddV2", flat, build.expand_dims(starts, 1), T="int32")
    rest = [build.sizes(x, batch + 1, rank - batch - 1)] if rank > batch + 1 else []
    rows = build.op("Reshape", x, build.concat(build.ints(-1), *rest), T=dtype)
    made = build.op("GatherV2", rows, flat, build.scalar(0))
    sizes = build.concat(build.sizes(indices, 0, places), *rest)
    return build.op("Reshape", made, sizes, T=dtype)
