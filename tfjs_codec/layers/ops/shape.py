"""Operations on shapes: reshaping, slicing, joining, reductions, matrix products.

The batch axis is never touched; an operation that would is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.shapes import product, resolve_axis
from tfjs_codec.ir.tensors import ArrayTensor, formula
from tfjs_codec.layers.engine import masks
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import op
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.layers.primitives import (
    affine,
    batch_dot,
    dense,
    filled,
    identity,
    known_size,
    matrix_on_axis,
    negate,
    permute,
    reshape,
    slice_axis,
)
from tfjs_codec.layers.rules.core import reshape_to
from tfjs_codec.tracing.refusal import Refusal, ShapeRefusal, StaticShapeNeeded


def axes_of(x: Tensor, axis: Any, extra: int = 0) -> list[int]:
    """Return *axis* (an int or a list) as sorted positive axes; not the batch."""
    given = axis if isinstance(axis, list | tuple) else [axis]
    axes = sorted({0 if a is None else resolve_axis(int(a), x.rank + extra) for a in given})
    if 0 in axes:
        raise Refusal("the operation works along the batch")
    return axes


@op("reshape")
def _reshape(b: Scope, x: Tensor, newshape: Any) -> Tensor:
    """Reshape, if the batch stays the first axis."""
    if not isinstance(newshape, list | tuple) or not all(
        size is None or isinstance(size, int) for size in newshape
    ):
        raise Refusal("a reshape to sizes computed at run time")
    first, *rest = [-1 if size is None else size for size in newshape]
    sizes = x.shape[1:]
    if -1 not in rest and None not in sizes:
        keeps = prod(rest) == prod(size for size in sizes if size is not None)
    else:
        keeps = first != -1 and first == x.shape[0]
    if not keeps and not (first == x.shape[0] and first is not None):
        raise Refusal("a reshape that moves values between samples of the batch")
    return reshape_to(b, x, rest)


@op("expand_dims")
def _expand_dims(b: Scope, x: Tensor, axis: Any) -> Tensor:
    """Reshape."""
    axes = axes_of(x, axis, len(axis) if isinstance(axis, list) else 1)
    sizes: list[int | None] = list(x.shape)
    for at in axes:
        sizes.insert(at, 1)
    return reshape(b, x, sizes[1:])


@op("squeeze")
def _squeeze(b: Scope, x: Tensor, axis: Any) -> Tensor:
    """Reshape."""
    if axis is None or axis == []:
        b.static(x)
        axis = [i for i in range(1, x.rank) if x.shape[i] == 1]
    axes = axes_of(x, axis)
    return reshape(b, x, [size for i, size in enumerate(x.shape) if i and i not in axes])


@op("transpose")
def _transpose(b: Scope, x: Tensor, axes: Any) -> Tensor:
    """Permute, if the batch stays first."""
    if axes is None or axes[0] != 0:
        raise Refusal("a transposition that moves the batch")
    return permute(b, x, [resolve_axis(axis, x.rank) for axis in axes[1:]])


@op("swapaxes")
def _swapaxes(b: Scope, x: Tensor, axis1: int, axis2: int) -> Tensor:
    """Permute."""
    order = list(range(x.rank))
    first, second = resolve_axis(axis1, x.rank), resolve_axis(axis2, x.rank)
    order[first], order[second] = order[second], order[first]
    return _transpose(b, x, order)


@op("concatenate")
def _concatenate(b: Scope, xs: list[Tensor], axis: int) -> Tensor:
    """Concatenate."""
    xs = [b.tensor(x) for x in xs]
    (at,) = axes_of(xs[0], axis)
    return xs[0] if len(xs) == 1 else b.add("Concatenate", xs, {"axis": at})


@op("stack")
def _stack(b: Scope, x: list[Tensor], axis: int) -> Tensor:
    """Reshape, Concatenate."""
    x = [b.tensor(one) for one in x]
    (at,) = axes_of(x[0], axis, 1)
    return _concatenate(b, [_expand_dims(b, one, at) for one in x], at)


@op("split")
def _split(b: Scope, x: Tensor, indices_or_sections: Any, axis: int) -> list[Tensor]:
    """Cropping2D for each piece."""
    (at,) = axes_of(x, axis)
    size = known_size(x, at)
    cuts = indices_or_sections
    if isinstance(cuts, int):
        cuts = [size // cuts * i for i in range(1, cuts)]
    edges = [0, *(cut + size if cut < 0 else cut for cut in cuts), size]
    return [slice_axis(b, x, at, lo, hi) for lo, hi in pairwise(edges)]


@op("unstack")
def _unstack(b: Scope, x: Tensor, num: Any, axis: int) -> list[Tensor]:
    """Cropping2D and Reshape for each piece."""
    (at,) = axes_of(x, axis)
    pieces = _split(b, x, x.shape[at], at)
    return [_squeeze(b, piece, at) for piece in pieces]


@op("getitem")
def _getitem(b: Scope, x: Tensor, key: Any) -> Tensor:
    """Cropping2D for slices, a selection matrix for steps, Reshape for indices and new axes."""
    items = list(key) if isinstance(key, list | tuple) else [key]
    computed = (Tensor, list, np.ndarray)
    if any(
        isinstance(part, computed)
        for item in items
        for part in ((item.start, item.stop) if isinstance(item, slice) else (item,))
    ):
        raise Refusal("an index computed at run time")
    if Ellipsis in items:
        at = items.index(Ellipsis)
        given = sum(item is not None for item in items) - 1
        items[at : at + 1] = [slice(None)] * (x.rank - given)
    if not items or items[0] != slice(None):
        raise Refusal("an index into the batch")
    target: list[int | None] = []
    axis = 0
    for item in items:
        if item is None:
            target.append(1)
            continue
        if axis:
            x = _take_on_axis(b, x, axis, item)
            if not isinstance(item, int):
                target.append(x.shape[axis])
        axis += 1
    return reshape(b, x, [*target, *x.shape[axis:]])


def _take_on_axis(b: Scope, x: Tensor, axis: int, item: Any) -> Tensor:
    """Apply an index (keeping the axis) or a slice to one axis."""
    size = x.shape[axis]
    if item in (slice(None), slice(0, None)):
        return x
    if size is None:
        if axis == 1 and x.rank == 3 and item in (0, -1):
            return _end_step(b, x, last=item == -1)
        size = known_size(x, axis)
    if isinstance(item, int):
        at = item % size
        return slice_axis(b, x, axis, at, at + 1)
    start, stop, step = item.indices(size)
    if step == 1:
        if stop <= start:
            raise Refusal("an empty slice")
        return slice_axis(b, x, axis, start, stop)
    return select(b, x, axis, range(start, stop, step))


def _end_step(b: Scope, x: Tensor, *, last: bool) -> Tensor:
    """Return the first or last step of ``(batch, time, units)`` of unknown length."""
    units = x.shape[2] or 0
    config = {
        "units": units, "activation": "linear", "use_bias": False, "go_backwards": not last
    }  # fmt: skip
    weights = {
        "kernel": identity(units),
        "recurrent_kernel": filled(0, units, units),
    }
    step = b.add("SimpleRNN", x, config, weights, part="step")
    return reshape(b, step, (1, units))


def select(b: Scope, x: Tensor, axis: int, indices: Sequence[int] | NDArray[np.int64]) -> Tensor:
    """Return the entries *indices* of *axis*, by a matrix of 0s and 1s."""
    size = known_size(x, axis)
    if not len(indices):
        raise ShapeRefusal("a selection of no elements")
    places = np.asarray(indices) % size
    matrix = formula((size, len(places)), lambda i, j: i == places[j])
    return matrix_on_axis(b, x, matrix, axis, part="select")


@op("slice")
def _slice(b: Scope, inputs: Tensor, start_indices: Any, shape: Any) -> Tensor:
    """Cropping2D for each axis."""
    if not all(isinstance(v, int) for v in (*start_indices, *shape)) or start_indices[0] != 0:
        raise Refusal("a slice of the batch or of sizes computed at run time")
    x = inputs
    for axis in range(1, x.rank):
        start, count = start_indices[axis], shape[axis]
        stop = None if count == -1 else start + count
        x = _take_on_axis(b, x, axis, slice(start, stop))
    return x


@op("take")
def _take(b: Scope, x: Any, indices: Any, axis: Any) -> Tensor:
    """A selection matrix for constant indices; Embedding for a constant table."""
    if isinstance(x, Tensor) and not isinstance(indices, Tensor):
        (at,) = axes_of(x, axis)
        places = np.asarray(indices, int)
        y = select(b, x, at, places.ravel().tolist())
        return reshape(b, y, (*x.shape[1:at], *places.shape, *x.shape[at + 1 :]))
    if isinstance(indices, Tensor) and not isinstance(x, Tensor) and axis == 0 and np.ndim(x) == 2:
        return _lookup(b, indices, np.asarray(x, np.float32))
    raise Refusal("a lookup at positions computed at run time")


def _lookup(b: Scope, ids: Tensor, table: Any) -> Tensor:
    config = {"input_dim": table.shape[0], "output_dim": table.shape[1], "mask_zero": False}
    return b.add("Embedding", ids, config, {"embeddings": ArrayTensor("table", table)})


@op("one_hot")
def _one_hot(b: Scope, x: Tensor, num_classes: int, axis: int) -> Tensor:
    """1 where the number minus 0, 1, … is 0: any other number gives zeros, as in Keras."""
    if axis not in (-1, x.rank) or not x.dtype.startswith(("int", "uint", "bool")):
        raise Refusal("one_hot on another axis than the last, or of numbers that are not integers")
    column = reshape(b, affine(b, b.concrete(x)), (*x.shape[1:], 1))
    distance = dense(b, column, filled(1, 1, num_classes), formula((num_classes,), np.negative))
    return affine(b, masks.not_zero(b, distance), -1, 1)


@op("flip")
def _flip(b: Scope, x: Tensor, axis: Any) -> Tensor:
    """A selection matrix."""
    for at in axes_of(x, axis):
        x = select(b, x, at, range((x.shape[at] or 0) - 1, -1, -1))
    return x


@op("repeat")
def _repeat(b: Scope, x: Tensor, repeats: Any, axis: Any) -> Tensor:
    """A selection matrix."""
    (at,) = axes_of(x, axis)
    if isinstance(repeats, Tensor):
        raise Refusal("a repetition whose number is computed at run time")
    b.pay(x.shape[at], int(np.max(repeats, initial=0)))
    return select(b, x, at, np.repeat(np.arange(x.shape[at] or 0), repeats))


@op("tile")
def _tile(b: Scope, x: Tensor, repeats: Any) -> Tensor:
    """A selection matrix for each axis."""
    if not isinstance(repeats, list | tuple) or len(repeats) != x.rank or repeats[0] != 1:
        raise Refusal("a tile along the batch")
    for at, count in enumerate(repeats):
        if at and count != 1:
            b.pay(x.shape[at], count)
            x = select(b, x, at, np.tile(np.arange(x.shape[at] or 0), count))
    return x


@op("pad")
def _pad(
    b: Scope, x: Tensor, pad_width: Any, mode: str,
    constant_values: Any,
) -> Tensor:  # fmt: skip
    """ZeroPadding2D for each axis; reflections by a selection matrix."""
    mode, given = mode.lower(), np.asarray(pad_width)
    one_for_all = given.ndim < 2 or len(given) == 1
    widths = (np.broadcast_to(given, (x.rank, 2)) if one_for_all else given).tolist()
    if mode not in ("constant", "reflect", "symmetric", "edge", "wrap"):
        raise Refusal(f"padding by '{mode}', which computes new values")
    if len(widths) != x.rank or any(widths[0]) or constant_values not in (None, 0, 0.0):
        raise Refusal("padding the batch, or with other numbers than 0")
    for at, (before, after) in enumerate(widths):
        if not before and not after:
            continue
        if mode == "constant":
            shape = (product(x.shape[1:at]), x.shape[at], product(x.shape[at + 1 :]))
            config = {"padding": [[before, after], [0, 0]], "data_format": "channels_first"}
            y = b.add("ZeroPadding2D", reshape(b, x, shape), config)
            x = reshape(b, y, (*x.shape[1:at], y.shape[2], *x.shape[at + 1 :]))
        else:
            size = known_size(x, at)
            b.pay(size + before + after)
            x = select(b, x, at, np.pad(np.arange(size), (before, after), mode))  # type: ignore[call-overload]
    return x


# --------------------------------------------------------------------------------- reductions


def reduce(b: Scope, x: Tensor, kind: str, axis: Any, keepdims: Any = False) -> Tensor:
    """Return the ``Average`` or ``Max`` of *x* over axes."""
    axes = axes_of(x, list(range(1, x.rank)) if axis is None else axis)
    rest = [i for i in range(1, x.rank) if i not in axes]
    if (axes, x.rank) in (([1], 3), ([1, 2], 4)):
        y = b.add(f"Global{kind}Pooling{len(axes)}D", x, {"data_format": "channels_last"})
    else:
        count, others = product([x.shape[a] for a in axes]), [x.shape[a] for a in rest]
        moved = permute(b, x, [*axes, *rest])
        flat = reshape(b, moved, (count, product(others)))
        y = b.add(f"Global{kind}Pooling1D", flat, {"data_format": "channels_last"})
        y = reshape(b, y, others)
    if not keepdims:
        return y
    return reshape(b, y, [1 if i in axes else x.shape[i] for i in range(1, x.rank)])


@op("mean", "max", "min", "amax", "amin", "sum")
def _reduce(b: Scope, x: Tensor, axis: Any, keepdims: Any) -> Tensor:
    """Global pooling of the axes; sum as a mean times their size."""
    if axis is None:
        raise Refusal("a reduction over the batch")
    x, kind = b.concrete(x), b.layer.class_name
    if kind == "mean":
        if b.generation < 3 and x.dtype.startswith(("int", "uint")):
            raise Refusal("a mean of whole numbers, which TensorFlow rounds")
        return reduce(b, x, "Average", axis, keepdims)
    if kind in ("max", "amax"):
        return reduce(b, x, "Max", axis, keepdims)
    if kind in ("min", "amin"):
        return negate(b, reduce(b, negate(b, x), "Max", axis, keepdims))
    return sum_over(b, x, axis, keepdims)


def sum_over(b: Scope, x: Tensor, axis: Any, keepdims: Any = False) -> Tensor:
    """Return the sum of *x* over axes."""
    axes = axes_of(x, axis)
    kept = [1 if i in axes else size for i, size in enumerate(x.shape) if i]
    left = [size for i, size in enumerate(x.shape) if i and i not in axes]
    if axes == [x.rank - 1] and x.shape[-1] is not None:
        y = dense(b, x, filled(1, x.shape[-1], 1))
    elif axes == [1] and x.rank == 3:  # of any length
        width = x.shape[2] or 0
        ones = dense(b, x, filled(0, width, 1), filled(1, 1), part="ones")
        y = batch_dot(b, ones, x, [1, 1])
    else:
        count = product([x.shape[a] for a in axes])
        if count is None:
            raise StaticShapeNeeded("the sizes of the summed axes must be known")
        y = affine(b, reduce(b, x, "Average", axis, keepdims), count)
    return reshape(b, y, kept if keepdims else left)


@op("moveaxis")
def _moveaxis(b: Scope, x: Tensor, source: Any, destination: Any) -> Tensor:
    """Permute."""
    pairs = zip(np.atleast_1d(destination) % x.rank, np.atleast_1d(source) % x.rank, strict=True)
    places = {int(to): int(at) for to, at in pairs}
    rest = iter(i for i in range(x.rank) if i not in places.values())
    return _transpose(b, x, [places[i] if i in places else next(rest) for i in range(x.rank)])


@op("roll")
def _roll(b: Scope, x: Tensor, shift: Any, axis: Any) -> Tensor:
    """A selection matrix."""
    if not isinstance(shift, int):
        raise Refusal("a roll along several axes")
    (at,) = axes_of(x, axis)
    size = x.shape[at] or 0
    b.pay(size)
    return select(b, x, at, (np.arange(size) - shift) % size)


@op("broadcast_to")
def _broadcast_to(b: Scope, x: Tensor, shape: Any) -> Tensor:
    """A selection matrix for each axis that grows."""
    if len(shape) != x.rank or shape[0] != x.shape[0]:
        raise Refusal("a broadcast of the batch, or of axes before it")
    for at, size in enumerate(shape):
        if at and size != x.shape[at]:
            b.pay(size)
            x = select(b, x, at, np.zeros(size or 0, int))
    return x
