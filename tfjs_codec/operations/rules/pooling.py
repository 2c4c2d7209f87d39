"""Pooling layers."""

from __future__ import annotations

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import convolution as c
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops import pooling as p
from tfjs_codec.operations.ops import reductions as r
from tfjs_codec.operations.ops import shapes as s
from tfjs_codec.operations.registry import rule
from tfjs_codec.operations.values import Value


@rule(*(f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)))
def pooling(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """MaxPool or AvgPool."""
    pool = p.max_pool if layer.class_name.startswith("Max") else p.average_pool
    config = layer.config
    return pool(
        b, x, config["pool_size"], config.get("strides"), config["padding"],
        config.get("data_format"),
    )  # fmt: skip


@rule(*(f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)))
def global_pooling(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Max or Mean; the mean of one axis over the steps that a mask keeps."""
    keep = bool(layer.config.get("keepdims"))
    first = c.channels_first(x, layer.config.get("data_format"))
    axes = list(range(2, x.rank)) if first else list(range(1, x.rank - 1))
    if layer.class_name.startswith("GlobalMax"):
        return r.max_(b, x, axes, keep)
    given = b.argument("mask") if layer.class_name == "GlobalAveragePooling1D" else None
    mask = given if given is not None else x.mask
    if mask is None or x.rank != 3:
        return r.mean(b, x, axes, keep)
    x = f.real(b, x)
    kept = s.expand_dims(b, b.value(b.value(mask), x.dtype), 1 if first else 2)
    total = r.sum_(b, a.multiply(b, x, kept), axes, keep)
    return a.divide(b, total, r.sum_(b, kept, axes, keep))


@rule(*(f"Adaptive{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)))
def adaptive_pooling(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Max or Mean of each bin, ConcatV2."""
    pool = p.adaptive_max_pool if "Max" in layer.class_name else p.adaptive_average_pool
    return pool(b, x, layer.config["output_size"], layer.config.get("data_format"))
