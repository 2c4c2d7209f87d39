"""Convolutions, pooling, products, normalisation, and what tfjs fuses with them.

A window is never copied: a convolution is a sum over the places of its kernel, each a product of a
slice of the input. So memory is bounded by the input and the result. Channels are last; where they
are first, :func:`in_both_formats` moves them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from tfjs_codec.graph.kernels.arithmetic import elu, leaky_relu, prelu, relu, relu6, sigmoid
from tfjs_codec.graph.kernels.core import Kernel, KernelError, in_both_formats, ints
from tfjs_codec.ir.graph import Attrs
from tfjs_codec.ir.tensors import Array

_Pairs = Sequence[tuple[int, int]]


def _spatial(attrs: Attrs, key: str) -> list[int]:
    """Return a list attribute without its entries for batch and channels."""
    values = [int(value) for value in attrs[key]]
    if values[0] != 1 or values[-1] != 1:
        raise KernelError(key)
    return values[1:-1]


def _span(axes: Iterable[slice]) -> tuple[slice, ...]:
    """Return the index of a part of an image in every picture of a batch."""
    return (slice(None), *axes)


def _paddings(
    attrs: Attrs, lengths: Sequence[int], reach: Sequence[int], strides: Sequence[int]
) -> _Pairs:
    """Return the zeros before and after each axis."""
    if attrs["padding"] == b"VALID":
        return [(0, 0)] * len(lengths)
    if attrs["padding"] == b"EXPLICIT":
        flat = [int(value) for value in attrs["explicit_paddings"]][2:-2]
        return list(zip(flat[::2], flat[1::2], strict=True))
    totals = (
        max((-(-n // stride) - 1) * stride + size - n, 0)
        for n, size, stride in zip(lengths, reach, strides, strict=True)
    )
    return [(total // 2, total - total // 2) for total in totals]


def _taps(
    x: Array,
    sizes: Sequence[int],
    attrs: Attrs,
    *,
    rates: Sequence[int] | None = None,
    fill: float = 0,
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Yield each place of a kernel of *sizes*, and the part of *x* that it is applied to."""
    strides = _spatial(attrs, "strides")
    rates = rates or [1] * len(sizes)
    reach = [(size - 1) * rate + 1 for size, rate in zip(sizes, rates, strict=True)]
    pads = _paddings(attrs, x.shape[1:-1], reach, strides)
    if any(pad != (0, 0) for pad in pads):
        x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=x.dtype.type(fill))
    counts = [
        (n - size) // stride + 1
        for n, size, stride in zip(x.shape[1:-1], reach, strides, strict=True)
    ]
    if min(counts) < 1:
        raise KernelError("the window does not fit")
    for tap in product(*map(range, sizes)):
        spans = zip(tap, rates, counts, strides, strict=True)
        at = (slice(t * r, t * r + (c - 1) * s + 1, s) for t, r, c, s in spans)
        yield tap, x[_span(at)]


def _convolve(attrs: Attrs, x: Array, kernel: Array) -> Array:
    """Convolve with (*sizes, channels, filters); fewer channels than *x* has are groups."""
    groups, rest = divmod(x.shape[-1], kernel.shape[-2])
    if rest or not groups or kernel.shape[-1] % groups:
        raise KernelError("channels")
    if groups > 1:
        pairs = zip(np.split(x, groups, -1), np.split(kernel, groups, -1), strict=True)
        return np.concatenate([_convolve(attrs, *pair) for pair in pairs], -1)
    result: Any = None
    for tap, part in _taps(x, kernel.shape[:-2], attrs, rates=_spatial(attrs, "dilations")):
        shape = (*part.shape[:-1], kernel.shape[-1])
        term = part.reshape(-1, part.shape[-1]) @ kernel[tap]
        result = term if result is None else np.add(result, term, out=result)
    return np.asarray(result).reshape(shape)


def _convolve_depthwise(attrs: Attrs, x: Array, kernel: Array) -> Array:
    """Convolve each channel by itself with (height, width, channels, multiplier)."""
    result: Any = None
    for tap, part in _taps(x, kernel.shape[:2], attrs, rates=_spatial(attrs, "dilations")):
        term = part[..., None] * kernel[tap]
        result = term if result is None else np.add(result, term, out=result)
    return np.asarray(result).reshape(*result.shape[:-2], -1)


def _backpropagate(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """The transposed convolution: what *x* adds to an image of the size asked for."""
    shape, kernel, x = ints(inputs[0]), inputs[1], inputs[2]
    if any(rate != 1 for rate in _spatial(attrs, "dilations")):
        raise KernelError("dilations")
    strides, sizes = _spatial(attrs, "strides"), kernel.shape[:-2]
    pads = _paddings(attrs, shape[1:-1], sizes, strides)
    whole = [
        max(n + before + after, (steps - 1) * stride + size)
        for n, (before, after), steps, stride, size in zip(
            shape[1:-1], pads, x.shape[1:-1], strides, sizes, strict=True
        )
    ]
    result = np.zeros((len(x), *whole, kernel.shape[-2]), x.dtype)
    for tap in product(*map(range, sizes)):
        spans = zip(tap, x.shape[1:-1], strides, strict=True)
        at = (slice(t, t + (n - 1) * s + 1, s) for t, n, s in spans)
        result[_span(at)] += x @ kernel[tap].T
    cuts = zip(pads, shape[1:-1], strict=True)
    inner = (slice(before, before + n) for (before, _), n in cuts)
    return [result[_span(inner)]]


def _dilate(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, kernel = inputs
    parts = _taps(x, kernel.shape[:2], attrs, rates=_spatial(attrs, "rates"), fill=-np.inf)
    return [_largest(part + kernel[tap] for tap, part in parts)]


def _largest(parts: Iterator[Array]) -> Array:
    result: Any = next(parts).copy()
    for part in parts:
        np.maximum(result, part, out=result)
    return np.asarray(result)


def _pool_max(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    (x,) = inputs
    parts = _taps(x, _spatial(attrs, "ksize"), attrs, fill=-np.inf)
    return [_largest(part for _, part in parts)]


def _pool_average(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """The mean of the elements of the window that are inside the input."""
    x, sizes = inputs[0], _spatial(attrs, "ksize")
    ones = np.ones((1, *x.shape[1:-1], 1), x.dtype)
    count: Any = sum(part for _, part in _taps(ones, sizes, attrs))
    total: Any = sum(part for _, part in _taps(x, sizes, attrs))
    return [np.asarray(total / count, x.dtype)]


# --- Products -------------------------------------------------------------------------------------


def _multiply(x: Any, y: Any, transpose_x: bool, transpose_y: bool) -> Array:
    x = x.swapaxes(-1, -2) if transpose_x else x
    y = y.swapaxes(-1, -2) if transpose_y else y
    return np.asarray(np.matmul(x, y))


def _mat_mul(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, y = inputs
    return [_multiply(x, y, attrs["transpose_a"], attrs["transpose_b"])]


def _batch_mat_mul(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, y = inputs
    return [_multiply(x, y, attrs["adj_x"], attrs["adj_y"])]


def _einsum(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    equation = attrs["equation"].decode()
    return [np.asarray(np.einsum(equation, *inputs, optimize=True), inputs[0].dtype)]


def _solve(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    matrix, right = inputs
    matrix = np.conj(matrix).swapaxes(-1, -2) if attrs["adjoint"] else matrix
    return [np.linalg.solve(matrix, right)]


def _invert(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    inverse = np.linalg.inv(inputs[0])
    return [np.conj(inverse).swapaxes(-1, -2) if attrs["adjoint"] else inverse]


# --- Normalisation --------------------------------------------------------------------------------


def _normalise_batch(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Normalise by the moments given, or with ``is_training`` by those of the batch."""
    x, scale, offset, mean, variance = inputs
    unbiased = variance
    if attrs["is_training"]:
        axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
        mean, variance = x.mean(axes, dtype=scale.dtype), x.var(axes, dtype=scale.dtype)
        unbiased = np.asarray(variance * (count / max(count - 1, 1)), scale.dtype)
    factor = scale / np.sqrt(variance + variance.dtype.type(attrs["epsilon"]))
    result = (x - mean) * factor + offset
    return [np.asarray(result, x.dtype), mean, unbiased, mean, variance, mean]


def _normalise_response(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, radius = inputs[0], int(attrs["depth_radius"])
    total = np.cumsum(np.pad(np.square(x), [*[(0, 0)] * 3, (radius + 1, radius)]), -1)
    near = total[..., 2 * radius + 1 :] - total[..., : x.shape[-1]]
    return [np.asarray(x / (attrs["bias"] + attrs["alpha"] * near) ** attrs["beta"], x.dtype)]


def _softmax(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    shifted = np.exp(inputs[0] - inputs[0].max(-1, keepdims=True))
    return [shifted / shifted.sum(-1, keepdims=True)]


def _log_softmax(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    shifted = inputs[0] - inputs[0].max(-1, keepdims=True)
    return [shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))]


# --- Fused ----------------------------------------------------------------------------------------


def _fuse(function: Callable[[Attrs, Array, Array], Array]) -> Kernel:
    """A product with ``fused_ops`` after it, which take the inputs after the first two."""

    def kernel(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
        result: Any = function(attrs, inputs[0], inputs[1])
        others = iter(inputs[2:])
        for op in attrs["fused_ops"]:
            if op == b"NoOp":
                continue
            if op == b"BiasAdd":
                result = result + next(others)
            elif op == b"Prelu":
                result = prelu(result, next(others))
            elif op == b"LeakyRelu":
                result = leaky_relu(result, attrs["leakyrelu_alpha"])
            elif op in _ACTIVATIONS:
                result = _ACTIVATIONS[op](result)
            else:
                raise KernelError(f"fused {op.decode()}")
        return [result]

    return kernel


_ACTIVATIONS: dict[bytes, Callable[[Array], Array]] = {
    b"Elu": elu,
    b"Relu": relu,
    b"Relu6": relu6,
    b"Sigmoid": sigmoid,
}

_CONVOLVE = in_both_formats(lambda attrs, inputs: [_convolve(attrs, *inputs)])
_NORMALISE = in_both_formats(lambda attrs, inputs: _normalise_batch(attrs, inputs)[:5])

KERNELS: dict[str, Kernel] = {
    "AvgPool": in_both_formats(_pool_average),
    "AvgPool3D": in_both_formats(_pool_average),
    "BatchMatMul": _batch_mat_mul,
    "BatchMatMulV2": _batch_mat_mul,
    "Cholesky": lambda _, inputs: [np.linalg.cholesky(inputs[0])],
    "Conv2D": _CONVOLVE,
    "Conv2DBackpropInput": in_both_formats(_backpropagate, 2),
    "Conv3DBackpropInputV2": in_both_formats(_backpropagate, 2),
    "Conv3D": _CONVOLVE,
    "DepthwiseConv2dNative": in_both_formats(
        lambda attrs, inputs: [_convolve_depthwise(attrs, *inputs)]
    ),
    "Dilation2D": _dilate,
    "Einsum": _einsum,
    "FusedBatchNorm": _NORMALISE,
    "FusedBatchNormV2": _NORMALISE,
    "FusedBatchNormV3": in_both_formats(_normalise_batch),
    "FusedDepthwiseConv2dNative": _fuse(_convolve_depthwise),
    "LRN": _normalise_response,
    "LogSoftmax": _log_softmax,
    "LogMatrixDeterminant": lambda _, inputs: np.linalg.slogdet(inputs[0]),
    "MatMul": _mat_mul,
    "MatrixDeterminant": lambda _, inputs: [np.asarray(np.linalg.det(inputs[0]))],
    "MatrixInverse": _invert,
    "MatrixSolve": _solve,
    "MaxPool": in_both_formats(_pool_max),
    "MaxPool3D": in_both_formats(_pool_max),
    "Softmax": _softmax,
    "_FusedConv2D": in_both_formats(_fuse(_convolve)),
    "_FusedMatMul": _fuse(
        lambda attrs, a, b: _multiply(a, b, attrs["transpose_a"], attrs["transpose_b"])
    ),
}
