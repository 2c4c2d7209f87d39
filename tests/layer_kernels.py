"""The arithmetic of :mod:`layers_interpreter`: what tfjs's kernels compute, in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import log

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Array = np.ndarray


def clip(x: Array, low: float, high: float | None) -> Array:
    top = np.inf if high is None else high
    return np.minimum(np.maximum(x, np.float32(low)), np.float32(top))


def softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _log_softmax(x: Array) -> Array:
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _erf(x: Array) -> Array:
    """Abramowitz and Stegun 7.1.26, as tfjs computes it."""
    t = 1 / (1 + np.float32(0.3275911) * np.abs(x))
    terms = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
    poly = sum(np.float32(a) * t ** (power + 1) for power, a in enumerate(terms))
    return np.sign(x) * (1 - poly * np.exp(-x * x))


def _softplus(x: Array) -> Array:
    """Linear from 13.9 on and exponential below -13.9."""
    threshold = log(1.1920928955078125e-7) + 2
    middle = np.log(1 + np.exp(x))
    return np.where(x > -threshold, x, np.where(x < threshold, np.exp(x), middle))


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _elu(x: Array) -> Array:
    return np.where(x >= 0, x, np.exp(x) - 1)


def _selu(x: Array) -> Array:
    scale, scale_alpha = np.float32(1.0507009873554805), np.float32(1.7580993408473768)
    return np.where(x >= 0, scale * x, scale_alpha * (np.exp(x) - 1))


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, np.float32(0)),
    "relu6": lambda x: clip(x, 0, 6),
    "sigmoid": _sigmoid,
    "hard_sigmoid": lambda x: clip(np.float32(0.5) + np.float32(0.2) * x, 0, 1),
    "tanh": np.tanh,
    "softmax": softmax,
    "log_softmax": _log_softmax,
    "softplus": _softplus,
    "softsign": lambda x: x / (np.abs(x) + 1),
    "elu": _elu,
    "selu": _selu,
    "swish": lambda x: _sigmoid(x) * x,
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "gelu": lambda x: x * (np.float32(0.5) * (1 + _erf(x / np.float32(np.sqrt(2))))),
}


def activation(name: str | None) -> Callable[[Array], Array]:
    return _ACTIVATIONS["linear" if name is None else name]


def normalise_l2(x: Array, axis: int) -> Array:
    return x / np.sqrt(np.maximum(np.square(x).sum(axis, keepdims=True), np.float32(1e-7)))


def batch_dot(x: Array, y: Array, first: int, second: int) -> Array:
    if x.ndim == y.ndim == 2:
        assert first == second == 1
        return (x * y).sum(1)[:, None]
    extra = abs(x.ndim - y.ndim)
    at = x.ndim + y.ndim - 3 if x.ndim > y.ndim else x.ndim - 1
    x, y = (a.reshape(*a.shape, *[1] * (3 - a.ndim)) for a in (x, y))
    x = x if first == 2 else x.swapaxes(1, 2)
    y = y.swapaxes(1, 2) if second == 2 else y
    out = np.matmul(x, y)
    return out.squeeze(at) if extra else out


# ----------------------------------------------------------------------------------- convolution


def _windows(
    x: Array,
    sizes: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilations: Sequence[int],
    value: float = 0.0,
) -> Array:
    """Return the windows of *x* with shape (batch, *steps, channels, *sizes)."""
    reach = [(size - 1) * rate + 1 for size, rate in zip(sizes, dilations, strict=True)]
    if padding == "same":
        widths = [(0, 0)]
        for length, size, stride in zip(x.shape[1:-1], reach, strides, strict=True):
            total = max((-(-length // stride) - 1) * stride + size - length, 0)
            widths.append((total // 2, total - total // 2))
        x = np.pad(x, [*widths, (0, 0)], constant_values=value)
    else:
        assert padding == "valid", padding
    spatial = tuple(range(1, x.ndim - 1))
    found = sliding_window_view(x, reach, spatial)
    steps = tuple(slice(None, None, stride) for stride in strides)
    taps = tuple(slice(None, None, rate) for rate in dilations)
    return found[(slice(None), *steps, slice(None), *taps)]


def convolve(
    x: Array, kernel: Array, strides: Sequence[int], padding: str, dilations: Sequence[int]
) -> Array:
    """Convolve channels-last *x* with (*sizes, channels, filters)."""
    rank = kernel.ndim - 2
    found = _windows(x, kernel.shape[:rank], strides, padding, dilations)
    over = [rank + 1, *range(rank + 2, 2 * rank + 2)]
    return np.tensordot(found, kernel, (over, [rank, *range(rank)]))


def convolve_depthwise(
    x: Array, kernel: Array, strides: Sequence[int], padding: str, dilations: Sequence[int]
) -> Array:
    """Convolve each channel with its own (height, width, channels, multiplier)."""
    found = _windows(x, kernel.shape[:2], strides, padding, dilations)
    y = np.einsum("bijcuv,uvcm->bijcm", found, kernel)
    return y.reshape(*y.shape[:3], -1)


def convolve_transposed(x: Array, kernel: Array, strides: Sequence[int], padding: str) -> Array:
    """Scatter *x* by (*sizes, filters, channels): the gradient of a convolution."""
    rank = kernel.ndim - 2
    sizes = kernel.shape[:rank]
    lengths = x.shape[1:-1]
    whole = [(n - 1) * s + max(k, s) for n, s, k in zip(lengths, strides, sizes, strict=True)]
    y = np.zeros((len(x), *whole, kernel.shape[rank]), np.float32)
    for taps in product(*map(range, sizes)):
        at = (
            slice(tap, tap + (n - 1) * s + 1, s)
            for tap, n, s in zip(taps, lengths, strides, strict=True)
        )
        y[(slice(None), *at)] += x @ kernel[taps].T
    if padding == "valid":
        return y
    first = [max(k - s, 0) // 2 for k, s in zip(sizes, strides, strict=True)]
    crop = (
        slice(start, start + n * s) for start, n, s in zip(first, lengths, strides, strict=True)
    )
    return y[(slice(None), *crop)]


def pool_max(x: Array, sizes: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    found = _windows(x, sizes, strides, padding, [1] * len(sizes), -np.inf)
    return found.max(tuple(range(-len(sizes), 0)))


def pool_average(x: Array, sizes: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """The mean of what is inside the input."""
    over = tuple(range(-len(sizes), 0))
    ones = np.ones((1, *x.shape[1:-1], 1), np.float32)
    count = _windows(ones, sizes, strides, padding, [1] * len(sizes)).sum(over)
    return _windows(x, sizes, strides, padding, [1] * len(sizes)).sum(over) / count
