"""Small networks that many rules share, named by their result."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfjs_codec.ir.shapes import product
from tfjs_codec.ir.tensors import Array, ArrayTensor, LazyTensor, formula
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded

_JSON_RATIO = 8  # memory of a number in a config, in float32s


def number(value: Any) -> Any:
    """Return *value* (a scalar or an array) as JSON numbers: floats as the nearest float32.

    Raises:
        Refusal: It is NaN or infinite, which JSON does not have.
    """
    array = np.asarray(value, dtype=np.float32)
    if not np.isfinite(array).all():
        raise Refusal("a number in it is not finite, or beyond what float32 holds")
    short = np.vectorize(lambda v: float(str(v)), otypes=[float])
    return short(array).tolist() if array.size else array.tolist()


_MOST_AXES = 4  # to which webgpu adds a vector


def affine(b: Scope, x: Tensor, scale: Any = 1, offset: Any = 0, *, part: str = "") -> Tensor:
    """Return ``x * scale + offset``; arrays broadcast from the last axis and may not outgrow x.

    A vector gets a second axis if x has five or more: webgpu cannot compile the program for it.
    """
    if x.rank > _MOST_AXES:
        scale, offset = (
            np.atleast_2d(each) if np.ndim(each) == 1 else each for each in (scale, offset)
        )
    b.pay(_JSON_RATIO * (np.size(scale) + np.size(offset) - 2))
    config = {"scale": number(scale), "offset": number(offset)}
    return b.add("Rescaling", x, config, part=part)


def batch_dot(b: Scope, x: Tensor, y: Tensor, axes: list[int], part: str = "") -> Tensor:
    """Return the products of *x* and *y*, sample by sample, summed over the axis that each has."""
    return b.add("Dot", [x, y], {"axes": axes, "normalize": False}, part=part)


def negate(b: Scope, x: Tensor) -> Tensor:
    """Return ``-x``."""
    return affine(b, x, -1, part="minus")


def relu(b: Scope, x: Tensor, max_value: float | None = None, *, part: str = "") -> Tensor:
    """Return ``clip(x, 0, max_value)``."""
    return b.add("ReLU", x, {"max_value": max_value}, part=part)


def clip(b: Scope, x: Tensor, low: float, high: float) -> Tensor:
    """Return ``min(max(x, low), high)``."""
    if low == 0 and high > 0:
        return relu(b, x, None if math.isinf(high) else high)
    if not math.isinf(low):
        x = b.add("Maximum", [x, constant(b, x, low)])
    return x if math.isinf(high) else b.add("Minimum", [x, constant(b, x, high)])


def reshape(b: Scope, x: Tensor, target: Sequence[int | None], *, part: str = "") -> Tensor:
    """Return *x* with the axes *target* after the batch; at most one of them may be None."""
    if tuple(x.shape[1:]) == tuple(target):
        return x
    if sum(size is None for size in target) > 1:
        raise StaticShapeNeeded(f"its input shape {list(x.shape)} must be known")
    sizes = [-1 if size is None else size for size in target]
    return b.add("Reshape", x, {"target_shape": sizes}, part=part)


def permute(b: Scope, x: Tensor, dims: Sequence[int], *, part: str = "") -> Tensor:
    """Return *x* with its axes (1-based after the batch) in the order *dims*."""
    if list(dims) == list(range(1, x.rank)):
        return x
    return b.add("Permute", x, {"dims": list(dims)}, part=part)


def move_axis_last(b: Scope, x: Tensor, axis: int) -> Tensor:
    """Return *x* with *axis* moved to the end."""
    return permute(b, x, [i for i in range(1, x.rank) if i != axis] + [axis])


def move_last_axis_to(b: Scope, x: Tensor, axis: int) -> Tensor:
    """Undo :func:`move_axis_last`."""
    dims = list(range(1, x.rank - 1))
    dims.insert(axis - 1, x.rank - 1)
    return permute(b, x, dims)


def dense(
    b: Scope, x: Tensor, kernel: LazyTensor | Array, bias: LazyTensor | Array | None = None, *,
    part: str = "",
) -> Tensor:  # fmt: skip
    """Return ``x @ kernel + bias`` over the last axis; kernel ``[in, out]``, bias ``[out]``."""
    weights = {"kernel": _lazy(kernel)}
    if bias is not None:
        weights["bias"] = _lazy(bias)
    config = {
        "units": weights["kernel"].shape[1], "use_bias": bias is not None, "activation": "linear"
    }  # fmt: skip
    return b.add("Dense", x, config, weights, part=part)


def channels_last(
    b: Scope, x: Tensor, data_format: object, run: Callable[[Tensor], Tensor]
) -> Tensor:
    """Apply *run* to *x* with the channels last; move those of channels_first there and back."""
    if data_format != "channels_first":
        return run(x)
    back = [x.rank - 1, *range(1, x.rank - 1)]
    return permute(b, run(permute(b, x, [*range(2, x.rank), 1])), back)


def matrix_on_axis(
    b: Scope, x: Tensor, matrix: LazyTensor | Array, axis: int, *, part: str = ""
) -> Tensor:
    """Return *x* with *axis* mapped by *matrix* ``[in, out]``."""
    moved = move_axis_last(b, x, axis)
    return move_last_axis_to(b, dense(b, moved, matrix, part=part), axis)


def known_size(x: Tensor, axis: int) -> int:
    """Return the size of *axis* of *x*.

    Raises:
        StaticShapeNeeded: It is known only at run time.
    """
    size = x.shape[axis]
    if size is None:
        raise StaticShapeNeeded(f"the size of axis {axis} of {list(x.shape)} must be known")
    return size


def slice_axis(b: Scope, x: Tensor, axis: int, start: int, stop: int, *, part: str = "") -> Tensor:
    """Return ``x[..., start:stop, ...]`` on *axis* (from 1), whose size must be known."""
    size = known_size(x, axis)
    if (start, stop) == (0, size):
        return x
    # Cropping2D crops axes 2 and 3 of channels_first data: view x as [A, axis, B] or [A, B, axis]
    before, after = x.shape[1:axis], x.shape[axis + 1 :]
    shape = (product(before), size, product(after))
    folded = reshape(b, x, shape)
    crop = {"cropping": [[start, size - stop], [0, 0]], "data_format": "channels_first"}
    cropped = b.add("Cropping2D", folded, crop, part=part or "slice")
    return reshape(b, cropped, (*before, stop - start, *after))


def constant(b: Scope, like: Tensor, value: Any) -> Tensor:
    """Return *value* broadcast to the shape of *like*."""
    if not like.dtype.startswith(("int", "uint", "bool")):
        like = relu(b, like, 1, part="finite")  # 0·∞ is not 0
    return affine(b, like, 0, value, part="constant")


def identity(size: int, columns: int | None = None) -> LazyTensor:
    """Return the matrix ``[size, columns]`` with ones on its diagonal."""
    return formula((size, size if columns is None else columns), lambda i, j: i == j)


def filled(value: float, *shape: int) -> LazyTensor:
    """Return a constant of *shape* that is *value* everywhere."""
    return formula(shape, lambda *_: value)


def _lazy(value: LazyTensor | Array) -> LazyTensor:
    return value if isinstance(value, LazyTensor) else ArrayTensor("constant", value)
