"""Images and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.tracing.refusal import Refusal

_MOST_FILTERS = 1024  # of the convolution that cuts patches: its weights grow with the square


@op("AdjustContrastv2", because=LACKS)
def adjust_contrast(build: Build, node: Node) -> list[Ref]:
    """Stretch the distance from each channel's mean."""
    x, factor = node.inputs
    mean = build.op("Mean", x, build.ints(-3, -2), keep_dims=True)
    return build.same("AddV2", build.op("Mul", build.op("Sub", x, mean), factor), mean)


@op("CropAndResize", because=wrong_on("webgl"))
def crop(build: Build, node: Node) -> list[Ref]:
    """Gather an image for each box; webgl takes the box's index for the image's."""
    image, boxes, places, size = node.inputs
    images = build.op("GatherV2", image, places, build.scalar(0))
    return build.same(node.op, images, boxes, build.enumerate(places), size, **node.attrs)


@op("ExtractImagePatches", because=LACKS)
def extract_patches(build: Build, node: Node) -> list[Ref] | None:
    """Cut an image into tiles, or convolve it with a kernel for each element of a patch."""
    (x,) = node.inputs
    shape = build.shape(x)
    _, high, wide, _ = node.attrs["ksizes"]
    steps, rates = node.attrs["strides"], node.attrs["rates"]
    if not shape or shape[3] is None:
        raise Refusal("tfjs cannot extract patches of an unknown number of channels")
    if tuple(steps[1:3]) == (high, wide) and tuple(rates) == (1, 1, 1, 1):
        sizes = zip(shape[1:3], (high, wide), strict=True)
        if all(size is not None and size % tile == 0 for size, tile in sizes):
            return _blocks(build, x, (high, wide))
    filters = high * wide * shape[3]
    if filters > _MOST_FILTERS or (max(steps) > 1 and max(rates) > 1):
        raise Refusal("tfjs cannot extract these patches", "Use patches that do not overlap.")
    kernel = np.eye(filters, dtype=np.float32).reshape(high, wide, shape[3], filters)
    return build.same(
        "Conv2D", x, build.const(kernel, build.dtype), strides=steps, dilations=rates,
        padding=node.attrs["padding"], data_format=b"NHWC", explicit_paddings=(),
    )  # fmt: skip


@op("ExtractVolumePatches", because=LACKS)
def extract_volumes(build: Build, node: Node) -> list[Ref] | None:
    """Convolve a volume with a kernel for each element of a patch."""
    (x,) = node.inputs
    shape, sizes = build.shape(x), node.attrs["ksizes"][1:4]
    filters = None if not shape or shape[4] is None else prod(sizes) * shape[4]
    if filters is None or filters > _MOST_FILTERS:
        raise Refusal("tfjs cannot extract patches this large, or of an unknown number of channels")
    kernel = np.eye(filters, dtype=np.float32).reshape(*sizes, -1, filters)
    return build.same(
        "Conv3D", x, build.const(kernel, build.dtype), strides=node.attrs["strides"],
        dilations=(1,) * 5, padding=node.attrs["padding"], data_format=b"NDHWC",
    )  # fmt: skip


@op("ImageProjectiveTransformV3", because=wrong_on("cpu"))
def transform(_: Build, __: Node) -> list[Ref] | None:
    """Refuse it: the backends of tfjs compute different results."""
    raise Refusal("tfjs's backends do not agree about this operation")


@op("NonMaxSuppressionV5", because=WRONG)
def suppress(build: Build, node: Node) -> list[Ref] | None:
    """Refuse scores that decay, and pad the selection."""
    if build.numbers(node.inputs[5]) != [0]:
        raise Refusal("tfjs returns too few boxes when scores decay", "Set soft_nms_sigma=0.")
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
    count = build.op("Size", made, T="int32")
    both = [made, Ref(made.node, 1)]
    if node.attrs["pad_to_max_output_size"]:
        missing = build.op("Sub", most, count, T="int32")
        flat = build.op("Reshape", missing, build.ints(1), T="int32")
        widths = build.op("Pack", build.concat(build.ints(0), flat), N=1, axis=0, T="int32")
        both = [
            build.op("Pad", ref, widths, T=dtype)
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
    cut = build.op("Reshape", x, rows)
    turned = build.op("Transpose", cut, build.ints(0, 2, 1, 3))
    depth = build.op("Mul", width, high, T="int32")
    sizes = build.concat(build.sizes(x, 0, 1), build.ints(-1), columns, depth)
    return build.same("Reshape", turned, sizes)


def _channels(build: Build, x: Ref) -> list[Ref] | None:
    rank = build.known_rank(x)
    parts = build.op("Split", build.scalar(rank - 1), x, num_split=3)
    return [Ref(parts.node, number) for number in range(3)]


def _join(build: Build, x: Ref, *channels: Ref) -> Ref:
    axis = build.scalar((build.rank(x) or 1) - 1)
    return build.op("ConcatV2", *channels, axis, N=3)


def _to_hsv(build: Build, x: Ref) -> tuple[Ref, Ref, Ref] | None:
    """Return hue, saturation and value of red, green and blue."""
    channels = _channels(build, x)
    if channels is None:
        return None
    red, green, blue = channels
    value = build.op("Maximum", build.op("Maximum", red, green), blue)
    least = build.op("Minimum", build.op("Minimum", red, green), blue)
    spread = build.op("Sub", value, least)
    zero = build.number(0)

    def divide(x: Ref, y: Ref) -> Ref:
        none = build.op("Equal", y, zero)
        quotient = build.op("RealDiv", x, build.op("SelectV2", none, build.number(1), y))
        return build.op("SelectV2", none, zero, quotient)

    saturation = divide(spread, value)
    sixth = build.number(1 / 6)

    def hue(one: Ref, other: Ref, start: float) -> Ref:
        turn = build.op("Mul", divide(build.op("Sub", one, other), spread), sixth)
        return build.op("AddV2", turn, build.number(start))

    is_red = build.op("Equal", red, value)
    is_green = build.op("Equal", green, value)
    turned = build.op("SelectV2", is_green, hue(blue, red, 2 / 6), hue(red, green, 4 / 6))
    turned = build.op("SelectV2", is_red, hue(green, blue, 0), turned)
    grey = build.op("Equal", spread, zero)
    turned = build.op("SelectV2", grey, zero, turned)
    return build.op("Sub", turned, build.op("Floor", turned)), saturation, value


def _to_rgb(build: Build, hue: Ref, saturation: Ref, value: Ref) -> list[Ref]:
    """Return red, green and blue of hue, saturation and value."""
    one, zero = build.number(1), build.number(0)
    six = build.op("Mul", hue, build.number(6))

    def clip(x: Ref) -> Ref:
        return build.op("Minimum", build.op("Maximum", x, zero), one)

    def distance(x: float) -> Ref:
        return build.op("Abs", build.op("Sub", six, build.number(x)))

    shares = [
        clip(build.op("Sub", distance(3), one)),
        clip(build.op("Sub", build.number(2), distance(2))),
        clip(build.op("Sub", build.number(2), distance(4))),
    ]
    white = build.op("Sub", one, saturation)
    return [
        build.op("Mul", build.op("AddV2", white, build.op("Mul", saturation, share)), value)
        for share in shares
    ]


@op("RGBToHSV", because=LACKS)
def to_hsv(build: Build, node: Node) -> list[Ref] | None:
    """Compute hue, saturation and value."""
    parts = _to_hsv(build, node.inputs[0])
    return parts and [_join(build, node.inputs[0], *parts)]


@op("HSVToRGB", because=LACKS)
def to_rgb(build: Build, node: Node) -> list[Ref] | None:
    """Compute red, green and blue."""
    parts = _channels(build, node.inputs[0])
    return parts and [_join(build, node.inputs[0], *_to_rgb(build, *parts))]


@op("AdjustHue", "AdjustSaturation", because=LACKS)
def adjust_colour(build: Build, node: Node) -> list[Ref] | None:
    """Turn the hue, or scale the saturation, of red, green and blue."""
    x, amount = node.inputs
    parts = _to_hsv(build, x)
    if parts is None:
        return None
    hue, saturation, value = parts
    if node.op == "AdjustHue":
        turned = build.op("AddV2", hue, amount)
        hue = build.op("Sub", turned, build.op("Floor", turned))
    else:
        saturation = build.op("Mul", saturation, amount)
        saturation = build.op("Minimum", saturation, build.number(1))
        saturation = build.op("Maximum", saturation, build.number(0))
    return [_join(build, x, *_to_rgb(build, hue, saturation, value))]
