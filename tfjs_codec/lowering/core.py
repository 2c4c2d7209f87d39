"""Core layers: dense, embedding, shapes, dropout, masking, and nested models."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.lowering import masks
from tfjs_codec.lowering.activation import split
from tfjs_codec.lowering.builder import Scope
from tfjs_codec.lowering.primitives import affine
from tfjs_codec.lowering.rules import refuse, rule
from tfjs_codec.lowering.symbolic import Mask, Refusal, StaticShapeNeeded, Tensor


def regularizers(layer: KerasLayer, *names: str) -> dict[str, Any]:
    """Return tfjs's form of the weight regularisers called *names* (layers-format.md §2.2)."""
    found = {f"{name}_regularizer": layer.config.get(f"{name}_regularizer") for name in names}
    return {key: l1l2 for key, value in found.items() if (l1l2 := _l1l2(value))}


def _l1l2(value: Any) -> dict[str, Any] | None:
    name = value.get("class_name") if isinstance(value, dict) else None
    if name not in ("L1L2", "L1", "L2"):
        return None
    config = value.get("config") or {}
    factors = {key: float(config.get(key) or 0) for key in ("l1", "l2")}
    return {"class_name": "L1L2", "config": factors} if any(factors.values()) else None


@rule("Dense", mask="pass")
def dense(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Dense."""
    name, tail = split(b, layer.config["activation"])
    config = {
        "units": layer.config["units"],
        "use_bias": bool(layer.config["use_bias"]),
        "activation": name,
        **regularizers(layer, "kernel", "bias"),
    }
    return tail(b.add("Dense", x, config, layer.weights))


@rule("Embedding", mask="own")
def embedding(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Embedding."""
    config = {
        "input_dim": layer.config["input_dim"],
        "output_dim": layer.config["output_dim"],
        "mask_zero": bool(layer.config.get("mask_zero")),
        **regularizers(layer, "embeddings"),
    }
    y = b.add("Embedding", x, config, layer.weights)
    return replace(y, mask=Mask("not_equal", (x, 0)) if config["mask_zero"] else None)


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


@rule("Masking", mask="own")
def masking(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Masking."""
    value = layer.config["mask_value"]
    y = b.add("Masking", x, {"mask_value": value})
    return replace(y, mask=Mask("any", (Mask("not_equal", (x, value)),)))


@rule("Dropout", "SpatialDropout1D", "GaussianDropout", "AlphaDropout", mask="pass")
def dropout(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """The same class: identity when predicting."""
    _not_training(b)
    config: dict[str, Any] = {"rate": layer.config["rate"]}
    if layer.class_name == "SpatialDropout1D" and x.rank != 3:
        return x
    return b.add(layer.class_name, x, config)


@rule("GaussianNoise", mask="pass")
def gaussian_noise(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """GaussianNoise: identity when predicting."""
    _not_training(b)
    return b.add("GaussianNoise", x, {"stddev": layer.config["stddev"]})


@rule("Identity", "ActivityRegularization", "SpatialDropout2D", "SpatialDropout3D", mask="pass")
def identity(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Activation('linear'): identity when predicting."""
    _not_training(b)
    return x


def _not_training(b: Scope) -> None:
    if b.trains and b.layer.class_name not in (
        "Identity", "ActivityRegularization",
    ):  # fmt: skip
        raise Refusal(
            "it is called with training=True and stays random; tfjs never runs it so in predict",
            "Build the model without training=True.",
        )


@rule("Rescaling", mask="pass")
def rescaling(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Rescaling."""
    return affine(b, x, layer.config["scale"], layer.config.get("offset") or 0)


@rule("Functional", mask="own")
def nested(b: Scope, layer: KerasLayer, x: Tensor | list[Tensor]) -> list[Tensor]:
    """A nested model of the same kind."""
    given = [b.concrete(t) for t in ([x] if isinstance(x, Tensor) else x)]
    single = len(layer.calls) <= 1
    if b.session.masked:
        given = [masks.settle(b, t) if t.mask is not None else t for t in given]
    seen = [t if single else replace(t, shape=()) for t in given]
    bring = [t.mask is not None for t in given]
    inner, outputs = b.once("model", lambda: b.tracer.nested(layer, seen))
    if b.once("masks", lambda: bring) != bring:
        raise Refusal("a shared model called with and without a mask")
    results = b.add_wrapper(inner, given, [t.shape for t in outputs], part="model")
    outer = {Mask("outer", (i,)): t.mask for i, t in enumerate(given)}
    return [
        replace(
            result,
            dtype=tensor.dtype,
            mask=outer.get(tensor.mask, tensor.mask) if tensor.mask else None,
            poisoned=result.poisoned or tensor.poisoned,
        )
        for result, tensor in zip(results, outputs, strict=True)
    ]


refuse(
    "Lambda",
    reason="its Python code is not part of what can be converted, and is not looked into",
    hint="Replace it: --replace NAME=submodel.h5, or a rule (tfjs_codec.register_rule).",
)
refuse(
    "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer",
    reason="it runs code of another framework",
    hint="Convert that model by itself.",
)  # fmt: skip
