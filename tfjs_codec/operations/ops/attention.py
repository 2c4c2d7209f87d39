"""Attention as one operation."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops.linalg import einsum
from tfjs_codec.operations.ops.shapes import arange, expand_dims, size_of
from tfjs_codec.operations.ops.slicing import repeat
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value
from tfjs_codec.tracing.refusal import Refusal


def causal_mask(b: Builder, query: Value, key: Value) -> Value:
    """Return ``(1, steps, places)``: true where a step may see a place, itself or before."""
    steps, places = query.shape[1], key.shape[1]
    if steps is not None and places is not None:
        return b.formula((1, steps, places), lambda _, i, j: j <= i, "bool")
    rows = arange(b, 0, size_of(b, query, 1), dtype="int32")
    columns = arange(b, 0, size_of(b, key, 1), dtype="int32")
    return a.greater_equal(b, expand_dims(b, rows, [0, 2]), columns)


@operation("dot_product_attention")
def dot_product_attention(
    b: Builder, query: Operand, key: Operand, value: Operand, bias: Operand = None,
    mask: Operand = None, scale: Any = None, is_causal: Any = False, flash_attention: Any = None,
    attn_logits_soft_cap: Any = None,
) -> Value:  # fmt: skip
    """Return the values ``(batch, places, heads, depth)`` weighted by how keys match queries."""
    query, key, value = a.floats(b, query, key, value)
    if attn_logits_soft_cap is not None:
        raise Refusal("attn_logits_soft_cap, which only some backends of Keras apply")
    heads, groups, depth = query.shape[2], key.shape[2], query.shape[3]
    if heads is None or groups is None or depth is None:
        raise Refusal("attention with an unknown number of heads")
    if heads != groups:
        key, value = (repeat(b, each, heads // groups, 2) for each in (key, value))
    scores = einsum(b, "btnh,bsnh->bnts", query, key)
    scores = a.multiply(b, scores, 1 / sqrt(depth) if scale is None else float(scale))
    if bias is not None:
        scores = a.add(b, scores, bias)
    lowest = np.float32(-0.7 * np.finfo(np.float32).max)
    seen = [] if mask is None else [b.value(b.value(mask), "bool")]
    if is_causal:
        seen.append(expand_dims(b, causal_mask(b, query, key), 0))
    for each in seen:
        scores = a.where(b, each, scores, lowest)
    return einsum(b, "bnts,bsnh->btnh", f.softmax(b, scores, -1), value)
