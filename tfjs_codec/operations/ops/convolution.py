"""Convolutions: operations of ``keras.ops.nn``."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

from tfjs_codec.ir.shapes import Dims
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops.shapes import (
    dynamic_shape,
    expand_dims,
    reshape,
    squeeze,
    total_size,
    transpose,
)
from tfjs_codec.operations.ops.slicing import flip, getitem, pad, slice_axis
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value
from tfjs_codec.tracing.refusal import StaticShapeNeeded
from tfjs_codec.tracing.sizes import per_axis
from tfjs_codec.tracing.windows import same_padding, theano_padding, transposed_window


def channels_first(x: Value, data_format: Any) -> bool:
    """Tell whether the channels come before the spatial axes."""
    return data_format == "channels_first" and x.rank > 2


def to_channels_last(b: Builder, x: Value) -> Value:
    """Move the channels from the second axis to the last."""
    return transpose(b, x, [0, *range(2, x.rank), 1])


def to_channels_first(b: Builder, x: Value) -> Value:
    """Move the channels from the last axis to the second."""
    return transpose(b, x, [0, x.rank - 1, *range(1, x.rank - 1)])


# ------------------------------------------------------------------------------- convolutions


def _padding(
    b: Builder, x: Value, padding: str, kernel: Sequence[int], strides: Sequence[int],
    dilations: Sequence[int],
) -> tuple[Value, bytes]:  # fmt: skip
    """Return *x*, padded where TensorFlow's 'SAME' would not do, and the padding that is left."""
    if padding == "causal":
        width = (kernel[0] - 1) * dilations[0]
        return pad(b, x, [(0, 0), (width, 0), (0, 0)]), b"VALID"
    if padding == "valid":
        return x, b"VALID"
    spatial = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if b.is_theano:
        return pad(b, x, [(0, 0), *map(theano_padding, spatial), (0, 0)]), b"VALID"
    if all(stride <= reach for stride, reach in zip(strides, spatial, strict=True)):
        return x, b"SAME"
    # tfjs's wasm backend counts this padding in unsigned numbers, which overflow.
    found = [same_padding(*each) for each in zip(x.shape[1:-1], spatial, strides, strict=True)]
    pairs = [pair for pair in found if pair is not None]
    if len(pairs) < len(found):
        raise StaticShapeNeeded(
            "'same' padding with strides larger than the kernel on an unknown size"
        )
    return pad(b, x, [(0, 0), *pairs, (0, 0)]), b"VALID"


@operation("conv")
def conv(
    b: Builder, inputs: Operand, kernel: Operand, strides: Any = 1, padding: str = "valid",
    data_format: Any = None, dilation_rate: Any = 1, groups: int = 1,
) -> Value:  # fmt: skip
    """Return a convolution over one, two or three axes; more than one group as the kernel says."""
    x, kernel = a.floats(b, inputs, kernel)
    rank = x.rank - 2
    strides, dilations = per_axis(strides, rank), per_axis(dilation_rate or 1, rank)
    if channels_first(x, data_format):
        y = conv(b, to_channels_last(b, x), kernel, strides, padding, None, dilations, groups)
        return to_channels_first(b, y)
    kernel, dilations = _dilate(b, kernel, strides, dilations, rank)
    size = [int(one or 0) for one in kernel.shape[:rank]]
    x, left = _padding(b, x, padding.lower(), size, strides, dilations)
    if rank == 1:
        image, filters = expand_dims(b, x, 1), expand_dims(b, kernel, 0)
        y = _convolution(b, "Conv2D", image, filters, [1, *strides], left, [1, *dilations])
        return squeeze(b, y, 1)
    return _convolution(b, f"Conv{rank}D", x, kernel, strides, left, dilations)


def _dilate(
    b: Builder, kernel: Value, strides: list[int], dilations: list[int], rank: int
) -> tuple[Value, list[int]]:
    """Put the zeros of a dilation into the kernel where tfjs does not take it with strides."""
    if max(strides) == 1 or max(dilations) == 1:
        return kernel, dilations
    for axis, step in enumerate(dilations):
        size = kernel.shape[axis] or 0
        if step == 1 or size == 1:
            continue
        wide = expand_dims(b, kernel, axis + 1)
        wide = pad(b, wide, [(0, (step - 1) * (i == axis + 1)) for i in range(wide.rank)])
        sizes = [*kernel.shape[:axis], size * step, *kernel.shape[axis + 1 :]]
        kernel = slice_axis(b, reshape(b, wide, sizes), axis, 0, (size - 1) * step + 1)
    return kernel, [1] * rank


def _convolution(
    b: Builder, op: str, x: Value, kernel: Value, strides: Sequence[int], padding: bytes,
    dilations: Sequence[int],
) -> Value:  # fmt: skip
    rank = x.rank - 2
    size = [int(one or 0) for one in kernel.shape[:rank]]
    spatial = slide(x.shape[1:-1], size, strides, dilations, padding)
    channels = kernel.shape[-1]
    if op == "DepthwiseConv2dNative":
        channels = (kernel.shape[-2] or 0) * (channels or 0)
    formats = {2: b"NHWC", 3: b"NDHWC"}
    return b.emit(
        op, x, kernel, shape=(x.shape[0], *spatial, channels), dtype=x.dtype,
        strides=(1, *strides, 1), padding=padding, data_format=formats[rank],
        dilations=(1, *dilations, 1),
    )  # fmt: skip


def slide(
    sizes: Dims, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
    padding: bytes,
) -> list[int | None]:  # fmt: skip
    """Return the sizes of spatial axes after a window slid over them."""
    found: list[int | None] = []
    for size, window, stride, step in zip(sizes, kernel, strides, dilations, strict=True):
        if size is None:
            found.append(None)
            continue
        reach = (window - 1) * step + 1
        places = size if padding == b"SAME" else size - reach + 1
        if places < 1:
            raise ValueError(f"a window of {reach} on an axis of size {size}")
        found.append(-(-places // stride))
    return found


@operation("depthwise_conv")
def depthwise_conv(
    b: Builder, inputs: Operand, kernel: Operand, strides: Any = 1, padding: str = "valid",
    data_format: Any = None, dilation_rate: Any = 1,
) -> Value:  # fmt: skip
    """Return the convolution of each channel with filters of its own."""
    x, kernel = a.floats(b, inputs, kernel)
    rank = x.rank - 2
    strides, dilations = per_axis(strides, rank), per_axis(dilation_rate or 1, rank)
    if channels_first(x, data_format):
        y = depthwise_conv(b, to_channels_last(b, x), kernel, strides, padding, None, dilations)
        return to_channels_first(b, y)
    kernel, dilations = _dilate(b, kernel, strides, dilations, rank)
    size = [int(one or 0) for one in kernel.shape[:rank]]
    x, left = _padding(b, x, padding.lower(), size, strides, dilations)
    if rank == 1:
        x, kernel = expand_dims(b, x, 1), expand_dims(b, kernel, 0)
        strides, dilations = strides * 2, [1, *dilations]
    if strides[0] != strides[-1]:
        return _unequal(b, x, kernel, strides, left, dilations)
    y = _convolution(b, "DepthwiseConv2dNative", x, kernel, strides, left, dilations)
    return squeeze(b, y, 1) if rank == 1 else y


def _unequal(
    b: Builder, x: Value, kernel: Value, strides: list[int], padding: bytes, dilations: list[int]
) -> Value:
    """Take the steps that both strides share, then some of the results: tfjs has one stride."""
    if padding == b"SAME":
        reach = [((k or 0) - 1) * d + 1 for k, d in zip(kernel.shape, dilations, strict=False)]
        pairs = [same_padding(*each) for each in zip(x.shape[1:3], reach, strides, strict=True)]
        known = [pair for pair in pairs if pair is not None]
        if len(known) < 2:
            raise StaticShapeNeeded("a depthwise convolution with different strides")
        x = pad(b, x, [(0, 0), *known, (0, 0)])
    step = gcd(*strides)
    y = _convolution(b, "DepthwiseConv2dNative", x, kernel, [step, step], b"VALID", dilations)
    return getitem(b, y, [slice(None), *(slice(None, None, each // step) for each in strides)])


@operation("separable_conv")
def separable_conv(
    b: Builder, inputs: Operand, depthwise_kernel: Operand, pointwise_kernel: Operand,
    strides: Any = 1, padding: str = "valid", data_format: Any = None, dilation_rate: Any = 1,
) -> Value:  # fmt: skip
    """Return a depthwise convolution and one of size 1 after it."""
    y = depthwise_conv(b, inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(b, y, pointwise_kernel, 1, "valid", data_format)


@operation("conv_transpose")
def conv_transpose(
    b: Builder, inputs: Operand, kernel: Operand, strides: Any = 1, padding: str = "valid",
    output_padding: Any = None, data_format: Any = None, dilation_rate: Any = 1,
) -> Value:  # fmt: skip
    """Return a transposed convolution over one or two axes."""
    x, kernel = a.floats(b, inputs, kernel)
    rank = x.rank - 2
    strides, dilations = per_axis(strides, rank), per_axis(dilation_rate or 1, rank)
    if channels_first(x, data_format):
        last = to_channels_last(b, x)
        y = conv_transpose(b, last, kernel, strides, padding, output_padding, None, dilations)
        return to_channels_first(b, y)
    if max(dilations) > 1:
        kernel, _ = _dilate(b, kernel, [2] * rank, dilations, rank)
    extra = [None] * rank if output_padding is None else per_axis(output_padding, rank)
    sizes = [int(one or 0) for one in kernel.shape[:rank]]
    if rank == 3:
        return _transpose_stuffed(b, x, kernel, strides, padding, extra)
    if rank == 1:
        x, kernel = expand_dims(b, x, 1), expand_dims(b, kernel, 0)
        sizes, strides, extra = [1, *sizes], [1, *strides], [None, *extra]
    y = _transpose(b, x, kernel, sizes, strides, padding, extra)
    return squeeze(b, y, 1) if rank == 1 else y


def _transpose(
    b: Builder, x: Value, kernel: Value, sizes: list[int], strides: list[int], padding: str,
    extra: Sequence[int | None],
) -> Value:  # fmt: skip
    """Compute the whole result in tfjs, then cut out or pad what Keras returns of it."""
    plain = padding == "valid" or not (b.is_theano or any(e is not None for e in extra))
    if plain and all(e is None for e in extra):
        out = [
            None if n is None else transposed_window(n, k, s, padding, None, theano=False)[1]
            for n, k, s in zip(x.shape[1:3], sizes, strides, strict=True)
        ]
        lengths: list[Any] = list(out)
        for axis, (k, s) in enumerate(zip(sizes, strides, strict=True)):
            if out[axis] is None:
                length = dynamic_shape(b, x)[axis + 1]
                more = 0 if padding == "same" else max(k - s, 0)
                lengths[axis] = a.add(b, a.multiply(b, length, s), more)
        return _backprop(b, x, kernel, lengths, out, strides, padding.upper().encode())
    cuts: list[slice] = []
    pads, whole = [], []
    for n, k, s, e in zip(x.shape[1:3], sizes, strides, extra, strict=True):
        if n is None:
            raise StaticShapeNeeded("output_padding on an unknown size")
        start, wanted = transposed_window(n, k, s, padding, e, theano=b.is_theano)
        have = (n - 1) * s + max(k, s)
        whole.append(have)
        cuts.append(slice(start, min(start + wanted, have)))
        pads.append((0, max(start + wanted - have, 0)))
    y = _backprop(b, x, kernel, list(whole), list(whole), strides, b"VALID")
    y = getitem(b, y, [slice(None), *cuts])
    return pad(b, y, [(0, 0), *pads, (0, 0)])


def _backprop(
    b: Builder, x: Value, kernel: Value, lengths: list[Any], known: list[int | None],
    strides: list[int], padding: bytes,
) -> Value:  # fmt: skip
    batch, channels = dynamic_shape(b, x)[0], kernel.shape[-2]
    sizes = b.value([batch, *lengths, channels], "int32")
    return b.emit(
        "Conv2DBackpropInput", sizes, kernel, x, shape=(x.shape[0], *known, channels),
        dtype=x.dtype, strides=(1, *strides, 1), padding=padding, data_format=b"NHWC",
        T="float32",
    )  # fmt: skip


def _transpose_stuffed(
    b: Builder, x: Value, kernel: Value, strides: list[int], padding: str,
    extra: Sequence[int | None],
) -> Value:  # fmt: skip
    """Convolve the zero-stuffed input with the flipped kernel: tfjs has no such op in 3D."""
    pads = []
    for axis, (stride, more) in enumerate(zip(strides, extra, strict=True)):
        n, k = x.shape[axis + 1], kernel.shape[axis] or 0
        if n is None:
            raise StaticShapeNeeded(
                "a transposed convolution in three dimensions of an unknown size"
            )
        if stride > 1:
            sizes = dynamic_shape(b, x)
            rows = reshape(b, x, [-1, 1, total_size(b, sizes[axis + 2 :])])
            wide = pad(b, rows, [(0, 0), (0, stride - 1), (0, 0)])
            sizes[axis + 1] = n * stride
            x = slice_axis(b, reshape(b, wide, sizes), axis + 1, 0, (n - 1) * stride + 1)
        start, wanted = transposed_window(n, k, stride, padding, more, theano=b.is_theano)
        before = k - 1 - start
        pads.append((before, wanted + k - 1 - before - ((n - 1) * stride + 1)))
    cuts = [slice(max(-p, 0), None if q >= 0 else q) for p, q in pads]
    x = getitem(b, x, [slice(None), *cuts])
    x = pad(b, x, [(0, 0), *((max(p, 0), max(q, 0)) for p, q in pads), (0, 0)])
    filters = transpose(b, flip(b, kernel, [0, 1, 2]), [0, 1, 2, 4, 3])
    return _convolution(b, "Conv3D", x, filters, [1, 1, 1], b"VALID", [1, 1, 1])
