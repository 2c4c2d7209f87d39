"""Pooling layers."""

from __future__ import annotations

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.lowering.builder import Scope
from tfjs_codec.lowering.conv import _list, channels_last
from tfjs_codec.lowering.primitives import reshape
from tfjs_codec.lowering.rules import rule
from tfjs_codec.lowering.symbolic import Refusal, Tensor


@rule(*(f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)))
def pooling(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """The same class; channels_first 1D by permuting."""
    rank = int(layer.class_name[-2])
    size = _list(layer.config["pool_size"], rank)
    strides = layer.config.get("strides")
    config = {
        "pool_size": size,
        "strides": size if strides is None else _list(strides, rank),
        "padding": layer.config["padding"],
        "data_format": layer.config.get("data_format") or "channels_last",
    }
    if config["data_format"] == "channels_first" and rank != 2:
        config["data_format"] = "channels_last"
        return channels_last(b, x, lambda x: b.add(layer.class_name, x, config))
    return b.add(layer.class_name, x, config)


@rule(*(f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2)))
def global_pooling(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """The same class; keepdims by a Reshape or RepeatVector."""
    rank = int(layer.class_name[-2])
    if rank == 1 and x.mask is not None:
        raise Refusal("a mean over a mask")
    first = layer.config.get("data_format") == "channels_first"
    data_format = "channels_first" if first else "channels_last"
    pooled = x
    if rank == 1 and first:
        pooled = b.add("Permute", x, {"dims": [2, 1]})
        data_format = "channels_last"
    pooled = b.add(layer.class_name, pooled, {"data_format": data_format})
    if not layer.config.get("keepdims"):
        return pooled
    ones = (1,) * rank
    channels = pooled.shape[-1]
    return reshape(b, pooled, (channels, *ones) if first else (*ones, channels))
