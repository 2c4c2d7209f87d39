"""Operations that move values: reshaping, transposing, slicing, joining, repeating, padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, prod
from typing import Any, TypeAlias

import numpy as np

from tfjs_codec.ir.shapes import Dims, broadcast, product, resolve_axis
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value, graph_dtype
from tfjs_codec.tracing.refusal import Refusal

Size: TypeAlias = "int | Value"  # a size that is known, or a scalar that holds it at run time


def normalize_axis(x: Value, axis: Any, extra: int = 0) -> int:
    """Return *axis* of *x*, which may count from the end, as a number from 0 on."""
    return resolve_axis(int(axis), x.rank + extra)


def normalize_axes(x: Value, axis: Any, extra: int = 0) -> list[int]:
    """Return *axis*, one or several, or None for all, as sorted numbers from 0 on."""
    if axis is None:
        return list(range(x.rank))
    given = axis if isinstance(axis, list | tuple) else [axis]
    return sorted({normalize_axis(x, one, extra) for one in given})


def dynamic_shape(b: Builder, x: Value) -> list[Size]:
    """Return the sizes of *x*, those known only at run time as scalars."""
    if None not in x.shape:
        return [size or 0 for size in x.shape]
    shape = shape_vector(b, x)
    return [element(b, shape, axis) if size is None else size for axis, size in enumerate(x.shape)]


def size_of(b: Builder, x: Value, axis: int) -> Size:
    """Return one size of *x*."""
    size = x.shape[axis]
    return element(b, shape_vector(b, x), axis) if size is None else size


def total_size(b: Builder, sizes: Sequence[Size]) -> Size:
    """Return the product of sizes."""
    total: Size = 1
    for size in sizes:
        known = isinstance(size, int) and isinstance(total, int)
        total = size * total if known else a.multiply(b, total, size)  # type: ignore[operator]
    return total


def shape_vector(b: Builder, x: Value) -> Value:
    """Return the sizes of *x* at run time as a vector."""
    vector = b.emit("Shape", x, shape=(x.rank,), dtype="int32", out_type="int32")
    return replace(vector, sizes=x.shape)


def element(b: Builder, vector: Value, index: int) -> Value:
    """Return one element of a vector as a scalar."""
    one = strided(b, vector, [index], [index + 1], [1], shape=(), shrink_axis_mask=1)
    sizes = None if vector.sizes is None else (vector.sizes[index],)
    return replace(one, sizes=sizes)


def strided(
    b: Builder, x: Value, begin: Sequence[Any], end: Sequence[Any], strides: Sequence[int],
    *, shape: Dims, **masks: int,
) -> Value:  # fmt: skip
    """Return a StridedSlice of the first axes; bounds are numbers or scalars."""
    first, last = (b.value(list(each), "int32") for each in (begin, end))
    steps = b.constant(list(strides), "int32")
    return b.emit("StridedSlice", x, first, last, steps, shape=shape, dtype=x.dtype, **masks)


@operation("shape")
def shape_(b: Builder, x: Operand) -> Value:
    """Return the sizes as a vector."""
    return shape_vector(b, b.value(x))


@operation("size")
def size_(b: Builder, x: Operand) -> Value:
    """Return the number of elements."""
    x = b.value(x)
    count = product(x.shape)
    if count is not None:
        return b.constant(count)
    return b.emit("Size", x, shape=(), dtype="int32", out_type="int32")


def elements(b: Builder, vector: Any, count: int) -> list[Any]:
    """Return the *count* elements of a vector of indices as numbers or scalars."""
    if isinstance(vector, Value):
        if vector.sizes is not None and None not in vector.sizes:
            return list(vector.sizes)
        return [element(b, b.value(vector, "int32"), i) for i in range(count)]
    return [bound(item) for item in vector]


def bound(value: Any) -> int | Value | None:
    """Return an index as a number if it is known, else as a scalar."""
    if isinstance(value, Value) and value.sizes is not None and value.sizes[0] is not None:
        return value.sizes[0]
    if value is None or isinstance(value, Value):
        return value
    return int(value)


# ---------------------------------------------------------------------------------- reshaping


@operation("reshape")
def reshape(b: Builder, x: Operand, newshape: Any) -> Value:
    """Return the elements in another shape; sizes are numbers, scalars, -1 or None for the rest."""
    x = b.value(x)
    if isinstance(newshape, Value):
        return _reshape_to(b, x, newshape)
    target: list[Size] = [
        -1 if size is None else size if isinstance(size, Value) else int(size) for size in newshape
    ]
    known: list[int | None] = [
        (size.sizes or (None,))[0] if isinstance(size, Value) else size for size in target
    ]
    if known.count(-1) > 1:
        raise ValueError("several sizes of a reshape are -1")
    target = [size if one is None else one for size, one in zip(target, known, strict=True)]
    total = product(x.shape)
    static: list[int | None] = [None if size == -1 else size for size in known]
    if -1 in known and None not in known:
        rest = prod(size for size in known if size is not None and size != -1)
        static[known.index(-1)] = total // rest if rest and total is not None else None
    elif known.count(None) == 1 and -1 not in known and total is not None:
        rest = prod(size for size in known if size is not None)
        static[known.index(None)] = total // rest if rest else None
    if known.count(None) == 1 and -1 not in known:  # one unknown size is what is left
        target = [-1 if one is None else size for size, one in zip(target, known, strict=True)]
    shape = tuple(static)
    if _same(x, shape):
        return x
    x = _before_reshape(b, x)
    if _same(x, shape) and None not in shape[1:]:
        return x
    vector = b.value(list(target), "int32")
    y = b.emit("Reshape", x, vector, shape=shape, dtype=x.dtype)
    return replace(y, sizes=x.sizes if y.rank < 2 else None)


def _same(x: Value, shape: Dims) -> bool:
    """Tell whether *x* has *shape* already; of several unknown sizes one cannot be sure."""
    return x.shape == shape and shape.count(None) <= 1


def _before_reshape(b: Builder, x: Value) -> Value:
    """Return the tensor that *x* is a reshape of, because two reshapes equal the last one."""
    node = b.nodes[x.ref.node]
    if node.op != "Reshape" or x.ref.output:
        return x
    shape = b.shapes[node.inputs[0]]
    return replace(x, ref=node.inputs[0], shape=shape)


def _reshape_to(b: Builder, x: Value, target: Value) -> Value:
    """Reshape to a vector; what is known of its elements is the shape of the result."""
    if len(target.shape) != 1 or target.shape[0] is None:
        raise Refusal("a reshape to an unknown number of axes")
    if target.sizes is not None and None not in target.sizes:
        return reshape(b, x, list(target.sizes))
    sizes = target.sizes or (None,) * target.shape[0]
    if target.sizes is not None and sizes.count(None) == 1 and -1 not in sizes:
        return reshape(b, x, list(sizes))
    shape = tuple(None if size == -1 else size for size in sizes)
    return b.emit("Reshape", x, b.value(target, "int32"), shape=shape, dtype=x.dtype)


@operation("ravel", "flatten")
def ravel(b: Builder, x: Operand) -> Value:
    """Return all elements in one axis."""
    return reshape(b, x, [-1])


@operation("batch_flatten")
def batch_flatten(b: Builder, x: Operand) -> Value:
    """Return all elements of each sample in one axis."""
    x = b.value(x)
    return reshape(b, x, [-1, total_size(b, dynamic_shape(b, x)[1:])])


@operation("rank")
def rank(b: Builder, x: Operand) -> Value:
    """Return the number of axes."""
    return b.constant(b.value(x).rank, "int32")


@operation("expand_dims")
def expand_dims(b: Builder, x: Operand, axis: Any) -> Value:
    """Insert axes of size 1."""
    x = b.value(x)
    given = axis if isinstance(axis, list | tuple) else [axis]
    rank = x.rank + len(given)
    for at in sorted(int(one) % rank for one in given):
        shape = (*x.shape[:at], 1, *x.shape[at:])
        x = b.emit("ExpandDims", x, b.constant(at, "int32"), shape=shape, dtype=x.dtype)
    return x


@operation("squeeze")
def squeeze(b: Builder, x: Operand, axis: Any = None) -> Value:
    """Remove axes of size 1."""
    x = b.value(x)
    if axis is None or axis == []:
        axis = [i for i, size in enumerate(x.shape) if size == 1]
        if None in x.shape[1:]:
            raise Refusal("a squeeze of an unknown number of axes")
    axes = normalize_axes(x, axis)
    if not axes:
        return x
    shape = tuple(size for i, size in enumerate(x.shape) if i not in axes)
    y = b.emit("Squeeze", x, shape=shape, dtype=x.dtype, squeeze_dims=tuple(axes))
    return replace(y, sizes=x.sizes)


@operation("transpose", "permute_dimensions")
def transpose(b: Builder, x: Operand, axes: Any = None) -> Value:
    """Reorder the axes."""
    x = b.value(x)
    order = [normalize_axis(x, i) for i in (axes or range(x.rank - 1, -1, -1))]
    if order == sorted(order):
        return x
    shape = tuple(x.shape[i] for i in order)
    return b.emit("Transpose", x, b.constant(order, "int32"), shape=shape, dtype=x.dtype)


@operation()
def swapaxes(b: Builder, x: Operand, axis1: int, axis2: int) -> Value:
    """Exchange two axes."""
    x = b.value(x)
    order = list(range(x.rank))
    first, second = normalize_axis(x, axis1), normalize_axis(x, axis2)
    order[first], order[second] = second, first
    return transpose(b, x, order)


@operation()
def moveaxis(b: Builder, x: Operand, source: Any, destination: Any) -> Value:
    """Move axes to other places."""
    x = b.value(x)
    to = [normalize_axis(x, i) for i in np.atleast_1d(destination).tolist()]
    places = dict(
        zip(to, (normalize_axis(x, i) for i in np.atleast_1d(source).tolist()), strict=True)
    )
    rest = iter(i for i in range(x.rank) if i not in places.values())
    return transpose(b, x, [places[i] if i in places else next(rest) for i in range(x.rank)])


@operation()
def broadcast_to(b: Builder, x: Operand, shape: Any) -> Value:
    """Repeat along axes of size 1."""
    x = b.value(x)
    if isinstance(shape, Value):
        if shape.sizes is None:
            raise Refusal("a broadcast to sizes computed at run time")
        sizes: list[Any] = list(shape.sizes)
    else:
        sizes = list(shape)
    known = tuple(size if isinstance(size, int) and size >= 0 else None for size in sizes)
    target = shape if isinstance(shape, Value) else list(sizes)
    if None in known and not isinstance(shape, Value):
        offset = len(sizes) - x.rank
        target = [
            size if isinstance(size, Value) or (size is not None and size >= 0)
            else size_of(b, x, i - offset)
            for i, size in enumerate(sizes)
        ]  # fmt: skip
    result = broadcast(known, x.shape)
    return b.emit("BroadcastTo", x, b.value(target, "int32"), shape=result, dtype=x.dtype)


# ------------------------------------------------------------------------------------ joining


@operation("concatenate")
def concatenate(b: Builder, xs: Sequence[Operand], axis: int = 0) -> Value:
    """Join values along an axis."""
    values = a.promote(b, *xs)
    if len(values) == 1:
        return values[0]
    at = normalize_axis(values[0], axis)
    along = [x.shape[at] for x in values]
    total = None if None in along else sum(size or 0 for size in along)
    shapes = zip(*(x.shape for x in values), strict=True)
    shape = tuple(
        total if i == at else next((size for size in sizes if size is not None), None)
        for i, sizes in enumerate(shapes)
    )
    end = b.constant(at, "int32")
    y = b.emit("ConcatV2", *values, end, shape=shape, dtype=values[0].dtype, N=len(values))
    if y.rank == 1 and all(x.sizes is not None for x in values):
        y = replace(y, sizes=tuple(size for x in values for size in x.sizes or ()))
    return y


@operation("stack")
def stack(b: Builder, x: Sequence[Operand], axis: int = 0) -> Value:
    """Join values along a new axis."""
    values = a.promote(b, *x)
    if not values[0].rank:
        return b.value(list(values), values[0].dtype)
    at = normalize_axis(values[0], axis, 1)
    shape = broadcast(*(one.shape for one in values))
    shape = (*shape[:at], len(values), *shape[at:])
    return b.emit("Pack", *values, shape=shape, N=len(values), axis=at)


@operation()
def vstack(b: Builder, xs: Sequence[Operand]) -> Value:
    """Join along the first axis."""
    return concatenate(b, [_at_least(b, x, 2) for x in xs], 0)


@operation()
def hstack(b: Builder, xs: Sequence[Operand]) -> Value:
    """Join along the second axis, vectors along the first."""
    values = [_at_least(b, x, 1) for x in xs]
    return concatenate(b, values, 0 if values[0].rank == 1 else 1)


def _at_least(b: Builder, x: Operand, rank: int) -> Value:
    x = b.value(x)
    while x.rank < rank:
        x = expand_dims(b, x, 0)
    return x


@operation("append")
def append(b: Builder, x1: Operand, x2: Operand, axis: int | None = None) -> Value:
    """Join two values, flat by default."""
    if axis is None:
        return concatenate(b, [ravel(b, x1), ravel(b, x2)], 0)
    return concatenate(b, [x1, x2], axis)


@operation("tile")
def tile(b: Builder, x: Operand, repeats: Any) -> Value:
    """Repeat the whole along each axis."""
    x = b.value(x)
    counts = elements(b, repeats if not isinstance(repeats, int) else [repeats], x.rank)
    counts = [1] * (x.rank - len(counts)) + counts
    while x.rank < len(counts):
        x = expand_dims(b, x, 0)
    shape = tuple(
        None if size is None or isinstance(count, Value) else size * count
        for size, count in zip(x.shape, counts, strict=True)
    )
    return b.emit("Tile", x, b.value(counts, "int32"), shape=shape, dtype=x.dtype)


# ------------------------------------------------------------------------------------ filling


@operation("zeros_like")
def zeros_like(b: Builder, x: Operand, dtype: str | None = None) -> Value:
    """Return zeros in the shape of *x*."""
    return full_like(b, x, 0, dtype)


@operation("ones_like")
def ones_like(b: Builder, x: Operand, dtype: str | None = None) -> Value:
    """Return ones in the shape of *x*."""
    return full_like(b, x, 1, dtype)


@operation("full_like")
def full_like(b: Builder, x: Operand, fill_value: Operand, dtype: str | None = None) -> Value:
    """Return a number in the shape of *x*."""
    x = b.value(x)
    return full(b, dynamic_shape(b, x), fill_value, dtype or x.dtype)


@operation("full")
def full(b: Builder, shape: Any, fill_value: Operand, dtype: str | None = None) -> Value:
    """Return a number in a shape."""
    if isinstance(shape, Value) and (not shape.rank or shape.shape[0] is None):
        raise Refusal("a shape of an unknown number of axes")
    count = shape.shape[0] or 0 if isinstance(shape, Value) else 0
    sizes = elements(b, shape, count) if not isinstance(shape, int) else [shape]
    value = b.value(fill_value, dtype or "")
    known = tuple(size if isinstance(size, int) else None for size in sizes)
    if isinstance(shape, Value) and shape.sizes is not None:
        known = shape.sizes
    return b.emit("Fill", b.value(list(sizes), "int32"), value, shape=known, dtype=value.dtype)


@operation("zeros")
def zeros(b: Builder, shape: Any, dtype: str | None = None) -> Value:
    """Return zeros."""
    return full(b, shape, 0, dtype or "float32")


@operation("ones")
def ones(b: Builder, shape: Any, dtype: str | None = None) -> Value:
    """Return ones."""
    return full(b, shape, 1, dtype or "float32")


@operation("arange")
def arange(
    b: Builder, start: Any, stop: Any = None, step: Any = None, dtype: str | None = None
) -> Value:
    """Return numbers in equal steps."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if not any(isinstance(each, Value) for each in (start, stop, step)):
        kind = dtype or ("int32" if all(isinstance(n, int) for n in (start, stop, step)) else "")
        count = max(0, ceil((stop - start) / step))
        return b.formula((count,), lambda i: start + i * step, kind or "float32")
    kind = dtype or a.common_dtype(b, start, stop, step)
    ends = [b.value(each, kind) for each in (start, stop, step)]
    known = [each.sizes[0] if each.sizes else None for each in ends]
    count = None if None in known else len(range(*(int(each or 0) for each in known)))
    return b.emit("Range", *ends, shape=(count,), dtype=kind, Tidx=graph_dtype(kind))


@operation("sequence_mask")
def sequence_mask(
    b: Builder, lengths: Operand, maxlen: Any = None, dtype: str | None = None
) -> Value:
    """Return True for the first steps of each row, as many as its length says."""
    if maxlen is None:
        raise Refusal("a mask as long as the longest row", "Give maxlen.")
    steps = arange(b, 0, bound(maxlen), dtype="int32")
    return b.value(a.less(b, steps, expand_dims(b, b.value(lengths), -1)), dtype or "bool")
