"""Images and boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref

_MOST_FILTERS = 1024  # of the convolution that cuts patches: its weights grow with the square


@op("AdjustContrastv2", because=LACKS)
def adjust_contrast(build: Build, node: Node) -> list[Ref]:
    """Stretch the distance from each channel's mean."""
    x, factor = node.inputs
    mean = build.op("Mean", x, build.ints(-3, -2), keep_dims=True, Tidx="int32")
    return build.same("AddV2", build.op("Mul", build.op("Sub", x, mean), factor), mean)


@op("CropAndResize", because=wrong_on("webgl"))
def crop(build: Build, node: Node) -> list[Ref]:
    """Gather an image for each box; webgl takes the box's index for the image's."""
    image, boxes, places, size = node.inputs
    axis = build.scalar(0)
    attrs = {"Tparams": build.dtype, "Tindices": "int32", "Taxis": "int32", "batch_dims": 0}
    images = build.op("GatherV2", image, places, axis, **attrs)
    return build.same(node.op, images, boxes, build.enumerate(places), size, **node.attrs)


@op("ExtractImagePatches", because=LACKS)
def extract_patches(build: Build, node: Node) -> list[Ref] | None:
    """Cut an image into tiles, or convolve it with a kernel for each element of a patch."""
    (x,) = node.inputs
    shape = build.shape(x)
    _, high, wide, _ = node.attrs["ksizes"]
    steps, rates = node.attrs["strides"], node.attrs["rates"]
    if not shape or shape[3] is None:
        build.refuse("tfjs cannot extract patches of an unknown number of channels")
        return None
    if tuple(steps[1:3]) == (high, wide) and tuple(rates) == (1, 1, 1, 1):
        sizes = zip(shape[1:3], (high, wide), strict=True)
        if all(size is not None and size % tile == 0 for size, tile in sizes):
            return _blocks(build, x, (high, wide))
    filters = high * wide * shape[3]
    if filters > _MOST_FILTERS or (max(steps) > 1 and max(rates) > 1):
        build.refuse("tfjs cannot extract these patches", "Use patches that do not overlap.")
        return None
    kernel = np.eye(filters, dtype=np.float32).reshape(high, wide, shape[3], filters)
    return build.same(
        "Conv2D", x, build.const(kernel, build.dtype), strides=steps, dilations=rates,
        padding=node.attrs["padding"], data_format=b"NHWC", explicit_paddings=(),
    )  # fmt: skip


@op("ImageProjectiveTransformV3", because=wrong_on("cpu"))
def transform(build: Build, _: Node) -> list[Ref] | None:
    """Refuse it: the backends of tfjs compute different results."""
    build.refuse("tfjs's backends do not agree about this operation")
    return None


@op("NonMaxSuppressionV5", because=WRONG)
def suppress(build: Build, node: Node) -> list[Ref] | None:
    """Refuse scores that decay, and pad what is selected."""
    if build.numbers(node.inputs[5]) != [0]:
        build.refuse("tfjs returns too few boxes when scores decay", "Set soft_nms_sigma=0.")
        return None
    if not node.attrs["pad_to_max_output_size"] and not build.uses(node, 2):
        return None
    attrs = {**node.attrs, "pad_to_max_output_size": False}
    made = build.op(node.op, *node.inputs, **attrs)
    return _selection(build, node, made, node.inputs[2])


@op("NonMaxSuppressionV4", because=WRONG)
def suppress_padded(build: Build, node: Node) -> list[Ref] | None:
    """Select, then pad: tfjs cannot execute the operation."""
    none = build.value(0, "float32")
    attrs = {"T": "float32", "pad_to_max_output_size": False}
    made = build.op("NonMaxSuppressionV5", *node.inputs, none, **attrs)
    indices, _, count = _selection(build, node, made, node.inputs[2])
    return [indices, count]


def _selection(build: Build, node: Node, made: Ref, most: Ref) -> list[Ref]:
    """Return the indices and scores of *made*, padded if *node* says so, and their number."""
    count = build.op("Size", made, T="int32", out_type="int32")
    both = [made, Ref(made.node, 1)]
    if node.attrs["pad_to_max_output_size"]:
        missing = build.op("Sub", most, count, T="int32")
        flat = build.op("Reshape", missing, build.ints(1), T="int32", Tshape="int32")
        widths = build.op("Pack", build.concat(build.ints(0), flat), N=1, axis=0, T="int32")
        both = [
            build.op("Pad", ref, widths, T=dtype, Tpaddings="int32")
            for ref, dtype in zip(both, ("int32", "float32"), strict=True)
        ]
    return [*both, count]


@op("SpaceToDepth", because=LACKS)
def space_to_depth(build: Build, node: Node) -> list[Ref]:
    """Move blocks of pixels into channels: (n, h·b, w·b, c) to (n, h, w, b·b·c)."""
    return _blocks(build, node.inputs[0], [int(node.attrs["block_size"])] * 2)


def _blocks(build: Build, x: Ref, block: Sequence[int]) -> list[Ref]:
    high, wide = map(build.ints, block)
    columns = build.op("FloorDiv", build.sizes(x, 2, 1), wide, T="int32")
    width = build.op("Mul", build.sizes(x, 3, 1), wide, T="int32")
    rows = build.concat(build.ints(-1), high, columns, width)
    cut = build.op("Reshape", x, rows, Tshape="int32")
    turned = build.op("Transpose", cut, build.ints(0, 2, 1, 3), Tperm="int32")
    depth = build.op("Mul", width, high, T="int32")
    sizes = build.concat(build.sizes(x, 0, 1), build.ints(-1), columns, depth)
    return build.same("Reshape", turned, sizes, Tshape="int32")
