"""Padding, cropping, upsampling and resizing."""

from __future__ import annotations

from typing import Any

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import convolution as c
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops import image
from tfjs_codec.operations.ops import slicing as cut
from tfjs_codec.operations.registry import rule
from tfjs_codec.operations.values import Value
from tfjs_codec.tracing import sizes
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded
from tfjs_codec.tracing.sizes import pairs_per_axis, per_axis


def _around(layer: KerasLayer, x: Value, amounts: list[Any], neutral: Any) -> list[Any]:
    """Return *amounts* for the spatial axes among those for all axes."""
    if c.channels_first(x, layer.config.get("data_format")):
        return [neutral, neutral, *amounts]
    return [neutral, *amounts, neutral]


@rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Pad."""
    amounts = pairs_per_axis(layer.config["padding"], x.rank - 2)
    return cut.pad(b, x, _around(layer, x, amounts, [0, 0]))


@rule("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """StridedSlice."""
    amounts = [
        slice(before, -after if after else None)
        for before, after in pairs_per_axis(layer.config["cropping"], x.rank - 2)
    ]
    return cut.getitem(b, x, _around(layer, x, amounts, slice(None)))


@rule("UpSampling1D", "UpSampling2D", "UpSampling3D")
def upsampling(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """ResizeNearestNeighbor or another resize; of one or three axes, Tile."""
    rank = x.rank - 2
    factors = per_axis(layer.config["size"], rank)
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
    x = x if b.generation > 2 else f.real(b, x)  # only Keras 3 rounds what were whole numbers
    if config.get("pad_to_aspect_ratio"):
        amounts = sizes.pad_to_ratio(_size(x), target)
        fill = config.get("fill_value") or 0
        x = cut.pad(b, x, [[0, 0], *amounts, [0, 0]], "constant", fill)
    if config.get("crop_to_aspect_ratio"):
        x = _crop(b, x, sizes.crop_to_ratio(_size(x), target))
    y = image.resize(
        b, x, list(target), config["interpolation"], antialias=bool(config.get("antialias"))
    )
    return c.to_channels_first(b, y) if first else y


def _size(x: Value) -> sizes.Size:
    height, width = x.shape[1:3]
    if height is None or width is None:
        raise StaticShapeNeeded(f"its input shape {list(x.shape)} must be known")
    return height, width


def _crop(b: Builder, x: Value, spans: sizes.Spans) -> Value:
    return cut.getitem(b, x, [slice(None), *(slice(*span) for span in spans)])


@rule("RandomCrop")
def random_crop(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Nothing, from Keras 3.8 on; before, Resizing with crop_to_aspect_ratio."""
    resize = sizes.resize_instead_of_random_crop(b, layer)
    return resizing(b, resize, x) if resize else x


@rule("CenterCrop")
def center_crop(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """StridedSlice; of smaller images, as Resizing with crop_to_aspect_ratio."""
    target = (layer.config["height"], layer.config["width"])
    if x.rank != 4:
        raise Refusal("a centre crop of inputs that are not (batch, height, width, channels)")
    first = c.channels_first(x, layer.config.get("data_format"))
    x = c.to_channels_last(b, x) if first else x
    size = _size(x)
    if size[0] < target[0] or size[1] < target[1]:
        nearest = _crop(b, x, sizes.crop_to_ratio(size, target))
        y = image.resize(b, nearest, list(target), "bilinear")
    else:
        y = _crop(b, x, sizes.crop_to_centre(size, target))
    return c.to_channels_first(b, y) if first else y
