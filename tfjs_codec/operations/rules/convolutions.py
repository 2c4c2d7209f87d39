"""Convolution layers."""

from __future__ import annotations

from typing import Any

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.keras.dialect import ALONG_AXIS
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import convolution as c
from tfjs_codec.operations.registry import rule
from tfjs_codec.operations.rules.activations import activate
from tfjs_codec.operations.values import Value


def _options(layer: KerasLayer) -> dict[str, Any]:
    config = layer.config
    return {
        "strides": config.get("strides") or 1,
        "padding": config["padding"],
        "dilation_rate": config.get("dilation_rate") or 1,
    }


def _convolve(b: Builder, layer: KerasLayer, x: Value, run: Any) -> Value:
    """Convolve with the channels last, add the bias and activate."""
    first = c.channels_first(x, layer.config.get("data_format"))
    y = run(c.to_channels_last(b, x) if first else x)
    if layer.config.get("use_bias", True):
        y = a.bias_add(b, y, b.weight(layer, "bias"))
    activation = layer.config.get("activation")
    along_channels = isinstance(activation, str) and activation in ALONG_AXIS
    if first and along_channels:  # Keras works on the last axis, whatever it is
        return activate(b, c.to_channels_first(b, y), activation)
    y = activate(b, y, activation)
    return c.to_channels_first(b, y) if first else y


@rule("Conv1D", "Conv2D", "Conv3D")
def conv(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Conv2D or Conv3D, bias and activation."""
    kernel = b.weight(layer, "kernel")
    return _convolve(b, layer, x, lambda x: c.conv(b, x, kernel, **_options(layer)))


@rule("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise_conv(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """DepthwiseConv2dNative, bias and activation."""
    kernel = b.weight(layer, "depthwise_kernel")
    return _convolve(b, layer, x, lambda x: c.depthwise_conv(b, x, kernel, **_options(layer)))


@rule("SeparableConv1D", "SeparableConv2D")
def separable_conv(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """DepthwiseConv2dNative, Conv2D, bias and activation."""
    kernels = b.weight(layer, "depthwise_kernel"), b.weight(layer, "pointwise_kernel")
    return _convolve(b, layer, x, lambda x: c.separable_conv(b, x, *kernels, **_options(layer)))


@rule("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def conv_transpose(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Conv2DBackpropInput, or Conv3D of a stuffed input; bias and activation."""
    kernel, options = b.weight(layer, "kernel"), _options(layer)
    options["output_padding"] = layer.config.get("output_padding")
    return _convolve(b, layer, x, lambda x: c.conv_transpose(b, x, kernel, **options))
