"""Reductions, running sums and products, and counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfjs_codec.graph.kernels.core import Kernel, KernelError, ints, normalise_axis
from tfjs_codec.ir.graph import Attrs
from tfjs_codec.ir.tensors import Array


def _reduction(function: Callable[..., Any]) -> Kernel:
    def kernel(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
        x, axes = inputs
        over = tuple(normalise_axis(axis, x.ndim) for axis in ints(axes))
        reduced = function(x, axis=over, keepdims=bool(attrs["keep_dims"]))
        return [np.asarray(reduced, x.dtype)]

    return kernel


def _cumulative(function: Callable[..., Any], neutral: int) -> Kernel:
    def kernel(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
        x, axis = inputs
        at = normalise_axis(int(axis.item()), x.ndim)
        moved = np.moveaxis(x, at, 0)
        moved = moved[::-1] if attrs["reverse"] else moved
        if attrs["exclusive"] and len(moved):
            moved = np.concatenate([np.full_like(moved[:1], neutral), moved[:-1]])
        result = function(moved, axis=0, dtype=x.dtype)
        result = result[::-1] if attrs["reverse"] else result
        return [np.moveaxis(result, 0, at)]

    return kernel


def _mean(x: Any, **options: Any) -> Any:
    """TensorFlow's mean of whole numbers is rounded towards zero."""
    return np.trunc(np.mean(x, **options)) if x.dtype.kind in "iu" else np.mean(x, **options)


def _euclidean(x: Any, **options: Any) -> Any:
    return np.sqrt(np.sum(np.square(x), **options))


def _arg(function: Callable[..., Any]) -> Kernel:
    def kernel(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
        x, axis = inputs
        found = function(x, normalise_axis(int(axis.item()), x.ndim))
        return [np.asarray(found, attrs["output_type"])]

    return kernel


def _bincount(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Count the values below *size* in each row; without weights their number, else their sum."""
    x, size, weights = inputs
    if x.size and x.min() < 0:
        raise KernelError("negative values")
    binary = bool(attrs.get("binary_output"))
    result = np.zeros((*x.shape[:-1], int(size.item())), weights.dtype)
    rows = zip(
        x.reshape(-1, x.shape[-1]),
        result.reshape(-1, result.shape[-1]),
        weights.reshape(-1, x.shape[-1]) if weights.size else [None] * x.size,
        strict=False,
    )
    for values, counts, amounts in rows:
        inside = values < len(counts)
        picked = np.ones(len(values), weights.dtype) if amounts is None or binary else amounts
        np.add.at(counts, values[inside], picked[inside])
    return [np.minimum(result, 1).astype(weights.dtype) if binary else result]


KERNELS: dict[str, Kernel] = {
    "All": _reduction(np.all),
    "Any": _reduction(np.any),
    "ArgMax": _arg(np.argmax),
    "ArgMin": _arg(np.argmin),
    "Bincount": _bincount,
    "Cumprod": _cumulative(np.cumprod, 1),
    "Cumsum": _cumulative(np.cumsum, 0),
    "DenseBincount": _bincount,
    "EuclideanNorm": _reduction(_euclidean),
    "Max": _reduction(np.max),
    "Mean": _reduction(_mean),
    "Min": _reduction(np.min),
    "Prod": _reduction(np.prod),
    "Sum": _reduction(np.sum),
}
