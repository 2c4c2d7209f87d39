"""Core layers: dense, embedding, shapes, dropout, masking, and nested models."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite, prod
from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.tensors import Array, LazyTensor, map_float32
from tfjs_codec.layers.engine import masks
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import rule
from tfjs_codec.layers.engine.symbolic import Mask, Tensor
from tfjs_codec.layers.primitives import affine, reshape
from tfjs_codec.layers.primitives import dense as linear
from tfjs_codec.layers.rules.activation import split
from tfjs_codec.tracing.nested import check_inputs
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded, check_policy


def regularizers(layer: KerasLayer, *names: str) -> dict[str, Any]:
    """Return tfjs's form of the weight regularisers called *names*."""
    found = {f"{name}_regularizer": layer.config.get(f"{name}_regularizer") for name in names}
    return {key: l1l2 for key, value in found.items() if (l1l2 := _l1l2(value))}


def _l1l2(value: Any) -> dict[str, Any] | None:
    name = value.get("class_name") if isinstance(value, dict) else None
    if name not in ("L1L2", "L1", "L2"):
        return None
    config = value.get("config") or {}
    factors = {key: float(config.get(key) or 0) for key in ("l1", "l2")}
    return {"class_name": "L1L2", "config": factors} if any(factors.values()) else None


def _dequantize(b: Scope, layer: KerasLayer) -> dict[str, LazyTensor]:
    """Return the layer's weights, int8 ones as the numbers they stand for."""
    check_policy(layer.config.get("dtype"))
    weights = dict(layer.weights)
    for name in list(weights):
        scale = weights.pop(name) if name.endswith("_scale") else None
        if scale is None:
            continue
        if layer.class_name == "Dense":
            b.approximate("Keras also rounds the inputs of an int8 layer; tfjs does not")
        role = name.removesuffix("_scale")
        steps = scale.numpy() if layer.class_name == "Dense" else scale.numpy()[:, None]
        weights[role] = _divide(weights[role], steps)
    return weights


def _divide(stored: LazyTensor, steps: Array) -> LazyTensor:
    return map_float32(stored, stored.shape, lambda v: np.divide(v.astype(np.float32), steps))


@rule("Dense")
def dense(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Dense."""
    name, tail = split(b, layer.config["activation"])
    config = {
        "units": layer.config["units"],
        "use_bias": bool(layer.config["use_bias"]),
        "activation": name,
        **regularizers(layer, "kernel", "bias"),
    }
    return tail(b.add("Dense", x, config, _dequantize(b, layer)))


@rule("Embedding")
def embedding(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Embedding."""
    config = {
        "input_dim": layer.config["input_dim"],
        "output_dim": layer.config["output_dim"],
        "mask_zero": False,
        **regularizers(layer, "embeddings"),
    }
    y = b.add("Embedding", x, config, _dequantize(b, layer))
    return replace(y, mask=Mask("not_equal", (x, 0)) if layer.config.get("mask_zero") else None)


@rule("ReversibleEmbedding")
def reversible_embedding(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Embedding; called with reverse=True, Dense."""
    embeddings = layer.weights["embeddings"]
    if not b.arguments.get("reverse"):
        return embedding(
            b,
            KerasLayer(layer.name, "Embedding", layer.config, weights={"embeddings": embeddings}),
            x,
        )
    if layer.config.get("logit_soft_cap"):
        raise Refusal("capped logits")
    back = layer.weights.get("reverse_embeddings")
    if back is None:
        shape = embeddings.shape[::-1]
        back = map_float32(embeddings, shape, lambda values: values.T)
    return linear(b, x, back)


@rule("Flatten")
def flatten(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Flatten."""
    if x.rank == 2:
        return x
    if x.rank == 1:
        return b.add("Reshape", x, {"target_shape": [1]})
    data_format = layer.config.get("data_format") or "channels_last"
    if None in x.shape[1:] and data_format == "channels_last":
        size = b.session.flat_sizes.get(layer)
        if size is not None:  # any sizes with this product will do
            return b.add("Reshape", x, {"target_shape": [size]})
    b.static(x)
    return b.add("Flatten", x, {"data_format": data_format})


@rule("Reshape")
def reshape_layer(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Reshape."""
    return reshape_to(b, x, layer.config["target_shape"])


def reshape_to(b: Scope, x: Tensor, target: list[int]) -> Tensor:
    """Reshape *x* to *target* (after the batch), working -1 out where the sizes are known."""
    target = list(target)
    if target.count(-1) > 1:
        raise Refusal("a Reshape with several unknown sizes")
    rest = prod(size for size in target if size != -1)
    if -1 in target and None not in x.shape[1:] and rest:
        total = prod(size for size in x.shape[1:] if size is not None)
        target[target.index(-1)] = total // rest
    if -1 in target and target.index(-1) == len(target) - 1:
        raise StaticShapeNeeded(f"its input shape {list(x.shape)} must be known")
    return b.add("Reshape", x, {"target_shape": target})


@rule("Permute")
def permute(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Permute."""
    return b.add("Permute", x, {"dims": list(layer.config["dims"])})


@rule("RepeatVector")
def repeat_vector(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """RepeatVector."""
    return b.add("RepeatVector", x, {"n": layer.config["n"]})


@rule("Masking")
def masking(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Multiply by 0s and 1s."""
    value = layer.config["mask_value"]
    if not isfinite(value):
        raise Refusal("the option mask_value is not finite, which JSON cannot represent")
    mask = Mask("any", (Mask("not_equal", (x, value)),))
    keep = reshape(b, masks.compute(b, mask), (*x.shape[1:-1], 1))
    return replace(b.add("Multiply", [x, keep]), mask=mask)


@rule("Dropout", "SpatialDropout1D", "GaussianDropout", "AlphaDropout")
def dropout(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """The same class: identity when predicting."""
    b.check_predicting()
    config: dict[str, Any] = {"rate": layer.config.get("rate", 0.0)}
    if layer.class_name == "SpatialDropout1D" and x.rank != 3:
        return x
    return b.add(layer.class_name, x, config)


@rule("GaussianNoise")
def gaussian_noise(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """GaussianNoise: identity when predicting."""
    b.check_predicting()
    return b.add("GaussianNoise", x, {"stddev": layer.config.get("stddev", 0.0)})


@rule("LayerScale")
def layer_scale(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Rescaling (a layer of ConvNeXt in keras.applications)."""
    return affine(b, x, layer.weights["gamma"].numpy())


@rule("SpatialDropout2D", "SpatialDropout3D", "StochasticDepth")
def other_dropout(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Activation('linear'): identity when predicting."""
    b.check_predicting()
    return x


@rule("Identity", "ActivityRegularization")
def identity(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Activation('linear')."""
    return x


@rule("Rescaling")
def rescaling(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Rescaling."""
    return affine(b, x, layer.config["scale"], layer.config.get("offset") or 0)


@rule("Functional")
def nested(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> list[Tensor]:
    """A nested model of the same kind."""
    given = [b.concrete(t) for t in ([x] if isinstance(x, Tensor) else x)]
    check_inputs(layer, given)
    passed = b.arguments.get("mask")
    if passed is not None:
        listed = passed if isinstance(passed, list) else [passed]
        given = [
            tensor if mask is None else replace(tensor, mask=b.mask_from(mask))
            for tensor, mask in zip(given, listed, strict=True)
        ]
    flags = [None if t.mask is None else masks.compute(b, t.mask) for t in given]
    seen = [
        replace(t, mask=None if keep is None else Mask("flags", (keep,)))
        for t, keep in zip(given, flags, strict=True)
    ]
    if len(layer.calls) > 1:
        seen = [replace(t, shape=()) for t in seen]
    bring = [keep is not None for keep in flags]
    inner = b.once("model", lambda: b.inner.nested(layer, seen))
    if b.once("masks", lambda: bring) != bring:
        raise Refusal("a shared model called with and without a mask")
    taken = [keep for n in inner.takes if (keep := flags[n]) is not None]
    shapes = [t.shape for t in (*inner.outputs, *inner.made.values())]
    results = b.add_wrapper(inner.layer, [*given, *taken], shapes, part="model")
    outer = {mask: given[n].mask for mask, n in inner.brought.items()}
    made = zip(inner.made, results[len(inner.outputs) :], strict=True)
    outer |= {mask: Mask("flags", (tensor,)) for mask, tensor in made}
    return [
        replace(
            result,
            dtype=tensor.dtype,
            mask=outer[tensor.mask] if tensor.mask else None,
            poisoned=result.poisoned or tensor.poisoned,
        )
        for result, tensor in zip(results, inner.outputs, strict=False)
    ]
