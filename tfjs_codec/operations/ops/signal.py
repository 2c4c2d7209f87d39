"""Complex numbers, Fourier transforms and frames of signals.

A transform is a product with a matrix of constants: wasm has no kernel for transforms, and the
other backends none for every length. Long ones are split into two short ones (Cooley and Tukey).
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.tensors import Array
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.linalg import matmul
from tfjs_codec.operations.ops.shapes import arange as arange_
from tfjs_codec.operations.ops.shapes import (
    dynamic_shape,
    expand_dims,
    reshape,
    size_of,
    stack,
    swapaxes,
    zeros_like,
)
from tfjs_codec.operations.ops.slicing import gather, pad, slice_axis, unstack
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded

# ---------------------------------------------------------------------------- complex numbers


def _is_complex(x: Value) -> bool:
    return x.dtype.startswith("complex")


def _part(b: Builder, op: str, x: Value) -> Value:
    return b.emit(op, x, dtype="float32", Tout="float32")


def join(b: Builder, real_part: Value, imaginary: Value) -> Value:
    """Return complex numbers of two parts."""
    parts = real_part, imaginary
    return b.emit("Complex", *parts, dtype="complex64", T="float32", Tout="complex64")


@operation("real")
def real(b: Builder, x: Operand) -> Value:
    """Return the real parts."""
    x = b.value(x)
    return _part(b, "Real", x) if _is_complex(x) else x


@operation("imag")
def imag(b: Builder, x: Operand) -> Value:
    """Return the imaginary parts."""
    x = b.value(x)
    return _part(b, "Imag", x) if _is_complex(x) else zeros_like(b, x)


@operation("conj", "conjugate")
def conj(b: Builder, x: Operand) -> Value:
    """Return the complex conjugates."""
    x = b.value(x)
    return join(b, real(b, x), a.negative(b, imag(b, x))) if _is_complex(x) else x


@operation("angle")
def angle(b: Builder, x: Operand) -> Value:
    """Return the angles of complex numbers; π of negative ones."""
    x = b.value(x)
    if _is_complex(x):
        return f.arctan2(b, imag(b, x), real(b, x))
    x = f.real(b, x)
    flat = a.where(b, a.less(b, x, 0), np.float32(np.pi), np.float32(0))
    return a.where(b, f.isnan(b, x), x, flat)


@operation("view_as_complex")
def view_as_complex(b: Builder, x: Operand) -> Value:
    """Return the pairs of the last axis as complex numbers."""
    return join(b, *unstack(b, b.value(x, "float32"), axis=-1))


@operation("view_as_real")
def view_as_real(b: Builder, x: Operand) -> Value:
    """Return complex numbers as pairs in a new last axis."""
    return stack(b, [real(b, x), imag(b, x)], -1)


@operation("polar")
def polar(b: Builder, abs_: Operand, angle_: Operand) -> Value:  # the names of Keras
    """Return the complex numbers of absolute values and angles."""
    size, turn = a.floats(b, abs_, angle_)
    return join(b, a.multiply(b, size, f.cos(b, turn)), a.multiply(b, size, f.sin(b, turn)))


# --------------------------------------------------------------------------------- transforms

_DIRECT = 128  # sizes up to which the matrix of a transform is one constant
_LARGEST = 2048  # sizes of the largest matrix: 16 MB each

Parts = tuple[Value, "Value | None"]  # real and imaginary; None where that is zero


def _roots(
    b: Builder, rows: int, columns: int, size: int, sign: int, weigh: Any = lambda _: 1
) -> tuple[Value, Value]:
    """Return both parts of weigh(i) · exp(sign · 2πi · i · j / size) for all rows and columns."""

    def angle(i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(sign * 2 * np.pi / size * (i * j % size))

    return (
        b.formula((rows, columns), lambda i, j: weigh(i) * np.cos(angle(i, j))),
        b.formula((rows, columns), lambda i, j: weigh(i) * np.sin(angle(i, j))),
    )


def _times(b: Builder, x: Parts, roots: tuple[Value, Value], combine: Any) -> Parts:
    """Return the product of complex numbers and roots; *combine* is that of real ones."""
    cos, sin = roots
    given, other = x
    if other is None:
        return combine(b, given, cos), combine(b, given, sin)
    return (
        a.subtract(b, combine(b, given, cos), combine(b, other, sin)),
        a.add(b, combine(b, given, sin), combine(b, other, cos)),
    )


def _each(function: Any, x: Parts) -> Parts:
    return function(x[0]), None if x[1] is None else function(x[1])


def transform(b: Builder, x: Parts, size: int, bins: int, sign: int = -1) -> Parts:
    """Return the first *bins* of the unscaled transform of the last axis, which has *size*."""
    split = next(i for i in range(isqrt(size), 0, -1) if size % i == 0)
    rest = size // split
    if size <= _DIRECT or split == 1:
        if size > _LARGEST:
            raise Refusal(f"a Fourier transform of the size {size}", "Use a power of 2.")
        return _times(b, x, _roots(b, size, bins, size, sign), matmul)
    if rest > _LARGEST:
        raise Refusal(f"a Fourier transform of the size {size}", "Use a power of 2.")
    outer = dynamic_shape(b, x[0])[:-1]
    y = _each(lambda part: reshape(b, part, [*outer, split, rest]), x)
    y = _each(lambda part: swapaxes(b, part, -1, -2), y)
    y = _times(b, y, _roots(b, split, split, split, sign), matmul)
    y = _times(b, y, _roots(b, rest, split, size, sign), a.multiply)
    y = _each(lambda part: swapaxes(b, part, -1, -2), y)
    y = _times(b, y, _roots(b, rest, rest, rest, sign), matmul)
    y = _each(lambda part: swapaxes(b, part, -1, -2), y)
    y = _each(lambda part: reshape(b, part, [*outer, size]), y)
    return y if bins == size else _each(lambda p: slice_axis(b, p, p.rank - 1, 0, bins), y)


def _pair(b: Builder, x: Any) -> list[Value]:
    if not isinstance(x, list | tuple) or len(x) != 2:
        raise Refusal("a transform of anything but a pair of real and imaginary parts")
    return [b.value(part, "float32") for part in x]


def _known(x: Value, axis: int = -1) -> int:
    size = x.shape[axis]
    if size is None:
        raise StaticShapeNeeded("a Fourier transform of an unknown size")
    return size


def _along(b: Builder, x: Parts, axis: int, sign: int) -> Parts:
    """Transform one axis, unscaled."""
    size = _known(x[0], axis)
    turned = _each(lambda part: swapaxes(b, part, axis, -1), x) if axis != -1 else x
    made = transform(b, turned, size, size, sign)
    return _each(lambda part: swapaxes(b, part, axis, -1), made) if axis != -1 else made


def _both(made: Parts) -> list[Value]:
    assert made[1] is not None
    return [made[0], made[1]]


@operation("fft")
def fft(b: Builder, x: Any) -> list[Value]:
    """Return the Fourier transform of the last axis; values are pairs of parts."""
    real_part, imaginary = _pair(b, x)
    return _both(_along(b, (real_part, imaginary), -1, -1))


@operation("fft2")
def fft2(b: Builder, x: Any) -> list[Value]:
    """Return the Fourier transform of the last two axes."""
    real_part, imaginary = _pair(b, x)
    return _both(_along(b, _along(b, (real_part, imaginary), -1, -1), -2, -1))


@operation("ifft2")
def ifft2(b: Builder, x: Any) -> list[Value]:
    """Return the inverse transform of the last two axes."""
    real_part, imaginary = _pair(b, x)
    made = _along(b, _along(b, (real_part, imaginary), -1, 1), -2, 1)
    scale = 1 / (_known(real_part) * _known(real_part, -2))
    return [a.multiply(b, part, scale) for part in _both(made)]


def _fit(b: Builder, x: Value, size: int) -> Value:
    """Cut or pad the last axis to *size*."""
    have, last = _known(x), x.rank - 1
    if have > size:
        return slice_axis(b, x, last, 0, size)
    return pad(b, x, [(0, 0)] * last + [(0, size - have)])


@operation("rfft")
def rfft(b: Builder, x: Operand, fft_length: Any = None) -> list[Value]:
    """Return the first half of the Fourier transform of real numbers."""
    x = b.value(x, "float32")
    size = _known(x) if fft_length is None else int(fft_length)
    return _both(transform(b, (_fit(b, x, size), None), size, size // 2 + 1))


@operation("irfft")
def irfft(b: Builder, x: Any, fft_length: Any = None) -> Value:
    """Return the real numbers whose transform begins with *x*."""
    given, other = _pair(b, x)
    size = 2 * (_known(given) - 1) if fft_length is None else int(fft_length)
    given, other = (_fit(b, part, size // 2 + 1) for part in (given, other))

    # Each bin but the first, and that in the middle of an even length, stands for two.
    def weigh(i: Array) -> Array:
        return np.where((i == 0) | (2 * i == size), 1, 2) / size

    cos, sin = _roots(b, size // 2 + 1, size, size, 1, weigh)
    return a.subtract(b, matmul(b, given, cos), matmul(b, other, sin))


# ------------------------------------------------------------------------------------- frames


@operation("extract_sequences")
def extract_sequences(b: Builder, x: Operand, sequence_length: int, sequence_stride: int) -> Value:
    """Return frames of the last axis, which may overlap."""
    x = b.value(x)
    size, last = x.shape[-1], x.rank - 1
    if size is not None:
        count = max(0, 1 + (size - sequence_length) // sequence_stride)
        shape = (count, sequence_length)
        places = b.formula(shape, lambda i, j: i * sequence_stride + j, "int32")
        return gather(b, x, places, last)
    offsets = b.formula((sequence_length,), lambda i: i, "int32")
    rest = a.subtract(b, size_of(b, x, last), sequence_length - sequence_stride)
    number = a.floor_divide(b, rest, sequence_stride)
    first = a.multiply(b, arange_(b, 0, number, 1, "int32"), sequence_stride)
    return gather(b, x, a.add(b, expand_dims(b, first, 1), offsets), last)


def _window(b: Builder, window: Any, size: int, fft_length: int) -> Array:
    """Return the weights of a frame of *fft_length*, with *size* of them in the middle."""
    b.hold(fft_length)
    b.hold(size)
    if window is None:
        return np.ones(fft_length)
    if isinstance(window, str):
        low = {"hann": 0.5, "hamming": 0.54}.get(window)
        if low is None:
            raise Refusal(f"the window '{window}'")
        weights = low - (1 - low) * np.cos(2 * np.pi * np.arange(size) / size)
    else:
        weights = np.asarray(window, np.float64)
    before = (fft_length - size) // 2
    return np.pad(weights, (before, fft_length - size - before))


@operation("stft")
def stft(
    b: Builder, x: Operand, sequence_length: int, sequence_stride: int, fft_length: int,
    window: Any = "hann", center: Any = True,
) -> list[Value]:  # fmt: skip
    """Return the Fourier transforms of frames, weighted by a window."""
    x = b.value(x, "float32")
    if isinstance(window, Value):
        raise Refusal("a window computed at run time")
    if center:
        half = fft_length // 2
        x = pad(b, x, [(0, 0)] * (x.rank - 1) + [(half, half)], "reflect")
    frames = extract_sequences(b, x, fft_length, sequence_stride)
    weights = _window(b, window, sequence_length, fft_length).astype(np.float32)
    return rfft(b, a.multiply(b, frames, weights) if window is not None else frames)


@operation("istft")
def istft(
    b: Builder, x: Any, sequence_length: int, sequence_stride: int, fft_length: int,
    length: int | None = None, window: Any = "hann", center: Any = True,
) -> Value:  # fmt: skip
    """Return the signal whose frames have the transforms *x*."""
    if window is None or isinstance(window, Value):
        raise Refusal("istft without a window: backends of Keras scale it differently")
    frames = irfft(b, x, fft_length)
    weights = _window(b, window, sequence_length, fft_length)
    count = frames.shape[-2]
    if count is None:
        raise StaticShapeNeeded("istft of an unknown number of frames")
    norm: Any = np.zeros(fft_length + sequence_stride * (count - 1))
    for i in range(count):
        at = slice(i * sequence_stride, i * sequence_stride + fft_length)
        norm[at] = norm[at] + weights**2
    y = overlap(b, a.multiply(b, frames, weights.astype(np.float32)), sequence_stride)
    y = a.divide(b, y, np.where(norm > 1e-10, norm, 1.0).astype(np.float32))
    start = fft_length // 2 if center else 0
    stop = start + length if length is not None else -(fft_length // 2) if center else None
    return slice_axis(b, y, y.rank - 1, start, stop)


def overlap(b: Builder, frames: Value, step: int) -> Value:
    """Return the sum of frames ``(…, count, length)``, each *step* after the one before."""
    size = _known(frames)
    parts = -(-size // step)
    none = [(0, 0)] * (frames.rank - 1)
    padded = pad(b, frames, [*none, (0, parts * step - size)])
    outer = dynamic_shape(b, frames)[:-1]
    total: Value | None = None
    for i, part in enumerate(unstack(b, reshape(b, padded, [*outer, parts, step]), axis=-2)):
        moved = pad(b, part, [*none[:-1], (i, parts - 1 - i), (0, 0)])
        total = moved if total is None else a.add(b, total, moved)
    assert total is not None
    sizes = dynamic_shape(b, total)
    whole = reshape(b, total, [*sizes[:-2], -1])
    count = frames.shape[-2]
    return slice_axis(b, whole, whole.rank - 1, 0, None if count is None else
                      size + step * (count - 1))  # fmt: skip
