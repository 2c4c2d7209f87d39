"""Padding, cropping, upsampling and resizing. Recipes: layers-format.md §3.2, L7."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.tensors import Array
from tfjs_codec.lowering.builder import Scope
from tfjs_codec.lowering.conv import _list, channels_last
from tfjs_codec.lowering.primitives import matrix_on_axis, reshape, slice_axis
from tfjs_codec.lowering.rules import rule
from tfjs_codec.lowering.symbolic import Refusal, StaticShapeNeeded, Tensor

_LAST = {"data_format": "channels_last"}


def pairs(value: Any, rank: int) -> list[list[int]]:
    """Return ``[[before, after], …]`` for each spatial axis from any form Keras writes."""
    items = [value] * rank if isinstance(value, int) else list(value)
    if rank == 1 and len(items) == 2 and all(isinstance(item, int) for item in items):
        items = [items]
    return [[item, item] if isinstance(item, int) else list(item) for item in items]


def on_spatial_axes(
    b: Scope, layer: KerasLayer, x: Tensor, amounts: list[Any], neutral: Any,
    step: Callable[[Tensor, list[Any]], Tensor],
) -> Tensor:  # fmt: skip
    """Apply a 2D layer (*step*) to the 1, 2 or 3 spatial axes of *x*."""
    rank = len(amounts)

    def run(x: Tensor) -> Tensor:
        if rank == 2:
            return step(x, amounts)
        if rank == 1:
            image = reshape(b, x, (x.shape[1], 1, x.shape[2]))
            y = step(image, [amounts[0], neutral])
            return reshape(b, y, (y.shape[1], y.shape[3]))
        _, height, width, channels = b.static(x)
        planes = reshape(b, x, (x.shape[1], height, width * channels))
        y = step(planes, amounts[:2])
        depth, height = y.shape[1] or 0, y.shape[2] or 0
        y = step(reshape(b, y, (depth * height, width, channels)), [neutral, amounts[2]])
        return reshape(b, y, (depth, height, y.shape[2], channels))

    if layer.config.get("data_format") == "channels_first":
        return channels_last(b, x, run)
    return run(x)


@rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """ZeroPadding2D; for 1D and 3D between two Reshapes."""
    amounts = pairs(layer.config["padding"], int(layer.class_name[-2]))
    return pad(b, layer, x, amounts)


def pad(b: Scope, layer: KerasLayer, x: Tensor, amounts: list[list[int]]) -> Tensor:
    """Pad the spatial axes of *x* with zeros."""

    def step(x: Tensor, both: list[Any]) -> Tensor:
        return b.add("ZeroPadding2D", x, {"padding": both, **_LAST})

    return on_spatial_axes(b, layer, x, amounts, [0, 0], step)


@rule("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Cropping2D; for 1D and 3D between two Reshapes."""

    def step(x: Tensor, both: list[Any]) -> Tensor:
        return b.add("Cropping2D", x, {"cropping": both, **_LAST})

    amounts = pairs(layer.config["cropping"], int(layer.class_name[-2]))
    return on_spatial_axes(b, layer, x, amounts, [0, 0], step)


@rule("UpSampling1D", "UpSampling2D", "UpSampling3D")
def upsampling(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """UpSampling2D; other interpolations by a matrix for each axis."""
    factors = _list(layer.config["size"], int(layer.class_name[-2]))
    method = layer.config.get("interpolation") or "nearest"

    def step(x: Tensor, both: list[Any]) -> Tensor:
        return b.add("UpSampling2D", x, {"size": both, "interpolation": "nearest", **_LAST})

    def run(x: Tensor) -> Tensor:
        height, width, _ = b.static(x)
        return resize(b, x, (height * factors[0], width * factors[1]), method)

    if method == "nearest":
        return on_spatial_axes(b, layer, x, factors, 1, step)
    if layer.config.get("data_format") == "channels_first":
        return channels_last(b, x, run)
    return run(x)


@rule("Resizing")
def resizing(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """A matrix for each axis; cropping or padding to the aspect ratio before."""
    config = layer.config
    target = (config["height"], config["width"])

    def run(x: Tensor) -> Tensor:
        if config.get("pad_to_aspect_ratio"):
            raise Refusal("resizing that pads to the aspect ratio")
        if config.get("crop_to_aspect_ratio"):
            x = _crop_to_ratio(b, x, target)
        method = config.get("interpolation") or "bilinear"
        return resize(b, x, target, method, antialias=bool(config.get("antialias")))

    if config.get("data_format") == "channels_first":
        return channels_last(b, x, run)
    return run(x)


def _crop_to_ratio(b: Scope, x: Tensor, target: tuple[int, int]) -> Tensor:
    height, width = b.static(x)[:2]
    crop_height = min(height, max(1, int(float(width * target[0]) / target[1])))
    crop_width = min(width, max(1, int(float(height * target[1]) / target[0])))
    top, left = int((height - crop_height) / 2), int((width - crop_width) / 2)
    x = slice_axis(b, x, 1, top, top + crop_height)
    return slice_axis(b, x, 2, left, left + crop_width)


def resize(
    b: Scope, x: Tensor, target: tuple[int, int], method: str, *, antialias: bool = False
) -> Tensor:
    """Resize the axes 1 and 2 of *x* ``(batch, height, width, channels)`` to *target*."""
    if method not in ("nearest", "bilinear"):
        raise Refusal(f"resizing by '{method}' interpolation")
    if antialias:
        raise Refusal("resizing with antialias")
    for axis, size in zip((1, 2), target, strict=True):
        now = x.shape[axis]
        if now is None:
            raise StaticShapeNeeded(f"its input shape {list(x.shape)} must be known")
        if now != size:
            part = "rows" if axis == 1 else "columns"
            x = matrix_on_axis(b, x, resize_matrix(now, size, method), axis, part=part)
    return x


def resize_matrix(size: int, target: int, method: str) -> Array:
    """Return the float32 matrix ``[size, target]`` of a one-dimensional resize.

    ``tf.image.resize``: half-pixel centres, edges clamped.
    """
    matrix = np.zeros((size, target), np.float32)
    columns = np.arange(target)
    position = (columns + 0.5) * (size / target)
    if method == "nearest":
        matrix[np.minimum(np.floor(position).astype(int), size - 1), columns] = 1
        return matrix
    position = position - 0.5
    low = np.floor(position).astype(int)
    share = (position - low).astype(np.float32)
    np.add.at(matrix, (np.clip(low, 0, size - 1), columns), 1 - share)
    np.add.at(matrix, (np.clip(low + 1, 0, size - 1), columns), share)
    return matrix


@rule("RandomCrop")
def random_crop(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """As Resizing with crop_to_aspect_ratio, which it is when predicting."""
    if b.trains:
        raise Refusal("it is called with training=True", "Build the model without training=True.")
    if b.generation == 3 and x.shape[1:3] != (layer.config["height"], layer.config["width"]):
        raise Refusal(
            "versions of Keras 3 disagree on what it does when predicting",
            "Replace it by CenterCrop or Resizing and save the model again.",
        )
    config = {**layer.config, "interpolation": "bilinear", "crop_to_aspect_ratio": True}
    return resizing(b, KerasLayer(layer.name, "Resizing", config), x)


@rule("CenterCrop")
def center_crop(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Cropping2D around the centre."""
    target = (layer.config["height"], layer.config["width"])
    if layer.config.get("data_format") == "channels_first" or x.rank != 4:
        raise Refusal("a centre crop of other than channels_last images")
    height, width = b.static(x)[:2]
    if height < target[0] or width < target[1]:
        raise Refusal("a centre crop larger than its input")
    cuts = []
    for size, wanted in ((height, target[0]), (width, target[1])):
        before = int((size - wanted) / 2)
        cuts.append([before, size - wanted - before])
    return b.add("Cropping2D", x, {"cropping": cuts, **_LAST})
