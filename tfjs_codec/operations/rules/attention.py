"""Attention layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops import shapes as s
from tfjs_codec.operations.ops.attention import causal_mask
from tfjs_codec.operations.ops.linalg import einsum, matmul
from tfjs_codec.operations.ops.reductions import sum_
from tfjs_codec.operations.ops.slicing import repeat
from tfjs_codec.operations.registry import rule
from tfjs_codec.operations.values import Value
from tfjs_codec.tracing.refusal import Refusal


def both(b: Builder, *masks: Value | None) -> Value | None:
    """Return the conjunction of *masks*, None if there are none."""
    found: Value | None = None
    for mask in masks:
        if mask is not None:
            found = mask if found is None else a.logical_and(b, found, mask)
    return found


# -------------------------------------------------------------------------- multi-head attention


@rule("MultiHeadAttention", "GroupQueryAttention")
def multi_head_attention(b: Builder, layer: KerasLayer, x: Value) -> list[Value]:
    """Products of matrices for all heads at once, softmax."""
    if layer.config.get("sliding_window"):
        raise Refusal("attention in a sliding window")
    given_key, value = b.argument("key"), b.value(b.argument("value"))
    key = value if given_key is None else b.value(given_key)
    query = b.value(x)
    letters = "abcdefghijk"[: query.rank]
    axes = layer.config.get("attention_axes")
    axes = list(range(1, query.rank - 1)) if axes is None else s.normalize_axes(query, axes)
    there = "".join(c.upper() if i in axes else c for i, c in enumerate(letters))
    looking, seen = (text[:-1] + "yz" for text in (letters, there))
    queries = _project(b, layer, "query", query, letters, 1 / np.sqrt(_width(layer)))
    keys, values = (
        _project(b, layer, role, each, there) for role, each in (("key", key), ("value", value))
    )
    times = (layer.weights["query/kernel"].shape[-2]) // (layer.weights["key/kernel"].shape[-2])
    if times > 1:
        keys, values = (repeat(b, each, times, -2) for each in (keys, values))
    batch = "".join(c for i, c in enumerate(letters[:-1]) if i not in axes)
    steps, places = ("".join(text[i] for i in axes) for text in (letters, there))
    scores = einsum(b, f"{looking},{seen}->{batch}y{steps}{places}", queries, keys)
    keep = _keep(b, layer, query, value, None if given_key is None else key)
    if keep is not None:
        while keep.rank < scores.rank:
            keep = s.expand_dims(b, keep, keep.rank - 2 * len(axes))
        scores = f.hide(b, scores, keep)
    shares = f.softmax(b, scores, list(range(scores.rank - len(axes), scores.rank)))
    found = einsum(b, f"{batch}y{steps}{places},{seen}->{looking}", shares, values)
    if layer.config.get("use_gate"):
        found = a.multiply(b, found, f.sigmoid(b, _project(b, layer, "gate", query, letters)))
    kernel = b.weight(layer, "attention_output/kernel")
    out = "uvw"[: kernel.rank - 2]
    y = einsum(b, f"{looking},yz{out}->{looking[:-2]}{out}", found, kernel)
    if layer.weights.get("attention_output/bias") is not None:
        y = a.add(b, y, b.weight(layer, "attention_output/bias"))
    return [y, shares] if b.argument("return_attention_scores") else [y]


def _width(layer: KerasLayer) -> int:
    return layer.weights["query/kernel"].shape[-1]


def _project(
    b: Builder, layer: KerasLayer, role: str, x: Value, letters: str, scale: float = 1
) -> Value:
    """Return the heads' share of *x*; the scale goes into the weights."""
    kernel = b.weight(layer, f"{role}/kernel")
    bias = b.weight(layer, f"{role}/bias") if f"{role}/bias" in layer.weights else None
    if scale != 1:
        kernel = a.multiply(b, kernel, float(scale))
        bias = None if bias is None else a.multiply(b, bias, float(scale))
    y = einsum(b, f"{letters},{letters[-1]}yz->{letters[:-1]}yz", f.real(b, x), kernel)
    return y if bias is None else a.add(b, y, bias)


def _keep(
    b: Builder, layer: KerasLayer, query: Value, value: Value, key: Value | None
) -> Value | None:
    """Return which step may see which place: the product of all masks, or None.

    Keras 3's MultiHeadAttention overwrites the argument ``query_mask``, earlier versions of it do
    not: it is left unread, which refuses it.
    """

    def mask(name: str, x: Value | None, axis: int) -> Value | None:
        unclear = name == "query" and layer.class_name == "MultiHeadAttention"
        given = None if unclear else b.argument(f"{name}_mask")
        found = given if given is not None else None if x is None else x.mask
        if found is None:
            return None
        return s.expand_dims(b, b.value(b.value(found), "bool"), axis)

    given = b.argument("attention_mask")
    return both(
        b,
        mask("query", query, -1), mask("value", value, -2), mask("key", key, -2),
        causal_mask(b, query, value) if b.argument("use_causal_mask") else None,
        None if given is None else b.value(b.value(given), "bool"),
    )  # fmt: skip


# ------------------------------------------------------------------------ Attention layers


@rule("Attention", "AdditiveAttention")
def attention(b: Builder, layer: KerasLayer, x: list[Value]) -> list[Value]:
    """Products of matrices, or tanh of sums; softmax."""
    query, value, *rest = (b.value(one) for one in x)
    key = rest[0] if rest else value
    masks = b.argument("mask")
    masks = [query.mask, value.mask] if masks is None else masks
    seen_by, seen = (None if one is None else b.value(b.value(one), "bool") for one in masks[:2])
    scores = _scores(b, layer, query, key)
    keep = None if seen is None else s.expand_dims(b, seen, -2)
    if b.argument("use_causal_mask") or layer.config.get("causal"):
        keep = both(b, keep, causal_mask(b, query, key))
    if keep is not None:
        scores = f.hide(b, scores, keep)
    shares = f.softmax(b, scores)
    y = matmul(b, shares, value)
    if seen_by is not None:
        y = a.multiply(b, y, b.value(s.expand_dims(b, seen_by, -1), y.dtype))
    y = replace(y, mask=query.mask if b.argument("mask") is None else seen_by)
    return [y, shares] if b.argument("return_attention_scores") else [y]


def _scores(b: Builder, layer: KerasLayer, query: Value, key: Value) -> Value:
    weights = {role: b.weight(layer, role) for role in layer.weights}
    if layer.class_name == "Attention" and layer.config.get("score_mode", "dot") == "dot":
        scores = matmul(b, query, key, transpose_b=True)
        return a.multiply(b, scores, weights["scale"]) if "scale" in weights else scores
    total: Any = a.add(b, s.expand_dims(b, query, -2), s.expand_dims(b, key, -3))
    if layer.class_name == "AdditiveAttention":
        curve = f.tanh(b, total)
        return sum_(b, a.multiply(b, curve, weights["scale"]) if "scale" in weights else curve, -1)
    inner = a.multiply(b, total, weights["scale"]) if "scale" in weights else total
    return a.multiply(b, sum_(b, f.tanh(b, inner), -1), b.weight(layer, "concat_score_weight"))
