"""Factors between weights that make rounding lose less, and change no prediction before it.

Affine quantisation has one step for a whole tensor, so that the channel with the largest weights
decides how finely all others are stored. The factors of a group of channels
(:mod:`tfjs_codec.quantization.channels`) let their ranges meet: a kernel before a batch
normalisation gets all of its output channels equally wide, which is as good as a scale for each
channel and costs no time, because the normalisation multiplies anyway.

What counts is the noise of a kernel's output channel relative to that channel, for inputs of equal
size: rounding adds ``step² / 12`` to the square of a stored weight, whatever the weight, and
dividing by the factors scales it. The mean over the output channels, added up over the kernels of a
group, is the loss. Factors are kept if they lower it. They are rounded to 8 bits, so that they are
the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.tensors import Array, LazyTensor, map_float32
from tfjs_codec.quantization.channels import Group, Member, Vector

MOST_ELEMENTS = 1 << 22  # of a kernel that is rescaled: what is computed for it is in memory
_SWEEPS = 3
_WIDEST = 256.0  # the ratio of factors: activations must stay in the range of float16
_LEAST_GAIN = 0.99  # of the loss, for factors that are worth it

Floats = NDArray[np.float64]


class Kernel(NamedTuple):
    """A kernel; *out* are the axes of its output channels."""

    tensor: LazyTensor
    out: tuple[int, ...]


def rescale(
    groups: Sequence[Group], kernels: Mapping[str, Kernel], weights: Mapping[str, LazyTensor]
) -> dict[str, LazyTensor]:
    """Return the weights that change, by name, so that rounding *kernels* loses least."""
    solver = _Solver(kernels, [group for group in groups if _is_of_use(group, kernels)])
    solver.solve()
    return scale(solver.groups, solver.scales, weights)


def scale(
    groups: Sequence[Group], scales: Sequence[Vector], weights: Mapping[str, LazyTensor]
) -> dict[str, LazyTensor]:
    """Return the weights that take up the factors *scales* of *groups*, by name."""
    changes: dict[str, list[tuple[Member, Vector]]] = {}
    for group, factors in zip(groups, scales, strict=True):
        if (factors != 1).any():
            for member in group.members:
                changes.setdefault(member.weight, []).append((member, factors))
    return {name: _multiply(weights[name], found) for name, found in changes.items()}


def _is_of_use(group: Group, kernels: Mapping[str, Kernel]) -> bool:
    found = [kernels[each.weight] for each in group.members if each.weight in kernels]
    small = all(kernel.tensor.size <= MOST_ELEMENTS for kernel in found)
    return group.size > 1 and bool(found) and small


def _multiply(tensor: LazyTensor, changes: Sequence[tuple[Member, Vector]]) -> LazyTensor:
    def multiplied(values: Array) -> Array:
        result: Floats = values.astype(np.float64)
        for member, channels in changes:
            factors = member.factors(channels)
            if member.epsilon is None:
                result = result * factors
            else:
                result = (result + member.epsilon) * factors**2 - member.epsilon
        return result.astype(np.float32)

    return map_float32(tensor, tensor.shape, multiplied)


@dataclass(slots=True)
class _Solver:
    """Looks for the factors of one group after the other, as long as that helps."""

    kernels: Mapping[str, Kernel]
    groups: list[Group]
    scales: list[Vector] = field(init=False)

    def __post_init__(self) -> None:
        self.scales = [np.ones(group.size) for group in self.groups]

    def solve(self) -> None:
        for _ in range(_SWEEPS):
            better = [self._improve(number) for number in range(len(self.groups))]
            if not any(better):
                return

    def _improve(self, number: int) -> bool:
        """Give a group the best factors of those that are tried; tell whether they are new."""
        group, before = self.groups[number], self.scales[number]
        views = list(self._view(number))
        best, least = before, _LEAST_GAIN * sum(view.loss(before) for view in views)
        shrinks = any(member.power < 0 and len(member.shape) > 1 for member in group.members)
        for wanted in _candidates(views, before):
            settled = _settle(wanted, shrinks)
            loss = sum(view.loss(settled) for view in views)
            if loss < least:
                best, least = settled, loss
        self.scales[number] = best
        return best is not before

    def _view(self, number: int) -> Iterator[_View]:
        """Yield the kernels of a group, those that can be rounded."""
        for member in self.groups[number].members:
            kernel = self.kernels.get(member.weight)
            if kernel is not None:
                view = _View(kernel, member, list(self._others(number, member.weight)))
                if view.is_finite:
                    yield view

    def _others(self, number: int, weight: str) -> Iterator[Floats]:
        """Yield what the other groups multiply *weight* with."""
        for other, group in enumerate(self.groups):
            if other != number:
                for member in group.members:
                    if member.weight == weight:
                        yield member.factors(self.scales[other])


class _View:
    """What the loss of a kernel depends on, while the factors of one of its groups vary."""

    def __init__(self, kernel: Kernel, member: Member, others: Sequence[Floats]) -> None:
        self.member = member
        values = kernel.tensor.numpy().astype(np.float32, copy=False)
        self._inputs = tuple(axis for axis in range(values.ndim) if axis not in kernel.out)
        square = np.square(values, dtype=np.float64)
        self._energy: Floats = square.sum(axis=self._inputs, keepdims=True)
        others_shape = np.broadcast_shapes(*(each.shape for each in others), (1,) * values.ndim)
        shape = np.broadcast_shapes(member.shape, others_shape)
        inner = tuple(axis for axis, size in enumerate(shape) if size == 1)
        self._fixed: Floats = np.ones(others_shape)
        for factors in others:
            self._fixed = self._fixed * factors
        self._low = values.min(axis=inner, keepdims=True).astype(np.float64)
        self._high = values.max(axis=inner, keepdims=True).astype(np.float64)
        self._count = prod(values.shape[axis] for axis in self._inputs if axis in inner)

    @property
    def is_finite(self) -> bool:
        """Whether all values are numbers; what is not stays whole."""
        return bool(np.isfinite(self._energy).all())

    def loss(self, scale: Vector) -> float:
        """Return the mean over the output channels of noise relative to signal."""
        factors = self._fixed * self.member.factors(scale)
        ends = np.concatenate([(self._low * factors).ravel(), (self._high * factors).ravel()])
        width = ends.max() - ends.min()  # the step is a part of it
        weights = np.broadcast_to(factors**-2.0, self._low.shape)
        noise = weights.sum(axis=self._inputs, keepdims=True) * self._count * width**2
        noise = np.broadcast_to(noise, self._energy.shape)
        alive = self._energy > 0
        return float(np.mean(noise[alive] / self._energy[alive])) if alive.any() else 0.0

    def reach(self, scale: Vector) -> Vector:
        """Return by channel the largest weight, as it is with *scale*."""
        reach = np.maximum(np.abs(self._low), np.abs(self._high)) * self._fixed
        reach = reach * self.member.factors(scale)
        axes = tuple(axis for axis, size in enumerate(self.member.shape) if size == 1)
        return self.member.largest(reach.max(axis=axes), scale.size)


def _candidates(views: Sequence[_View], before: Vector) -> Iterator[Vector]:
    """Yield factors to try: the channels of the kernels on one side equally wide, or of both."""
    makers, takers = (
        _join([view.reach(before) for view in views if view.member.power == power])
        for power in (1, -1)
    )
    if makers is not None:
        yield before / makers
        yield before / np.sqrt(makers)
    if takers is not None:
        yield before * takers
        yield before * np.sqrt(takers)
    if makers is not None and takers is not None:
        yield before * np.sqrt(takers / makers)


def _join(reaches: Sequence[Vector]) -> Vector | None:
    """Return by channel the width of kernels together, relative to the widest channel."""
    if not reaches:
        return None
    joint = np.max([reach / (reach.max() or 1.0) for reach in reaches], axis=0)
    return np.where(joint > 0, np.maximum(joint, 1 / _WIDEST), 1.0)


def _settle(wanted: Vector, shrinks: bool) -> Vector:
    """Return *wanted* in 8 bits and in a range that neither overflows nor vanishes.

    Only ratios count. Before a normalisation nothing becomes smaller, so that its epsilon keeps its
    meaning; elsewhere nothing becomes larger.
    """
    scale = wanted / (wanted.max() if shrinks else wanted.min())
    scale = np.maximum(scale, 1 / _WIDEST) if shrinks else np.minimum(scale, _WIDEST)
    fraction, exponent = np.frexp(scale)
    settled: Vector = np.ldexp(np.round(fraction * 256), exponent - 8)
    return settled
