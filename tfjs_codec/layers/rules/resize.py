"""Padding, cropping, upsampling and resizing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import rule
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.layers.primitives import (
    affine,
    channels_last,
    matrix_on_axis,
    per_axis,
    reshape,
    slice_axis,
)
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded
from tfjs_codec.tracing.resampling import resize_matrix, rounded_by

_LAST = {"data_format": "channels_last"}


def pairs(value: Any, rank: int) -> list[list[int]]:
    """Return ``[[before, after], …]`` for each spatial axis from any form Keras writes."""
    items = [value] * rank if isinstance(value, int) else list(value)
    if rank == 1 and len(items) == 2 and all(isinstance(item, int) for item in items):
        items = [items]
    return [[item, item] if isinstance(item, int) else list(item) for item in items]


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

    if config.get("data_format") == "channels_first":
        return channels_last(b, x, run)
    return run(x)


@rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """ZeroPadding2D; for 1D and 3D between two Reshapes."""
    amounts = pairs(layer.config["padding"], int(layer.class_name[-2]))
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

    amounts = pairs(layer.config["cropping"], int(layer.class_name[-2]))
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
            x = _pad_to_ratio(b, x, target, config.get("fill_value") or 0)
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


def _pad_to_ratio(b: Scope, x: Tensor, target: tuple[int, int], fill: float) -> Tensor:
    height, width = b.static(x)[:2]
    top = int((max(height, int(float(width * target[0]) / target[1])) - height) / 2)
    left = int((max(width, int(float(height * target[1]) / target[0])) - width) / 2)
    padding = [[top, top], [0, 0]] if top else [[0, 0], [left, left]]
    if not top and not left:
        return x
    level = affine(b, x, 1, -fill) if fill else x
    padded = b.add("ZeroPadding2D", level, {"padding": padding, **_LAST})
    return affine(b, padded, 1, fill) if fill else padded


def resize(
    b: Scope, x: Tensor, target: tuple[int, int], method: str, *, antialias: bool = False
) -> Tensor:
    """Resize the axes 1 and 2 of *x* ``(batch, height, width, channels)`` to *target*."""
    for axis, size in zip((1, 2), target, strict=True):
        now = x.shape[axis]
        if now is None:
            raise StaticShapeNeeded(f"its input shape {list(x.shape)} must be known")
        if now != size:
            part = "rows" if axis == 1 else "columns"
            x = matrix_on_axis(b, x, _matrix(b, now, size, method, antialias), axis, part=part)
    return x


def _matrix(b: Scope, size: int, target: int, method: str, antialias: bool) -> LazyTensor:
    if method != "bicubic" or antialias:
        return resize_matrix(size, target, method, antialias=antialias)
    b.pay(target)
    if b.generation == 3 and rounded_by(size, target, 1024) > 1e-5:
        b.approximate("TensorFlow rounds the positions of bicubic resizing, JAX does not")
    return resize_matrix(size, target, method, grid=1024)


@rule("RandomCrop")
def random_crop(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Predicting: identity from Keras 3.8 on; before, Resizing with crop_to_aspect_ratio."""
    if b.trains:
        raise Refusal("it is called with training=True", "Build the model without training=True.")
    size = {key: layer.config[key] for key in ("height", "width", "data_format")}
    if b.version >= (3, 8):  # whatever the size
        return x
    if b.version >= (3, 6):
        raise Refusal(
            "Keras 3.6 and 3.7 crop at a different place than other versions",
            "Load the model with another version of Keras and save it again.",
        )
    config = {**size, "interpolation": "bilinear", "crop_to_aspect_ratio": True}
    return resizing(b, KerasLayer(layer.name, "Resizing", config), x)


@rule("CenterCrop")
def center_crop(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Cropping2D around the centre; of smaller images, as Resizing with crop_to_aspect_ratio."""
    target = (layer.config["height"], layer.config["width"])
    if x.rank != 4:
        raise Refusal("a centre crop of inputs that are not (batch, height, width, channels)")

    def run(x: Tensor) -> Tensor:
        sizes = b.static(x)[:2]
        if sizes[0] < target[0] or sizes[1] < target[1]:
            return resize(b, _crop_to_ratio(b, x, target), target, "bilinear")
        starts = [int((size - wanted) / 2) for size, wanted in zip(sizes, target, strict=True)]
        cuts = [
            [start, size - wanted - start]
            for start, size, wanted in zip(starts, sizes, target, strict=True)
        ]
        return b.add("Cropping2D", x, {"cropping": cuts, **_LAST})

    if layer.config.get("data_format") == "channels_first":
        return channels_last(b, x, run)
    return run(x)
