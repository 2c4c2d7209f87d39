"""TensorFlow operations on constants, computed with numpy.

One row of :data:`KERNELS` for each operation: a function of the node's attributes and its input
arrays that returns the output arrays. Results have TensorFlow's dtypes because numpy keeps the
dtype of equal operands; whole numbers wrap around as TensorFlow's do. A kernel raises
:class:`Unfoldable` where TensorFlow would fail or the result is larger than a constant should be;
what it does not know is left for tfjs to compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from tfjs_codec.ir.graph import Attrs
from tfjs_codec.ir.tensors import Array

Kernel = Callable[[Attrs, Sequence[Array]], Sequence[Array]]

# A constant that is larger than this and than what it is computed from stays computed.
GROWTH_BYTES = 10 << 20


class Unfoldable(Exception):  # noqa: N818 - an answer, not an error
    """The node cannot or should not be computed here."""


def compute(op: str, attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    """Return the outputs of *op* for constant *inputs*.

    Raises:
        Unfoldable: There is no kernel, TensorFlow would fail, or the result would be too large.
    """
    kernel = KERNELS.get(op)
    if kernel is None:
        raise Unfoldable(op)
    try:
        with np.errstate(all="ignore"):
            return kernel(attrs, inputs)
    except (ArithmeticError, IndexError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise Unfoldable(str(error)) from error


def _bounded(shape: Iterable[int], dtype: np.dtype[Any], inputs: Sequence[Array]) -> None:
    """Refuse a result of *shape* that is large and larger than *inputs* together."""
    nbytes = prod(int(size) for size in shape) * dtype.itemsize
    distinct = {id(array): array.nbytes for array in inputs}
    if nbytes > max(GROWTH_BYTES, sum(distinct.values())):
        raise Unfoldable(f"{nbytes:,} bytes")


def _dtype(attrs: Attrs, key: str) -> np.dtype[Any]:
    """Return the numpy dtype that attribute *key* names, if numpy has it."""
    try:
        return np.dtype(attrs[key])
    except TypeError:  # bfloat16, string
        raise Unfoldable(str(attrs[key])) from None


def _ints(array: Array) -> list[int]:
    return [int(item) for item in array.reshape(-1)]


def _axis(value: int, rank: int) -> int:
    if not -rank <= value < max(rank, 1):
        raise Unfoldable(f"axis {value} of rank {rank}")
    return value % rank if rank else 0


# --- Element by element ------------------------------------------------------------------------


def _unary(function: Callable[[Any], Any]) -> Kernel:
    def kernel(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
        (x,) = inputs
        return [np.asarray(function(x), x.dtype)]

    return kernel


def _binary(function: Callable[[Any, Any], Any], dtype: type | None = None) -> Kernel:
    """The same for operands that are broadcast; *dtype* of the result is theirs if None."""

    def kernel(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
        x, y = inputs
        _bounded(np.broadcast_shapes(x.shape, y.shape), x.dtype, inputs)
        return [np.asarray(function(x, y), dtype or x.dtype)]

    return kernel


def _divisor(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """Whole numbers divided by zero are an error in TensorFlow."""

    def divided(x: Array, y: Array) -> Array:
        if y.dtype.kind in "iu" and not y.all():
            raise Unfoldable("division by zero")
        return function(x, y)

    return divided


def _truncated(x: Any, y: Any) -> Array:
    """The quotient rounded towards zero, of floats the plain one."""
    if x.dtype.kind not in "iu":
        return np.asarray(x / y)
    return np.asarray(x // y + ((x % y != 0) & ((x < 0) != (y < 0))))


def _rsqrt(x: Any) -> Array:
    return np.asarray(1 / np.sqrt(x))


def _add_n(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    total: Any = inputs[0]
    for each in inputs[1:]:
        if each.shape != total.shape:
            raise Unfoldable("shapes")
        total = total + each
    return [np.asarray(total, inputs[0].dtype)]


def _select(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    condition, x, y = inputs
    _bounded(np.broadcast_shapes(condition.shape, x.shape, y.shape), x.dtype, inputs)
    return [np.where(condition, x, y)]


def _select_v1(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    """The condition is a scalar, has the shape of the operands, or chooses rows."""
    condition, x, y = inputs
    if condition.ndim == 1 and x.ndim > 1:
        condition = condition.reshape((-1,) + (1,) * (x.ndim - 1))
    return _select(attrs, [condition, x, y])


def _cast(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    """Floats lose their fraction; what no whole number can hold is undefined in TensorFlow."""
    x: Any = inputs[0]
    dtype = _dtype(attrs, "DstT")
    if x.dtype.kind == "O":
        raise Unfoldable("string")
    if x.dtype.kind == "f" and dtype.kind in "iu":
        info = np.iinfo(dtype)
        if not ((x > info.min - 1.0) & (x < info.max + 1.0)).all():
            raise Unfoldable("out of range")
    _bounded(x.shape, dtype, inputs)
    return [x.astype(dtype)]


# --- Shapes ------------------------------------------------------------------------------------


def _reshape(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    x, shape = inputs
    return [x.reshape(_ints(shape))]


def _squeeze(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    (x,) = inputs
    axes = tuple(_axis(int(axis), x.ndim) for axis in attrs["squeeze_dims"])
    return [np.squeeze(x, axes or None)]


def _expand_dims(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    x, axis = inputs
    return [np.expand_dims(x, int(axis.item()))]


def _transpose(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    x, permutation = inputs
    return [np.transpose(x, _ints(permutation))]


def _shape(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    dtype = _dtype(attrs, "out_type")
    return [np.array(x.shape, dtype) for x in inputs]


def _size(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    return [np.array(inputs[0].size, _dtype(attrs, "out_type"))]


def _rank(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    return [np.array(inputs[0].ndim, np.int32)]


def _broadcast_to(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    x, shape = inputs
    sizes = _ints(shape)
    _bounded(sizes, x.dtype, inputs)
    return [np.broadcast_to(x, sizes)]


def _broadcast_args(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    x, y = inputs
    return [np.array(np.broadcast_shapes(_ints(x), _ints(y)), x.dtype)]


# --- Slicing and joining -----------------------------------------------------------------------


def _concat(values: Sequence[Array], axis: Array) -> Sequence[Array]:
    at = _axis(int(axis.item()), values[0].ndim)
    size = sum(value.shape[at] for value in values)
    shape = (*values[0].shape[:at], size, *values[0].shape[at + 1 :])
    _bounded(shape, values[0].dtype, values)
    return [np.concatenate(values, at)]


def _pack(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    _bounded((len(inputs), *inputs[0].shape), inputs[0].dtype, inputs)
    return [np.stack(inputs, int(attrs["axis"]))]


def _unpack(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    (x,) = inputs
    moved = np.moveaxis(x, _axis(int(attrs["axis"]), x.ndim), 0)
    if len(moved) != int(attrs["num"]):
        raise Unfoldable("num")
    return list(moved)


def _split(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    axis, x = inputs
    return np.split(x, int(attrs["num_split"]), _axis(int(axis.item()), x.ndim))


def _split_v(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    x, sizes, axis = inputs
    at = _axis(int(axis.item()), x.ndim)
    known = _ints(sizes)
    if -1 in known:
        known[known.index(-1)] = x.shape[at] - sum(known) - 1
    if min(known, default=0) < 0 or sum(known) != x.shape[at]:
        raise Unfoldable("sizes")
    return np.split(x, np.cumsum(known)[:-1], at)


def _slice(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    x, begin, size = inputs
    starts, sizes = _ints(begin), _ints(size)
    ends = [
        x.shape[i] if count == -1 else start + count
        for i, (start, count) in enumerate(zip(starts, sizes, strict=True))
    ]
    inside = all(0 <= a <= b <= n for a, b, n in zip(starts, ends, x.shape, strict=True))
    if not inside:
        raise Unfoldable("out of range")
    return [x[tuple(slice(a, b) for a, b in zip(starts, ends, strict=True))]]


def _strided_slice(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    """Bit i of a mask is about the i-th entry of begin, end and strides."""
    x, *bounds = inputs
    begin, end, strides = (_ints(each) for each in bounds)

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
    if batch_dims:
        raise Unfoldable("batch_dims")
    at = _axis(axis, x.ndim)
    _bounded((*indices.shape, *x.shape[:at], *x.shape[at + 1 :]), x.dtype, inputs=[x, indices])
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < x.shape[at]:
        raise Unfoldable("out of range")
    return [np.take(x, indices.astype(np.intp), at)]


def _gather_nd(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    x, indices = inputs
    depth = indices.shape[-1]
    _bounded((*indices.shape[:-1], *x.shape[depth:]), x.dtype, inputs)
    if indices.size and int(indices.min()) < 0:
        raise Unfoldable("out of range")
    return [x[tuple(np.moveaxis(indices, -1, 0))]]


def _reverse(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    x, axes = inputs
    return [np.flip(x, tuple(_ints(axes)))] if axes.size else [x]


def _tile(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    x, multiples = inputs
    times = _ints(multiples)
    _bounded((size * n for size, n in zip(x.shape, times, strict=True)), x.dtype, inputs)
    return [np.tile(x, times)]


def _pad(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    """Pad has two inputs and pads with zeros; PadV2's third is the value."""
    x, widths, *value = inputs
    pairs = [(before, after) for before, after in widths.astype(np.int64).tolist()]
    _bounded((a + n + b for n, (a, b) in zip(x.shape, pairs, strict=True)), x.dtype, inputs)
    return [np.pad(x, pairs, constant_values=value[0] if value else x.dtype.type(0))]


# --- Creation ----------------------------------------------------------------------------------


def _fill(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    shape, value = inputs
    _bounded(_ints(shape), value.dtype, inputs)
    return [np.full(_ints(shape), value, value.dtype)]


def _range(_: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    start, limit, delta = inputs
    if not delta.item():
        raise Unfoldable("step")
    count = max(0, int(np.ceil((limit.item() - start.item()) / delta.item())))
    _bounded([count], start.dtype, inputs)
    return [np.asarray(start + np.arange(count, dtype=start.dtype) * delta, start.dtype)]


def _one_hot(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    indices, depth, on, off = inputs
    classes = int(depth.item())
    _bounded((*indices.shape, classes), on.dtype, inputs)
    hot = np.where(indices[..., None] == np.arange(classes), on, off)
    return [np.moveaxis(hot, -1, int(attrs["axis"]))]


# --- Reduction ---------------------------------------------------------------------------------


def _reduction(function: Callable[..., Any]) -> Kernel:
    def kernel(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
        x, axes = inputs
        over = tuple(_axis(axis, x.ndim) for axis in _ints(axes))
        reduced = function(x, axis=over, keepdims=bool(attrs["keep_dims"]))
        return [np.asarray(reduced, x.dtype)]

    return kernel


def _cumulative(function: Callable[..., Any], neutral: int) -> Kernel:
    def kernel(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
        x, axis = inputs
        at = _axis(int(axis.item()), x.ndim)
        moved = np.moveaxis(x, at, 0)
        moved = moved[::-1] if attrs["reverse"] else moved
        if attrs["exclusive"] and len(moved):
            moved = np.concatenate([np.full_like(moved[:1], neutral), moved[:-1]])
        result = function(moved, axis=0, dtype=x.dtype)
        result = result[::-1] if attrs["reverse"] else result
        return [np.moveaxis(result, 0, at)]

    return kernel


def _bias_add(attrs: Attrs, inputs: Sequence[Array]) -> Sequence[Array]:
    if attrs.get("data_format", b"NHWC") != b"NHWC":
        raise Unfoldable("data_format")
    return [np.add(*inputs)]


def _mean(x: Any, **options: Any) -> Any:
    """TensorFlow's mean of whole numbers is rounded towards zero."""
    return np.trunc(np.mean(x, **options)) if x.dtype.kind in "iu" else np.mean(x, **options)


KERNELS: dict[str, Kernel] = {
    "Abs": _unary(np.abs),
    "Ceil": _unary(np.ceil),
    "Cos": _unary(np.cos),
    "Exp": _unary(np.exp),
    "Floor": _unary(np.floor),
    "Log": _unary(np.log),
    "LogicalNot": _unary(np.logical_not),
    "Neg": _unary(np.negative),
    "OnesLike": _unary(np.ones_like),
    "Reciprocal": _unary(np.reciprocal),
    "Relu": _unary(lambda x: np.maximum(x, x.dtype.type(0))),
    "Round": _unary(np.round),
    "Rsqrt": _unary(_rsqrt),
    "Sign": _unary(np.sign),
    "Sin": _unary(np.sin),
    "Sqrt": _unary(np.sqrt),
    "Square": _unary(np.square),
    "Tanh": _unary(np.tanh),
    "ZerosLike": _unary(np.zeros_like),
    "Add": _binary(np.add),
    "AddN": _add_n,
    "AddV2": _binary(np.add),
    "BiasAdd": _bias_add,
    "Div": _binary(_divisor(_truncated)),
    "Equal": _binary(np.equal, np.bool_),
    "FloorDiv": _binary(_divisor(np.floor_divide)),
    "FloorMod": _binary(_divisor(np.mod)),
    "Greater": _binary(np.greater, np.bool_),
    "GreaterEqual": _binary(np.greater_equal, np.bool_),
    "Less": _binary(np.less, np.bool_),
    "LessEqual": _binary(np.less_equal, np.bool_),
    "LogicalAnd": _binary(np.logical_and),
    "LogicalOr": _binary(np.logical_or),
    "Maximum": _binary(np.maximum),
    "Minimum": _binary(np.minimum),
    "Mod": _binary(_divisor(np.fmod)),
    "Mul": _binary(np.multiply),
    "NotEqual": _binary(np.not_equal, np.bool_),
    "Pow": _binary(np.power),
    "RealDiv": _binary(np.true_divide),
    "SquaredDifference": _binary(lambda x, y: np.square(np.subtract(x, y))),
    "Sub": _binary(np.subtract),
    "Cast": _cast,
    "Select": _select_v1,
    "SelectV2": _select,
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
    "OneHot": _one_hot,
    "Range": _range,
    "All": _reduction(np.all),
    "Any": _reduction(np.any),
    "Cumprod": _cumulative(np.cumprod, 1),
    "Cumsum": _cumulative(np.cumsum, 0),
    "Max": _reduction(np.max),
    "Mean": _reduction(_mean),
    "Min": _reduction(np.min),
    "Prod": _reduction(np.prod),
    "Sum": _reduction(np.sum),
}
