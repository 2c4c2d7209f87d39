"""Batch normalisations whose vectors make up for each other's rounding.

A channel is multiplied by ``s = gamma / sqrt(variance + epsilon)``, and ``t = beta - mean s`` is
added to it: four vectors say two numbers. So gamma is rounded first, and the variance becomes what
makes s of the gamma that is stored; then beta is rounded, and the mean takes up what that leaves of
t. The last vector of each pair has a narrow range and so fine steps: with 8 bits each an error of
1e-5 remains of s, where vectors that are rounded one by one leave 1e-3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.errors import UsageError
from tfjs_codec.ir.tensors import ArrayTensor, LazyTensor
from tfjs_codec.writers.quantize import Quantizer

# The least gamma to try, relative to the largest: a variance cannot make up for one that becomes 0.
_LEAST = (0.0, 2.0**-6)

_Vector: TypeAlias = "NDArray[np.float64]"
_Round: TypeAlias = Callable[[str, _Vector], _Vector]


class Norm(NamedTuple):
    """A batch normalisation: the names of its vectors, "" for a gamma or a beta it has not."""

    gamma: str
    beta: str
    mean: str
    variance: str
    epsilon: float

    @property
    def names(self) -> tuple[str, ...]:
        """The vectors that there are, none if there is but one for each number."""
        both = self.gamma or self.beta
        return tuple(name for name in self[:4] if name) if both else ()


class _Vectors(NamedTuple):
    """The values of a normalisation."""

    gamma: _Vector
    beta: _Vector
    mean: _Vector
    variance: _Vector

    def combine(self, epsilon: float) -> tuple[_Vector, _Vector]:
        """Return what channels are multiplied by, and what is added to them."""
        scale = self.gamma / np.sqrt(self.variance + epsilon)
        return scale, self.beta - self.mean * scale


def compensate(
    norms: Iterable[Norm], weights: Mapping[str, LazyTensor], dtypes: Mapping[str, str]
) -> dict[str, LazyTensor]:
    """Return the vectors that change, by name, of those *norms* of which all get *dtypes*."""
    changed: dict[str, LazyTensor] = {}
    for norm in norms:
        if norm.names and all(name in dtypes and name in weights for name in norm.names):
            changed |= _improve(norm, weights, dtypes)
    return changed


def _improve(
    norm: Norm, weights: Mapping[str, LazyTensor], dtypes: Mapping[str, str]
) -> dict[str, LazyTensor]:
    """Return vectors that are nearer to *norm* when they are rounded, if there are such."""

    def round_as_stored(name: str, values: _Vector) -> _Vector:
        if not name:
            return values
        tensor = ArrayTensor(name, values.astype(np.float32).reshape(weights[name].shape))
        return Quantizer(name, tensor, dtypes[name]).restore().astype(np.float64).reshape(-1)

    def read(name: str, absent: float) -> _Vector:
        if not name:
            return np.full(weights[norm.mean].size, absent)
        return weights[name].numpy().astype(np.float64).reshape(-1)

    given = _Vectors(*map(read, norm[:4], (1.0, 0.0, 0.0, 1.0)))
    best, least_error = given, np.inf
    with np.errstate(all="ignore"):  # values out of range are told by what they make
        wanted = given.combine(norm.epsilon)
        if not all(np.isfinite(one).all() for one in (*given, *wanted)):
            return {}
        for least in (None, *_LEAST):
            try:
                tried = given if least is None else _make_up(norm, given, least, round_as_stored)
                found = _Vectors(*map(round_as_stored, norm[:4], tried))
            except UsageError:  # the type cannot hold them
                continue
            error = _compare(found.combine(norm.epsilon), wanted)
            if error < least_error:
                best, least_error = tried, error
    return {
        name: ArrayTensor(name, values.astype(np.float32).reshape(weights[name].shape))
        for name, values in zip(norm[:4], best, strict=True)
        if name and best is not given
    }


def _make_up(norm: Norm, given: _Vectors, least: float, round_as_stored: _Round) -> _Vectors:
    """Return vectors of which the last of each pair makes up for the rounding of the first.

    No gamma is less than the part *least* of the largest.
    """
    scale, shift = given.combine(norm.epsilon)
    gamma, beta, _, variance = given
    if norm.gamma:
        sizes = np.maximum(np.abs(scale), least * np.abs(scale).max(initial=0.0))
        gamma = np.where(scale == 0, 0, np.copysign(sizes, scale))
        stored = round_as_stored(norm.gamma, gamma)
        ratio = np.divide(stored, scale, out=np.ones_like(scale), where=scale * stored != 0)
        variance = ratio**2 - norm.epsilon
    gains = round_as_stored(norm.gamma, gamma)
    gains = gains / np.sqrt(round_as_stored(norm.variance, variance) + norm.epsilon)
    if norm.beta:
        beta = shift
    rest = round_as_stored(norm.beta, beta) - shift
    mean = np.divide(rest, gains, out=np.zeros_like(rest), where=gains != 0)
    return _Vectors(gamma, beta, mean, variance)


def _compare(found: tuple[_Vector, _Vector], wanted: tuple[_Vector, _Vector]) -> float:
    """Return the squared error relative to the gain of each channel, and to all shifts."""
    (gain, centre), (scale, shift) = found, wanted
    alive = scale != 0
    error = np.mean(np.square(gain[alive] / scale[alive] - 1)) if alive.any() else 0.0
    error = error + np.sum(np.square(centre - shift)) / (np.sum(np.square(shift)) or 1.0)
    return float(error) if np.isfinite(error) else np.inf
