"""Attention and EinsumDense. Recipes: layers-format.md §3.2."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.tensors import Array, ArrayTensor, LazyTensor, mapped
from tfjs_codec.lowering import masks
from tfjs_codec.lowering.activation import apply, function
from tfjs_codec.lowering.builder import Scope
from tfjs_codec.lowering.primitives import affine, constant, dense, permute, reshape
from tfjs_codec.lowering.rules import rule
from tfjs_codec.lowering.symbolic import Mask, Refusal, Tensor

_BIG = 1e9  # what Keras adds (negative) to the scores it masks


def _dot(b: Scope, x: Tensor, y: Tensor, axes: list[int], part: str) -> Tensor:
    return b.add("Dot", [x, y], {"axes": axes, "normalize": False}, part=part)


def _keep(
    b: Scope, scores: Tensor, query: Mask | None, value: Mask | None, causal: bool, given: Any
) -> Tensor | None:
    """Return 1 where attention may look, 0 elsewhere, to broadcast against *scores*, or None."""
    _, steps, places = scores.shape
    parts = []
    if value is not None:
        parts.append(reshape(b, masks.compute(b, value), (1, places)))
    if query is not None:
        parts.append(reshape(b, masks.compute(b, query), (steps, 1)))
    if isinstance(given, Tensor):
        given = b.concrete(given)
        if given.rank != 3:
            raise Refusal("an attention mask of other than three axes")
        parts.append(given)
    if causal:
        rows, columns = b.static(scores, "attention matrix")
        parts.append(constant(b, scores, np.tril(np.ones((rows, columns), np.float32))))
    if len(parts) < 2:
        return parts[0] if parts else None
    return b.add("Multiply", parts, part="keep")


def _softmax(b: Scope, scores: Tensor, keep: Tensor | None) -> Tensor:
    if keep is not None:
        scores = b.add("Add", [scores, affine(b, keep, _BIG, -_BIG)], part="masked_scores")
    return function(b, scores, "softmax")


# -------------------------------------------------------------------------- multi-head attention


@rule("MultiHeadAttention", "GroupQueryAttention", mask="pass")
def multi_head_attention(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor | list[Tensor]:
    """Dense, Dot, softmax and Dot for each head, then Concatenate and Dense."""
    query, value, key = _sources(b, x)
    axes = layer.config.get("attention_axes")  # a layer that was called writes [1], not its None
    if any(t.rank != 3 for t in (query, value, key)) or axes not in (None, 1, [1]):
        raise Refusal("attention over other than (batch, time, features)")
    if b.call.kwargs.get("return_attention_scores"):
        raise Refusal("attention scores as an output")
    if layer.config.get("use_gate") or layer.config.get("sliding_window_size"):
        raise Refusal("gated or windowed attention")
    weights = layer.weights
    _, heads, width = weights["query/kernel"].shape
    shared = weights["key/kernel"].shape[1]
    keep: Tensor | None = None
    results = []
    for head in range(heads):
        source = head * shared // heads
        q = _head(b, layer, "query", query, head, 1 / np.sqrt(width))
        k = _head(b, layer, "key", key, source)
        v = _head(b, layer, "value", value, source)
        scores = _dot(b, q, k, [2, 2], "scores")
        if head == 0:
            keep = _keep(
                b, scores, query.mask, value.mask or key.mask,
                bool(b.call.kwargs.get("use_causal_mask")), b.call.kwargs.get("attention_mask"),
            )  # fmt: skip
        results.append(_dot(b, _softmax(b, scores, keep), v, [2, 1], "context"))
    joined = results[0]
    if heads > 1:
        joined = b.add("Concatenate", results, {"axis": 2}, part="heads")
    out = weights["attention_output/kernel"]
    shape = (out.shape[0] * out.shape[1], prod(out.shape[2:]))
    kernel = mapped(out, shape, lambda values: values.reshape(shape))
    bias = weights.get("attention_output/bias")
    if bias is not None:
        bias = mapped(bias, (shape[1],), lambda values: values.reshape(-1))
    y = dense(b, joined, kernel, bias)
    return y if len(out.shape) == 3 else reshape(b, y, (y.shape[1], *out.shape[2:]))


def _sources(b: Scope, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return query, value and key of the call; they are positional or keywords."""
    rest = [t for t in b.call.args[1:] if isinstance(t, Tensor)]
    value = b.call.kwargs.get("value", rest[0] if rest else None)
    key = b.call.kwargs.get("key", rest[1] if len(rest) > 1 else value)
    for name in ("query_mask", "value_mask", "key_mask"):
        if isinstance(mask := b.call.kwargs.get(name), Tensor) and mask.meaning is None:
            raise Refusal("an attention mask that is a tensor of its own")
    if not isinstance(value, Tensor):
        raise Refusal("attention without a value")
    return x, value, key if isinstance(key, Tensor) else value


def _head(b: Scope, layer: KerasLayer, role: str, x: Tensor, head: int, scale: float = 1) -> Tensor:
    kernel = layer.weights[f"{role}/kernel"]
    bias = layer.weights.get(f"{role}/bias")

    def part(tensor: LazyTensor) -> LazyTensor:
        shape = (*tensor.shape[:-2], tensor.shape[-1])

        def cut(values: Array) -> Array:
            cutting: Array = np.multiply(values[..., head, :], np.float32(scale))
            return cutting

        return mapped(tensor, shape, cut)

    line = part(kernel)
    return dense(b, x, line, None if bias is None else part(bias), part=f"{role}_{head}")


# ------------------------------------------------------------------------ Attention layers


@rule("Attention", "AdditiveAttention", mask="own")
def attention(b: Scope, layer: KerasLayer, x: list[Tensor]) -> Tensor:
    """Dot (or tanh of a sum, and Dense), softmax, Dot."""
    query, value, *rest = x
    key = rest[0] if rest else value
    if any(t.rank != 3 for t in x) or b.call.kwargs.get("return_attention_scores"):
        raise Refusal("attention over other than (batch, time, features), or its scores")
    if isinstance(b.call.kwargs.get("mask"), Tensor | list):
        raise Refusal("attention masks given as tensors")
    weights = {name: tensor.numpy() for name, tensor in layer.weights.items()}
    if layer.class_name == "AdditiveAttention":
        scale = weights.get("scale", np.ones(query.shape[-1] or 0, np.float32))
        scores = _additive(b, query, key, np.asarray(scale).reshape(-1, 1))
    elif layer.config.get("score_mode", "dot") == "concat":
        raise Refusal("attention with score_mode='concat'")
    else:
        scores = _dot(b, query, key, [2, 2], "scores")
        if "scale" in weights:
            scores = affine(b, scores, weights["scale"])
    causal = bool(b.call.kwargs.get("use_causal_mask") or layer.config.get("causal"))
    keep = _keep(b, scores, None, value.mask, causal, None)
    if query.mask is not None:
        raise Refusal("attention whose query is masked")
    return _dot(b, _softmax(b, scores, keep), value, [2, 1], "context")


def _additive(b: Scope, query: Tensor, key: Tensor, scale: Array) -> Tensor:
    """Return Σ scale·tanh(query + key) for every pair of places."""
    steps, places, width = query.shape[1], key.shape[1], query.shape[2]
    b.static(query)
    b.static(key)
    total = b.add(
        "Add", [reshape(b, query, (steps, 1, width)), reshape(b, key, (1, places, width))]
    )
    return reshape(b, dense(b, function(b, total, "tanh"), scale, part="scores"), (steps, places))


# --------------------------------------------------------------------------------- EinsumDense


@rule("EinsumDense", mask="pass")
def einsum_dense(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Permute, Dense and Permute, if no kernel axis is shared with the output's other axes."""
    inputs, kernel, outputs = _letters(layer.config["equation"], x.rank)
    summed = [letter for letter in kernel if letter in inputs]
    made = [letter for letter in kernel if letter not in inputs]
    kept = [letter for letter in inputs if letter not in summed]
    if set(summed) & set(outputs) or inputs[0] in summed or set(outputs) != {*kept, *made}:
        raise Refusal(f"the equation '{layer.config['equation']}' is not a product with a matrix")
    sizes = dict(zip(inputs, x.shape, strict=True))
    weight = layer.weights["kernel"]
    sizes.update(zip(kernel, weight.shape, strict=True))
    order = [kernel.index(letter) for letter in (*summed, *made)]
    shape = (prod(sizes[s] or 0 for s in summed), prod(sizes[m] or 0 for m in made))

    def matrix(values: Array) -> Array:
        flat: Array = values.transpose(order).reshape(shape)
        return flat

    moved = permute(b, x, [inputs.index(letter) for letter in (*kept[1:], *summed)])
    flat = reshape(b, moved, (*[sizes[letter] for letter in kept[1:]], shape[0]))
    y = dense(b, flat, mapped(weight, shape, matrix))
    y = reshape(b, y, [sizes[letter] for letter in (*kept[1:], *made)])
    y = permute(b, y, [[*kept, *made].index(letter) for letter in outputs[1:]])
    bias = layer.weights.get("bias")
    if bias is not None:
        y = affine(b, y, 1, bias.numpy())
    return apply(b, y, layer.config["activation"])


def _letters(equation: str, rank: int) -> tuple[str, str, str]:
    """Return the letters of input, kernel and output, with an ellipsis spelled out."""
    left, _, output = equation.replace(" ", "").partition("->")
    inputs, _, kernel = left.partition(",")
    spare = "".join(c for c in "ABCDEFGH" if c not in equation)
    dots = spare[: rank - len(inputs.replace("...", ""))]
    inputs, output = inputs.replace("...", dots), output.replace("...", dots)
    if len(inputs) != rank or not output or output[0] != inputs[0]:
        raise Refusal(f"the equation '{equation}' on {rank} axes")
    return inputs, kernel, output


def masked_mean(b: Scope, x: Tensor, mask: Mask) -> Tensor:
    """Return the mean over the time axis of ``(batch, time, features)`` where *mask* is true.

    The softmax of 0 for kept and -1e9 for masked steps is 1/n and 0.
    """
    keep = masks.compute(b, mask)
    shares = function(b, affine(b, keep, _BIG, -_BIG), "softmax")
    return _dot(b, shares, x, [1, 1], "mean")


def identity_table(size: int) -> LazyTensor:
    """Return the embedding table that turns an index into its one-hot vector."""
    return ArrayTensor("identity", np.eye(size, dtype=np.float32))
