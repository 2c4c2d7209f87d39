"""Convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.forms import along
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.tracing.refusal import Refusal


@op("Conv2D", "Conv3D", because=WRONG)
def split_groups(build: Build, node: Node) -> list[Ref] | None:
    """Convolve groups of channels one by one; groups of one channel are a depthwise convolution."""
    x, weights = (build.shape(ref) for ref in node.inputs[:2])
    if (
        not x
        or not weights
        or len(weights) < 3
        or not x[-1]
        or not weights[-2]
        or x[-1] == weights[-2]
    ):
        return None
    groups, filters = x[-1] // weights[-2], weights[-1]
    if x[-1] % weights[-2] or not filters or filters % groups:
        raise Refusal("its kernel does not match the number of channels, or that number is unknown")
    image, kernel = node.inputs
    if node.op == "Conv2D" and weights[-2] == 1:
        attrs = {key: value for key, value in node.attrs.items() if key != "use_cudnn_on_gpu"}
        sizes = build.sizes(kernel, 0, 2), build.ints(groups, filters // groups)
        kernel = build.op("Reshape", kernel, build.concat(*sizes))
        return build.same("DepthwiseConv2dNative", image, kernel, **attrs)
    axis = build.scalar(len(x) - 1)
    parts = [build.op("Split", axis, ref, num_split=groups) for ref in (image, kernel)]
    made = [
        build.op(node.op, *(Ref(part.node, number) for part in parts), **node.attrs)
        for number in range(groups)
    ]
    return build.same("ConcatV2", *made, axis, N=groups)


@op("AvgPool3D", "Conv3D", because=WRONG)
def trim_windows(build: Build, node: Node) -> list[Ref] | None:
    """Cut off the rest past the last window where windows leave gaps; tfjs shifts such windows."""
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
        raise Refusal(
            "tfjs misplaces windows with strides larger than their size",
            "Give the model a fixed size.",
        )
    kept = [
        min(size or 0, (-(-(size or 0) // step) - 1) * step + window)
        for size, step, window in zip(shape[1:4], steps, windows, strict=True)
    ]
    begin, sizes = build.ints(0, 0, 0, 0, 0), build.ints(-1, *kept, -1)
    cut = build.op("Slice", x, begin, sizes)
    return build.same(node.op, cut, *rest, **node.attrs)


@op("Conv2D", "DepthwiseConv2dNative", because=wrong_on("wasm"))
def pad_gaps(build: Build, node: Node) -> list[Ref] | None:
    """Pad first where windows leave gaps; wasm pads by negative numbers then."""
    x, weights = node.inputs[0], build.shape(node.inputs[1])
    steps, rates = node.attrs["strides"][1:3], node.attrs["dilations"][1:3]
    if node.attrs["padding"] != b"SAME" or max(steps) == 1 or not weights:
        return None
    sizes = [
        (size or 0) and (size - 1) * rate + 1 for size, rate in zip(weights[:2], rates, strict=True)
    ]
    if all(size >= step or size == 1 for size, step in zip(sizes, steps, strict=True)):
        return None
    widths = [build.ints(0, 0)]
    for axis, (size, step) in enumerate(zip(sizes, steps, strict=True), start=1):
        length = build.sizes(x, axis, 1)
        windows = build.op(  # the last one starts before the end
            "FloorDiv", build.op("Sub", length, build.ints(1), T="int32"), build.ints(step),
            T="int32",
        )  # fmt: skip
        end = build.op("Mul", windows, build.ints(step), T="int32")
        end = build.op("AddV2", end, build.ints(size), T="int32")
        total = build.op("Sub", end, length, T="int32")
        total = build.op("Maximum", total, build.ints(0), T="int32")
        before = build.op("FloorDiv", total, build.ints(2), T="int32")
        widths += [before, build.op("Sub", total, before, T="int32")]
    pairs = build.op(
        "Reshape", build.concat(*widths, build.ints(0, 0)), build.ints(4, 2), T="int32",
    )  # fmt: skip
    padded = build.op("Pad", x, pairs)
    return build.same(node.op, padded, *node.inputs[1:], **{**node.attrs, "padding": b"VALID"})


@op("Conv3DBackpropInputV2", because=LACKS)
def transpose_convolution_3d(build: Build, node: Node) -> list[Ref] | None:
    """Convolve the zero-stuffed input with the flipped kernel."""
    x, kernel = node.inputs[2], build.nodes[node.inputs[1].node]
    given, wanted = build.shape(x), build.shape(Ref(node.name))
    plain = all(size == 1 for size in node.attrs["dilations"])
    if kernel.op != "Const" or not plain or not given or not wanted or len(given) != len(wanted):
        raise Refusal("only constant weights and known sizes are supported")
    weights = kernel.value.numpy()[::-1, ::-1, ::-1].swapaxes(3, 4)
    for axis in (1, 2, 3):
        size, result, step = given[axis], wanted[axis], node.attrs["strides"][axis]
        window = weights.shape[axis - 1]
        if size is None or result is None:
            raise Refusal("only known sizes are supported")
        same = node.attrs["padding"] == b"SAME"
        cut = max((size - 1) * step + window - result, 0) // 2 if same else 0
        x = _space(build, x, axis, size, step, window - 1 - cut, result + window - 1)
    taken = {key: node.attrs[key] for key in ("dilations", "data_format")}
    turned = build.const(np.ascontiguousarray(weights), build.dtype)
    return build.same("Conv3D", x, turned, strides=(1,) * 5, padding=b"VALID", **taken)


def _space(build: Build, x: Ref, axis: int, size: int, step: int, before: int, total: int) -> Ref:
    """Put ``step - 1`` zeros after each of *size* elements along *axis*, and zeros around them."""

    def pad(x: Ref, *ends: tuple[int, int]) -> Ref:
        return build.op("Pad", x, build.const(np.array(ends, np.int32), "int32"))

    def change(x: Ref) -> Ref:
        if step > 1:
            sizes = build.sizes(x, 0, 1), build.ints(size * step), build.sizes(x, 2, 1)
            spread = pad(
                build.expand_dims(x, 2, build.dtype), (0, 0), (0, 0), (0, step - 1), (0, 0)
            )
            x = build.op("Reshape", spread, build.concat(*sizes))
        kept = min(total - before, size * step)
        if kept < size * step:
            begin, length = build.ints(0, 0, 0), build.ints(-1, kept, -1)
            x = build.op("Slice", x, begin, length)
        return pad(x, (0, 0), (before, total - before - kept), (0, 0))

    return along(build, x, axis, 5, change)


@op("Dilation2D", because=wrong_on("wasm"))
def dilate(_: Build, __: Node) -> list[Ref] | None:
    """Refuse it: the backends of tfjs compute different results."""
    raise Refusal("tfjs's backends do not agree about this operation")
