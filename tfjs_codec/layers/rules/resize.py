"""Padding, cropping, upsampling and resizing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import rule
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.layers.primitives import (
    affine,
    channels_last,
    known_size,
    matrix_on_axis,
    reshape,
    slice_axis,
)
from tfjs_codec.tracing import sizes
from tfjs_codec.tracing.refusal import Refusal
from tfjs_codec.tracing.resampling import keras_resize_matrix
from tfjs_codec.tracing.sizes import pairs_per_axis, per_axis

_LAST = {"data_format": "channels_last"}


def on_spatial_axes(
    b: Scope, config: Mapping[str, Any], x: Tensor, amounts: list[Any], neutral: Any,
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

    return channels_last(b, x, config.get("data_format"), run)


@rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """ZeroPadding2D; for 1D and 3D between two Reshapes."""
    amounts = pairs_per_axis(layer.config["padding"], int(layer.class_name[-2]))
    return pad(b, layer.config, x, amounts)


def pad(
    b: Scope, config: Mapping[str, Any], x: Tensor, amounts: list[list[int]], *, part: str = ""
) -> Tensor:
    """Pad the spatial axes of *x* with zeros."""

    def step(x: Tensor, both: list[Any]) -> Tensor:
        return b.add("ZeroPadding2D", x, {"padding": both, **_LAST}, part=part)

    return on_spatial_axes(b, config, x, amounts, [0, 0], step)


@rule("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Cropping2D; for 1D and 3D between two Reshapes."""

    def step(x: Tensor, both: list[Any]) -> Tensor:
        return b.add("Cropping2D", x, {"cropping": both, **_LAST})

    amounts = pairs_per_axis(layer.config["cropping"], int(layer.class_name[-2]))
    return on_spatial_axes(b, layer.config, x, amounts, [0, 0], step)


@rule("UpSampling1D", "UpSampling2D", "UpSampling3D")
def upsampling(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """UpSampling2D; other interpolations by a matrix for each axis."""
    factors = per_axis(layer.config["size"], int(layer.class_name[-2]))
    method = layer.config.get("interpolation") or "nearest"

    def step(x: Tensor, both: list[Any]) -> Tensor:
        return b.add("UpSampling2D", x, {"size": both, "interpolation": "nearest", **_LAST})

    def run(x: Tensor) -> Tensor:
        height, width, _ = b.static(x)
        return resize(b, x, (height * factors[0], width * factors[1]), method)

    if method == "nearest":
        return on_spatial_axes(b, layer.config, x, factors, 1, step)
    return channels_last(b, x, layer.config.get("data_format"), run)


@rule("Resizing")
def resizing(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """A matrix for each axis; cropping or padding to the aspect ratio before."""
    config = layer.config
    target = (config["height"], config["width"])
    method = config.get("interpolation") or "bilinear"
    rounds = b.generation > 2 and x.dtype.startswith(("int", "uint")) and method != "nearest"

    def run(x: Tensor) -> Tensor:
        if config.get("pad_to_aspect_ratio"):
            x = _pad_to_ratio(b, x, target, config.get("fill_value") or 0)
        if config.get("crop_to_aspect_ratio"):
            x = _crop_to_ratio(b, x, target)
        if rounds and x.shape[1:3] != target:
            raise Refusal("resized whole numbers, which Keras 3 rounds")
        return resize(b, x, target, method, antialias=bool(config.get("antialias")))

    return channels_last(b, x, config.get("data_format"), run)


def _crop_to_ratio(b: Scope, x: Tensor, target: sizes.Size) -> Tensor:
    height, width = b.static(x)[:2]
    for axis, span in enumerate(sizes.crop_to_ratio((height, width), target), 1):
        x = slice_axis(b, x, axis, *span)
    return x


def _pad_to_ratio(b: Scope, x: Tensor, target: sizes.Size, fill: float) -> Tensor:
    height, width = b.static(x)[:2]
    padding = sizes.pad_to_ratio((height, width), target)
    if padding == [[0, 0], [0, 0]]:
        return x
    level = affine(b, x, 1, -fill) if fill else x
    padded = b.add("ZeroPadding2D", level, {"padding": padding, **_LAST})
    return affine(b, padded, 1, fill) if fill else padded


def resize(
    b: Scope, x: Tensor, target: tuple[int, int], method: str, *, antialias: bool = False
) -> Tensor:
    """Resize the axes 1 and 2 of *x* ``(batch, height, width, channels)`` to *target*."""
    for axis, size in zip((1, 2), target, strict=True):
        now = known_size(x, axis)
        if now != size:
            part = "rows" if axis == 1 else "columns"
            matrix = keras_resize_matrix(b, now, size, method, antialias=antialias)
            x = matrix_on_axis(b, x, matrix, axis, part=part)
    return x


@rule("RandomCrop")
def random_crop(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Predicting: identity from Keras 3.8 on; before, Resizing with crop_to_aspect_ratio."""
    resize = sizes.resize_instead_of_random_crop(b, layer)
    return resizing(b, resize, x) if resize else x


@rule("CenterCrop")
def center_crop(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Cropping2D around the centre; of smaller images, as Resizing with crop_to_aspect_ratio."""
    target = (layer.config["height"], layer.config["width"])
    if x.rank != 4:
        raise Refusal("a centre crop of inputs that are not (batch, height, width, channels)")

    def run(x: Tensor) -> Tensor:
        height, width = b.static(x)[:2]
        if height < target[0] or width < target[1]:
            return resize(b, _crop_to_ratio(b, x, target), target, "bilinear")
        (top, bottom), (left, right) = sizes.crop_to_centre((height, width), target)
        cuts = [[top, height - bottom], [left, width - right]]
        return b.add("Cropping2D", x, {"cropping": cuts, **_LAST})

    return channels_last(b, x, layer.config.get("data_format"), run)
