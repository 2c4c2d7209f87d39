"""Shapes, whose sizes are None where they are not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Dims: TypeAlias = tuple["int | None", ...]


def broadcast(*shapes: Dims) -> Dims:
    """Return the shape that *shapes* broadcast to; an unknown size fits any other.

    Raises:
        ValueError: They do not broadcast.
    """
    *others, longest = sorted(shapes, key=len) or [()]
    rank = max(map(len, others), default=0)
    own = len(longest) - rank  # axes that no other shape has
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in others]
    return (*longest[:own], *map(_widest, zip(longest[own:], *padded, strict=True)))


def _widest(sizes: tuple[int | None, ...]) -> int | None:
    if sizes.count(sizes[0]) == len(sizes):
        return sizes[0]
    large = {size for size in sizes if size is not None and size != 1}
    if len(large) > 1:
        raise ValueError(f"sizes {sorted(large)} do not broadcast")
    return large.pop() if large else None if None in sizes else 1


def resolve_axis(axis: int, rank: int) -> int:
    """Return *axis* of *rank* axes, which may count from the end, as a number from 0 on.

    Raises:
        ValueError: There is no such axis.
    """
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank} axes")
    return axis % rank


def product(sizes: Sequence[int | None]) -> int | None:
    """Return the product of *sizes*, None if one is unknown."""
    result = 1
    for size in sizes:
        if size is None:
            return None
        result *= size
    return result
