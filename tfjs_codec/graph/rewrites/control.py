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


@op("TensorListSplit", because=WRONG)
def split_list(build: Build, node: Node) -> list[Ref] | None:
    """Set the elements one by one; tfjs takes each for one row."""
    x, shape, lengths = node.inputs
    sizes = build.numbers(lengths)
    if sizes is None:
        build.refuse("tfjs splits into single rows", "Make the lengths constant.")
        return None
    kind = str(node.attrs["element_dtype"])
    count = len(sizes)
    parts = build.op(
        "SplitV", x, build.ints(*sizes), build.scalar(0), T=kind, Tlen="int32", num_split=count
    )
    attrs = {"element_dtype": kind, "shape_type": node.attrs["shape_type"]}
    made = build.op("TensorListReserve", shape, build.scalar(count), **attrs)
    for number in range(count):
        part = Ref(parts.node, number)
        made = build.op(
            "TensorListSetItem", made, build.scalar(number), part, element_dtype=kind,
            resize_if_index_out_of_bounds=False,
        )  # fmt: skip
    return [made]


@op("TensorListGetItem", because=WRONG)
def get_item(build: Build, node: Node) -> list[Ref] | None:
    """Take an element that was set just before; tfjs takes all for elements of one shape."""
    made, place = build.nodes[node.inputs[0].node], build.numbers(node.inputs[1])
    while made.op == "TensorListSetItem" and place is not None:
        number = build.numbers(made.inputs[1])
        if number is None:
            return None
        if number == place:
            return [made.inputs[2]]
        made = build.nodes[made.inputs[0].node]
    return None
