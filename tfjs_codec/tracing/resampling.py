"""Resizing along one axis, as a matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.tensors import FormulaTensor, LazyTensor, formula
from tfjs_codec.tracing.builder import CallBuilder
from tfjs_codec.tracing.refusal import Refusal

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
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


_BLOCK_VALUES = 1 << 17  # computed at a time
KERNELS: dict[str, Kernel] = {
    "bilinear": lambda x: np.maximum(1 - x, 0),
    "bicubic": _cubic(0, 0.5),
    "mitchellcubic": _cubic(1 / 3, 1 / 3),
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
    "gaussian": lambda x: np.where(x < 1.5, np.exp(-2 * x**2), 0),
}


def _rounded_by(size: int, target: int, grid: int) -> float:
    """Return how far *grid* moves a position at most; weights change by no more than that."""
    position = (np.arange(target) + 0.5) * (size / target) - 0.5
    return float(np.abs(np.round(position * grid) / grid - position).max())


def resize_matrix(
    size: int, target: int, method: str, *, antialias: bool = False, grid: int = 0
) -> LazyTensor:
    """Return the matrix ``[size, target]`` of a one-dimensional resize.

    ``tf.image.resize`` and ``jax.image.resize``: half-pixel centres; weights that fall outside
    are shared among the others. *grid* rounds positions to this part of a pixel, as
    TensorFlow's bicubic kernel does (``core/kernels/image/resize_bicubic_op.cc``: 1024).
    """
    scale = size / target
    if method == "nearest":

        def nearest(i: Places, j: Places) -> NDArray[np.bool_]:
            return np.asarray(np.minimum(np.floor((j + 0.5) * scale), size - 1) == i)

        return formula((size, target), nearest)
    if method == "area":

        def share(i: Places, j: Places) -> Floats:
            covered = np.minimum(j * scale + scale, i + 1) - np.maximum(j * scale, i)
            return np.asarray(np.maximum(covered / scale, 0))

        return formula((size, target), share)
    if method not in KERNELS:
        raise Refusal(f"resizing by '{method}' interpolation")

    def weight(i: Places, j: Places) -> Floats:
        position = (j + 0.5) * scale - 0.5
        if grid:
            position = np.round(position * grid) / grid
        return KERNELS[method](np.abs(position - i) / (max(scale, 1) if antialias else 1))

    def prepare() -> Callable[[Places, Places], Floats]:
        block, rows = max(1, _BLOCK_VALUES // size), np.arange(size)[:, None]
        columns = (np.arange(at, min(at + block, target)) for at in range(0, target, block))
        sums = np.concatenate([weight(rows, j).sum(axis=0) for j in columns])
        return lambda i, j: weight(i, j) / sums[j]

    return FormulaTensor(f"resize by {method}", (size, target), prepare)


def keras_resize_matrix(
    b: CallBuilder, size: int, target: int, method: str, *, antialias: bool
) -> LazyTensor:
    """Return the matrix ``[size, target]`` by which Keras resizes.

    Raises:
        Refusal: The backends of Keras differ, and approximate formulas are not allowed.
    """
    if method != "bicubic" or antialias:
        return resize_matrix(size, target, method, antialias=antialias)
    b.spend_bytes(4 * target)
    if b.generation == 3 and _rounded_by(size, target, 1024) > 1e-5:
        b.approximate("TensorFlow rounds the positions of bicubic resizing, JAX does not")
    return resize_matrix(size, target, method, grid=1024)
