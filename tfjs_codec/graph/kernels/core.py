"""The type of kernels, their error, and the bound on their allocations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from math import inf, prod
from typing import Any

import numpy as np

from tfjs_codec.ir.graph import Attrs
from tfjs_codec.ir.tensors import Array

# Attributes and inputs of a node to its outputs. Lists, arrays and tables of TensorFlow are Python
# objects among the tensors.
Kernel = Callable[[Attrs, Sequence[Any]], Sequence[Any]]

# Results may be this large, whatever they are computed from.
GROWTH_BYTES: ContextVar[float] = ContextVar("GROWTH_BYTES", default=inf)


class KernelError(Exception):
    """The operation has no kernel, or TensorFlow would fail, or the result would be too large."""


def bound(shape: Iterable[int], dtype: np.dtype[Any], inputs: Sequence[Array]) -> None:
    """Refuse a result of *shape* that is large and larger than *inputs* together."""
    nbytes = prod(int(size) for size in shape) * dtype.itemsize
    distinct = {id(array): array.nbytes for array in inputs}
    if nbytes > max(GROWTH_BYTES.get(), sum(distinct.values())):
        raise KernelError(f"{nbytes:,} bytes")


def numpy_dtype(attrs: Attrs, key: str) -> np.dtype[Any]:
    """Return the numpy dtype that attribute *key* names, if numpy has it."""
    try:
        return np.dtype(attrs[key])
    except TypeError:  # bfloat16, string
        raise KernelError(str(attrs[key])) from None


def ints(array: Array) -> list[int]:
    """Return the values of a shape, or of axes."""
    return [int(item) for item in np.asarray(array).reshape(-1)]


def normalise_axis(value: int, rank: int) -> int:
    """Return axis *value* counted from the front."""
    if not -rank <= value < max(rank, 1):
        raise KernelError(f"axis {value} of rank {rank}")
    return value % rank if rank else 0


def in_both_formats(kernel: Kernel, image: int = 0) -> Kernel:
    """Return *kernel*, also for channels first; *image* is the number of the input that has them.

    Before it there may be the shape of another image.
    """

    def run(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
        if not attrs.get("data_format", b"").startswith(b"NC"):
            return kernel(attrs, inputs)
        changed = dict(attrs)
        for key in ("strides", "ksize", "dilations"):
            if key in attrs:
                batch, channels, *spatial = attrs[key]
                changed[key] = (batch, *spatial, channels)
        if explicit := attrs.get("explicit_paddings"):
            changed["explicit_paddings"] = (*explicit[:2], *explicit[4:], *explicit[2:4])
        given = list(inputs)
        given[image] = np.moveaxis(given[image], 1, -1)
        if image:
            batch, channels, *spatial = ints(given[0])
            given[0] = np.array([batch, *spatial, channels])
        result, *others = kernel(changed, given)
        return [np.moveaxis(result, -1, 1), *others]

    return run
