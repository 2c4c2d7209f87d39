"""Slices, look-ups, cuts and paddings along axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from tfjs_codec.ir.tensors import Array
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops.shapes import (
    arange,
    bound,
    concatenate,
    dynamic_shape,
    elements,
    expand_dims,
    normalize_axes,
    normalize_axis,
    ravel,
    reshape,
    size_of,
    strided,
    tile,
    total_size,
    transpose,
)
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value
from tfjs_codec.tracing.refusal import Refusal

# ------------------------------------------------------------------------------------ slicing


@operation("split")
def split(b: Builder, x: Operand, indices_or_sections: Any, axis: int = 0) -> list[Value]:
    """Cut an axis into equal parts, or at indices."""
    x = b.value(x)
    at = normalize_axis(x, axis)
    size, cuts = x.shape[at], indices_or_sections
    if isinstance(cuts, int):
        if size is not None and size % cuts:
            raise ValueError(f"an axis of size {size} in {cuts} equal parts")
        part = None if size is None else size // cuts
        shape = (*x.shape[:at], part, *x.shape[at + 1 :])
        b.check_references(cuts)
        where = b.constant(at, "int32")
        results = [(shape, x.dtype)] * cuts
        return b.emit_many("Split", where, x, results=results, num_split=cuts)
    edges = [0, *cuts, size]
    if size is None or not all(isinstance(cut, int) and 0 <= cut <= size for cut in cuts):
        return [slice_axis(b, x, at, lo, hi) for lo, hi in pairwise(edges)]
    sizes = [hi - lo for lo, hi in pairwise(edges)]
    results = [((*x.shape[:at], one, *x.shape[at + 1 :]), x.dtype) for one in sizes]
    return b.emit_many(
        "SplitV", x, b.constant(sizes, "int32"), b.constant(at, "int32"), results=results,
        num_split=len(sizes), Tlen="int32",
    )  # fmt: skip


@operation("array_split")
def array_split(b: Builder, x: Operand, indices_or_sections: Any, axis: int = 0) -> list[Value]:
    """Cut an axis into nearly equal parts."""
    x = b.value(x)
    size = x.shape[normalize_axis(x, axis)]
    cuts = indices_or_sections
    if isinstance(cuts, int):
        if size is None:
            raise Refusal("nearly equal parts of an axis of unknown size")
        b.check_nodes(cuts)
        large = size % cuts
        sizes = [size // cuts + (i < large) for i in range(cuts)]
        cuts = np.cumsum(sizes)[:-1].tolist()
    return split(b, x, cuts, axis)


@operation("unstack")
def unstack(b: Builder, x: Operand, num: int | None = None, axis: int = 0) -> list[Value]:
    """Return the slices along an axis."""
    x = b.value(x)
    at = normalize_axis(x, axis)
    count = x.shape[at] if x.shape[at] is not None else num
    if count is None:
        raise Refusal("slices along an axis of unknown size")
    b.check_references(count)
    shape = (*x.shape[:at], *x.shape[at + 1 :])
    return b.emit_many("Unpack", x, results=[(shape, x.dtype)] * count, num=count, axis=at)


def slice_axis(b: Builder, x: Value, axis: int, start: Any, stop: Any) -> Value:
    """Return the part of one axis from *start* to before *stop*."""
    key: list[Any] = [slice(None)] * axis + [slice(start, stop)]
    return getitem(b, x, key)


@operation("getitem", "get_item")
def getitem(b: Builder, x: Operand, key: Any) -> Value:
    """Return ``x[key]``: integers, slices, new axes, an ellipsis, one array of indices."""
    x = b.value(x)
    items = list(key) if isinstance(key, list | tuple) else [key]
    if Ellipsis in [item for item in items if not isinstance(item, Value | np.ndarray | list)]:
        at = next(i for i, item in enumerate(items) if item is Ellipsis)
        given = sum(item is not None for item in items) - 1
        items[at : at + 1] = [slice(None)] * (x.rank - given)
    arrays = [i for i, item in enumerate(items) if _is_array(item)]
    if arrays:
        return _index_arrays(b, x, items, arrays)
    y = _basic(b, x, [item for item in items if item is not None])
    axis = 0
    for item in items:
        if item is None:
            y = expand_dims(b, y, axis)
            axis += 1
        elif isinstance(item, slice):
            axis += 1
    return y


def _is_array(item: Any) -> bool:
    if isinstance(item, Value):
        return item.rank > 0
    return isinstance(item, list | np.ndarray)


def _basic(b: Builder, x: Value, items: Sequence[Any]) -> Value:
    """Apply integers and slices to the first axes."""
    begin: list[Any] = []
    end: list[Any] = []
    strides: list[int] = []
    begin_mask = end_mask = shrink = 0
    shape: list[int | None] = []
    trivial = True
    for axis, item in enumerate(items):
        bit, size = 1 << axis, x.shape[axis]
        if isinstance(item, slice):
            step = 1 if item.step is None else int(item.step)
            start, stop = (bound(each) for each in (item.start, item.stop))
            begin.append(0 if start is None else start)
            end.append(0 if stop is None else stop)
            begin_mask |= bit * (start is None)
            end_mask |= bit * (stop is None)
            strides.append(step)
            shape.append(_count_slice(size, start, stop, step))
            trivial &= start in (None, 0) and stop is None and step == 1
            continue
        at: Any = bound(item)
        if isinstance(at, int) and size is not None and not -size <= at < size:
            raise ValueError(f"index {at} of an axis of size {size}")
        if isinstance(at, int) and at < 0 and size is not None:
            at += size
        begin.append(at)
        end.append(a.add(b, at, 1) if isinstance(at, Value) else at + 1)
        end_mask |= bit * (isinstance(at, int) and at == -1)
        strides.append(1)
        shrink |= bit
        trivial = False
    if trivial:
        return x
    masks = {"begin_mask": begin_mask, "end_mask": end_mask, "shrink_axis_mask": shrink}
    y = strided(b, x, begin, end, strides, shape=(*shape, *x.shape[len(items) :]), **masks)
    if x.sizes is not None and x.rank == 1 and not any(isinstance(i, Value) for i in begin + end):
        found = np.asarray(x.sizes, object)[items[0]]
        y = replace(y, sizes=(found,) if y.rank == 0 else tuple(found.tolist()))
    return y


def _count_slice(size: int | None, start: Any, stop: Any, step: int) -> int | None:
    if isinstance(start, Value) or isinstance(stop, Value):
        return None
    return None if size is None else len(range(*slice(start, stop, step).indices(size)))


def _index_arrays(b: Builder, x: Value, items: list[Any], arrays: list[int]) -> Value:
    """Take the places of one array of indices along its axis; the rest are whole slices."""
    plain = all(item == slice(None) for i, item in enumerate(items) if i not in arrays)
    if len(arrays) != 1 or not plain:
        raise Refusal("an index of several arrays, or of an array beside numbers")
    indices = items[arrays[0]]
    kind = indices.dtype if isinstance(indices, Value) else str(np.asarray(indices).dtype)
    if kind == "bool":
        raise Refusal("an index of booleans, whose result has no fixed size")
    return take(b, x, indices, arrays[0])


@operation("slice")
def slice_(b: Builder, inputs: Operand, start_indices: Any, shape: Any) -> Value:
    """Return a block of *shape* from *start_indices* on; -1 is the rest."""
    x = b.value(inputs)
    starts, sizes = (elements(b, each, x.rank) for each in (start_indices, shape))
    items = []
    for start, size in zip(starts, sizes, strict=True):
        if isinstance(size, int) and size == -1:
            items.append(slice(start, None))
        else:
            items.append(slice(start, a.add(b, start, size) if isinstance(start, Value)
                               or isinstance(size, Value) else start + size))  # fmt: skip
    y = _basic(b, x, items)
    known = tuple(
        size if isinstance(size, int) and size >= 0 else old
        for size, old in zip(sizes, y.shape, strict=True)
    )
    return replace(y, shape=known)


# ---------------------------------------------------------------------------------- repeating


@operation("flip")
def flip(b: Builder, x: Operand, axis: Any = None) -> Value:
    """Reverse axes."""
    x = b.value(x)
    axes = b.constant(normalize_axes(x, axis), "int32")
    return b.emit("ReverseV2", x, axes, shape=x.shape, dtype=x.dtype)


@operation("repeat")
def repeat(b: Builder, x: Operand, repeats: Any, axis: int | None = None) -> Value:
    """Repeat each element along an axis."""
    x = b.value(x)
    if axis is None:
        x, axis = ravel(b, x), 0
    at = normalize_axis(x, axis)
    if isinstance(repeats, list | tuple | np.ndarray) and np.size(repeats) == 1:
        repeats = int(np.ravel(repeats)[0])
    if isinstance(repeats, list | tuple | np.ndarray):
        counts = [int(count) for count in repeats]
        if min(counts, default=0) < 0:
            raise ValueError("a negative number of repetitions")

        def place(i: Array) -> Array:
            return np.searchsorted(np.cumsum(counts), i, side="right")

        return gather(b, x, b.formula((sum(counts),), place, "int32"), at)
    if isinstance(repeats, Value):
        raise Refusal("a repetition whose number is computed at run time")
    sizes = dynamic_shape(b, x)
    size = sizes[at]
    longer = size * repeats if isinstance(size, int) else a.multiply(b, size, repeats)
    rows = reshape(b, x, [-1, 1, total_size(b, sizes[at + 1 :])])
    wide = tile(b, rows, [1, repeats, 1])
    return reshape(b, wide, [*sizes[:at], longer, *sizes[at + 1 :]])


@operation("roll")
def roll(b: Builder, x: Operand, shift: Any, axis: Any = None) -> Value:
    """Move elements along axes; those at the end come in at the start."""
    x = b.value(x)
    if axis is None:
        return reshape(b, roll(b, ravel(b, x), shift, 0), dynamic_shape(b, x))
    axes, shifts = (np.atleast_1d(each).tolist() for each in (axis, shift))
    axes = [normalize_axis(x, one) for one in axes]
    for at, by in zip(axes, shifts * (len(axes) // len(shifts)), strict=True):
        size = x.shape[at]
        cut: Any = -by % size if size is not None else a.mod(b, -by, size_of(b, x, at))
        if isinstance(cut, Value) or cut:
            parts = [slice_axis(b, x, at, cut, None), slice_axis(b, x, at, 0, cut)]
            x = concatenate(b, parts, at)
    return x


@operation("pad")
def pad(
    b: Builder, x: Operand, pad_width: Any, mode: str = "constant", constant_values: Any = None
) -> Value:
    """Add elements before and after those of each axis."""
    x, mode = b.value(x), mode.lower()
    widths = np.asarray(pad_width)
    if widths.ndim < 2 or len(widths) == 1:
        widths = np.broadcast_to(widths, (x.rank, 2))
    pairs = [[int(before), int(after)] for before, after in widths.tolist()]
    if any(amount < 0 for pair in pairs for amount in pair):
        raise ValueError("a negative amount of padding")
    if not any(map(any, pairs)):
        return x
    shape = tuple(
        None if size is None else size + sum(pair)
        for size, pair in zip(x.shape, pairs, strict=True)
    )
    amounts = b.constant(pairs, "int32")
    if mode == "constant":
        if constant_values in (None, 0) and x.dtype != "bool":
            return b.emit("Pad", x, amounts, shape=shape, dtype=x.dtype)
        value = b.value(0 if constant_values is None else constant_values, x.dtype)
        return b.emit("PadV2", x, amounts, value, shape=shape, dtype=x.dtype)
    if mode in ("reflect", "symmetric"):
        return b.emit(
            "MirrorPad", x, amounts, shape=shape, dtype=x.dtype, mode=mode.upper().encode()
        )
    if mode not in ("edge", "wrap"):
        raise Refusal(f"padding by '{mode}'")
    for at, pair in enumerate(pairs):
        size = x.shape[at]
        if not any(pair):
            continue
        if size is not None:
            x = gather(b, x, _padded(b, size, *pair, wrap=mode == "wrap"), at)
            continue
        count = size_of(b, x, at)
        places = arange(b, -pair[0], a.add(b, count, pair[1]), dtype="int32")
        inside = a.clip(b, places, 0, a.subtract(b, count, 1))
        x = gather(b, x, inside if mode == "edge" else a.mod(b, places, count), at)
    return x


def _padded(b: Builder, size: int, before: int, after: int, *, wrap: bool) -> Value:
    """Return the positions, along an axis of *size*, of the elements of the padded axis."""

    def place(i: Array) -> Array:
        return (i - before) % size if wrap else np.clip(i - before, 0, size - 1)

    return b.formula((before + size + after,), place, "int32")


@operation("tril")
def tril(b: Builder, x: Operand, k: int = 0) -> Value:
    """Return the lower triangles, zeros above diagonal *k*."""
    return _triangle(b, b.value(x), k, a.less_equal)


@operation("triu")
def triu(b: Builder, x: Operand, k: int = 0) -> Value:
    """Return the upper triangles, zeros below diagonal *k*."""
    return _triangle(b, b.value(x), k, a.greater_equal)


def _triangle(
    b: Builder, x: Value, k: int, keep: Callable[[Builder, Operand, Operand], Value]
) -> Value:
    height, width = x.shape[-2:]
    if height is None or width is None:
        down, right = (arange(b, 0, size_of(b, x, axis), dtype="int32") for axis in (-2, -1))
        return a.where(
            b, keep(b, right, a.add(b, expand_dims(b, down, 1), k)), x, b.value(0, x.dtype)
        )
    k = max(-height, min(k, width))
    rows = b.formula((height, 1), lambda i, _: i + k, "int32")  # the passes fold small ones
    columns = b.formula((width,), lambda i: i, "int32")
    return a.where(b, keep(b, columns, rows), x, b.value(0, x.dtype))


@operation("linalg_band_part")
def linalg_band_part(b: Builder, x: Operand, num_lower: int, num_upper: int) -> Value:
    """Return a band of diagonals, zeros around it; a negative number is all on that side."""
    y = b.value(x)
    y = y if num_upper < 0 else tril(b, y, num_upper)
    return y if num_lower < 0 else triu(b, y, -num_lower)


@operation("linalg_diag")
def linalg_diag(b: Builder, x: Operand) -> Value:
    """Return matrices with the rows of *x* on their diagonals."""
    x = b.value(x)
    places = arange(b, 0, size_of(b, x, -1), dtype="int32")
    unit = a.equal(b, expand_dims(b, places, 1), places)
    return a.where(b, unit, expand_dims(b, x, -2), b.value(0, x.dtype))


@operation("diagonal")
def diagonal(b: Builder, x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """Return the diagonals of two axes as a last one."""
    x = b.value(x)
    first, second = normalize_axis(x, axis1), normalize_axis(x, axis2)
    rest = [i for i in range(x.rank) if i not in (first, second)]
    x = transpose(b, x, [*rest, first, second])
    *outer, rows, columns = dynamic_shape(b, x)
    down, right = max(-offset, 0), max(offset, 0)
    flat = reshape(b, x, [*outer, total_size(b, [rows, columns])])
    if isinstance(rows, int) and isinstance(columns, int):
        size, step, start = min(rows - down, columns - right), columns + 1, down * columns + right
        places = b.formula((max(size, 0),), lambda i: i * step + start, "int32")
        return gather(b, flat, places, len(outer))
    count = a.minimum(b, a.subtract(b, rows, down), a.subtract(b, columns, right))
    row = arange(b, 0, a.maximum(b, count, 0), dtype="int32")
    places = a.add(b, a.multiply(b, a.add(b, row, down), columns), a.add(b, row, right))
    return gather(b, flat, places, len(outer))


def gather(b: Builder, x: Value, indices: Value, axis: int, batch_dims: int = 0) -> Value:
    """Return the elements of one axis at *indices*, which must be in range.

    The first *batch_dims* axes of both are the same.
    """
    outer = batch_dims % (indices.rank + 1)
    shape = (*x.shape[:axis], *indices.shape[outer:], *x.shape[axis + 1 :])
    at = b.constant(axis, "int32")
    return b.emit("GatherV2", x, indices, at, shape=shape, dtype=x.dtype, batch_dims=outer)


@operation("take", "embedding_lookup")
def take(b: Builder, x: Operand, indices: Operand, axis: Any = None, batch_dims: int = 0) -> Value:
    """Return the elements of an axis at indices, which may count from the end."""
    x = b.value(x)
    if axis is None:
        x, axis = ravel(b, x), 0
    at = normalize_axis(x, axis)
    return gather(b, x, from_start(b, x, indices, at), at, batch_dims)


def from_start(b: Builder, x: Value, indices: Operand, axis: int) -> Value:
    """Return indices that count from the start."""
    size = x.shape[axis]
    if not isinstance(indices, Value):
        places = np.asarray(indices, np.int64)
        if size is not None:
            if places.size and not (-size <= places.min() and places.max() < size):
                raise ValueError(f"an index outside of an axis of size {size}")
            places = np.where(places < 0, places + size, places)
        elif (places < 0).any():
            return from_start(b, x, b.constant(places, "int32"), axis)
        return b.constant(places, "int32")
    given = b.value(indices, "int32")
    if indices.dtype.startswith(("uint", "bool")):
        return given
    behind = a.add(b, given, size_of(b, x, axis))
    return a.where(b, a.less(b, given, 0), behind, given)
