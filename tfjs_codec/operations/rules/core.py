"""Core layers: dense, embedding, shapes, dropout, masking, and nested models."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.tensors import Array
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.linalg import einsum, matmul
from tfjs_codec.operations.ops.reductions import any_
from tfjs_codec.operations.ops.shapes import (
    dynamic_shape,
    expand_dims,
    reshape,
    size_of,
    tile,
    transpose,
)
from tfjs_codec.operations.ops.slicing import gather
from tfjs_codec.operations.registry import rule
from tfjs_codec.operations.rules.activations import activate
from tfjs_codec.operations.values import Value
from tfjs_codec.tracing.refusal import check_policy


@rule("Dense")
def dense(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """MatMul, bias and activation; of more than two axes, on all rows at once."""
    x = f.real(b, x)
    rows = x if x.rank == 2 else reshape(b, x, [-1, x.shape[-1]])
    y = matmul(b, rows, kernel(b, layer, "kernel"))
    if layer.config.get("use_bias", True):
        y = a.bias_add(b, y, b.weight(layer, "bias"))
    y = activate(b, y, layer.config.get("activation"))
    return y if x.rank == 2 else reshape(b, y, [*dynamic_shape(b, x)[:-1], y.shape[-1]])


def kernel(b: Builder, layer: KerasLayer, role: str) -> Value:
    """Return a variable that int8 quantisation may have replaced by steps and their size."""
    scale = steps(b, layer, role)
    if scale is None:
        return b.weight(layer, role)
    return a.divide(b, b.weight(layer, role), scale if role == "kernel" else scale[:, None])


def steps(b: Builder, layer: KerasLayer, role: str) -> Array | None:
    """Return how many int8 steps are 1, None if the variable is not quantised."""
    if f"{role}_scale" not in layer.weights:
        return None
    check_policy(layer.config.get("dtype"))
    if role == "kernel":
        b.approximate("Keras also rounds the inputs of an int8 layer; a graph model does not")
    return layer.weights[f"{role}_scale"].numpy().astype(np.float32)


@rule("EinsumDense")
def einsum_dense(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """One product of matrices, bias and activation."""
    y = einsum(b, layer.config["equation"], x, b.weight(layer, "kernel"))
    scale = steps(b, layer, "kernel")
    if scale is not None:  # it has the axes of the result
        y = a.divide(b, y, scale)
    if "bias" in layer.weights:
        y = a.add(b, y, b.weight(layer, "bias"))
    return activate(b, y, layer.config.get("activation"))


@rule("Embedding")
def embedding(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """GatherV2."""
    ids = b.value(x, "int32")
    y = gather(b, kernel(b, layer, "embeddings"), ids, 0)
    return replace(y, mask=a.not_equal(b, ids, 0)) if layer.config.get("mask_zero") else y


@rule("ReversibleEmbedding")
def reversible_embedding(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """GatherV2; called with reverse=True, a product with the table."""
    if not b.argument("reverse"):
        return embedding(b, layer, x)
    if "reverse_embeddings" in layer.weights:
        y = matmul(b, x, b.weight(layer, "reverse_embeddings"))
    else:
        y = matmul(b, x, kernel(b, layer, "embeddings"), transpose_b=True)
    cap = layer.config.get("logit_soft_cap")
    return a.multiply(b, f.tanh(b, a.divide(b, y, cap)), cap) if cap else y


@rule("Flatten")
def flatten(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Reshape."""
    if x.rank == 1:
        return expand_dims(b, x, 1)
    if layer.config.get("data_format") == "channels_first" and x.rank > 2:
        x = transpose(b, x, [0, *range(2, x.rank), 1])
    if None in x.shape[1:]:
        return reshape(b, x, [size_of(b, x, 0), -1])
    return reshape(b, x, [-1, prod(size or 0 for size in x.shape[1:])])


@rule("Reshape")
def reshape_layer(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Reshape."""
    target = [int(size) for size in layer.config["target_shape"]]
    if -1 in target and None not in x.shape[1:]:
        rest = prod(size for size in target if size != -1)
        total = prod(size or 0 for size in x.shape[1:])
        target[target.index(-1)] = total // rest if rest else 0
    return reshape(b, x, [size_of(b, x, 0), *target])


@rule("Permute")
def permute(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Transpose."""
    return transpose(b, x, [0, *layer.config["dims"]])


@rule("RepeatVector")
def repeat_vector(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Tile."""
    return tile(b, expand_dims(b, x, 1), [1, int(layer.config["n"]), 1])


@rule("Masking")
def masking(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """NotEqual, Any; masked steps become 0."""
    mask = any_(b, a.not_equal(b, x, layer.config["mask_value"]), -1)
    kept = b.value(expand_dims(b, mask, -1), x.dtype)
    return replace(a.multiply(b, x, kept), mask=mask)


@rule(
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout",
    "GaussianNoise", "AlphaDropout", "StochasticDepth",
)  # fmt: skip
def dropout(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Nothing, when predicting."""
    b.check_predicting()
    return x


@rule("Identity", "ActivityRegularization")
def identity(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Nothing."""
    return x


@rule("LayerScale")
def layer_scale(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Mul (a layer of ConvNeXt in keras.applications)."""
    return a.multiply(b, x, b.weight(layer, "gamma"))


@rule("Rescaling")
def rescaling(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Mul, AddV2."""
    scale, offset = (np.asarray(layer.config.get(key) or 0.0) for key in _FACTORS)
    y = a.multiply(b, f.real(b, x), scale)
    return a.add(b, y, offset) if np.any(offset) else y


_FACTORS = ("scale", "offset")


@rule("Functional")
def nested(b: Builder, layer: KerasLayer, x: Any) -> list[Value]:
    """The layers of the model inside."""
    assert layer.graph is not None
    given = list(x.values()) if isinstance(x, dict) else x if isinstance(x, list) else [x]
    masks = b.argument("mask")
    if masks is not None:
        listed = masks if isinstance(masks, list) else [masks]
        given = [
            value if mask is None else replace(value, mask=b.value(b.value(mask), "bool"))
            for value, mask in zip(given, listed, strict=True)
        ]
    return b.caller.nested(layer, given)
