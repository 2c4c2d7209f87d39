"""Operations that only some of tfjs's backends compute as TensorFlow does.

What these rules make is right on all of cpu, wasm and webgl.
Found by running single operations on each: ``GatherV2`` mixes up batches, ``MaxPoolWithArgmax``
fails and ``Cast`` to bool keeps the last byte of a number on wasm; ``FloorDiv`` rounds floats,
``Abs`` makes a float's bits of whole numbers, ``CropAndResize`` takes a box's number for that of
its image, ``Pad`` and ``ReverseV2`` take four axes on webgl; ``Dilation2D`` (wasm) and
``ImageProjectiveTransformV3`` (cpu) differ.
"""

from __future__ import annotations

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites import composed
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.ir.tensors import Array


def cast(build: Build, node: Node) -> list[Ref] | None:
    """Compare with zero to get a bool; the wasm backend keeps the number's last byte."""
    given = node.attrs["SrcT"]
    if node.attrs["DstT"] != "bool" or given in ("bool", "string") or given.startswith("complex"):
        return None
    return converted(build, node.inputs[0], given, "bool")


def converted(build: Build, x: Ref, given: str, wanted: str) -> list[Ref]:
    """Put *x*, numbers of the type *given*, in the place of the node as numbers of another."""
    if wanted != "bool":
        return build.same("Cast", x, SrcT=given, DstT=wanted, Truncate=False)
    zero = build.const(np.array(0, "float32" if given == "bfloat16" else given), given)
    return build.same("NotEqual", x, zero, T=given, incompatible_shape_error=True)


def whole_abs(build: Build, node: Node) -> list[Ref] | None:
    """The larger of a whole number and its negative; webgl makes a float's bits of it."""
    if not build.dtype.startswith("int"):
        return None
    (x,) = node.inputs
    return build.same("Maximum", x, build.op("Neg", x))


def crops(build: Build, node: Node) -> list[Ref]:
    """Give each box an image of its own: webgl takes the box's number for the image's."""
    image, boxes, places, size = node.inputs
    axis = build.scalar(0)
    attrs = {"Tparams": build.dtype, "Tindices": "int32", "Taxis": "int32", "batch_dims": 0}
    images = build.op("GatherV2", image, places, axis, **attrs)
    return build.same(node.op, images, boxes, composed.counted(build, places), size, **node.attrs)


def pads(build: Build, node: Node) -> list[Ref] | None:
    """Pad and reverse more than four axes one by one, which webgl does not at once."""
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

        x = composed.along(build, x, axis, rank, change)
    return [x]


def gather(build: Build, node: Node) -> list[Ref] | None:
    """Gather from all batches as from one; the wasm backend mixes them up."""
    x, indices, axis = node.inputs
    batch = node.attrs["batch_dims"]
    if not batch:
        return None
    number, rank, places = build.numbers(axis), build.rank(x), build.rank(indices)
    if number is None or rank is None or places is None:
        build.refuse("tfjs gathers by batches only with a known rank and axis")
        return None
    (at,), batch = number, batch + places if batch < 0 else batch
    at = at + rank if at < 0 else at
    if node.attrs["Tindices"] != "int32":
        kind = node.attrs["Tindices"]
        indices = build.op("Cast", indices, SrcT=kind, DstT="int32", Truncate=False)
    if at == batch:
        return [composed.gathered(build, x, indices, batch, rank, places)]
    first = (*range(batch), at, *(axis for axis in range(batch, rank) if axis != at))
    x = build.op("Transpose", x, build.ints(*first), Tperm="int32")
    made = composed.gathered(build, x, indices, batch, rank, places)
    order = [
        *range(batch), *range(places, places + at - batch), *range(batch, places),
        *range(places + at - batch, rank + places - batch - 1),
    ]  # fmt: skip
    return build.same("Transpose", made, build.ints(*order), Tperm="int32")


def floor_quotient(build: Build, node: Node) -> list[Ref] | None:
    """Divide, then round down; webgl makes whole numbers of both operands first."""
    if build.dtype.startswith(("int", "uint")):
        return None
    return build.same("Floor", build.op("RealDiv", *node.inputs))


def pool_with_places(build: Build, node: Node) -> list[Ref] | None:
    """Pool without telling places; the wasm backend does neither right."""
    if build.uses(node, 1):
        return differs(build, node)
    attrs = {key: node.attrs[key] for key in ("ksize", "strides", "padding")}
    more = {"data_format": b"NHWC", "explicit_paddings": ()}
    return build.same("MaxPool", *node.inputs, **attrs, **more)


def differs(build: Build, _: Node) -> list[Ref] | None:
    """Refuse what only some of tfjs's backends compute as TensorFlow does."""
    build.refuse("tfjs's backends do not agree about this operation")
    return None
