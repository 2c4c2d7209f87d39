"""Convolutions, poolings, paddings, croppings and resizings."""

from __future__ import annotations

from tfjs_codec.ir.keras import Config
from tfjs_codec.keras.classes.row import (
    BIAS,
    CAST,
    CHANNELS,
    LINEAR,
    REQUIRED,
    KerasClass,
    Variable,
    rows_by_name,
    training_keys,
)

_CONV: Config = {
    "kernel_size": REQUIRED, "strides": 1, "padding": "valid", "dilation_rate": 1, "groups": 1,
    **LINEAR, **CHANNELS,
}  # fmt: skip
_TOLD = ("filters", "kernel_size", "groups")
_KERNEL = Variable("kernel", convolves=True)
_DEPTHWISE = Variable("depthwise_kernel", convolves=True)
_POOL: Config = {"pool_size": 2, "strides": None, "padding": "valid", **CHANNELS}
_RANKS = (1, 2, 3)


def _conv(name: str, *aliases: str) -> KerasClass:
    return KerasClass(
        name, "convolution", {"filters": REQUIRED, **_CONV},
        (*training_keys("kernel", "bias"), "lora_rank", "lora_alpha"),
        aliases=aliases, variables=(_KERNEL, BIAS), told=_TOLD,
    )  # fmt: skip


def _conv_transpose(name: str, *aliases: str) -> KerasClass:
    return KerasClass(
        name, "convolution", {"filters": REQUIRED, **_CONV, "output_padding": None},
        (*training_keys("kernel", "bias"), "output_shape"),
        aliases=aliases, variables=(_KERNEL, BIAS),
        told=_TOLD,
    )  # fmt: skip


def _depthwise(name: str, *aliases: str) -> KerasClass:
    return KerasClass(
        name, "convolution", {**_CONV, "depth_multiplier": 1},
        training_keys("depthwise", "bias"), aliases=aliases, variables=(_DEPTHWISE, BIAS),
        told=("kernel_size", "groups", "depth_multiplier"),
    )  # fmt: skip


def _separable(name: str, *aliases: str) -> KerasClass:
    return KerasClass(
        name, "convolution", {"filters": REQUIRED, **_CONV, "depth_multiplier": 1},
        training_keys("depthwise", "pointwise", "kernel", "bias"), aliases=aliases,
        variables=(_DEPTHWISE, Variable("pointwise_kernel"), BIAS),
        told=(*_TOLD, "depth_multiplier"),
    )  # fmt: skip


def _pool(kind: str, short: str) -> list[KerasClass]:
    rows = []
    for n in _RANKS:
        rows.append(
            KerasClass(f"{kind}Pooling{n}D", "pooling", _POOL, aliases=(f"{short}Pool{n}D",))
        )
        takes_mask = kind == "Average" and n == 1
        rows.append(
            KerasClass(
                f"Global{kind}Pooling{n}D", "pooling", {"keepdims": False, **CHANNELS},
                aliases=(f"Global{short}Pool{n}D",),
                call=("inputs", "mask") if takes_mask else ("inputs",),
            )
        )  # fmt: skip
        rows.append(
            KerasClass(
                f"Adaptive{kind}Pooling{n}D", "pooling", {"output_size": REQUIRED, **CHANNELS},
                generations=(3, 3),
            )
        )  # fmt: skip
    return rows


def _reshaping(name: str, config: Config, *inert: str) -> KerasClass:
    return KerasClass(name, "reshaping", config, inert)


_IMAGE: Config = {"height": REQUIRED, "width": REQUIRED, **CHANNELS, **CAST}

ROWS = rows_by_name(
    _conv("Conv1D", "Convolution1D", "AtrousConvolution1D", "AtrousConv1D"),
    _conv("Conv2D", "Convolution2D", "AtrousConvolution2D", "AtrousConv2D"),
    _conv("Conv3D", "Convolution3D"),
    _conv_transpose("Conv1DTranspose", "Convolution1DTranspose"),
    _conv_transpose("Conv2DTranspose", "Convolution2DTranspose", "Deconvolution2D", "Deconv2D"),
    _conv_transpose("Conv3DTranspose", "Convolution3DTranspose", "Deconvolution3D", "Deconv3D"),
    _depthwise("DepthwiseConv1D"),
    _depthwise("DepthwiseConv2D", "DepthwiseConvolution2D"),
    _separable("SeparableConv1D", "SeparableConvolution1D"),
    _separable("SeparableConv2D", "SeparableConvolution2D"),
    *(
        KerasClass(
            f"LocallyConnected{n}D", "convolution", {"filters": REQUIRED, **_CONV},
            (*training_keys("kernel", "bias"), "implementation"), generations=(1, 2),
            variables=(Variable("kernel"), BIAS),
        )
        for n in (1, 2)
    ),
    *_pool("Max", "Max"),
    *_pool("Average", "Avg"),
    _reshaping("UpSampling1D", {"size": 2}),
    _reshaping("UpSampling2D", {"size": 2, "interpolation": "nearest", **CHANNELS}),
    _reshaping("UpSampling3D", {"size": 2, **CHANNELS}),
    *(_reshaping(f"ZeroPadding{n}D", {"padding": 1, **CHANNELS}) for n in _RANKS),
    _reshaping("Cropping1D", {"cropping": 1}),
    *(_reshaping(f"Cropping{n}D", {"cropping": 0, **CHANNELS}) for n in (2, 3)),
    KerasClass(
        "Resizing", "reshaping",
        {**_IMAGE, "interpolation": "bilinear", "crop_to_aspect_ratio": False,
         "pad_to_aspect_ratio": False, "fill_mode": "constant", "fill_value": 0.0,
         "antialias": False},
        call=("inputs", "training"), inert_arguments=("training",), generations=(2, 3),
    ),
    KerasClass("CenterCrop", "reshaping", _IMAGE, generations=(2, 3),
               call=("inputs", "training"), inert_arguments=("training",)),
    KerasClass("RandomCrop", "reshaping", _IMAGE, ("seed",), generations=(2, 3),
               call=("inputs", "training")),
)  # fmt: skip
