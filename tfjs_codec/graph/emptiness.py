"""Reductions of what may be empty when the model runs.

tfjs computes them rightly on cpu. On wasm the result is what the memory held before, on webgl and
webgpu the execution fails. A tensor may be empty if its sizes depend on values, not only on the
sizes of inputs.
"""

from __future__ import annotations

from dataclasses import replace

from tfjs_codec.errors import quote
from tfjs_codec.graph.shapes import Known
from tfjs_codec.ir.graph import Graph, Node, sort_nodes

_SELECTING = frozenset(
    (
        *("Where", "Unique", "UniqueV2", "ListDiff", "NonMaxSuppressionV2", "NonMaxSuppressionV3"),
        *("NonMaxSuppressionV4", "NonMaxSuppressionV5"),
    )
)
_REDUCING = frozenset(("All", "Any", "EuclideanNorm", "Max", "Mean", "Min", "Prod", "Sum"))
_SLICING = frozenset(("Slice", "StridedSlice"))
_MEASURING = frozenset(("Rank", "Shape", "ShapeN", "Size"))
# By operation, the inputs that the sizes of the result depend on; all for others.
_SIZING = {"ScatterNd": slice(2, 3), "Switch": slice(1), "TensorScatterUpdate": slice(1)}


def warn_of_emptiness(graph: Graph) -> Graph:
    """Return *graph* with a warning if it reduces a tensor that may be empty."""
    if not any(node.op in _SELECTING | _SLICING for node in graph.nodes.values()):
        return graph
    known: Known | None = None
    valued: set[str] = set()  # nodes whose values depend on values of inputs
    sized: set[str] = set()  # nodes whose sizes do
    found: list[str] = []
    for node in sort_nodes(graph.nodes, path=graph.path):
        before = [ref.node for ref in node.inputs]
        chosen = before[_SIZING.get(node.op, slice(None))]
        follows = not sized.isdisjoint(chosen)
        given = node.op.startswith("Placeholder") or not valued.isdisjoint(chosen)
        if given and (node.op not in _MEASURING or follows):
            valued.add(node.name)
        if node.op in _REDUCING and before and before[0] in sized:
            known = known or Known(graph)
            follows, empty = _reduce(known, node)
            if empty:
                found.append(node.name)
        if follows or node.op in _SELECTING or (node.op in _SLICING and _cuts(node, valued)):
            sized.add(node.name)
    if not found:
        return graph
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    warning = (
        f"node {quote(found[0])}{more} reduces a tensor whose size depends on values: if it is "
        "empty, the result is arbitrary on wasm, and webgl and webgpu fail"
    )
    return replace(graph, warnings=(*graph.warnings, warning))


def _reduce(known: Known, node: Node) -> tuple[bool, bool]:
    """Tell whether unknown sizes are left by a reduction, and whether it may reduce nothing."""
    try:
        shape = known.of(node)
        over = {axis % len(shape) for axis in known.ints(node, 1)}
    except LookupError:
        return True, True
    unknown = {axis for axis, size in enumerate(shape) if size is None}
    return bool(unknown - over), bool(unknown & over)


def _cuts(node: Node, valued: set[str]) -> bool:
    """Tell whether the size of a slice depends on values."""
    if node.op == "Slice":
        return node.inputs[2].node in valued
    masks = int(node.attrs.get("shrink_axis_mask", 0)) | int(node.attrs.get("new_axis_mask", 0))
    if masks:  # one element of an axis
        return False
    return any(ref.node in valued for ref in node.inputs[1:3])
