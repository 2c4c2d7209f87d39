"""Operations that look up, order or scatter elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfjs_codec.ir.shapes import broadcast
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.reductions import any_, cumsum, max_, sum_
from tfjs_codec.operations.ops.shapes import (
    arange,
    broadcast_to,
    dynamic_shape,
    elements,
    expand_dims,
    moveaxis,
    normalize_axis,
    ravel,
    reshape,
    size_of,
    total_size,
    transpose,
)
from tfjs_codec.operations.ops.slicing import from_start, gather, pad
from tfjs_codec.operations.registry import operation, refuse
from tfjs_codec.operations.values import Operand, Value, is_float
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded


@operation()
def take_along_axis(b: Builder, x: Operand, indices: Operand, axis: Any = None) -> Value:
    """Return along one axis the elements at the indices of each row."""
    x, indices = b.value(x), b.value(indices)
    if axis is None:
        x, indices, axis = ravel(b, x), ravel(b, indices), 0
    at = normalize_axis(x, axis)
    places = from_start(b, x, indices, at)
    row, wanted = moveaxis(b, x, at, -1), moveaxis(b, places, at, -1)
    outer = broadcast(row.shape[:-1], wanted.shape[:-1])
    if row.shape[:-1] != outer or wanted.shape[:-1] != outer:
        full = next((one for one in (row, wanted) if one.shape[:-1] == outer), None)
        if full is None:
            raise Refusal("a lookup by indices with axes of another size")
        target = dynamic_shape(b, full)[:-1]
        row, wanted = (
            one if one is full else broadcast_to(b, one, [*target, size_of(b, one, -1)])
            for one in (row, wanted)
        )
    *sizes, size = dynamic_shape(b, row)
    starts = a.multiply(b, arange(b, 0, total_size(b, sizes), dtype="int32"), size)
    if sizes:
        wanted = a.add(b, wanted, reshape(b, starts, [*sizes, 1]))
    return moveaxis(b, gather(b, ravel(b, row), wanted, 0), -1, at)


@operation()
def one_hot(
    b: Builder, x: Operand, num_classes: int, axis: int = -1, dtype: str | None = None,
    sparse: Any = False, on_value: Any = 1, off_value: Any = 0,
) -> Value:  # fmt: skip
    """Return 1 in the place of the class, 0 elsewhere."""
    x, dtype = b.value(x), dtype or "float32"
    if sparse:
        raise Refusal("sparse output")
    if isinstance(num_classes, Value):
        raise Refusal("a number of classes computed at run time")
    at = normalize_axis(x, axis, 1)
    kind = "float32" if is_float(x.dtype) else "int32"  # fractions are in no class
    classes = b.formula((num_classes, *[1] * (x.rank - at)), lambda i, *_: i, kind)
    hit = a.equal(b, expand_dims(b, b.value(x, kind), at), classes)
    if (on_value, off_value) != (1, 0):
        return a.where(b, hit, b.value(on_value, dtype), b.value(off_value, dtype))
    return b.value(hit, dtype)


@operation()
def multi_hot(
    b: Builder, inputs: Operand, num_classes: int, axis: int = -1, dtype: str | None = None,
    sparse: Any = False,
) -> Value:  # fmt: skip
    """Return 1 in the places of all classes of a row."""
    x = b.value(inputs)
    one = one_hot(b, x, num_classes, axis, dtype, sparse)
    return max_(b, one, 1 if x.rank == 3 else 0 if x.rank == 1 else 1)


@operation("top_k")
def top_k(b: Builder, x: Operand, k: int, sorted: Any = True) -> list[Value]:  # noqa: A002
    """Return the k largest elements of the last axis and their places."""
    x = b.value(x)
    if isinstance(k, Value):
        raise Refusal("a k computed at run time")
    shape = (*x.shape[:-1], int(k))
    return b.emit_many(
        "TopKV2", x, b.constant(int(k), "int32"), sorted=True,
        results=[(shape, x.dtype), (shape, "int32")],
    )  # fmt: skip


@operation("in_top_k")
def in_top_k(b: Builder, targets: Operand, predictions: Operand, k: int) -> Value:
    """Return True where the target is among the k largest predictions."""
    predictions, targets = b.value(predictions), b.value(targets)
    count = predictions.shape[-1]
    if count is None:
        raise Refusal("in_top_k of an unknown number of classes")
    mine = sum_(b, a.multiply(b, predictions, one_hot(b, targets, count)), -1, True)
    above = sum_(b, a.greater(b, predictions, mine), -1)
    return a.less(b, above, k)


def _last(b: Builder, x: Value, axis: Any) -> tuple[Value, list[int] | None]:
    """Return *x* with one axis moved to the end, and the order that undoes it."""
    at = normalize_axis(x, axis)
    order = [i for i in range(x.rank) if i != at] + [at]
    if at == x.rank - 1:
        return x, None
    return transpose(b, x, order), [order.index(i) for i in range(x.rank)]


def _sort(b: Builder, x: Operand, axis: Any, direction: str) -> list[Value]:
    """Return the elements along *axis* in order, and their places."""
    x = b.value(x)
    if axis is None:
        x, axis = ravel(b, x), 0
    moved, back = _last(b, x, axis)
    flat = b.value(moved, "int32") if moved.dtype == "bool" else moved
    # Equal elements keep their order; largest first, so that of the negative.
    turn = a.negative if direction == "ASCENDING" else a.identity
    count = b.value(size_of(b, moved, -1), "int32")
    values, places = b.emit_many(
        "TopKV2", turn(b, flat), count, sorted=True,
        results=[(moved.shape, flat.dtype), (moved.shape, "int32")],
    )  # fmt: skip
    found = [b.value(turn(b, values), x.dtype), places]
    return found if back is None else [transpose(b, one, back) for one in found]


@operation("sort")
def sort(b: Builder, x: Operand, axis: Any = -1, direction: str = "ASCENDING") -> Value:
    """Return the elements from the smallest up, or down."""
    return _sort(b, x, axis, direction)[0]


@operation("argsort")
def argsort(b: Builder, x: Operand, axis: Any = -1, direction: str = "ASCENDING") -> Value:
    """Return the places of the elements from the smallest up, or down."""
    return _sort(b, x, axis, direction)[1]


@operation("gather_nd")
def gather_nd(b: Builder, params: Operand, indices: Operand, batch_dims: int = 0) -> Value:
    """Return the elements or slices at the places that the last axis of *indices* says."""
    if batch_dims:
        raise Refusal("a lookup of places in batches")
    x, places = b.value(params), b.value(indices, "int32")
    depth = places.shape[-1]
    if depth is None:
        raise Refusal("places of an unknown number of axes")
    shape = (*places.shape[:-1], *x.shape[depth:])
    return b.emit("GatherNd", x, places, shape=shape, dtype=x.dtype)


@operation("searchsorted")
def searchsorted(
    b: Builder, sorted_sequence: Operand, values: Operand, side: str = "left"
) -> Value:
    """Return where values belong in a sorted vector, or in the row of their own."""
    compare = a.less if side == "left" else a.less_equal
    edges = b.value(sorted_sequence)
    edges = expand_dims(b, edges, -2) if edges.rank > 1 else edges
    return sum_(b, compare(b, edges, expand_dims(b, values, -1)), -1)


@operation("digitize")
def digitize(b: Builder, x: Operand, bins: Any) -> Value:
    """Return the numbers of the bins that elements are in."""
    return searchsorted(b, np.asarray(bins, np.float32), b.value(b.value(x), "float32"), "right")


@operation("isin")
def isin(
    b: Builder, x1: Operand, x2: Operand, assume_unique: Any = False, invert: Any = False
) -> Value:
    """Return True for elements that are among others."""
    found = any_(b, a.equal(b, expand_dims(b, x1, -1), ravel(b, x2)), -1)
    return a.logical_not(b, found) if invert else found


@operation("scatter")
def scatter(b: Builder, indices: Operand, values: Operand, shape: Any) -> Value:
    """Return zeros of a shape with values added at indices."""
    indices, values = b.value(indices, "int32"), b.value(values)
    sizes = [int(size) for size in shape]
    target = b.constant(sizes, "int32")
    return b.emit(
        "ScatterNd", indices, values, target, shape=tuple(sizes), dtype=values.dtype,
        Tindices="int32",
    )  # fmt: skip


@operation("scatter_update")
def scatter_update(
    b: Builder, inputs: Operand, indices: Operand, updates: Operand, reduction: Any = None
) -> Value:
    """Return a value with elements at indices replaced."""
    x = b.value(inputs)
    places, updates = b.value(indices, "int32"), b.value(updates, x.dtype)
    if reduction == "add":
        shape = b.value(dynamic_shape(b, x), "int32")
        return a.add(b, x, b.emit("ScatterNd", places, updates, shape, shape=x.shape,
                                  dtype=x.dtype, Tindices="int32"))  # fmt: skip
    if reduction not in (None, "max", "min"):
        raise Refusal(f"a scattered '{reduction}'")
    op = {None: "TensorScatterUpdate", "max": "TensorScatterMax", "min": "TensorScatterMin"}
    return b.emit(op[reduction], x, places, updates, shape=x.shape, dtype=x.dtype, Tindices="int32")


@operation("slice_update")
def slice_update(b: Builder, inputs: Operand, start_indices: Any, updates: Operand) -> Value:
    """Return a value with a block replaced, from *start_indices* on."""
    x = b.value(inputs)
    new = b.value(updates, x.dtype)
    if None in x.shape[1:] or None in new.shape[1:]:
        raise StaticShapeNeeded("a block of unknown size")
    starts = elements(b, start_indices, x.rank)
    whole = new.shape[0] == x.shape[0] and starts[0] == 0
    if not all(isinstance(one, int) for one in starts) or not (whole or None not in new.shape):
        raise Refusal("a block whose place is computed at run time")
    ends = [(one, max((size or 0) - one - (part or 0), 0)) for one, size, part in
            zip(starts, x.shape, new.shape, strict=True)]  # fmt: skip
    ends[0] = (0, 0) if whole else ends[0]
    sizes = [1 if i == 0 and whole else size or 0 for i, size in enumerate(x.shape)]
    inside = np.zeros(sizes, bool)
    inside[tuple(slice(one, one + (part or 1)) for one, part in
                 zip(starts, new.shape, strict=True))] = True  # fmt: skip
    return a.where(b, inside, pad(b, new, ends), x)


@operation("unravel_index")
def unravel_index(b: Builder, indices: Operand, shape: Any) -> list[Value]:
    """Return the indices along each axis of places in the flat order."""
    x, found = b.value(indices), []
    total = int(np.prod(shape))
    x = a.where(b, a.less(b, x, 0), a.add(b, x, total), x)
    for size in reversed([int(one) for one in shape]):
        found.append(a.mod(b, x, size))
        x = a.floor_divide(b, x, size)
    return found[::-1]


refuse(
    "nonzero", "unique", "argpartition", "bincount",
    reason="the size of its result depends on values",
    hint="Do it in JavaScript, after the model.",
)  # fmt: skip


@operation()
def sparsemax(b: Builder, x: Operand, axis: int = -1) -> Value:
    """Return the projection of *x* onto the simplex as Keras computes it.

    Keras adds up the running sums of all that it keeps, not the last one alone, so that its rows
    do not always sum to 1 (``keras/src/backend/*/nn.py``).
    """
    x = f.real(b, x)
    axis = normalize_axis(x, axis)
    size = x.shape[axis]
    if size is None:
        raise Refusal("sparsemax over an axis of unknown size")
    ordered = a.negative(b, sort(b, a.negative(b, x), axis))
    ranks = b.formula((size, *[1] * (x.rank - 1 - axis)), lambda i, *_: i + 1)
    totals = cumsum(b, ordered, axis)
    support = a.greater(b, a.add(b, a.multiply(b, ordered, ranks), 1.0), totals)
    count = sum_(b, b.value(support, "float32"), axis, True)
    total = sum_(b, a.where(b, support, totals, 0.0), axis, True)
    return f.relu(b, a.subtract(b, x, a.divide(b, a.subtract(b, total, 1.0), count)))
