"""What Keras computes from sizes, whatever the target: amounts for axes, crops and paddings.

The size of an image is ``(height, width)``; a span is ``(start, stop)`` along one of these axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.tracing.builder import CallBuilder
from tfjs_codec.tracing.refusal import Refusal

Size: TypeAlias = tuple[int, int]
Spans: TypeAlias = tuple[tuple[int, int], tuple[int, int]]


def per_axis(value: int | Sequence[int], rank: int) -> list[int]:
    """Return one number for each of *rank* axes from any form Keras writes."""
    items = [value] if isinstance(value, int) else list(value)
    items = items * rank if len(items) == 1 else items
    if len(items) != rank:
        raise ValueError(f"{value} for {rank} axes")
    return [int(item) for item in items]


def pairs_per_axis(value: int | Sequence[int | list[int]], rank: int) -> list[list[int]]:
    """Return ``[[before, after], …]`` for each of *rank* axes from any form Keras writes."""
    items = [value] * rank if isinstance(value, int) else list(value)
    if rank == 1 and len(items) == 2:
        before, after = items
        if isinstance(before, int) and isinstance(after, int):
            return [[before, after]]
    return [[item, item] if isinstance(item, int) else list(item) for item in items]


def group_sizes(layer: KerasLayer, channels: int | None) -> tuple[int, int]:
    """Return how many groups a GroupNormalization makes of *channels*, and how many are in each.

    Raises:
        Refusal: The channels are not known, or no such groups can be made of them.
    """
    if channels is None:
        raise Refusal("a group normalisation of an unknown number of channels")
    groups = channels if layer.config["groups"] == -1 else layer.config["groups"]
    if channels % groups:
        raise Refusal(f"{groups} groups of {channels} channels")
    return groups, channels // groups


def dot_equation(ranks: Sequence[int], axes: Sequence[int]) -> tuple[str, str, str]:
    """Return the operands and the result of a Dot as an einsum has them; the batch is ``a``."""
    left, right = "abcdef"[: ranks[0]], "auvwxyz"[: ranks[1]]
    shared = left[axes[0]]
    right = right[: axes[1]] + shared + right[axes[1] + 1 :]
    return left, right, (left + right[1:]).replace(shared, "")


def crop_to_ratio(size: Size, target: Size) -> Spans:
    """Return the largest centred part of an image that has the aspect ratio of *target*."""
    height, width = size
    high = min(height, max(1, int(float(width * target[0]) / target[1])))
    wide = min(width, max(1, int(float(height * target[1]) / target[0])))
    return crop_to_centre(size, (high, wide))


def crop_to_centre(size: Size, target: Size) -> Spans:
    """Return the part in the centre of an image that is as large as *target*."""
    top, left = ((have - want) // 2 for have, want in zip(size, target, strict=True))
    return (top, top + target[0]), (left, left + target[1])


def pad_to_ratio(size: Size, target: Size) -> list[list[int]]:
    """Return the padding of both axes that gives an image the aspect ratio of *target*."""
    height, width = size
    top = int((max(height, int(float(width * target[0]) / target[1])) - height) / 2)
    left = int((max(width, int(float(height * target[1]) / target[0])) - width) / 2)
    return [[top, top], [0, 0]] if top else [[0, 0], [left, left]]


def resize_instead_of_random_crop(b: CallBuilder, layer: KerasLayer) -> KerasLayer | None:
    """Return the Resizing that a RandomCrop is when predicting, None if it does nothing.

    Raises:
        Refusal: It is random here, or its version of Keras crops as no other does.
    """
    b.check_predicting()
    size = {key: layer.config[key] for key in ("height", "width", "data_format")}
    if b.version >= (3, 8):  # whatever the size
        return None
    if b.version >= (3, 6):
        raise Refusal(
            "Keras 3.6 and 3.7 crop at a different place than other versions",
            "Load the model with another version of Keras and save it again.",
        )
    config = {**size, "interpolation": "bilinear", "crop_to_aspect_ratio": True}
    return KerasLayer(layer.name, "Resizing", config)
