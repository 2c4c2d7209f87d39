"""Wrappers: TimeDistributed, SpectralNormalization."""

from __future__ import annotations

from dataclasses import replace

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.layers import TfjsLayer
from tfjs_codec.keras.classes import is_pointwise
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import REGISTRY, rule
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.tracing.refusal import Refusal


@rule("TimeDistributed")
def time_distributed(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """TimeDistributed; of Dense and element-wise layers, that layer alone."""
    inner = layer.children["layer"]
    x = replace(x, mask=b.mask)
    stepwise = inner.class_name == "Dense" or is_pointwise(inner)
    if b.mask is not None and not stepwise:
        raise Refusal("a mask over TimeDistributed")
    if stepwise:  # the same for every step, so no wrapper is needed
        result = REGISTRY.find(inner).function(b, inner, x)
        assert isinstance(result, Tensor)
        return result
    step = (x.shape[0], *x.shape[2:])
    made, output = b.once("inner", lambda: b.inner.alone(inner, step, x.dtype))
    wrapper = TfjsLayer("", "TimeDistributed", children={"layer": made})
    shape = (x.shape[0], x.shape[1], *output.shape[1:])
    result = b.add_wrapper(wrapper, x, [shape])[0]
    return replace(result, dtype=output.dtype, poisoned=x.poisoned or output.poisoned)


@rule("SpectralNormalization")
def spectral_normalization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """The wrapped layer with its stored kernel."""
    inner = layer.children["layer"]
    result = REGISTRY.find(inner).function(b, inner, x)
    assert isinstance(result, Tensor)
    return result
