"""Resizing along one axis, as a matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.tracing.refusal import Refusal, check_constant

Floats = NDArray[np.float64]
Kernel = Callable[[Floats], Floats]


def _cubic(a: float, c: float) -> Kernel:
    """Return the Mitchell-Netravali kernel; ``a = 0`` is Keys's."""

    def kernel(x: Floats) -> Floats:
        near = ((12 - 9 * a - 6 * c) * x**3 + (-18 + 12 * a + 6 * c) * x**2 + 6 - 2 * a) / 6
        far = (-a - 6 * c) * x**3 + (6 * a + 30 * c) * x**2 + (-12 * a - 48 * c) * x
        far = (far + 8 * a + 24 * c) / 6
        values: Floats = np.where(x < 1, near, np.where(x < 2, far, 0))
        return values

    return kernel


def _lanczos(radius: int) -> Kernel:
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


_KERNELS: dict[str, Kernel] = {
    "bilinear": lambda x: np.maximum(1 - x, 0),
    "bicubic": _cubic(0, 0.5),
    "mitchellcubic": _cubic(1 / 3, 1 / 3),
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
    "gaussian": lambda x: np.where(x < 1.5, np.exp(-2 * x**2), 0),
}


def resize_matrix(
    size: int, target: int, method: str, *, antialias: bool = False, grid: int = 0
) -> NDArray[np.float32]:
    """Return the float32 matrix ``[size, target]`` of a one-dimensional resize.

    ``tf.image.resize`` and ``jax.image.resize``: half-pixel centres; weights that fall outside
    are shared among the others. *grid* rounds positions to this part of a pixel, as
    TensorFlow's bicubic kernel does (``core/kernels/image/resize_bicubic_op.cc``: 1024).
    """
    check_constant(size, target)
    matrix = np.zeros((size, target), np.float32)
    columns, rows = np.arange(target), np.arange(size)[:, None]
    scale = size / target
    position = (columns + 0.5) * scale
    if method == "nearest":
        matrix[np.minimum(np.floor(position).astype(int), size - 1), columns] = 1
        return matrix
    if method == "area":
        start = columns * scale
        weights = np.minimum(start + scale, rows + 1) - np.maximum(start, rows)
        shares: NDArray[np.float32] = np.maximum(weights / scale, 0).astype(np.float32)
        return shares
    if method not in _KERNELS:
        raise Refusal(f"resizing by '{method}' interpolation")
    position -= 0.5
    if grid:
        position = np.round(position * grid) / grid
    weights = _KERNELS[method](np.abs(position - rows) / (max(scale, 1) if antialias else 1))
    normal: NDArray[np.float32] = (weights / weights.sum(axis=0)).astype(np.float32)
    return normal
