"""Values at positions between elements: transformed images, interpolated coordinates.

TensorFlow's own kernel (``ImageProjectiveTransformV3``) rounds otherwise in tfjs; look-ups of the
elements around a position are the same on every backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from tfjs_codec.ir.tensors import Array
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.image import over_images
from tfjs_codec.operations.ops.linalg import einsum
from tfjs_codec.operations.ops.reductions import all_
from tfjs_codec.operations.ops.shapes import (
    arange,
    dynamic_shape,
    expand_dims,
    ravel,
    reshape,
    stack,
    total_size,
)
from tfjs_codec.operations.ops.slicing import gather, unstack
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded
from tfjs_codec.tracing.resampling import KERNELS

_ORDERS = {"nearest": 0, "bilinear": 1}


def _mirrored(b: Builder, index: Value, size: Any) -> Value:
    last = a.subtract(b, size, 1)
    turned = a.mod(b, a.add(b, index, last), a.multiply(b, last, 2))
    return a.absolute(b, a.subtract(b, turned, last))


def _inside(b: Builder, index: Value, size: Any, mode: str) -> Value:
    """Return indices of an axis as *mode* continues it past its ends."""
    if mode == "wrap":
        return a.mod(b, index, size)
    if mode == "mirror":
        return _mirrored(b, index, size)
    if mode == "reflect":
        odd = a.add(b, a.multiply(b, index, 2), 1)
        double = a.add(b, a.multiply(b, size, 2), 1)
        return a.floor_divide(b, a.subtract(b, _mirrored(b, odd, double), 1), 2)
    if mode not in ("nearest", "constant"):
        raise Refusal(f"the fill mode '{mode}'")
    return a.minimum(b, a.maximum(b, index, 0), a.subtract(b, size, 1))


def _around(b: Builder, place: Value, order: int) -> list[tuple[Value, Value | None]]:
    """Return the indices beside positions with their weights."""
    if order == 0:  # halves are rounded away from zero
        low = a.multiply(b, f.sign(b, place), f.floor(b, a.add(b, a.absolute(b, place), 0.5)))
        return [(b.value(low, "int32"), None)]
    low = f.floor(b, place)
    share, first = a.subtract(b, place, low), b.value(low, "int32")
    return [(first, a.subtract(b, 1.0, share)), (a.add(b, first, 1), share)]


def sample(
    b: Builder, table: Value, base: Operand, places: Sequence[Value], sizes: Sequence[Any],
    order: int, mode: str, fill: Any,
) -> Value:  # fmt: skip
    """Return the rows of *table* at positions, which stand for ``base + Σ place · stride``.

    Args:
        b: The builder.
        table: Rows: all elements in order, or all pixels with their channels.
        base: The number of the first row, for each position.
        places: Positions along each axis.
        sizes: The sizes of these axes.
        order: 0 takes the nearest elements, 1 interpolates between those around.
        mode: How an axis continues past its ends.
        fill: What 'constant' has there.
    """
    total: Value | None = None
    wide = table.rank > 1
    for corner in product(*(_around(b, place, order) for place in places)):
        row: Operand = base
        weight: Value | None = None
        for i, ((index, share), size) in enumerate(zip(corner, sizes, strict=True)):
            rest = total_size(b, sizes[i + 1 :])
            row = a.add(b, row, a.multiply(b, _inside(b, index, size, mode), rest))
            if share is not None:
                weight = share if weight is None else a.multiply(b, weight, share)
        found = gather(b, table, b.value(row, "int32"), 0)
        if mode == "constant":
            pairs = zip(corner, sizes, strict=True)
            valid = [a.logical_and(b, a.greater_equal(b, index, 0), a.less(b, index, size))
                     for (index, _), size in pairs]  # fmt: skip
            inside = all_(b, stack(b, valid, -1), -1)
            inside = expand_dims(b, inside, -1) if wide else inside
            found = a.where(b, inside, found, b.value(fill, found.dtype))
        if weight is not None:
            found = a.multiply(b, found, expand_dims(b, weight, -1) if wide else weight)
        total = found if total is None else a.add(b, total, found)
    assert total is not None
    return total


@operation("map_coordinates")
def map_coordinates(
    b: Builder, inputs: Operand, coordinates: Operand, order: int, fill_mode: str = "constant",
    fill_value: Any = 0,
) -> Value:  # fmt: skip
    """Return the elements at coordinates, one row of them for each axis."""
    x = b.value(inputs)
    places = unstack(b, b.value(coordinates, "float32"), x.rank, 0)
    rows = ravel(b, f.real(b, x))
    y = sample(b, rows, 0, places, dynamic_shape(b, x), order, fill_mode, fill_value)
    return y if y.dtype == x.dtype else b.value(f.round_(b, y), x.dtype)


def _pixels(
    b: Builder, x: Value, places: Sequence[Array], order: int, mode: str, fill: Any
) -> Value:
    """Return the pixels of *x* at positions ``(batch or 1, height, width)`` of both axes."""
    batch, *sizes, channels = dynamic_shape(b, x)
    if isinstance(batch, int):
        first: Operand = a.multiply(
            b, b.formula((batch, 1, 1), lambda i, *_: i, "int32"), total_size(b, sizes)
        )
    else:
        numbers = arange(b, 0, batch, dtype="int32")
        first = reshape(b, a.multiply(b, numbers, total_size(b, sizes)), [-1, 1, 1])
    rows = reshape(b, f.real(b, x), [-1, channels])
    given = [b.constant(each.astype(np.float32)) for each in places]
    y = sample(b, rows, first, given, sizes, order, mode, fill)
    return y if y.dtype == x.dtype else b.value(f.round_(b, y), x.dtype)


def _grid(b: Builder, x: Value) -> tuple[Array, Array]:
    height, width = x.shape[1:3]
    if height is None or width is None:
        raise StaticShapeNeeded("a transformation of images of an unknown size")
    b.hold(height, width)
    down, right = np.indices((height, width)).astype(np.float32)
    return down[None], right[None]


@operation("affine_transform")
def affine_transform(
    b: Builder, images: Operand, transform: Any, interpolation: str = "bilinear",
    fill_mode: str = "constant", fill_value: Any = 0, data_format: Any = None,
) -> Value:  # fmt: skip
    """Return images whose pixels come from ``(a0 x + a1 y + a2, b0 x + b1 y + b2)``."""
    if isinstance(transform, Value):
        raise Refusal("a transformation computed at run time")
    matrix = np.atleast_2d(np.asarray(transform, np.float32))
    if matrix[:, 6:].any():
        raise Refusal("a projective transformation, which backends of Keras compute differently")
    a0, a1, a2, b0, b1, b2 = (each[:, None, None] for each in matrix[:, :6].T)

    def compute(x: Value) -> Value:
        down, right = _grid(b, x)
        places = down * b1 + right * b0 + b2, down * a1 + right * a0 + a2
        return _pixels(b, x, places, _ORDERS[interpolation], fill_mode, fill_value)

    return over_images(b, images, data_format, compute)


@operation("perspective_transform")
def perspective_transform(
    b: Builder, images: Operand, start_points: Any, end_points: Any,
    interpolation: str = "bilinear", fill_value: Any = 0, data_format: Any = None,
) -> Value:  # fmt: skip
    """Return images with four points moved to four others."""
    if isinstance(start_points, Value) or isinstance(end_points, Value):
        raise Refusal("points computed at run time")
    start, end = (np.asarray(each, np.float64).reshape(-1, 4, 2) for each in
                  (start_points, end_points))  # fmt: skip
    x0, y0, x1, y1 = start[..., 0], start[..., 1], end[..., 0], end[..., 1]
    none, one = np.zeros_like(x1), np.ones_like(x1)
    rows = [np.stack([x1, y1, one, none, none, none, -x0 * x1, -x0 * y1], -1),
            np.stack([none, none, none, x1, y1, one, -y0 * x1, -y0 * y1], -1)]  # fmt: skip
    target = np.concatenate([x0, y0], 1)[..., None]
    found = np.linalg.solve(np.concatenate(rows, 1), target)[..., 0]
    h = [each[:, None, None] for each in found.T]

    def compute(x: Value) -> Value:
        down, right = _grid(b, x)
        under = h[6] * right + h[7] * down + 1
        places = ((h[3] * right + h[4] * down + h[5]) / under,
                  (h[0] * right + h[1] * down + h[2]) / under)  # fmt: skip
        return _pixels(b, x, places, _ORDERS[interpolation], "constant", fill_value)

    return over_images(b, images, data_format, compute)


def _scaled(
    b: Builder, size: int, target: int, scale: float, shift: float, kernel: Any, smooth: bool
) -> Array:
    """Return the matrix ``[size, target]`` of ``jax.image.scale_and_translate``."""
    b.hold(size, target)
    position = (np.arange(target) + 0.5) / scale - shift / scale - 0.5
    wide = max(1 / scale, 1) if smooth else 1
    weights = kernel(np.abs(position - np.arange(size)[:, None]) / wide)
    sums = weights.sum(axis=0)
    weights = np.where(np.abs(sums) > 1e-4, weights / np.where(sums == 0, 1, sums), 0)
    return np.where((position >= -0.5) & (position <= size - 0.5), weights, 0).astype(np.float32)


@operation("scale_and_translate")
def scale_and_translate(
    b: Builder, images: Operand, output_shape: Any, scale: Any, translation: Any,
    spatial_dims: Any, method: str, antialias: Any = True,
) -> Value:  # fmt: skip
    """Return images scaled and moved along axes."""
    x = f.real(b, images)
    if isinstance(scale, Value) or isinstance(translation, Value):
        raise Refusal("a scale computed at run time")
    kernel = KERNELS.get({"linear": "bilinear", "cubic": "bicubic"}.get(method, method))
    if kernel is None:
        raise Refusal(f"the interpolation '{method}'")
    letters = "abcdefgh"[: x.rank]
    for axis, by, shift in zip(spatial_dims, np.ravel(scale), np.ravel(translation), strict=True):
        at = int(axis) % x.rank
        size = x.shape[at]
        if size is None:
            raise StaticShapeNeeded("scaling an axis of unknown size")
        matrix = _scaled(b, size, int(output_shape[at]), float(by), float(shift), kernel,
                         bool(antialias))  # fmt: skip
        x = einsum(b, f"{letters},{letters[at]}z->{letters.replace(letters[at], 'z')}", x, matrix)
    return x
