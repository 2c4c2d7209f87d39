"""Pooling layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.tensors import LazyTensor, formula
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import rule
from tfjs_codec.layers.engine.symbolic import Mask, Tensor
from tfjs_codec.layers.ops.shape import reduce, select
from tfjs_codec.layers.primitives import (
    channels_last,
    known_size,
    matrix_on_axis,
    permute,
    reshape,
    slice_axis,
)
from tfjs_codec.layers.rules.attention import masked_mean
from tfjs_codec.layers.rules.resize import on_spatial_axes
from tfjs_codec.tracing.sizes import per_axis
from tfjs_codec.tracing.windows import reach, theano_pooling


@rule(*(f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)))
def pooling(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """The same class; channels_first 1D by permuting, MaxPooling3D as two MaxPooling2D."""
    rank = int(layer.class_name[-2])
    size = per_axis(layer.config["pool_size"], rank)
    strides = layer.config.get("strides")
    config = {
        "pool_size": size,
        "strides": size if strides is None else per_axis(strides, rank),
        "padding": layer.config["padding"],
        "data_format": layer.config.get("data_format") or "channels_last",
    }
    if b.is_theano and config["padding"] == "same":
        x = _as_theano(b, layer, x, config)
    if layer.class_name == "MaxPooling3D" and None not in x.shape[1:]:
        return _max_pooling_3d(b, layer, x, config)

    def run(x: Tensor) -> Tensor:
        return b.add(layer.class_name, _within_windows(b, x, config) if rank == 3 else x, config)

    if config["data_format"] == "channels_first" and rank != 2:
        config["data_format"] = "channels_last"
        return channels_last(b, x, "channels_first", run)
    return run(x)


def _as_theano(b: Scope, layer: KerasLayer, x: Tensor, config: dict[str, Any]) -> Tensor:
    """Pad *x* as Theano's 'same' pooling does, and make *config* 'valid'."""
    average = layer.class_name.startswith("Average")
    config["padding"] = "valid"
    first = 2 if config["data_format"] == "channels_first" else 1
    pairs = zip(config["pool_size"], config["strides"], strict=True)
    for axis, (window, stride) in enumerate(pairs, first):
        size = b.static(x)[axis - 1]
        before, total = theano_pooling(size, window, stride, average=average)
        b.pay(total)
        x = select(b, x, axis, np.clip(np.arange(total) - before, 0, size - 1))
    return x


def _within_windows(b: Scope, x: Tensor, config: dict[str, Any]) -> Tensor:
    """Cut off elements that no window reaches, or tfjs's cpu backend shifts 'same' windows."""
    for axis, (window, stride) in enumerate(
        zip(config["pool_size"], config["strides"], strict=True), 1
    ):
        if config["padding"] == "same" and stride > window:
            size = known_size(x, axis)
            x = slice_axis(b, x, axis, 0, min(size, reach(size, window, stride)))
    return x


def _max_pooling_3d(b: Scope, layer: KerasLayer, x: Tensor, config: dict[str, Any]) -> Tensor:
    """Pool in two steps of two axes: tfjs's wasm backend gets three at once wrong."""

    def step(x: Tensor, both: list[Any]) -> Tensor:
        sizes, strides = zip(*both, strict=True)
        options = {"pool_size": list(sizes), "strides": list(strides)}
        fixed = {"padding": config["padding"], "data_format": "channels_last"}
        return b.add("MaxPooling2D", x, {**options, **fixed})

    windows = list(zip(config["pool_size"], config["strides"], strict=True))
    return on_spatial_axes(b, layer.config, x, windows, (1, 1), step)


@rule(*(f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2)))
def global_pooling(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """The same class; keepdims by a Reshape or RepeatVector."""
    rank = int(layer.class_name[-2])
    if rank == 1 and b.mask is not None:
        return _pool_masked(b, layer, x, b.mask)
    first = layer.config.get("data_format") == "channels_first"
    data_format = "channels_first" if first else "channels_last"
    pooled = x
    if rank == 1 and first:
        pooled = b.add("Permute", x, {"dims": [2, 1]})
        data_format = "channels_last"
    pooled = b.add(layer.class_name, pooled, {"data_format": data_format})
    return _keepdims(b, layer, pooled, rank)


def _keepdims(b: Scope, layer: KerasLayer, pooled: Tensor, rank: int) -> Tensor:
    if not layer.config.get("keepdims"):
        return pooled
    ones, channels = (1,) * rank, pooled.shape[-1]
    first = layer.config.get("data_format") == "channels_first"
    return reshape(b, pooled, (channels, *ones) if first else (*ones, channels))


def _pool_masked(b: Scope, layer: KerasLayer, x: Tensor, mask: Mask) -> Tensor:
    """Pool over the steps that the mask keeps: Keras's average does, its maximum does not."""
    if layer.config.get("data_format") == "channels_first":
        x = permute(b, x, [2, 1])
    if layer.class_name.startswith("GlobalMax"):
        pooled = b.add(layer.class_name, x, {"data_format": "channels_last"})
    else:
        pooled = masked_mean(b, x, mask)
    return _keepdims(b, layer, pooled, 1)


@rule(*(f"Adaptive{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)))
def adaptive_pooling(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """For each axis a matrix (average), or the maximum of each slice, concatenated."""
    sizes = per_axis(layer.config["output_size"], int(layer.class_name[-2]))

    def run(x: Tensor) -> Tensor:
        b.static(x)
        for axis, count in enumerate(sizes, 1):
            size = x.shape[axis] or 0
            if "Average" in layer.class_name:
                x = matrix_on_axis(b, x, _shares(size, count), axis, part="means")
            else:
                b.pay(count)
                bins = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
                pieces = [slice_axis(b, x, axis, *edges, part="bin") for edges in bins]
                tops = [reduce(b, piece, "Max", axis, keepdims=True) for piece in pieces]
                x = tops[0] if count == 1 else b.add("Concatenate", tops, {"axis": axis})
        return x

    return channels_last(b, x, layer.config.get("data_format"), run)


def _shares(size: int, count: int) -> LazyTensor:
    """Return the matrix ``[size, count]`` that takes the mean of each bin."""

    def share(i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.float64]:
        start, stop = j * size // count, -(-(j + 1) * size // count)
        return np.asarray(((start <= i) & (i < stop)) / (stop - start))

    return formula((size, count), share)


@rule("GlobalAveragePooling3D", "GlobalMaxPooling3D")
def global_pooling_3d(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Reshape, and the one-dimensional class."""
    if layer.config.get("data_format") == "channels_first":
        x = permute(b, x, [2, 3, 4, 1])
    kind = "Average" if "Average" in layer.class_name else "Max"
    return _keepdims(b, layer, reduce(b, x, kind, [1, 2, 3]), 3)
