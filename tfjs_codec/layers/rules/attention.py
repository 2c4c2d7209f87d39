"""Attention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.shapes import product, resolve_axis
from tfjs_codec.ir.tensors import Array, LazyTensor, map_float32
from tfjs_codec.layers.engine import masks
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.constants import as_array
from tfjs_codec.layers.engine.registry import rule
from tfjs_codec.layers.engine.symbolic import Mask, Tensor
from tfjs_codec.layers.primitives import (
    affine,
    batch_dot,
    constant,
    dense,
    permute,
    reshape,
    slice_axis,
)
from tfjs_codec.layers.rules.activation import function
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded

_BIG = 1e9  # what Keras adds (negative) to the scores it masks
_HUGE = 3e38  # whose square is beyond float32


def _keep(
    b: Scope, scores: Tensor, query: Mask | None, sources: Iterable[Mask], *, causal: bool,
    window: int | None = None,
) -> Tensor | None:  # fmt: skip
    """Return 1 where attention may look, 0 elsewhere, to broadcast against *scores*, or None."""
    _, steps, places = scores.shape
    parts = [reshape(b, masks.compute(b, mask), (1, places)) for mask in sources]
    if query is not None:
        parts.append(reshape(b, masks.compute(b, query), (steps, 1)))
    if causal or window:
        rows, columns = b.static(scores, "attention matrix")
        b.pay(rows, columns, 8)  # it becomes a list in a config
        away = np.arange(rows)[:, None] - np.arange(columns)
        seen = (away >= 0) | (not causal)
        seen &= np.abs(away) < window if window else True
        parts.append(constant(b, scores, seen.astype(np.float32)))
    return _all(b, parts)


def _all(b: Scope, parts: Sequence[Tensor]) -> Tensor | None:
    """Return 1 where all of *parts* are 1; None if there are none."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return b.add("Multiply", parts, part="keep")


def _find_mask(b: Scope, heads: int) -> list[Tensor | None]:
    """Return the call's attention mask for each head."""
    value = b.arguments.get("attention_mask")
    if value is None:
        return [None] * heads
    if not isinstance(value, Tensor):
        array = as_array(value) != 0
        value = b.tensor(array[None] if array.ndim == 2 else array)
    keep = b.concrete(value) if value.dtype == "bool" else masks.not_zero(b, value)
    if keep.rank == 3:
        return [keep] * heads
    if keep.rank != 4 or keep.shape[1] not in (1, heads):
        raise Refusal("an attention mask that is not (batch, heads, queries, keys)")
    matrix = keep.shape[2:]
    if keep.shape[1] == 1:
        return [reshape(b, keep, matrix)] * heads
    cut = [slice_axis(b, keep, 1, i, i + 1, part="head_mask") for i in range(heads)]
    return [reshape(b, one, matrix) for one in cut]


def _softmax(b: Scope, scores: Tensor, keep: Tensor | None) -> Tensor:
    if keep is not None:
        scores = b.add("Add", [scores, affine(b, keep, _BIG, -_BIG)], part="masked_scores")
    return function(b, scores, "softmax")


# -------------------------------------------------------------------------- multi-head attention


@rule("MultiHeadAttention", "GroupQueryAttention")
def multi_head_attention(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor | list[Tensor]:
    """Dense, Dot, softmax and Dot for each head, then Concatenate and Dense."""
    sources = _sources(b, x)
    if layer.config.get("use_gate"):
        raise Refusal("gated attention")
    axes = layer.config.get("attention_axes")
    axes = [axes] if isinstance(axes, int) else axes or range(1, x.rank - 1)
    axes = [resolve_axis(axis, x.rank) for axis in axes]
    shares: list[Tensor] = []
    if x.rank == 3 and axes == [1]:
        joined = _heads(b, layer, sources, shares)
    else:
        joined = _over_axes(b, layer, sources, axes)
    out = layer.weights["attention_output/kernel"]
    shape = (out.shape[0] * out.shape[1], prod(out.shape[2:]))
    kernel = map_float32(out, shape, lambda values: values.reshape(shape))
    bias = layer.weights.get("attention_output/bias")
    if bias is not None:
        bias = map_float32(bias, (shape[1],), lambda values: values.reshape(-1))
    y = dense(b, joined, kernel, bias)
    y = reshape(b, y, (*y.shape[1:-1], *out.shape[2:]))
    if not b.arguments.get("return_attention_scores"):
        return y
    if not shares:
        raise Refusal("attention scores over inputs that are not (batch, time, features)")
    each = [reshape(b, share, (1, *share.shape[1:])) for share in shares]
    return [y, each[0] if len(each) == 1 else b.add("Concatenate", each, {"axis": 1})]


def _heads(b: Scope, layer: KerasLayer, sources: Sequence[Tensor], shares: list[Tensor]) -> Tensor:
    """Return the heads' results side by side; *shares* collects where they looked."""
    query, value, key = sources
    _, heads, width = layer.weights["query/kernel"].shape
    shared = layer.weights["key/kernel"].shape[1]
    given = _find_mask(b, heads)
    keep: Tensor | None = None
    results = []
    for head in range(heads):
        source = head * shared // heads
        q = _head(b, layer, "query", query, head, 1 / np.sqrt(width))
        k = _head(b, layer, "key", key, source)
        v = _head(b, layer, "value", value, source)
        scores = batch_dot(b, q, k, [2, 2], "scores")
        if head == 0:
            keep = _keep(
                b, scores, query.mask, dict.fromkeys(t.mask for t in (value, key) if t.mask),
                causal=bool(b.arguments.get("use_causal_mask")),
                window=layer.config.get("sliding_window"),
            )  # fmt: skip
        parts = [part for part in (keep, given[head]) if part is not None]
        shares.append(_softmax(b, scores, _all(b, parts)))
        results.append(batch_dot(b, shares[-1], v, [2, 1], "context"))
    return results[0] if heads == 1 else b.add("Concatenate", results, {"axis": 2}, part="heads")


def _over_axes(b: Scope, layer: KerasLayer, sources: Sequence[Tensor], axes: list[int]) -> Tensor:
    """Attend along *axes* of tensors of more than three axes, for each place on the others."""
    rank = sources[0].rank
    others = [i for i in range(1, rank - 1) if i not in axes]
    given = b.arguments.get("attention_mask") is not None or b.arguments.get("use_causal_mask")
    if (
        given
        or layer.config.get("sliding_window")
        or any(t.mask or t.rank != rank for t in sources)
    ):
        raise Refusal("masked attention over inputs that are not (batch, time, features)")
    order = [*others, *axes, rank - 1]
    moved = [permute(b, t, order) for t in sources]
    split = len(others) + 1
    pieces = product(moved[0].shape[1:split])
    if pieces is None:
        raise StaticShapeNeeded(f"its input shape {list(sources[0].shape)} must be known")
    flat = [reshape(b, t, (pieces, product(t.shape[split:-1]), t.shape[-1])) for t in moved]
    results = []
    for i in range(pieces):
        cut = [slice_axis(b, t, 1, i, i + 1, part="place") for t in flat]
        joined = _heads(b, layer, [reshape(b, t, t.shape[2:]) for t in cut], [])
        results.append(reshape(b, joined, (1, *joined.shape[1:])))
    y = results[0] if pieces == 1 else b.add("Concatenate", results, {"axis": 1})
    y = reshape(b, y, (*moved[0].shape[1:-1], y.shape[-1]))
    return permute(b, y, [order.index(i) + 1 for i in range(1, rank)])


def _sources(b: Scope, x: Tensor) -> list[Tensor]:
    """Return query, value and key of the call, with the masks given by keyword."""
    value = b.arguments.get("value")
    if value is None:
        raise Refusal("attention without a value")
    value, key = b.tensor(value), b.arguments.get("key")
    key = replace(value, mask=None) if key is None else b.tensor(key)
    sources = {"query": b.tensor(x), "value": value, "key": key}
    for role, tensor in sources.items():
        if role == "query" and b.layer.class_name == "MultiHeadAttention":
            continue  # Keras 3.15 overwrites the argument: it is left unread, which refuses it
        mask = b.arguments.get(f"{role}_mask")
        if mask is not None:
            sources[role] = replace(tensor, mask=b.mask_from(mask))
    return list(sources.values())


def _head(b: Scope, layer: KerasLayer, role: str, x: Tensor, head: int, scale: float = 1) -> Tensor:
    kernel = layer.weights[f"{role}/kernel"]
    bias = layer.weights.get(f"{role}/bias")

    def part(tensor: LazyTensor) -> LazyTensor:
        shape = (*tensor.shape[:-2], tensor.shape[-1])

        def cut(values: Array) -> Array:
            cutting: Array = np.multiply(values[..., head, :], np.float32(scale))
            return cutting

        return map_float32(tensor, shape, cut)

    line = part(kernel)
    return dense(b, x, line, None if bias is None else part(bias), part=f"{role}_{head}")


# ------------------------------------------------------------------------ Attention layers


@rule("Attention", "AdditiveAttention")
def attention(b: Scope, layer: KerasLayer, x: list[Tensor]) -> list[Tensor]:
    """Dot (or tanh of a sum, and Dense), softmax, Dot."""
    query, value, *rest = x
    key = rest[0] if rest else value
    if any(t.rank != 3 for t in x):
        raise Refusal("attention over inputs that are not (batch, time, features)")
    given = b.arguments.get("mask")
    seen = [t.mask for t in x]
    if given is not None:
        if not isinstance(given, list | tuple):
            raise Refusal("a mask that is not a list of one mask for each input")
        seen = [None if mask is None else b.mask_from(mask) for mask in given]
    weights = {name: tensor.numpy() for name, tensor in layer.weights.items()}
    ones = np.ones(query.shape[-1] or 0, np.float32)
    if layer.class_name == "AdditiveAttention":
        scores = _additive(b, query, key, weights.get("scale", ones))
    elif layer.config.get("score_mode", "dot") == "concat":
        inner = weights.get("scale", np.float32(1))
        weight = np.multiply(ones, weights["concat_score_weight"])
        scores = _additive(b, query, key, weight, inner)
    else:
        scores = batch_dot(b, query, key, [2, 2], "scores")
        if "scale" in weights:
            scores = affine(b, scores, weights["scale"])
    causal = bool(b.arguments.get("use_causal_mask") or layer.config.get("causal"))
    sources = [seen[1]] if seen[1] else []
    shares = _softmax(b, scores, _keep(b, scores, None, sources, causal=causal))
    y = batch_dot(b, shares, value, [2, 1], "context")
    if seen[0] is not None:
        kept = reshape(b, masks.compute(b, seen[0]), (query.shape[1], 1))
        y = b.add("Multiply", [y, kept], part="kept")
    y = replace(y, mask=seen[0])
    return [y, shares] if b.arguments.get("return_attention_scores") else [y]


def _additive(b: Scope, query: Tensor, key: Tensor, weight: Array, scale: Any = 1) -> Tensor:
    """Return Σ weight·tanh(scale·(query + key)) for every pair of places."""
    steps, places, width = query.shape[1], key.shape[1], query.shape[2]
    b.static(query)
    b.static(key)
    total = b.add(
        "Add", [reshape(b, query, (steps, 1, width)), reshape(b, key, (1, places, width))]
    )
    curve = function(b, affine(b, total, scale), "tanh")
    return reshape(b, dense(b, curve, weight.reshape(-1, 1), part="scores"), (steps, places))


def masked_mean(b: Scope, x: Tensor, mask: Mask) -> Tensor:
    """Return the mean over the time axis of ``(batch, time, features)`` where *mask* is true.

    The softmax of 0 for kept and -1e9 for masked steps is 1/n and 0. Where all steps are masked,
    Keras divides 0 by 0; here, ∞ - ∞ is added to the mean.
    """
    keep = masks.compute(b, mask)
    shares = function(b, affine(b, keep, _BIG, -_BIG), "softmax")
    mean = batch_dot(b, shares, x, [1, 1], "mean")
    column = reshape(b, keep, (keep.shape[1], 1), part="steps")
    some = b.add("GlobalMaxPooling1D", column, {"data_format": "channels_last"}, part="some")
    none = affine(b, affine(b, some, -_HUGE, _HUGE, part="none"), _HUGE, part="infinite")
    return b.add(
        "Add", [mean, none, affine(b, none, -1, part="minus_infinite")], part="mean_of_any"
    )
