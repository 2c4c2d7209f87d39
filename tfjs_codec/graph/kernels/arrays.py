"""Shapes, slicing, joining, scattering, creation, and sorting."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.graph.kernels.core import (
    Kernel,
    KernelError,
    bound,
    in_both_formats,
    ints,
    normalise_axis,
    numpy_dtype,
)
from tfjs_codec.ir.graph import Attrs
from tfjs_codec.ir.tensors import Array

# --- Shapes ------------------------------------------------------------------------------------


def _reshape(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, shape = inputs
    return [x.reshape(ints(shape))]


def _squeeze(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    (x,) = inputs
    axes = tuple(normalise_axis(int(axis), x.ndim) for axis in attrs["squeeze_dims"])
    return [np.squeeze(x, axes or None)]


def _expand_dims(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, axis = inputs
    return [np.expand_dims(x, int(axis.item()))]


def _transpose(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, permutation = inputs
    return [np.transpose(x, ints(permutation))]


def _shape(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    dtype = numpy_dtype(attrs, "out_type")
    return [np.array(x.shape, dtype) for x in inputs]


def _size(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    return [np.array(inputs[0].size, numpy_dtype(attrs, "out_type"))]


def _rank(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    return [np.array(inputs[0].ndim, np.int32)]


def _broadcast_to(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, shape = inputs
    sizes = ints(shape)
    bound(sizes, x.dtype, inputs)
    return [np.broadcast_to(x, sizes)]


def _broadcast_args(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, y = inputs
    return [np.array(np.broadcast_shapes(ints(x), ints(y)), x.dtype)]


# --- Slicing and joining -----------------------------------------------------------------------


def _concat(values: Sequence[Array], axis: Array) -> Sequence[Array]:
    at = normalise_axis(int(axis.item()), values[0].ndim)
    size = sum(value.shape[at] for value in values)
    shape = (*values[0].shape[:at], size, *values[0].shape[at + 1 :])
    bound(shape, values[0].dtype, values)
    return [np.concatenate(values, at)]


def _pack(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    bound((len(inputs), *inputs[0].shape), inputs[0].dtype, inputs)
    return [np.stack(inputs, int(attrs["axis"]))]


def _unpack(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    (x,) = inputs
    moved = np.moveaxis(x, normalise_axis(int(attrs["axis"]), x.ndim), 0)
    if len(moved) != int(attrs["num"]):
        raise KernelError("num")
    return list(moved)


def _split(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    axis, x = inputs
    return np.split(x, int(attrs["num_split"]), normalise_axis(int(axis.item()), x.ndim))


def _split_v(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, sizes, axis = inputs
    at = normalise_axis(int(axis.item()), x.ndim)
    known = ints(sizes)
    if -1 in known:
        known[known.index(-1)] = x.shape[at] - sum(known) - 1
    if min(known, default=0) < 0 or sum(known) != x.shape[at]:
        raise KernelError("sizes")
    return np.split(x, np.cumsum(known)[:-1], at)


def _slice(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, begin, size = inputs
    starts, sizes = ints(begin), ints(size)
    ends = [
        x.shape[i] if count == -1 else start + count
        for i, (start, count) in enumerate(zip(starts, sizes, strict=True))
    ]
    inside = all(0 <= a <= b <= n for a, b, n in zip(starts, ends, x.shape, strict=True))
    if not inside:
        raise KernelError("out of range")
    return [x[tuple(slice(a, b) for a, b in zip(starts, ends, strict=True))]]


def _strided_slice(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Bit i of a mask is about the i-th entry of begin, end and strides."""
    x, *bounds = inputs
    begin, end, strides = (ints(each) for each in bounds)

    def masked(name: str, i: int) -> bool:
        return bool(int(attrs[name]) >> i & 1)

    index: list[Any] = []
    for i, (a, b, step) in enumerate(zip(begin, end, strides, strict=True)):
        if masked("ellipsis_mask", i):
            index.append(Ellipsis)
        elif masked("new_axis_mask", i):
            index.append(None)
        elif masked("shrink_axis_mask", i):
            index.append(a)
        else:
            first = None if masked("begin_mask", i) else a
            index.append(slice(first, None if masked("end_mask", i) else b, step))
    return [np.asarray(x[tuple(index)])]


def _gather(x: Array, indices: Array, axis: int, batch_dims: int) -> Sequence[Array]:
    """The first *batch_dims* axes of *x* and *indices* go together."""
    at = normalise_axis(axis, x.ndim)
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < x.shape[at]:
        raise KernelError("out of range")
    shape = (*x.shape[:at], *indices.shape[batch_dims:], *x.shape[at + 1 :])
    bound(shape, x.dtype, inputs=[x, indices])
    if not batch_dims:
        return [np.take(x, indices.astype(np.intp), at)]
    batch = x.shape[:batch_dims]
    rows = x.reshape(-1, *x.shape[batch_dims:])
    picks = indices.reshape(len(rows), *indices.shape[batch_dims:]).astype(np.intp)
    taken = [np.take(row, pick, at - batch_dims) for row, pick in zip(rows, picks, strict=True)]
    return [np.stack(taken).reshape(*batch, *taken[0].shape)]


def _index(shape: Sequence[int], indices: Any) -> tuple[NDArray[np.intp], ...]:
    """Return *indices*, whose last axis counts the first axes of *shape*, as numpy wants them."""
    depth = indices.shape[-1]
    limits = np.array(shape[:depth], np.int64)
    if indices.size and ((indices < 0) | (indices >= limits)).any():
        raise KernelError("out of range")
    return tuple(np.moveaxis(indices, -1, 0).astype(np.intp))


def _gather_nd(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, indices = inputs
    bound((*indices.shape[:-1], *x.shape[indices.shape[-1] :]), x.dtype, inputs)
    return [x[_index(x.shape, indices)]]


def _scatter_nd(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Values for the same place are added."""
    indices, updates, shape = inputs
    bound(ints(shape), updates.dtype, inputs)
    result = np.zeros(ints(shape), updates.dtype)
    np.add.at(result, _index(result.shape, indices), updates)
    return [result]


def _scatter(apply: Callable[[Any, Any, Any], None]) -> Kernel:
    """Return the kernel of an update of a tensor at some places."""

    def kernel(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
        x, indices, updates = inputs
        result = x.copy()
        apply(result, _index(x.shape, indices), updates)
        return [result]

    return kernel


def _segment_sum(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Sum the rows of each segment; those of negative ones do not count."""
    x, segments, *number = inputs
    count = int(number[0].item()) if number else int(segments.max(initial=-1)) + 1
    result = np.zeros((count, *x.shape[segments.ndim :]), x.dtype)
    bound(result.shape, x.dtype, inputs)
    np.add.at(result, segments[segments >= 0], x[segments >= 0])
    return [result]


def _reverse_v1(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, chosen = inputs
    return [np.flip(x, tuple(np.flatnonzero(chosen).tolist())) if chosen.any() else x]


def _reverse_sequence(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Reverse the first elements of each row, as many as its length."""
    x, lengths = inputs
    batch, time = int(attrs["batch_dim"]), int(attrs["seq_dim"])
    moved = np.moveaxis(x, (batch, time), (0, 1))
    result = moved.copy()
    for row, length in enumerate(ints(lengths)):
        result[row, :length] = moved[row, :length][::-1]
    return [np.moveaxis(result, (0, 1), (batch, time))]


def _list_diff(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """The values of *x* that *y* lacks, and their places."""
    x, y = inputs
    left = np.flatnonzero(~np.isin(x, y))
    return [x[left], left.astype(attrs["out_idx"])]


def _sparse_to_dense(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    indices, shape, values, default = inputs
    bound(ints(shape), values.dtype, inputs)
    result = np.full(ints(shape), default, values.dtype)
    places = indices.reshape(*indices.shape[:1], -1) if indices.ndim else indices.reshape(1, 1)
    result[_index(result.shape, places)] = values
    return [result]


def _reverse(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, axes = inputs
    return [np.flip(x, tuple(ints(axes)))] if axes.size else [x]


def _tile(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, multiples = inputs
    times = ints(multiples)
    bound((size * n for size, n in zip(x.shape, times, strict=True)), x.dtype, inputs)
    return [np.tile(x, times)]


def _pad(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Pad has two inputs and pads with zeros; PadV2's third is the value."""
    x, widths, *value = inputs
    pairs = [(before, after) for before, after in widths.astype(np.int64).tolist()]
    bound((a + n + b for n, (a, b) in zip(x.shape, pairs, strict=True)), x.dtype, inputs)
    return [np.pad(x, pairs, constant_values=value[0] if value else x.dtype.type(0))]


# --- Creation ----------------------------------------------------------------------------------


def _fill(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    shape, value = inputs
    bound(ints(shape), value.dtype, inputs)
    return [np.full(ints(shape), value, value.dtype)]


def _range(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    start, limit, delta = inputs
    if not delta.item():
        raise KernelError("step")
    count = max(0, int(np.ceil((limit.item() - start.item()) / delta.item())))
    bound([count], start.dtype, inputs)
    return [np.asarray(start + np.arange(count, dtype=start.dtype) * delta, start.dtype)]


def _one_hot(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    indices, depth, on, off = inputs
    classes = int(depth.item())
    bound((*indices.shape, classes), on.dtype, inputs)
    hot = np.where(indices[..., None] == np.arange(classes), on, off)
    return [np.moveaxis(hot, -1, int(attrs["axis"]))]


def _lin_space(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    start, stop, number = inputs
    bound([int(number.item())], start.dtype, inputs)
    return [np.linspace(start, stop, int(number.item()), dtype=start.dtype)]


# --- Sorting and searching ------------------------------------------------------------------------


def _top_k(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """The largest along the last axis, in order; of equal ones the first."""
    x, k = inputs
    order = np.argsort(-x if x.dtype.kind == "f" else ~x, -1, kind="stable")[..., : int(k.item())]
    return [np.take_along_axis(x, order, -1), order.astype(attrs["index_type"])]


def _unique(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """In the order in which they come."""
    (x, *axis) = inputs
    if x.ndim != 1 or any(ints(each) not in ([], [0]) for each in axis):
        raise KernelError("axis")
    _, first, inverse = np.unique(x, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    return [x[np.sort(first)], rank[inverse].astype(attrs["out_idx"])]


def _where(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    return [np.argwhere(inputs[0])]


def _bound(side: Literal["left", "right"]) -> Kernel:
    """Where *values* would be inserted in rows that are sorted."""

    def kernel(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
        rows, values = inputs
        found = [np.searchsorted(a, v, side) for a, v in zip(rows, values, strict=True)]
        return [np.array(found, attrs["out_type"]).reshape(values.shape)]

    return kernel


def _band_part(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """What is at most *lower* below and *upper* above the main diagonal; -1 is all."""
    x, lower, upper = inputs
    below = np.arange(x.shape[-2])[:, None] - np.arange(x.shape[-1])
    low, high = int(lower.item()), int(upper.item())
    keep = ((low < 0) | (below <= low)) & ((high < 0) | (-below <= high))
    return [np.where(keep, x, x.dtype.type(0))]


def _diagonal(diagonal: Array) -> int:
    """Return which diagonal is meant; bands of several are not supported."""
    first, *others = ints(diagonal)
    if any(other != first for other in others):
        raise KernelError("several diagonals")
    return first


def _diagonal_matrix(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """A size of -1 is the smallest that holds the diagonal; two make a square."""
    values, k, rows, columns, padding = inputs
    at, count = _diagonal(k), values.shape[-1]
    sizes = [int(rows.item()), int(columns.item())]
    least = [count + max(-at, 0), count + max(at, 0)]
    if sizes == [-1, -1]:
        least = [max(least)] * 2
    sizes = [low if size < 0 else size for size, low in zip(sizes, least, strict=True)]
    shape = (*values.shape[:-1], *sizes)
    bound(shape, values.dtype, inputs)
    result = np.full(shape, padding, values.dtype)
    places = np.arange(count)
    result[..., places + max(-at, 0), places + max(at, 0)] = values
    return [result]


def _mirror_pad(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, widths = inputs
    modes = {b"REFLECT": "reflect", b"SYMMETRIC": "symmetric"}
    pairs = widths.astype(np.int64).tolist()
    return [np.pad(x, pairs, modes[attrs["mode"]])]  # type: ignore[call-overload]


def _space_to_batch(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Blocks of the axes after the batch go to the front of the batch."""
    x, block, pads = inputs
    sizes, rank = ints(block), block.size
    rest = x.shape[1 + rank :]
    pairs = [(0, 0), *map(tuple, pads.astype(np.int64).tolist()), *[(0, 0)] * len(rest)]
    x = np.pad(x, pairs)
    split = [part for n, b in zip(x.shape[1:], sizes, strict=False) for part in (n // b, b)]
    x = x.reshape(len(x), *split, *rest)
    inner, outer = range(2, 2 * rank + 1, 2), range(1, 2 * rank, 2)
    x = x.transpose(*inner, 0, *outer, *range(2 * rank + 1, x.ndim))
    return [x.reshape(-1, *x.shape[rank + 1 :])]


def _batch_to_space(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, block, crops = inputs
    sizes, rank = ints(block), block.size
    shape = x.shape
    x = x.reshape(*sizes, -1, *shape[1:])
    order = [axis for pair in zip(range(rank + 1, 2 * rank + 1), range(rank), strict=True)
             for axis in pair]  # fmt: skip
    x = x.transpose(rank, *order, *range(2 * rank + 1, x.ndim))
    grown = [n * b for n, b in zip(shape[1:], sizes, strict=False)]
    x = x.reshape(len(x), *grown, *shape[1 + rank :])
    cuts = (slice(a, n - b) for (a, b), n in zip(crops.tolist(), grown, strict=True))
    inner = (slice(None), *cuts)
    return [x[inner]]


def _depth_to_space(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    (x,), block = inputs, int(attrs["block_size"])
    batch, height, width, _ = x.shape
    x = x.reshape(batch, height, width, block, block, -1).transpose(0, 1, 3, 2, 4, 5)
    return [x.reshape(batch, height * block, width * block, -1)]


def _space_to_depth(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    (x,), block = inputs, int(attrs["block_size"])
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // block, block, width // block, block, channels)
    return [x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // block, width // block, -1)]


KERNELS: dict[str, Kernel] = {
    "BroadcastArgs": _broadcast_args,
    "BroadcastTo": _broadcast_to,
    "ExpandDims": _expand_dims,
    "Rank": _rank,
    "Reshape": _reshape,
    "Shape": _shape,
    "ShapeN": _shape,
    "Size": _size,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Concat": lambda _, inputs: _concat(inputs[1:], inputs[0]),
    "ConcatV2": lambda _, inputs: _concat(inputs[:-1], inputs[-1]),
    "Gather": lambda _, inputs: _gather(inputs[0], inputs[1], 0, 0),
    "GatherNd": _gather_nd,
    "GatherV2": lambda attrs, inputs: _gather(
        inputs[0], inputs[1], int(inputs[2].item()), int(attrs["batch_dims"])
    ),
    "Pack": _pack,
    "Pad": _pad,
    "PadV2": _pad,
    "ReverseV2": _reverse,
    "Slice": _slice,
    "Split": _split,
    "SplitV": _split_v,
    "StridedSlice": _strided_slice,
    "Tile": _tile,
    "Unpack": _unpack,
    "Fill": _fill,
    "LinSpace": _lin_space,
    "OneHot": _one_hot,
    "Range": _range,
    "BatchToSpaceND": _batch_to_space,
    "DepthToSpace": in_both_formats(_depth_to_space),
    "ListDiff": _list_diff,
    "LowerBound": _bound("left"),
    "MatrixBandPart": _band_part,
    "MatrixDiagPartV3": lambda _, inputs: [np.diagonal(inputs[0], _diagonal(inputs[1]), -2, -1)],
    "MatrixDiagV3": _diagonal_matrix,
    "MirrorPad": _mirror_pad,
    "Reverse": _reverse_v1,
    "ReverseSequence": _reverse_sequence,
    "ScatterNd": _scatter_nd,
    "SegmentSum": _segment_sum,
    "SpaceToBatchND": _space_to_batch,
    "SpaceToDepth": in_both_formats(_space_to_depth),
    "SparseToDense": _sparse_to_dense,
    "TensorScatterAdd": _scatter(np.add.at),
    "TensorScatterSub": _scatter(np.subtract.at),
    "TensorScatterUpdate": _scatter(operator.setitem),
    "TopKV2": _top_k,
    "Unique": _unique,
    "UniqueV2": _unique,
    "UnsortedSegmentSum": _segment_sum,
    "UpperBound": _bound("right"),
    "Where": _where,
}
