"""Images ``(batch, height, width, channels)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfjs_codec.ir.tensors import Array
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.convolution import (
    channels_first,
    conv,
    conv_transpose,
    depthwise_conv,
    to_channels_first,
    to_channels_last,
)
from tfjs_codec.operations.ops.linalg import einsum
from tfjs_codec.operations.ops.shapes import (
    dynamic_shape,
    elements,
    expand_dims,
    reshape,
    size_of,
    squeeze,
    stack,
    transpose,
)
from tfjs_codec.operations.ops.slicing import getitem, pad, unstack
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value, is_float
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded
from tfjs_codec.tracing.resampling import keras_resize_matrix
from tfjs_codec.tracing.sizes import per_axis


def times(b: Builder, x: Value, axis: int, factor: int) -> Any:
    """Return a size of *x* times *factor*, as a number if it is known."""
    size = size_of(b, x, axis)
    return size * factor if isinstance(size, int) else a.multiply(b, size, factor)


def resize(b: Builder, x: Value, size: list[Any], method: str, *, antialias: bool = False) -> Value:
    """Resize the axes 1 and 2 of *x* to *size*: numbers, or scalars at run time."""
    dtype = x.dtype
    known = tuple(one if isinstance(one, int) else None for one in size)
    if known == x.shape[1:3] and None not in known:
        return x
    plain = not antialias or all(
        new is not None and old is not None and new >= old
        for new, old in zip(known, x.shape[1:3], strict=True)
    )
    if method == "nearest":
        y = _kernel(b, "ResizeNearestNeighbor", x, size, known)
    elif method == "bilinear" and plain:
        y = _kernel(b, "ResizeBilinear", f.real(b, x), size, known)
    else:
        y = f.real(b, x)
        for axis, equation in ((1, "bhwc,hx->bxwc"), (2, "bhwc,wx->bhxc")):
            new, old = known[axis - 1], y.shape[axis]
            if new is None or old is None:
                raise StaticShapeNeeded(f"its input shape {list(x.shape)} must be known")
            if new != old:
                matrix = keras_resize_matrix(b, old, new, method, antialias=antialias)
                y = einsum(b, equation, y, b.computed(matrix))
    return y if is_float(dtype) or y.dtype == dtype else a.saturate_cast(b, f.round_(b, y), dtype)


def _kernel(b: Builder, op: str, x: Value, size: list[Any], known: tuple[int | None, ...]) -> Value:
    return b.emit(
        op, x, b.value(size, "int32"), shape=(x.shape[0], *known, x.shape[3]), dtype=x.dtype,
        align_corners=False, half_pixel_centers=True,
    )  # fmt: skip


def over_images(
    b: Builder, images: Operand, data_format: Any, compute: Callable[[Value], Value]
) -> Value:
    """Return *compute* of images, given with the batch first and the channels last."""
    x = b.value(images)
    single = x.rank == 3
    x = expand_dims(b, x, 0) if single else x
    first = channels_first(x, data_format)
    y = compute(to_channels_last(b, x) if first else x)
    y = to_channels_first(b, y) if first else y
    return squeeze(b, y, 0) if single else y


@operation("resize")
def resize_(
    b: Builder, images: Operand, size: Any, interpolation: str = "bilinear",
    antialias: Any = False, crop_to_aspect_ratio: Any = False, pad_to_aspect_ratio: Any = False,
    fill_mode: str = "constant", fill_value: Any = 0.0, data_format: Any = None,
) -> Value:  # fmt: skip
    """Resize images."""
    target = elements(b, size, 2)
    if (crop_to_aspect_ratio or pad_to_aspect_ratio) and any(isinstance(n, Value) for n in target):
        raise Refusal("proportions computed at run time")

    def compute(x: Value) -> Value:
        if b.generation < 3 and interpolation != "nearest":
            x = f.real(b, x)  # before Keras 3, whole numbers are not rounded
        if crop_to_aspect_ratio or pad_to_aspect_ratio:
            x = _to_aspect_ratio(b, x, target, bool(pad_to_aspect_ratio), fill_value)
        return resize(b, x, target, interpolation, antialias=bool(antialias))

    return over_images(b, images, data_format, compute)


def _to_aspect_ratio(b: Builder, x: Value, target: list[int], fill: bool, value: Any) -> Value:
    """Cut, or fill up, to the proportions of *target*."""
    height, width = x.shape[1:3]
    if height is None or width is None:
        raise StaticShapeNeeded(f"its input shape {list(x.shape)} must be known")
    high, wide = (int(float(width * target[0]) / target[1]), int(float(height * target[1])
                  / target[0]))  # fmt: skip
    if not fill:
        high, wide = max(min(height, high), 1), max(min(width, wide), 1)
        top, left = int((height - high) / 2), int((width - wide) / 2)
        return getitem(b, x, [slice(None), slice(top, top + high), slice(left, left + wide)])
    top, left = int((max(height, high) - height) / 2), int((max(width, wide) - width) / 2)
    left = 0 if top else left  # Keras fills both ends of one axis alone
    return pad(b, x, [(0, 0), (top, top), (left, left), (0, 0)], "constant", value)


# ------------------------------------------------------------------------------------- colours


@operation("rgb_to_grayscale")
def rgb_to_grayscale(b: Builder, images: Operand, data_format: Any = None) -> Value:
    """Return the weighted sums of red, green and blue."""

    def compute(x: Value) -> Value:
        if x.shape[-1] == 1:
            return x
        weights = np.asarray([[0.2989], [0.5870], [0.1140]], np.float32)
        return b.value(einsum(b, "bhwc,cd->bhwd", f.real(b, x), weights), x.dtype)

    return over_images(b, images, data_format, compute)


@operation("rgb_to_hsv")
def rgb_to_hsv(b: Builder, images: Operand, data_format: Any = None) -> Value:
    """Return hue, saturation and value."""

    def compute(x: Value) -> Value:
        x = a.where(b, a.less(b, a.absolute(b, x), 2.0**-23), 0.0, x)
        red, green, blue = unstack(b, x, axis=-1)
        value = a.maximum(b, a.maximum(b, red, green), blue)
        span = a.subtract(b, value, a.minimum(b, a.minimum(b, red, green), blue))
        some, colourful = a.greater(b, value, 0.0), a.greater(b, span, 0.0)
        saturation = a.where(b, some, a.divide(b, span, a.where(b, some, value, 1.0)), 0.0)
        norm = a.divide(b, 1.0, a.multiply(b, a.where(b, colourful, span, 1.0), 6.0))

        def turn(one: Value, other: Value, third: int) -> Value:
            return a.add(b, a.multiply(b, norm, a.subtract(b, one, other)), third / 3)

        hue = a.where(b, a.equal(b, value, green), turn(blue, red, 1), turn(red, green, 2))
        hue = a.where(b, a.equal(b, value, red), turn(green, blue, 0), hue)
        below = b.value(a.less(b, hue, 0.0), "float32")
        hue = a.add(b, a.where(b, colourful, hue, 0.0), below)
        return stack(b, [hue, saturation, value], -1)

    return over_images(b, images, data_format, compute)


@operation("hsv_to_rgb")
def hsv_to_rgb(b: Builder, images: Operand, data_format: Any = None) -> Value:
    """Return red, green and blue of hue, saturation and value."""

    def compute(x: Value) -> Value:
        hue, saturation, value = unstack(b, x, axis=-1)
        turn = a.multiply(b, a.mod(b, hue, 1.0), 6.0)
        far = [a.absolute(b, a.subtract(b, turn, middle)) for middle in (3.0, 2.0, 4.0)]
        parts = [a.subtract(b, far[0], 1.0), *(a.subtract(b, 2.0, each) for each in far[1:])]
        grey = a.subtract(b, 1.0, saturation)
        colours = [a.multiply(b, saturation, a.clip(b, part, 0.0, 1.0)) for part in parts]
        return stack(b, [a.multiply(b, value, a.add(b, grey, one)) for one in colours], -1)

    return over_images(b, images, data_format, compute)


# --------------------------------------------------------------------------- cuts and patches


def _widths(
    sizes: tuple[int | None, ...], before: list[Any], after: list[Any], target: list[Any], sign: int
) -> list[tuple[int, int]]:
    """Return the sizes to add (*sign* 1) or remove (-1) before and after both axes."""
    found = []
    for size, first, last, wanted in zip(sizes, before, after, target, strict=True):
        if first is None or last is None:
            if size is None:
                raise StaticShapeNeeded("a target size of images of an unknown size")
            difference = sign * (int(wanted) - size)
            here = difference - int(last) if first is None else int(first)
            found.append((here, difference - here if last is None else int(last)))
        else:
            found.append((int(first), int(last)))
    return found


@operation("pad_images")
def pad_images(
    b: Builder, images: Operand, top_padding: Any = None, left_padding: Any = None,
    bottom_padding: Any = None, right_padding: Any = None, target_height: Any = None,
    target_width: Any = None, data_format: Any = None,
) -> Value:  # fmt: skip
    """Add zeros around images."""
    ends = [top_padding, left_padding], [bottom_padding, right_padding]

    def compute(x: Value) -> Value:
        widths = _widths(x.shape[1:3], *ends, [target_height, target_width], 1)
        return pad(b, x, [(0, 0), *widths, (0, 0)])

    return over_images(b, images, data_format, compute)


@operation("crop_images")
def crop_images(
    b: Builder, images: Operand, top_cropping: Any = None, left_cropping: Any = None,
    bottom_cropping: Any = None, right_cropping: Any = None, target_height: Any = None,
    target_width: Any = None, data_format: Any = None,
) -> Value:  # fmt: skip
    """Cut the edges of images away."""
    ends = [top_cropping, left_cropping], [bottom_cropping, right_cropping]

    def compute(x: Value) -> Value:
        cuts = _widths(x.shape[1:3], *ends, [target_height, target_width], -1)
        return getitem(b, x, [slice(None), *(slice(i, -j or None) for i, j in cuts)])

    return over_images(b, images, data_format, compute)


@operation("extract_patches")
def extract_patches(
    b: Builder, images: Operand, size: Any, strides: Any = None, dilation_rate: Any = 1,
    padding: str = "valid", data_format: Any = None,
) -> Value:  # fmt: skip
    """Return the windows of images, or of volumes, as channels."""
    x = b.value(images)
    rank = 2 if isinstance(size, int) or len(size) == 2 else 3
    window = per_axis(size, rank)
    single = x.rank == rank + 1
    x = expand_dims(b, x, 0) if single else x
    channels = x.shape[1 if channels_first(x, data_format) else -1]
    if channels is None:
        raise StaticShapeNeeded("patches of an unknown number of channels")
    count = int(np.prod(window)) * channels
    wide = (*window, channels)

    def unit(*at: Array) -> Array:
        return np.asarray(np.ravel_multi_index(np.broadcast_arrays(*at[:-1]), wide) == at[-1])

    y = conv(
        b,
        x,
        b.formula((*wide, count), unit),
        strides or window,
        padding,
        data_format,
        dilation_rate,
    )
    return squeeze(b, y, 0) if single else y


@operation("unfold")
def unfold(
    b: Builder, input: Operand, kernel_size: Any, dilation: Any = 1, padding: Any = 0,  # noqa: A002
    stride: Any = 1,
) -> Value:  # fmt: skip
    """Return the windows of images with the channels first, one column for each."""
    x = to_channels_last(b, b.value(input))
    channels, window = x.shape[-1] or 0, per_axis(kernel_size, 2)
    x = pad(b, x, [(0, 0), *((one, one) for one in per_axis(padding, 2)), (0, 0)])
    y = extract_patches(b, x, window, per_axis(stride, 2), per_axis(dilation, 2))
    batch, height, width, _ = dynamic_shape(b, y)
    places = a.multiply(b, height, width)
    split = reshape(b, y, [batch, places, window[0] * window[1], channels])
    return reshape(b, transpose(b, split, [0, 3, 2, 1]), [batch, y.shape[-1], places])


@operation("fold")
def fold(
    b: Builder, x: Operand, output_size: Any, kernel_size: Any, dilation: Any = 1,
    padding: Any = 0, stride: Any = 1,
) -> Value:  # fmt: skip
    """Add the columns of windows up to images: a transposed convolution with units."""
    x = b.value(x)
    out, window, step, edge, steps = (
        per_axis(each, 2) for each in (output_size, kernel_size, dilation, padding, stride)
    )
    whole = [size + 2 * p for size, p in zip(out, edge, strict=True)]
    counts = [(size - d * (k - 1) - 1) // s + 1
              for size, d, k, s in zip(whole, step, window, steps, strict=True)]  # fmt: skip
    inputs = x.shape[1]
    if inputs is None:
        raise StaticShapeNeeded("windows of an unknown number of channels")
    b.hold(inputs, inputs)
    channels = inputs // (window[0] * window[1])
    units = np.eye(inputs, dtype=np.float32).reshape(channels, *window, inputs)
    columns = transpose(b, x, [0, 2, 1])
    images = reshape(b, columns, [size_of(b, x, 0), *counts, inputs])
    kernel = units.transpose(1, 2, 0, 3)
    y = conv_transpose(b, images, kernel, steps, "valid", None, None, step)
    have = y.shape[1:3]
    more = [max(size - (given or 0), 0) for size, given in zip(whole, have, strict=True)]
    y = pad(b, y, [(0, 0), (0, more[0]), (0, more[1]), (0, 0)])
    y = getitem(b, y, [slice(None), *(slice(p, p + size) for p, size in
                                      zip(edge, out, strict=True))])  # fmt: skip
    return to_channels_first(b, y)


@operation("depth_to_space")
def depth_to_space(
    b: Builder, x: Operand, block_size: int, data_format: str = "channels_last"
) -> Value:
    """Move blocks of channels into squares of pixels."""
    first = data_format == "channels_first"  # where a block is the last of a channel's axes
    x = to_channels_last(b, b.value(x)) if first else b.value(x)
    batch, height, width, _ = dynamic_shape(b, x)
    if x.shape[-1] is None:
        raise StaticShapeNeeded("blocks of an unknown number of channels")
    depth = x.shape[-1] // block_size**2
    blocks = [depth, block_size, block_size] if first else [block_size, block_size, depth]
    y = reshape(b, x, [batch, height, width, *blocks])
    y = transpose(b, y, [0, 1, 4, 2, 5, 3] if first else [0, 1, 3, 2, 4, 5])
    sizes = [times(b, x, axis, block_size) for axis in (1, 2)]
    y = reshape(b, y, [batch, *sizes, depth])
    return to_channels_first(b, y) if first else y


@operation("space_to_depth")
def space_to_depth(
    b: Builder, x: Operand, block_size: int, data_format: str = "channels_last"
) -> Value:
    """Move squares of pixels into channels."""
    first = data_format == "channels_first"
    x = to_channels_last(b, b.value(x)) if first else b.value(x)
    batch, *spatial, channels = dynamic_shape(b, x)
    low = [a.floor_divide(b, one, block_size) if isinstance(one, Value) else one // block_size
           for one in spatial]  # fmt: skip
    y = reshape(b, x, [batch, low[0], block_size, low[1], block_size, channels])
    y = transpose(b, y, [0, 1, 3, 5, 2, 4] if first else [0, 1, 3, 2, 4, 5])
    y = reshape(b, y, [batch, *low, times(b, x, -1, block_size**2)])
    return to_channels_first(b, y) if first else y


# ------------------------------------------------------------------------------------- filters


def _filtered(b: Builder, x: Value, kernel: Any) -> Value:
    """Convolve each channel with *kernel*; zeros lie around the image."""
    channels = int(x.shape[-1] or 0)
    shape = (*kernel.shape, channels, 1)
    filters = b.formula(shape, lambda i, j, *_: kernel[i, j])
    return depthwise_conv(b, x, filters, 1, "same")


@operation("gaussian_blur")
def gaussian_blur(
    b: Builder, images: Operand, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0),
    data_format: Any = None,
) -> Value:  # fmt: skip
    """Return blurred images."""
    if isinstance(sigma, Value):
        raise Refusal("a sigma computed at run time")
    sides = []
    for size, width in zip(per_axis(kernel_size, 2), np.ravel(sigma), strict=True):
        b.hold(size, size)
        bell = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / width) ** 2)
        sides.append(bell / bell.sum())
    kernel = np.outer(sides[1], sides[0])
    return over_images(b, images, data_format, lambda x: _filtered(b, x, kernel))


@operation("sobel_edges")
def sobel_edges(b: Builder, images: Operand, data_format: Any = None) -> Value:
    """Return the slopes down and to the right, as a new last axis."""
    right = np.outer([1, 2, 1], [-1, 0, 1])

    def slope(kernel: Any) -> Value:
        return over_images(b, images, data_format, lambda x: _filtered(b, x, kernel))

    return stack(b, [slope(right.T), slope(right)], -1)
