"""Padding, cropping, upsampling and resizing."""

from __future__ import annotations

from typing import Any

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import convolution as c
from tfjs_codec.operations.ops import image
from tfjs_codec.operations.ops import slicing as cut
from tfjs_codec.operations.registry import rule
from tfjs_codec.operations.values import Value
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded


def _pairs(value: Any, rank: int) -> list[list[int]]:
    """Return ``[[before, after], …]`` for each spatial axis from any form Keras writes."""
    items = [value] * rank if isinstance(value, int) else list(value)
    if rank == 1 and len(items) == 2 and all(isinstance(item, int) for item in items):
        items = [items]
    return [[item, item] if isinstance(item, int) else list(item) for item in items]


def _around(layer: KerasLayer, x: Value, amounts: list[Any], neutral: Any) -> list[Any]:
    """Return *amounts* for the spatial axes among those for all axes."""
    if c.channels_first(x, layer.config.get("data_format")):
        return [neutral, neutral, *amounts]
    return [neutral, *amounts, neutral]


@rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Pad."""
    amounts = _pairs(layer.config["padding"], x.rank - 2)
    return cut.pad(b, x, _around(layer, x, amounts, [0, 0]))


@rule("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """StridedSlice."""
    amounts = [
        slice(before, -after if after else None)
        for before, after in _pairs(layer.config["cropping"], x.rank - 2)
    ]
    return cut.getitem(b, x, _around(layer, x, amounts, slice(None)))


@rule("UpSampling1D", "UpSampling2D", "UpSampling3D")
def upsampling(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """ResizeNearestNeighbor or another resize; of one or three axes, Tile."""
    rank = x.rank - 2
    factors = c.per_axis(layer.config["size"], rank)
    method = layer.config.get("interpolation") or "nearest"
    first = c.channels_first(x, layer.config.get("data_format"))
    if rank != 2:
        for axis, factor in enumerate(factors, 2 if first else 1):
            x = cut.repeat(b, x, factor, axis)
        return x
    x = c.to_channels_last(b, x) if first else x
    y = image.resize(b, x, [image.times(b, x, i, factors[i - 1]) for i in (1, 2)], method)
    return c.to_channels_first(b, y) if first else y


@rule("Resizing")
def resizing(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """A resize; cropping or padding to the aspect ratio before."""
    config = layer.config
    target = (config["height"], config["width"])
    first = c.channels_first(x, config.get("data_format"))
    x = c.to_channels_last(b, x) if first else x
    if config.get("pad_to_aspect_ratio"):
        x = _pad_to_ratio(b, x, target, config.get("fill_value") or 0)
    if config.get("crop_to_aspect_ratio"):
        x = _crop_to_ratio(b, x, target)
    y = image.resize(
        b, x, list(target), config["interpolation"], antialias=bool(config.get("antialias"))
    )
    return c.to_channels_first(b, y) if first else y


def _sizes(x: Value) -> tuple[int, int]:
    height, width = x.shape[1:3]
    if height is None or width is None:
        raise StaticShapeNeeded(f"its input shape {list(x.shape)} must be known")
    return height, width


def _crop_to_ratio(b: Builder, x: Value, target: tuple[int, int]) -> Value:
    height, width = _sizes(x)
    high = min(height, max(1, int(float(width * target[0]) / target[1])))
    wide = min(width, max(1, int(float(height * target[1]) / target[0])))
    top, left = int((height - high) / 2), int((width - wide) / 2)
    return cut.getitem(b, x, [slice(None), slice(top, top + high), slice(left, left + wide)])


def _pad_to_ratio(b: Builder, x: Value, target: tuple[int, int], fill: float) -> Value:
    height, width = _sizes(x)
    top = int((max(height, int(float(width * target[0]) / target[1])) - height) / 2)
    left = int((max(width, int(float(height * target[1]) / target[0])) - width) / 2)
    amounts = [[top, top], [0, 0]] if top else [[0, 0], [left, left]]
    return cut.pad(b, x, [[0, 0], *amounts, [0, 0]], "constant", fill)


@rule("RandomCrop")
def random_crop(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Nothing, from Keras 3.8 on; before, Resizing with crop_to_aspect_ratio."""
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
def center_crop(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """StridedSlice; of smaller images, as Resizing with crop_to_aspect_ratio."""
    target = (layer.config["height"], layer.config["width"])
    if x.rank != 4:
        raise Refusal("a centre crop of inputs that are not (batch, height, width, channels)")
    first = c.channels_first(x, layer.config.get("data_format"))
    x = c.to_channels_last(b, x) if first else x
    sizes = _sizes(x)
    if sizes[0] < target[0] or sizes[1] < target[1]:
        y = image.resize(b, _crop_to_ratio(b, x, target), list(target), "bilinear")
    else:
        starts = [int((size - wanted) / 2) for size, wanted in zip(sizes, target, strict=True)]
        spans = [slice(i, i + n) for i, n in zip(starts, target, strict=True)]
        y = cut.getitem(b, x, [slice(None), *spans])
    return c.to_channels_first(b, y) if first else y
