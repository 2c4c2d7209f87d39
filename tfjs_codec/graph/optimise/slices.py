"""Slices that are something else: all parts of a tensor, or a tensor of a stack."""

from __future__ import annotations

from dataclasses import replace

from tfjs_codec.graph.build import Build
from tfjs_codec.ir.graph import MASKS, Graph, Node, Ref, prune, redirect

_FEWEST = 2  # parts of a tensor


def merge_slices(graph: Graph) -> Graph:
    """Return *graph* with one split for slices that together are a tensor.

    A slice that takes one tensor of a stack is that tensor.
    """
    by_source: dict[Ref, list[Node]] = {}
    for node in graph.nodes.values():
        if node.op == "StridedSlice":
            by_source.setdefault(node.inputs[0], []).append(node)
    by_source = {
        source: slices
        for source, slices in by_source.items()
        if len(slices) >= _FEWEST or graph.nodes[source.node].op == "Pack"
    }
    if not by_source:
        return graph
    build = Build(graph)
    moved: dict[Ref, Ref] = {}
    axes: dict[int, Ref] = {}
    for source, slices in by_source.items():
        made = graph.nodes[source.node]
        if made.op == "Pack" and not made.attrs["axis"]:
            for node in slices:
                place = _element(build, node, len(made.inputs))
                if place is not None:
                    moved[Ref(node.name)] = made.inputs[place]
        elif len(slices) >= _FEWEST:
            _split(build, source, slices, moved, axes)
    if not moved:
        return graph
    return prune(redirect(replace(graph, nodes=build.nodes), moved))


def _bounds(build: Build, node: Node) -> list[list[int]] | None:
    """Return begins, ends and strides if they are constant and the strides are 1."""
    found = [build.numbers(ref) for ref in node.inputs[1:]]
    bounds = [[int(each) for each in one] for one in found if one is not None]
    return bounds if len(bounds) == len(found) and set(bounds[2]) == {1} else None


def _element(build: Build, node: Node, count: int) -> int | None:
    """Return which element of the first axis, of *count* ones, *node* takes as it is."""
    bounds = _bounds(build, node)
    masks = [int(node.attrs[name]) for name in MASKS]
    if bounds is None or len(bounds[0]) != 1 or masks[:4] != [0] * 4 or masks[4] != 1:
        return None
    place = bounds[0][0] + (count if bounds[0][0] < 0 else 0)
    return place if 0 <= place < count else None


def _split(
    build: Build, source: Ref, slices: list[Node], moved: dict[Ref, Ref], axes: dict[int, Ref]
) -> None:
    """Split *source* if *slices* cut one axis of it into all of its parts.

    *axes* are the constants of all splits.
    """
    shape = build.shape(source)
    found: dict[tuple[int, int, int], list[Node]] = {}
    for node in slices:
        part = None if shape is None else _part(build, node, shape)
        if part is None:
            return
        found.setdefault(part, []).append(node)
    parts = sorted(found)
    axis, stops = parts[0][0], [stop for _, _, stop in parts]
    if len(parts) < _FEWEST or any(part[0] != axis for part in parts):
        return
    if [start for _, start, _ in parts] != [0, *stops[:-1]] or shape is None:
        return
    if stops[-1] != shape[axis]:
        return
    sizes = [stop - start for _, start, stop in parts]
    build.begin(slices[0])
    kind, count = build.dtype, len(parts)
    if axis not in axes:
        axes[axis] = build.scalar(axis)
    if len(set(sizes)) == 1:
        made = build.op("Split", axes[axis], source, T=kind, num_split=count)
    else:
        refs = build.ints(*sizes), axes[axis]
        made = build.op("SplitV", source, *refs, T=kind, num_split=count)
    for number, part in enumerate(parts):
        moved.update((Ref(node.name), Ref(made.node, number)) for node in found[part])


def _part(build: Build, node: Node, shape: tuple[int | None, ...]) -> tuple[int, int, int] | None:
    """Return the axis that *node* cuts, with start and stop, if it cuts one and keeps all axes."""
    bounds = _bounds(build, node)
    begin_mask, end_mask, *others = (int(node.attrs[name]) for name in MASKS)
    if bounds is None or any(others) or len(bounds[0]) > len(shape):
        return None
    cut = []
    for axis, (begin, end) in enumerate(zip(*bounds[:2], strict=True)):
        first = None if begin_mask >> axis & 1 else begin
        last = None if end_mask >> axis & 1 else end
        size = shape[axis]
        if (first or 0, last) == (0, None):
            continue
        if size is None:
            return None
        start, stop, _ = slice(first, last).indices(size)
        if (start, stop) != (0, size):
            cut.append((axis, start, stop))
    return cut[0] if len(cut) == 1 and cut[0][1] < cut[0][2] else None
