"""Chooses the dtype of each weight by the error that it makes.

The error of a weight is that of its output channels: the root of the mean, over the channels, of
the squared distance of the restored values relative to the channel's squared values. So a narrow
channel counts as much as a wide one. The values are rounded as they will be stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import NamedTuple

import numpy as np

from tfjs_codec.errors import UsageError
from tfjs_codec.ir.tensors import LazyTensor, as_float32
from tfjs_codec.options import AUTO, ConvertOptions
from tfjs_codec.writers.quantize import Quantizer
from tfjs_codec.writers.quantize_choice import Choice

_DTYPES = ("uint8", "uint16", "float16")
WHOLE = "float32"
_MAX_ERROR = 1e-2


class Candidate(NamedTuple):
    """A way to store a weight: bytes, and the error, see :mod:`tfjs_codec.quantization.auto`."""

    dtype: str
    nbytes: int
    error: float


def resolve(
    choice: Choice,
    weights: Mapping[str, LazyTensor],
    outputs: Mapping[str, tuple[int, ...]],
    options: ConvertOptions,
) -> Choice:
    """Return *choice* with a dtype for what is to be chosen; what stays whole is in ``others``.

    It is the smallest within ``max_error``; or with ``max_bytes`` all start with the smallest, and
    whatever lowers the sum of squared errors most for its bytes gets a larger one while it fits.

    Raises:
        UsageError: The smallest dtypes need more than ``max_bytes``.
    """
    names = [name for name, dtype in choice.dtypes.items() if dtype == AUTO]
    numbers = [name for name in names if weights[name].dtype.kind == "f"]
    found = {name: list(_candidates(weights[name], outputs.get(name, (-1,)))) for name in numbers}
    if options.max_bytes is None:
        limit = _MAX_ERROR if options.max_error is None else options.max_error
        chosen = {
            name: next(way.dtype for way in each if way.error <= limit)
            for name, each in found.items()
        }
    else:
        rest = sum(
            tensor.size * _itemsize(choice.dtypes.get(name, ""), tensor)
            for name, tensor in weights.items()
            if name not in found
        )
        ways = {name: list(each) for name, each in found.items()}
        chosen = _fit(ways, options.max_bytes - rest)
    dtypes = {name: dtype for name, dtype in choice.dtypes.items() if dtype != AUTO}
    dtypes |= {name: dtype for name, dtype in chosen.items() if dtype != WHOLE}
    whole = frozenset(name for name, dtype in chosen.items() if dtype == WHOLE)
    return choice._replace(dtypes=dtypes, rest=choice.rest - whole, others=choice.others | whole)


def measure(tensor: LazyTensor, dtype: str, out: tuple[int, ...]) -> float:
    """Return the error of *tensor* stored as *dtype*, infinite if that cannot hold its values.

    *out* are neighbouring axes.
    """
    try:
        quantizer = Quantizer(tensor.name, tensor, dtype)
    except UsageError:
        return np.inf
    shape = tensor.shape or (1,)
    axes = sorted(axis % len(shape) for axis in out)
    inner, channels = prod(shape[axes[-1] + 1 :]), prod(shape[axes[0] : axes[-1] + 1])
    noise, signal = np.zeros(channels), np.zeros(channels)
    start = 0
    for values, restored in quantizer.pairs():
        channel = np.arange(start, start + values.size) // inner % channels
        wide = values.astype(np.float64)
        noise += np.bincount(channel, np.square(restored - wide), channels)
        signal += np.bincount(channel, np.square(wide), channels)
        start += values.size
    alive = signal > 0
    return float(np.sqrt(np.mean(noise[alive] / signal[alive]))) if alive.any() else 0.0


def _candidates(tensor: LazyTensor, out: tuple[int, ...]) -> Iterator[Candidate]:
    """Yield the ways to store *tensor*, the smallest first, each with less error than before."""
    values, least = as_float32(tensor), np.inf
    for dtype in _DTYPES:
        error = measure(values, dtype, out)
        if error < least:
            yield Candidate(dtype, tensor.size * np.dtype(dtype).itemsize, error)
            least = error
    yield Candidate(WHOLE, tensor.size * 4, 0.0)


def _itemsize(dtype: str, tensor: LazyTensor) -> int:
    return np.dtype(dtype).itemsize if dtype in _DTYPES else tensor.dtype.itemsize


def _fit(found: Mapping[str, list[Candidate]], budget: int) -> dict[str, str]:
    """Return a dtype for each weight so that together they need no more than *budget* bytes."""
    chosen = {name: ways[0] for name, ways in found.items()}
    left = budget - sum(each.nbytes for each in chosen.values())
    if left < 0:
        raise UsageError(
            f"the weights cannot be stored in max_bytes: {-left:,} bytes are missing",
            hint="Raise it, or leave fewer weights whole.",
        )
    while True:
        steps = [
            (
                (chosen[name].error ** 2 - way.error**2) / (way.nbytes - chosen[name].nbytes),
                name,
                way,
            )
            for name, ways in found.items()
            for way in ways
            if chosen[name].nbytes < way.nbytes <= chosen[name].nbytes + left
        ]
        gain, name, way = max(steps, key=lambda step: step[0], default=(0.0, "", None))
        if way is None or gain <= 0:
            return {name: each.dtype for name, each in chosen.items()}
        left -= way.nbytes - chosen[name].nbytes
        chosen[name] = way
