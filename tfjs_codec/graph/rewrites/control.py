"""Tensor lists."""

from __future__ import annotations

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import WRONG, op
from tfjs_codec.ir.graph import Node, Ref, Shape
from tfjs_codec.tracing.refusal import Refusal


@op("TensorListConcatV2", because=WRONG)
def concat_list(build: Build, node: Node) -> list[Ref] | None:
    """Join the elements, which tfjs gives one shape, without the lengths, which it lacks."""
    sizes = build.numbers(node.inputs[1])
    if build.uses(node, 1):
        build.refuse("tfjs does not return the lengths of the elements it joins")
    kind, items = str(node.attrs["element_dtype"]), _items(build, node.inputs[0])
    if len(items) > 1:
        joined = {"N": len(items), "Tidx": "int32", "T": kind}
        return build.same("ConcatV2", *items, build.scalar(0), **joined)
    if sizes is not None and sizes != [-1]:
        attrs = {"element_dtype": kind, "element_shape": Shape(tuple(sizes))}
        return build.same("TensorListConcat", node.inputs[0], **attrs)
    attrs = {"element_dtype": kind, "num_elements": -1}
    stack = build.op("TensorListStack", node.inputs[0], build.scalar(-1), **attrs)
    shape = build.op("Shape", stack, T=kind)
    rest = build.strided_slice(shape, build.ints(2), build.ints(0), build.ints(1), end_mask=1)
    target = build.concat(build.ints(-1), rest)
    return build.same("Reshape", stack, target, T=kind)


def _items(build: Build, handle: Ref) -> list[Ref]:
    """Return all elements of a list if each was set before, at a constant place."""
    made, found = build.nodes[handle.node], dict[int, Ref]()
    while made.op == "TensorListSetItem":
        place = build.numbers(made.inputs[1])
        if place is None:
            return []
        found.setdefault(place[0], made.inputs[2])
        made = build.nodes[made.inputs[0].node]
    count = build.numbers(made.inputs[1]) if made.op == "TensorListReserve" else None
    whole = count is not None and sorted(found) == list(range(count[0]))
    return [found[place] for place in sorted(found)] if whole else []


@op("TensorListSplit", because=WRONG)
def split_list(build: Build, node: Node) -> list[Ref] | None:
    """Set the elements one by one; tfjs takes each for one row."""
    x, shape, lengths = node.inputs
    sizes = build.numbers(lengths)
    if sizes is None:
        raise Refusal("tfjs splits into single rows", "Make the lengths constant.")
    kind = str(node.attrs["element_dtype"])
    count = len(sizes)
    parts = build.op("SplitV", x, build.ints(*sizes), build.scalar(0), T=kind, num_split=count)
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
