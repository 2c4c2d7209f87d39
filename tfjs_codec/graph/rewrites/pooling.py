"""Pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.tracing.refusal import Refusal


@op("MaxPool", because=WRONG)
def pad_explicitly(build: Build, node: Node) -> list[Ref] | None:
    """Pad with the smallest number; tfjs refuses explicit padding."""
    if node.attrs["padding"] != b"EXPLICIT":
        return None
    widths = np.array(node.attrs["explicit_paddings"], np.int32).reshape(4, 2)
    lowest = build.number(np.finfo(np.float32).min)
    padded = build.op("PadV2", node.inputs[0], build.const(widths, "int32"), lowest)
    attrs = {**node.attrs, "padding": b"VALID", "explicit_paddings": ()}
    return build.same("MaxPool", padded, **attrs)


@op("MaxPool3D", because=wrong_on("wasm"))
def max_pool_3d(build: Build, node: Node) -> list[Ref]:
    """Pool the last two axes, then the first; the wasm backend gets three at once wrong."""
    (x,) = node.inputs
    (_, *sizes, _), (_, *strides, _) = node.attrs["ksize"], node.attrs["strides"]
    rest = build.ints(-1)

    def pool(x: Ref, size: Sequence[int], stride: Sequence[int]) -> Ref:
        return build.op(
            "MaxPool", x, ksize=(1, *size, 1), strides=(1, *stride, 1),
            padding=node.attrs["padding"], data_format=b"NHWC", explicit_paddings=(),
        )  # fmt: skip

    def reshape(x: Ref, *parts: Ref) -> Ref:
        return build.op("Reshape", x, build.concat(*parts))

    images = pool(reshape(x, rest, build.sizes(x, 2, 3)), sizes[1:], strides[1:])
    columns = reshape(images, build.sizes(x, 0, 2), rest, build.sizes(x, 4, 1))
    pooled = pool(columns, (sizes[0], 1), (strides[0], 1))
    return [reshape(pooled, build.sizes(pooled, 0, 2), build.sizes(images, 1, 3))]


@op("MaxPoolWithArgmax", because=wrong_on("wasm"))
def max_pool_with_argmax(build: Build, node: Node) -> list[Ref] | None:
    """Pool without returning positions; the wasm backend gets both wrong."""
    if build.uses(node, 1):
        raise Refusal("tfjs's backends do not agree about the positions of the largest elements")
    attrs = {key: node.attrs[key] for key in ("ksize", "strides", "padding")}
    more = {"data_format": b"NHWC", "explicit_paddings": ()}
    return build.same("MaxPool", *node.inputs, **attrs, **more)
