"""Channels of tensors between layers that can be scaled without changing what the model predicts.

If a layer's output is multiplied, channel by channel, by positive numbers, and all layers that take
it divide by them, nothing changes after those. A kernel, a bias or a gain can take up the factors;
ReLU, pooling, Concatenate, sums of equally scaled tensors hand them on. A :class:`Group` is what
must be scaled together: one factor for each channel, and the weights that take it up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.quantization.norms import Norm

Vector = NDArray[np.float64]


class Member(NamedTuple):
    """A weight that takes up the factors of a group.

    Attributes:
        weight: Its name.
        shape: The shape that the factors, repeated *repeat* times, have beside it.
        power: 1 if it is multiplied by them, -1 if it is divided.
        repeat: How often the channels follow one another, after a Flatten.
        start: Where they begin, after a Concatenate.
        epsilon: Of a running variance without a gain, which becomes ``(v + epsilon) f² - epsilon``.
    """

    weight: str
    shape: tuple[int, ...]
    power: int
    repeat: int = 1
    start: int = 0
    epsilon: float | None = None

    def factors(self, scale: Vector) -> NDArray[np.float64]:
        """Return what the weight is multiplied by for the factors *scale* of the group."""
        factors = np.ones(prod(self.shape))
        factors[self.start : self.start + self.repeat * scale.size] = np.tile(scale, self.repeat)
        return (factors if self.power > 0 else 1 / factors).reshape(self.shape)

    def largest(self, values: Vector, size: int) -> Vector:
        """Return by channel of the *size* of the group the largest of *values* beside factors."""
        mine = values.reshape(-1)[self.start : self.start + self.repeat * size]
        found: Vector = mine.reshape(self.repeat, size).max(axis=0)
        return found


class Group(NamedTuple):
    """A number of channels, and the weights that take up their factors."""

    size: int
    members: tuple[Member, ...]


class Part(NamedTuple):
    """The channels of a group, *repeat* times."""

    group: int
    repeat: int = 1


Flow: TypeAlias = tuple[Part, ...]  # a tensor whose last axis are these, one after the other


class Channels:
    """Collects groups. Of a tensor that nobody can scale the flow is None.

    Attributes:
        outputs: The axes of weights that are the channels of what they make.
        inputs: The axes of weights that are the channels of what they are multiplied with.
        norms: The batch normalisations.
    """

    def __init__(self) -> None:
        self.outputs: dict[str, tuple[int, ...]] = {}
        self.inputs: dict[str, tuple[int, ...]] = {}
        self.norms: list[Norm] = []
        self._parents: list[int] = []
        self._sizes: list[int] = []
        self._fixed: set[int] = set()
        self._members: list[tuple[int, Member]] = []

    def multiply(self, weight: str, shape: Sequence[int], axes: Sequence[int]) -> Flow:
        """Return a tensor whose channels are *axes* of *weight*, which makes it."""
        beside = _beside(shape, axes)
        self.outputs[weight] = tuple(axis % len(shape) for axis in axes)
        group = len(self._parents)
        self._parents.append(group)
        self._sizes.append(prod(beside))
        self._members.append((group, Member(weight, beside, 1)))
        return (Part(group),)

    def divide(
        self, flow: Flow | None, weight: str, shape: Sequence[int], axes: Sequence[int]
    ) -> None:
        """Note that *axes* of *weight* are what *flow* is multiplied with."""
        self.inputs[weight] = tuple(axis % len(shape) for axis in axes)
        self._join(flow, weight, _beside(shape, axes), -1)

    def shift(self, flow: Flow | None, weight: str, shape: Sequence[int]) -> None:
        """Note that *weight*, one number for each channel, is added to *flow*."""
        self._join(flow, weight, tuple(shape), 1)

    def vary(self, flow: Flow | None, weight: str, shape: Sequence[int], epsilon: float) -> None:
        """Note that *flow* is divided by the root of the variance *weight*, without a gain."""
        self._join(flow, weight, tuple(shape), 1, epsilon)

    def _join(
        self,
        flow: Flow | None,
        weight: str,
        shape: tuple[int, ...],
        power: int,
        epsilon: float | None = None,
    ) -> None:
        if flow is None:
            return
        if prod(shape) != self.size(flow):
            self.fix(flow)
            return
        start = 0
        for part in flow:
            member = Member(weight, shape, power, part.repeat, start, epsilon)
            self._members.append((part.group, member))
            start += self._measure(part)

    def sums(self, weight: str, rank: int) -> list[tuple[int, ...]]:
        """Return over which axes of *weight* an output adds up, first those of a window alone."""
        if weight not in self.inputs or weight not in self.outputs:
            return []
        every = [axis for axis in range(rank) if axis not in self.outputs[weight]]
        window = tuple(axis for axis in every if axis not in self.inputs[weight])
        return list(dict.fromkeys(axes for axes in (window, tuple(every)) if axes))

    def tie(self, flows: Sequence[Flow | None]) -> Flow | None:
        """Return the tensor that *flows* become together if they are scaled alike."""
        known = [flow for flow in flows if flow is not None]
        kinds = {tuple((part.repeat, self._measure(part)) for part in flow) for flow in known}
        if len(known) < len(flows) or len(kinds) != 1:
            return self.fix(*flows)
        for flow in known:
            for part, other in zip(flow, known[0], strict=True):
                self._parents[self._root(part.group)] = self._root(other.group)
        return known[0]

    def join(self, flows: Sequence[Flow | None]) -> Flow | None:
        """Return the tensor that *flows* become one after the other on the last axis."""
        known = [flow for flow in flows if flow is not None]
        return self.fix(*flows) if len(known) < len(flows) else tuple(chain(*known))

    def reshape(self, flow: Flow | None, size: int) -> Flow | None:
        """Return *flow*, reshaped in C order to a last axis of *size*."""
        if flow is None or self.size(flow) == size:
            return flow
        (part, *others) = flow
        if others or size <= 0 or size % self._sizes[part.group]:
            return self.fix(flow)
        return (part._replace(repeat=size // self._sizes[part.group]),)

    def fix(self, *flows: Flow | None) -> Flow | None:
        """Note that nobody takes up factors of *flows*; return None, a tensor nobody scales."""
        self._fixed.update(part.group for flow in flows if flow is not None for part in flow)
        return None

    def size(self, flow: Flow) -> int:
        """Return the size of the last axis."""
        return sum(map(self._measure, flow))

    def _measure(self, part: Part) -> int:
        return self._sizes[part.group] * part.repeat

    def groups(self, weights: Iterable[str]) -> list[Group]:
        """Return all groups that can be scaled and whose members are all among *weights*."""
        known = set(weights)
        fixed = {self._root(group) for group in self._fixed}
        members: dict[int, list[Member]] = {}
        for group, member in self._members:
            if member.weight not in known:
                fixed.add(self._root(group))
            members.setdefault(self._root(group), []).append(member)
        return [
            Group(self._sizes[root], tuple(found))
            for root, found in members.items()
            if root not in fixed
        ]

    def _root(self, group: int) -> int:
        while self._parents[group] != group:
            self._parents[group] = group = self._parents[self._parents[group]]
        return group


def _beside(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    kept = {axis % len(shape) for axis in axes}
    return tuple(size if axis in kept else 1 for axis, size in enumerate(shape))
