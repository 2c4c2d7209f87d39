"""Fourier transforms of the last axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfjs_codec.graph.kernels.core import Kernel, ints, numpy_dtype
from tfjs_codec.ir.graph import Attrs
from tfjs_codec.ir.tensors import Array


def _complex(function: Callable[[Any], Any]) -> Kernel:
    def kernel(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
        return [np.asarray(function(inputs[0]), inputs[0].dtype)]

    return kernel


def _real(function: Callable[[Any, int], Any], result: str) -> Kernel:
    """A transform between real and complex numbers; *result* names the attribute of its dtype."""

    def kernel(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
        x, length = inputs
        return [np.asarray(function(x, *ints(length)), numpy_dtype(attrs, result))]

    return kernel


KERNELS: dict[str, Kernel] = {
    "FFT": _complex(np.fft.fft),
    "IFFT": _complex(np.fft.ifft),
    "IRFFT": _real(np.fft.irfft, "Treal"),
    "RFFT": _real(np.fft.rfft, "Tcomplex"),
}
