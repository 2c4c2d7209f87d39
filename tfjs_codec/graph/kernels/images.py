"""Resizing, cropping, and the choice of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.graph.kernels.core import Kernel, KernelError, ints
from tfjs_codec.ir.graph import Attrs
from tfjs_codec.ir.tensors import Array


def _positions(
    attrs: Attrs, length: int, wanted: int, offset: float = 0.5
) -> NDArray[np.floating[Any]]:
    """Return where in an axis of *length* each of *wanted* samples is taken."""
    steps: Any = np.arange(wanted, dtype=np.float32)
    if attrs["align_corners"] and wanted > 1:
        return np.asarray(steps * np.float32((length - 1) / (wanted - 1)))
    scale = np.float32(length / wanted)
    if attrs["half_pixel_centers"]:
        return np.asarray((steps + np.float32(0.5)) * scale - np.float32(offset))
    return np.asarray(steps * scale)


def _sample(x: Any, axis: int, positions: NDArray[np.floating[Any]]) -> Array:
    """Interpolate linearly between the nearest two; positions outside repeat the border."""
    low = np.floor(positions)
    weight = (positions - low).astype(np.float32)
    first = np.clip(low, 0, x.shape[axis] - 1).astype(np.intp)
    second = np.clip(low + 1, 0, x.shape[axis] - 1).astype(np.intp)
    shape = [-1 if each == axis else 1 for each in range(x.ndim)]
    a, b = np.take(x, first, axis), np.take(x, second, axis)
    return np.asarray(a + (b - a) * weight.reshape(shape))


def _resize_bilinear(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, size = inputs
    x = x.astype(np.float32)
    for axis, wanted in zip((1, 2), ints(size), strict=True):
        x = _sample(x, axis, _positions(attrs, x.shape[axis], wanted))
    return [x]


def _resize_nearest(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, size = inputs
    for axis, wanted in zip((1, 2), ints(size), strict=True):
        positions = _positions(attrs, x.shape[axis], wanted, 0)
        nearest = np.floor(positions + 0.5) if attrs["align_corners"] else np.floor(positions)
        x = np.take(x, np.minimum(nearest, x.shape[axis] - 1).astype(np.intp), axis)
    return [x]


def _crop_and_resize(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Corners of the boxes are the centres of the outer samples; outside there is one value."""
    images, boxes, numbers, size = inputs
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(images):
        raise KernelError("out of range")
    crops = []
    for corners, number in zip(boxes.astype(np.float32), ints(numbers), strict=True):
        crop = images[number].astype(np.float32)
        inside = np.ones((), bool)
        for axis, wanted in enumerate(ints(size)):
            last = np.float32(crop.shape[axis] - 1)
            start, end = corners[axis], corners[axis + 2]
            if wanted > 1:
                step = (end - start) * last / np.float32(wanted - 1)
                places = start * last + np.arange(wanted, dtype=np.float32) * step
            else:
                places = np.float32(0.5) * (start + end)[None] * last
            inside = inside[..., None] & (places >= 0) & (places <= last)
            crop = _crop_axis(attrs, crop, axis, places)
        crops.append(np.where(inside[..., None], crop, np.float32(attrs["extrapolation_value"])))
    return [np.array(crops, np.float32).reshape(len(boxes), *ints(size), images.shape[-1])]


def _crop_axis(attrs: Attrs, crop: Any, axis: int, places: NDArray[np.floating[Any]]) -> Array:
    places = np.clip(places, 0, crop.shape[axis] - 1)
    if attrs["method"] == b"nearest":
        return np.asarray(np.take(crop, np.floor(places + 0.5).astype(np.intp), axis))
    return _sample(crop, axis, places)


def _suppress(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Return the best boxes that overlap no better one by more than a threshold.

    With ``pad_to_max_output_size`` zeros follow, and the number of boxes.
    """
    boxes, scores, most, overlap, least = inputs
    low = np.minimum(boxes[:, :2], boxes[:, 2:])
    high = np.maximum(boxes[:, :2], boxes[:, 2:])
    area = np.prod(high - low, 1)
    order = np.argsort(-scores, kind="stable")
    waiting = order[scores[order] > least]
    chosen: list[int] = []
    while len(waiting) and len(chosen) < int(most.item()):
        best, waiting = waiting[0], waiting[1:]
        chosen.append(int(best))
        sides = np.minimum(high[best], high[waiting]) - np.maximum(low[best], low[waiting])
        shared = np.prod(np.maximum(sides, 0), 1)
        union = area[best] + area[waiting] - shared
        waiting = waiting[np.where(union > 0, shared / union, 0) <= overlap]
    count = np.array(len(chosen), np.int32)
    if attrs.get("pad_to_max_output_size"):
        chosen += [0] * (int(most.item()) - len(chosen))
    return [np.array(chosen, np.int32), count]


def _suppress_softly(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """The same, but scores of boxes that overlap better ones fall with the overlap."""
    boxes, scores, most, overlap, least, sigma = inputs
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    area = np.prod(high - low, 1)
    decays = float(sigma) > 0
    scale = -0.5 / float(sigma) if decays else 0.0
    # the best is the first; each is compared once with every box that was chosen before
    waiting = [(-score, index, 0) for index, score in enumerate(scores.tolist()) if score > least]
    heapify(waiting)
    chosen: list[int] = []
    kept: list[float] = []
    while waiting and len(chosen) < int(most.item()):
        negative, box, compared = heappop(waiting)
        score = -negative
        for other in chosen[: compared - 1 if compared else None : -1]:
            sides = np.minimum(high[box], high[other]) - np.maximum(low[box], low[other])
            shared = float(np.prod(np.maximum(sides, 0)))
            union = float(area[box] + area[other]) - shared
            common = shared / union if area[box] > 0 and area[other] > 0 else 0.0
            stays = decays or common <= overlap
            score = score * np.exp(scale * common * common) if stays else 0.0
            if score <= least:
                break
        if score == -negative:
            chosen.append(box)
            kept.append(score)
        elif score > least:
            heappush(waiting, (-float(score), box, len(chosen)))
    count = np.array(len(chosen), np.int32)
    return [np.array(chosen, np.int32), np.array(kept, scores.dtype), count]


KERNELS: dict[str, Kernel] = {
    "CropAndResize": _crop_and_resize,
    "NonMaxSuppressionV2": lambda attrs, inputs: _suppress(
        attrs, [*inputs, np.array(-np.inf, np.float32)]
    )[:1],
    "NonMaxSuppressionV3": lambda attrs, inputs: _suppress(attrs, inputs)[:1],
    "NonMaxSuppressionV4": _suppress,
    "NonMaxSuppressionV5": _suppress_softly,
    "ResizeBilinear": _resize_bilinear,
    "ResizeNearestNeighbor": _resize_nearest,
}
