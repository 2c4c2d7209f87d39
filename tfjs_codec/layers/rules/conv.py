"""Convolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.tensors import Array, FormulaTensor, LazyTensor, formula, map_float32
from tfjs_codec.keras.dialect import ALONG_AXIS
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import rule
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.layers.primitives import affine, channels_last, known_size, matrix_on_axis, reshape
from tfjs_codec.layers.rules.activation import apply, split
from tfjs_codec.layers.rules.core import regularizers
from tfjs_codec.layers.rules.resize import pad
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded
from tfjs_codec.tracing.sizes import per_axis
from tfjs_codec.tracing.windows import same_padding, theano_padding, transposed_window


def _options(b: Scope, layer: KerasLayer, rank: int) -> dict[str, Any]:
    """Return the config that all convolutions share; the activation is left to the caller."""
    config = layer.config
    return {
        "kernel_size": per_axis(config["kernel_size"], rank),
        "strides": per_axis(config.get("strides", 1), rank),
        "padding": config["padding"],
        "data_format": config.get("data_format") or "channels_last",
        "dilation_rate": [1] * rank,  # depthwise and transposed ones widen their kernels
        "use_bias": bool(config["use_bias"]),
    }


def pad_same(b: Scope, x: Tensor, config: dict[str, Any], *, frames: bool = False) -> Tensor:
    """Pad *x* and make *config* 'valid' where tfjs's 'same' does not do what Keras's does.

    Of *frames* the first axis after the batch is time.

    tfjs's wasm backend (XNNPACK) counts the padding in unsigned numbers, which overflow where the
    stride skips more than the kernel reaches. Theano pads all kernels alike, whatever the stride.
    """
    if config["padding"] != "same":
        return x
    pairs = zip(config["kernel_size"], config["dilation_rate"], strict=True)
    windows = [(kernel - 1) * dilation + 1 for kernel, dilation in pairs]
    steps = list(zip(windows, config["strides"], strict=True))
    pads: list[tuple[int, int] | None]
    if b.is_theano:
        differs = any(stride > 1 or window % 2 == 0 for window, stride in steps)
        pads = [theano_padding(window) for window in windows]
    else:
        differs = any(stride > window for window, stride in steps)
        sizes = x.shape[2 if config["data_format"] == "channels_first" or frames else 1 :]
        pads = [same_padding(size, *step) for size, step in zip(sizes, steps, strict=False)]
    if not differs:
        return x
    config["padding"] = "valid"
    amounts = [list(pair) for pair in pads if pair is not None]
    if len(amounts) < len(pads):
        raise StaticShapeNeeded(f"its input shape {list(x.shape)} must be known")
    amounts = [[0, 0], *amounts] if frames else amounts
    return pad(b, config, x, amounts, part="same_padding") if any(map(any, amounts)) else x


@rule("Conv1D", "Conv2D", "Conv3D")
def conv(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """The same class; causal padding, groups and channels_first 1D from other layers.

    Groups of one channel are a DepthwiseConv2D, others a kernel with zeros between the groups.
    """
    rank = int(layer.class_name[4])
    config = _options(b, layer, rank)
    config["filters"] = layer.config["filters"]
    config["dilation_rate"] = per_axis(layer.config.get("dilation_rate", 1), rank)
    config.update(regularizers(layer, "kernel", "bias"))
    config["activation"], tail = split(b, layer.config["activation"])
    groups = layer.config.get("groups") or 1

    def run(x: Tensor) -> Tensor:
        if rank == 2 and groups > 1 and groups == x.shape[-1] and len(set(config["strides"])) == 1:
            return _by_channel(b, x, config, layer.weights, groups)
        if config["padding"] == "causal":
            x = _pad_left(b, x, (config["kernel_size"][0] - 1) * config["dilation_rate"][0])
            config["padding"] = "valid"
        x = pad_same(b, x, config)
        weights = dict(layer.weights)
        if groups > 1:
            weights["kernel"] = _block_diagonal(weights["kernel"], groups)
        return b.add(layer.class_name, x, config, weights)

    if config["data_format"] == "channels_first" and (rank == 1 or groups > 1):
        return tail(_run_channels_last(b, x, config, run, layer.config["activation"]))
    return tail(run(x))


def _pad_left(b: Scope, x: Tensor, count: int) -> Tensor:
    """Pad *x* ``(batch, time, channels)`` with *count* zeros before the first step."""
    if not count:
        return x
    image = reshape(b, x, (x.shape[1], 1, x.shape[2]))
    config = {"padding": [[count, 0], [0, 0]], "data_format": "channels_last"}
    padded = b.add("ZeroPadding2D", image, config, part="causal_padding")
    return reshape(b, padded, (padded.shape[1], x.shape[2]))


def _is_along_axis(activation: object) -> bool:
    """Tell whether *activation* works on the last axis, which may be a spatial one."""
    return isinstance(activation, str) and activation in ALONG_AXIS


def _run_channels_last(
    b: Scope, x: Tensor, config: dict[str, Any], run: Callable[[Tensor], Tensor], activation: object
) -> Tensor:
    """Apply *run*, which reads *config*, with the channels last."""
    config["data_format"] = "channels_last"
    fused = config["activation"] != "linear" and _is_along_axis(activation)
    if fused:
        config["activation"] = "linear"
    y = channels_last(b, x, "channels_first", run)
    return apply(b, y, activation) if fused else y


def _by_channel(
    b: Scope, x: Tensor, config: dict[str, Any], weights: Mapping[str, LazyTensor], channels: int
) -> Tensor:
    """Convolve each channel of *x* by itself."""
    kernel = weights["kernel"]
    filters, dilation = config["filters"], config["dilation_rate"]
    shape = (*kernel.shape[:2], channels, filters // channels)
    kernel = map_float32(kernel, shape, lambda values: values.reshape(shape))
    if any(d > 1 for d in dilation):  # tfjs ignores it
        kernel = dilate(kernel, dilation)
    plain = {
        key.replace("kernel_", "depthwise_") if key != "kernel_size" else key: value
        for key, value in config.items()
        if key != "filters"
    }
    plain.update(kernel_size=list(kernel.shape[:2]), dilation_rate=[1, 1])
    plain["depth_multiplier"] = filters // channels
    x = pad_same(b, x, plain)
    others = {role: tensor for role, tensor in weights.items() if role != "kernel"}
    return b.add("DepthwiseConv2D", x, plain, {"depthwise_kernel": kernel, **others})


def _block_diagonal(kernel: LazyTensor, groups: int) -> LazyTensor:
    """Return the ungrouped kernel equal to a grouped *kernel* ``[..., in/groups, out]``."""
    *size, inner, filters = kernel.shape
    step = filters // groups

    def prepare() -> Callable[..., Array]:
        values = kernel.numpy()

        def element(*places: NDArray[np.int64]) -> Array:
            *cell, i, j = places
            at = (*cell, i % inner, j)
            return np.where(i // inner == j // step, values[at], 0)

        return element

    return FormulaTensor(kernel.name, (*size, inner * groups, filters), prepare)


@rule("Conv2DTranspose", "Conv3DTranspose")
def conv_transpose(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """The same class; output_padding by cropping or padding, dilation by a widened kernel."""
    rank = int(layer.class_name[4])
    config = _options(b, layer, rank)
    del config["dilation_rate"]
    config["filters"] = layer.config["filters"]
    config.update(regularizers(layer, "kernel", "bias"))
    if (layer.config.get("groups") or 1) > 1:
        raise Refusal("a grouped transposed convolution")
    weights = dict(layer.weights)
    dilation = per_axis(layer.config.get("dilation_rate") or 1, rank)
    if any(d > 1 for d in dilation):
        weights["kernel"] = dilate(weights["kernel"], dilation)
        config["kernel_size"] = list(weights["kernel"].shape[:rank])
    config["activation"], tail = split(b, layer.config["activation"])
    extra = layer.config.get("output_padding")
    theano = b.is_theano and config["padding"] == "same"
    if theano and rank == 3:
        raise Refusal(
            "Theano pads transposed convolutions in three dimensions differently",
            "Load the model with TensorFlow, check its predictions and save it again.",
        )
    if rank == 3:
        return tail(_stuffed_transpose(b, x, config, weights, extra))
    if extra is None and not theano:
        return tail(b.add(layer.class_name, x, config, weights))
    config["activation"] = "linear"  # comes after what is done to the output

    def run(x: Tensor) -> Tensor:
        return _padded_transpose(b, x, config, weights, extra)

    data_format, config["data_format"] = config["data_format"], "channels_last"
    return apply(b, channels_last(b, x, data_format, run), layer.config["activation"])


def _padded_transpose(
    b: Scope, x: Tensor, config: dict[str, Any], weights: dict[str, LazyTensor], extra: Any
) -> Tensor:
    """Cut the window that ``output_padding`` asks for from tfjs's 'valid' result (L6).

    Without *extra* it is Theano's 'same', which starts half a kernel in, whatever the stride.
    """
    cuts, pads = [], []
    for axis, (kernel, stride, more) in enumerate(_windows(config, extra), 1):
        size = known_size(x, axis)
        start, wanted = transposed_window(
            size, kernel, stride, config["padding"], more, theano=extra is None
        )
        have = (size - 1) * stride + max(kernel, stride)
        cuts.append([start, max(have - start - wanted, 0)])
        pads.append([0, max(start + wanted - have, 0)])
    config = {**config, "padding": "valid"}
    late = any(after for _, after in pads) and config["use_bias"]
    bias = weights.pop("bias") if late else None
    y = b.add(
        "Conv2DTranspose", x, {**config, "use_bias": config["use_bias"] and not late}, weights
    )
    if any(map(any, cuts)):
        y = b.add("Cropping2D", y, {"cropping": cuts, "data_format": "channels_last"})
    if any(map(any, pads)):
        y = b.add("ZeroPadding2D", y, {"padding": pads, "data_format": "channels_last"})
    return y if bias is None else affine(b, y, 1, bias.numpy())


def _windows(config: dict[str, Any], extra: Any) -> Iterable[tuple[int, int, int | None]]:
    """Return the kernel size, the stride and the output padding of each axis."""
    sizes = config["kernel_size"]
    more = [None] * len(sizes) if extra is None else per_axis(extra, len(sizes))
    return zip(sizes, config["strides"], more, strict=True)


def _stuffed_transpose(
    b: Scope, x: Tensor, config: dict[str, Any], weights: dict[str, LazyTensor], extra: Any
) -> Tensor:
    """Spread the values by the strides and convolve with the mirrored kernel.

    tfjs's wasm backend gets its own Conv3DTranspose wrong.
    """
    if config["data_format"] == "channels_first":
        config = {**config, "data_format": "channels_last"}
        return channels_last(
            b, x, "channels_first", lambda x: _stuffed_transpose(b, x, config, weights, extra)
        )
    for axis, (kernel, stride, more) in enumerate(_windows(config, extra), 1):
        size = known_size(x, axis)
        start, wanted = transposed_window(
            size, kernel, stride, config["padding"], more, theano=False
        )
        spread = _spread((size, wanted + kernel - 1), stride, kernel - 1 - start)
        x = matrix_on_axis(b, x, spread, axis, part="spread")
    kernel_tensor = weights["kernel"]
    shape = (*kernel_tensor.shape[:3], kernel_tensor.shape[4], kernel_tensor.shape[3])

    def mirror(values: Array) -> Array:
        mirrored: Array = values[::-1, ::-1, ::-1].swapaxes(3, 4)
        return mirrored

    unit = {"strides": [1, 1, 1], "dilation_rate": [1, 1, 1], "padding": "valid"}
    new = {**weights, "kernel": map_float32(kernel_tensor, shape, mirror)}
    return b.add("Conv3D", x, {**config, **unit}, new)


def _spread(shape: tuple[int, int], stride: int, first: int) -> LazyTensor:
    """Return the matrix that puts entry i at ``first + i * stride``."""
    return formula(shape, lambda i, j: j == first + i * stride)


def _as_image(b: Scope, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a 2D layer to *x* ``(batch, time, channels)`` as an image one pixel wide."""
    y = run(reshape(b, x, (x.shape[1], 1, x.shape[2])))
    return reshape(b, y, (y.shape[1], y.shape[3]))


def _widen(kernel: LazyTensor) -> LazyTensor:
    """Return *kernel* ``[k, a, b]`` as ``[k, 1, a, b]``."""
    shape = (kernel.shape[0], 1, *kernel.shape[1:])
    return map_float32(kernel, shape, lambda values: values.reshape(shape))


@rule("Conv1DTranspose", "DepthwiseConv1D", "SeparableConv1D")
def conv_1d_as_2d(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """The two-dimensional class between two Reshapes."""
    config = layer.config
    data_format = config.get("data_format")
    stride = per_axis(config.get("strides", 1), 1)[0]
    dilation = per_axis(config.get("dilation_rate") or 1, 1)[0]
    padding = config["padding"]
    transposed = layer.class_name == "Conv1DTranspose"
    extra = config.get("output_padding")
    wide = {
        "kernel_size": [per_axis(config["kernel_size"], 1)[0], 1],
        "strides": [stride, 1 if transposed else stride],
        "padding": "valid" if padding == "causal" else padding,
        "dilation_rate": [dilation, 1],
        "data_format": "channels_last",
        "output_padding": None if extra is None else [per_axis(extra, 1)[0], 0],
    }
    weights = {
        name: _widen(tensor) if name.endswith("kernel") else tensor
        for name, tensor in layer.weights.items()
    }
    after = data_format == "channels_first" and _is_along_axis(config["activation"])
    if after:
        wide["activation"] = "linear"
    class_name = layer.class_name.replace("1D", "2D")
    alias = KerasLayer(layer.name, class_name, config | wide, weights=weights)
    rules = {"C": conv_transpose, "D": depthwise_conv2d, "S": separable_conv2d}

    def run(x: Tensor) -> Tensor:
        if padding == "causal":
            x = _pad_left(b, x, (per_axis(config["kernel_size"], 1)[0] - 1) * dilation)
        return _as_image(b, x, lambda image: rules[class_name[0]](b, alias, image))

    y = channels_last(b, x, data_format, run)
    return apply(b, y, config["activation"]) if after else y


@rule("DepthwiseConv2D")
def depthwise_conv2d(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """DepthwiseConv2D; dilation by a widened kernel."""
    config = _options(b, layer, 2)
    config["depth_multiplier"] = layer.config.get("depth_multiplier", 1)
    config.update(regularizers(layer, "depthwise", "bias"))
    weights = dict(layer.weights)
    dilation = per_axis(layer.config.get("dilation_rate", 1), 2)
    if any(d > 1 for d in dilation):  # tfjs ignores it
        weights["depthwise_kernel"] = dilate(weights["depthwise_kernel"], dilation)
        config["kernel_size"] = list(weights["depthwise_kernel"].shape[:2])
    config["activation"], tail = split(b, layer.config["activation"])
    x = pad_same(b, x, config)
    return tail(b.add("DepthwiseConv2D", x, config, weights))


@rule("SeparableConv2D")
def separable_conv2d(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """SeparableConv2D."""
    config = _options(b, layer, 2)
    config["filters"] = layer.config["filters"]
    config["depth_multiplier"] = layer.config.get("depth_multiplier", 1)
    config.update(regularizers(layer, "depthwise", "pointwise", "bias"))
    weights = dict(layer.weights)
    dilation = per_axis(layer.config.get("dilation_rate", 1), 2)
    if any(d > 1 for d in dilation):
        weights["depthwise_kernel"] = dilate(weights["depthwise_kernel"], dilation)
        config["kernel_size"] = list(weights["depthwise_kernel"].shape[:2])
    config["activation"], tail = split(b, layer.config["activation"])

    def run(x: Tensor) -> Tensor:
        return b.add("SeparableConv2D", pad_same(b, x, config), config, weights)

    if config["data_format"] == "channels_first":
        return tail(_run_channels_last(b, x, config, run, layer.config["activation"]))
    return tail(run(x))


def dilate(kernel: LazyTensor, dilation: list[int]) -> LazyTensor:
    """Return *kernel* with zeros between its cells, which makes dilation 1 do the same."""
    rank = len(dilation)
    size = tuple((kernel.shape[i] - 1) * dilation[i] + 1 for i in range(rank))

    def prepare() -> Callable[..., Array]:
        values = kernel.numpy()

        def element(*places: NDArray[np.int64]) -> Array:
            cells, rest = places[:rank], places[rank:]
            pairs = list(zip(cells, dilation, strict=True))
            at = (*(cell // step for cell, step in pairs), *rest)
            return np.where(sum(cell % step for cell, step in pairs) == 0, values[at], 0)

        return element

    return FormulaTensor(kernel.name, (*size, *kernel.shape[rank:]), prepare)
