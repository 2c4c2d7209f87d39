"""Chooses the dtype of each weight by the error that it makes.

The error of a weight is that of its output channels: the root of the mean, over the channels, of
the squared distance of the restored values relative to the channel's squared values. So a narrow
channel counts as much as a wide one. The values are rounded as they will be stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from tfjs_codec.errors import UsageError
from tfjs_codec.ir.tensors import LazyTensor, as_float32
from tfjs_codec.options import AUTO, ConvertOptions
from tfjs_codec.quantization.channels import Channels
from tfjs_codec.quantization.norms import Norm
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
    channels: Channels,
    options: ConvertOptions,
) -> Choice:
    """Return *choice* with a dtype for what is to be chosen; what stays whole is in ``others``.

    It is the smallest within ``max_error``; or with ``max_bytes`` all start with the smallest, and
    whatever lowers the sum of squared errors most for its bytes gets a larger one while it fits.
    What is no kernel takes part only if the smallest kernels leave too few bytes for it.

    Raises:
        UsageError: The smallest dtypes need more than ``max_bytes``.
    """
    names = [name for name, dtype in choice.dtypes.items() if dtype == AUTO]
    numbers = [name for name in names if weights[name].dtype.kind == "f"]
    found = {
        name: list(_candidates(weights[name], channels.outputs.get(name, (-1,))))
        for name in numbers
    }
    if options.max_bytes is None:
        limit = _MAX_ERROR if options.max_error is None else options.max_error
        chosen = {
            name: next(way.dtype for way in each if way.error <= limit)
            for name, each in found.items()
        }
    else:
        if _count_least(found, choice, weights) > options.max_bytes:
            found |= _round_others(choice.others, weights, channels.norms)
        spare = options.max_bytes - _count_least(found, choice, weights)
        chosen = _fit(found, spare)
    small = {name: dtype for name, dtype in chosen.items() if dtype != WHOLE}
    dtypes = {name: dtype for name, dtype in choice.dtypes.items() if dtype != AUTO} | small
    whole = chosen.keys() - small.keys()
    rest, others = (choice.rest | small.keys()) - whole, (choice.others | whole) - small.keys()
    return choice._replace(dtypes=dtypes, rest=rest, others=others)


def measure(tensor: LazyTensor, dtype: str, out: tuple[int, ...]) -> float:
    """Return the error of *tensor* stored as *dtype*, infinite if that cannot hold its values.

    *out* are neighbouring axes, none for the error of all values together.
    """
    try:
        quantizer = Quantizer(tensor.name, tensor, dtype)
    except UsageError:
        return np.inf
    shape = tensor.shape or (1,)
    axes = sorted(axis % len(shape) for axis in out) or [len(shape)]
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


def _round_others(
    names: Collection[str], weights: Mapping[str, LazyTensor], norms: Iterable[Norm]
) -> dict[str, list[Candidate]]:
    """Return the ways to store those of *names* that are numbers, but are no kernels.

    Vectors of a normalisation that will make up for each other's rounding stay small.
    """
    found = {
        name: list(_candidates(weights[name], ()))
        for name in sorted(names)
        if weights[name].dtype.kind == "f"
    }
    for norm in norms:
        if found.keys() >= set(norm.names):
            found |= {name: found[name][:1] for name in norm.names}
    return found


def _count_least(
    found: Mapping[str, Sequence[Candidate]], choice: Choice, weights: Mapping[str, LazyTensor]
) -> int:
    """Return the bytes of all *weights* if each of *found* is as small as it can be."""
    return sum(
        found[name][0].nbytes
        if name in found
        else tensor.size * _itemsize(choice.dtypes.get(name, ""), tensor)
        for name, tensor in weights.items()
    )


def _itemsize(dtype: str, tensor: LazyTensor) -> int:
    return np.dtype(dtype).itemsize if dtype in _DTYPES else tensor.dtype.itemsize


def _fit(found: Mapping[str, list[Candidate]], left: int) -> dict[str, str]:
    """Return a dtype for each weight that needs together *left* bytes more than the smallest."""
    chosen = {name: ways[0] for name, ways in found.items()}
    if left < 0:
        raise UsageError(
            f"the weights cannot be stored in max_bytes: {-left:,} bytes are missing",
            hint="Raise it, or leave out fewer weights.",
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
