"""Reductions of tensors that may be empty when the model runs.

tfjs computes them rightly on cpu. On wasm the result is what the memory held before, on webgl and
webgpu the execution fails. A tensor may be empty if its sizes depend on values, not only on the
sizes of inputs. A neutral element at its end makes sums, products and extremes right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tfjs_codec.errors import quote
from tfjs_codec.graph.shapes import Known
from tfjs_codec.ir.graph import Graph, Node, Ref, const, fresh_names, sort_nodes

_SELECTING = frozenset(
    (
        *("Where", "Unique", "UniqueV2", "ListDiff", "NonMaxSuppressionV2", "NonMaxSuppressionV3"),
        *("NonMaxSuppressionV4", "NonMaxSuppressionV5"),
    )
)
_REDUCING = frozenset(("All", "Any", "EuclideanNorm", "Max", "Mean", "Min", "Prod", "Sum"))
_PADDING = frozenset(("Pad", "PadV2"))
_SLICING = frozenset(("Slice", "StridedSlice"))
_MEASURING = frozenset(("Rank", "Shape", "ShapeN", "Size"))
# By operation, the inputs that the sizes of the result depend on; all for others.
_SIZING = {"ScatterNd": slice(2, 3), "Switch": slice(1), "TensorScatterUpdate": slice(1)}
_NEUTRAL = {"Sum": 0.0, "Prod": 1.0, "Max": -np.inf, "Min": np.inf}
_MOST_AXES = 4  # of a tensor that all backends pad


def guard_reductions(graph: Graph) -> Graph:
    """Return *graph* with a neutral element in tensors that it reduces and that may be empty."""
    reductions = list(_reductions(graph))
    if not reductions:
        return graph
    nodes, names, extremes = dict(graph.nodes), fresh_names(graph), []
    for reduction in reductions:
        node = reduction.node
        made = _pad(reduction, names.fresh(f"{node.name}/padded"))
        nodes.update((each.name, each) for each in made)
        if made and node.op in ("Max", "Min"):
            extremes.append(node.name)
    graph = replace(graph, nodes=nodes)
    if not extremes:
        return graph
    return _warn(
        graph, extremes, "takes the extreme of", "webgl computes 1e20 where TensorFlow has infinity"
    )


def warn_of_emptiness(graph: Graph) -> Graph:
    """Return *graph* with a warning if it reduces a tensor that may be empty."""
    found = [reduction.node.name for reduction in _reductions(graph)]
    if not found:
        return graph
    text = "the result is arbitrary on wasm, an extreme NaN on cpu, and webgl and webgpu fail"
    return _warn(graph, found, "reduces", text)


def _warn(graph: Graph, found: list[str], does: str, what: str) -> Graph:
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    text = f"node {quote(found[0])}{more} {does} a tensor whose size depends on values: "
    return replace(graph, warnings=(*graph.warnings, f"{text}if it is empty, {what}"))


@dataclass(frozen=True, slots=True)
class _Reduction:
    """A reduction of *rank* axes, of which *empty* may be empty; *rank* is None if not known."""

    node: Node
    rank: int | None
    empty: tuple[int, ...] = ()
    leaves_unknown: bool = True


def _reductions(graph: Graph) -> Iterator[_Reduction]:
    """Yield the reductions of *graph* that may reduce nothing."""
    if not any(_may_select(graph, node) for node in graph.nodes.values()):
        return
    known: Known | None = None
    valued: set[str] = set()  # nodes whose values depend on values of inputs
    sized: set[str] = set()  # nodes whose sizes do, and may be zero
    for node in sort_nodes(graph.nodes, path=graph.path):
        before = [ref.node for ref in node.inputs]
        chosen = before[_SIZING.get(node.op, slice(None))]
        follows = not sized.isdisjoint(chosen)
        given = node.op.startswith("Placeholder") or not valued.isdisjoint(chosen)
        if given and (node.op not in _MEASURING or follows):
            valued.add(node.name)
        if node.op in _PADDING and _grows(graph, node):
            continue
        if node.op in _REDUCING and before and before[0] in sized:
            known = known or Known(graph)
            reduction = _reduce(known, node)
            follows = reduction.leaves_unknown
            if reduction.rank is None or reduction.empty:
                yield reduction
        if follows or node.op in _SELECTING or (node.op in _SLICING and _cuts(node, valued)):
            sized.add(node.name)


def _may_select(graph: Graph, node: Node) -> bool:
    """Tell whether *node* takes a number of elements that is no constant."""
    return node.op in _SELECTING or (
        node.op in _SLICING and any(graph.nodes[ref.node].op != "Const" for ref in node.inputs[1:])
    )


def _reduce(known: Known, node: Node) -> _Reduction:
    try:
        shape = known.of(node)
        over = {axis % len(shape) for axis in known.ints(node, 1)}
    except LookupError:
        return _Reduction(node, None)
    unknown = {axis for axis, size in enumerate(shape) if size is None}
    return _Reduction(node, len(shape), tuple(sorted(unknown & over)), bool(unknown - over))


def _pad(reduction: _Reduction, name: str) -> list[Node]:
    """Return the reduction of a tensor that is padded, and the nodes that pad it, if it is right.

    *name* is that of a new node.
    """
    node, rank = reduction.node, reduction.rank
    dtype = str(node.attrs.get("T"))
    numeric = dtype.startswith("float") or (dtype == "int32" and node.op in ("Sum", "Prod"))
    if node.op not in _NEUTRAL or not numeric or not rank or rank > _MOST_AXES:
        return []
    widths = np.zeros((rank, 2), np.int32)
    widths[list(reduction.empty), 1] = 1
    ends = const(f"{name}/widths", widths)
    neutral = const(f"{name}/neutral", np.array(_NEUTRAL[node.op], dtype))
    refs = (node.inputs[0], Ref(ends.name), Ref(neutral.name))
    pad = Node(name, "PadV2", refs, {"T": dtype, "Tpaddings": "int32"})
    return [ends, neutral, pad, replace(node, inputs=(Ref(name), *node.inputs[1:]))]


def _grows(graph: Graph, node: Node) -> bool:
    """Tell whether a tensor has elements after it was padded by constant widths."""
    widths = graph.nodes[node.inputs[1].node]
    return widths.op == "Const" and bool(np.any(widths.value.numpy()))


def _cuts(node: Node, valued: set[str]) -> bool:
    """Tell whether the size of a slice depends on values."""
    if node.op == "Slice":
        return node.inputs[2].node in valued
    masks = int(node.attrs.get("shrink_axis_mask", 0)) | int(node.attrs.get("new_axis_mask", 0))
    if masks:  # one element of an axis
        return False
    return any(ref.node in valued for ref in node.inputs[1:3])
