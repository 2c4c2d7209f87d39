"""Tensor lists."""

from __future__ import annotations

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import WRONG, op
from tfjs_codec.ir.graph import Node, Ref, Shape


@op("TensorListConcatV2", because=WRONG)
def concat_list(build: Build, node: Node) -> list[Ref] | None:
    """Write the shape of the elements as an attribute; tfjs does not return their lengths."""
    sizes = build.numbers(node.inputs[1])
    if build.uses(node, 1):
        build.refuse("tfjs does not return the lengths of the elements it joins")
    shape = Shape(None if sizes is None or sizes == [-1] else tuple(sizes))
    kind = node.attrs["element_dtype"]
    return build.same("TensorListConcat", node.inputs[0], element_dtype=kind, element_shape=shape)
