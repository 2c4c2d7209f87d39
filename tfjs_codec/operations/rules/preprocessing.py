"""Preprocessing layers, and augmentation layers, which do nothing when predicting."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfjs_codec.ir.graph import Node
from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.keras.classes import names_of
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import functions as f
from tfjs_codec.operations.ops import reductions as r
from tfjs_codec.operations.ops import shapes as s
from tfjs_codec.operations.ops.indexing import one_hot, searchsorted
from tfjs_codec.operations.registry import refuse, rule
from tfjs_codec.operations.values import Value
from tfjs_codec.tracing.refusal import Refusal
from tfjs_codec.tracing.training import check_predicting


@rule(*names_of("augmentation"))
def augmentation(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Nothing, when predicting."""
    check_predicting(b)
    return x


def _encode(b: Builder, x: Value, depth: int, mode: str, weights: Value | None = None) -> Value:
    """Return whole numbers in the output mode of a layer."""
    if mode == "int":
        return x
    rows = one_hot(b, x, depth)
    if mode == "one_hot":
        return s.squeeze(b, rows, -2) if x.rank > 1 and x.shape[-1] == 1 else rows
    rows = rows if x.rank > 1 else s.expand_dims(b, rows, -2)
    if mode == "multi_hot":
        return r.max_(b, rows, -2)
    if mode != "count":
        raise Refusal(f"the output mode '{mode}'")
    if weights is not None:
        rows = a.multiply(b, rows, s.expand_dims(b, b.value(weights, "float32"), -1))
    return r.sum_(b, rows, -2)


@rule("CategoryEncoding")
def category_encoding(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Equal; Max or Sum."""
    if layer.config.get("sparse"):
        raise Refusal("sparse output")
    weights = b.argument("count_weights")
    ids = b.value(x, "int32")
    return _encode(b, ids, layer.config["num_tokens"], layer.config["output_mode"], weights)


@rule("Discretization")
def discretization(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Comparisons with the boundaries, Sum."""
    bounds = layer.config.get("bin_boundaries")
    if not bounds or layer.config.get("sparse"):
        raise Refusal("a Discretization without fixed bin_boundaries, or with sparse output")
    edges = np.asarray(bounds, np.float32)
    places = searchsorted(b, edges, b.value(x, "float32"), "right")
    return _encode(b, places, edges.size + 1, layer.config["output_mode"])


# -------------------------------------------------------------------------------------- tables


@rule("IntegerLookup", "StringLookup")
def lookup(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """A hash table."""
    config = layer.config
    words, mask = config.get("vocabulary"), config.get("mask_token")
    unknown = int(config.get("num_oov_indices") or 0)
    if not isinstance(words, list) or not words:
        raise Refusal(
            "its vocabulary is not in the config",
            "Give the layer vocabulary=[...] instead of adapting it, and save the model again.",
        )
    if config.get("sparse") or config.get("pad_to_max_tokens"):
        raise Refusal("sparse or padded output")
    kind = "string" if layer.class_name == "StringLookup" else "int32"
    first = (mask is not None and config["output_mode"] == "int") + unknown
    special = {mask, config.get("oov_token")} if words[:1] in ([mask], [""]) else set()
    words = [word for word in words if word not in special] if special else words
    numbers = list(range(first, first + len(words)))
    if config.get("invert"):
        token = config.get("oov_token")
        token = token if token is not None else "[UNK]" if kind == "string" else -1
        keys, values, default = (numbers, words, token)
        if mask is not None:
            keys, values = [0, *keys], [mask, *values]
        return _find(b, b.value(x, "int32"), keys, values, default, "int32", kind)
    if unknown > 1:
        raise Refusal("several indices for unknown values, which are hashed")
    if unknown == 0:
        raise Refusal("a look-up that fails on unknown values", "Set num_oov_indices=1.")
    keys, values = words, numbers
    if mask is not None and config["output_mode"] == "int":
        keys, values = [mask, *words], [0, *numbers]
    ids = x if kind == "string" else b.value(x, "int32")
    found = _find(b, ids, keys, values, first - 1, kind, "int32")
    return _encode(b, found, first + len(words), config["output_mode"])


def _find(
    b: Builder, x: Value, keys: list[Any], values: list[Any], default: Any, kind: str, result: str
) -> Value:
    """Look *x* up in a table, which the initializer of the graph fills."""
    table = b.emit("HashTableV2", shape=(), dtype="resource", key_dtype=kind, value_dtype=result)
    node = b.nodes[table.ref.node]
    made = [
        b.constant(keys, kind, name="keys", shared=False),
        b.constant(values, result, name="values", shared=False),
    ]
    contents = [b.nodes.pop(value.ref.node) for value in made]
    name = f"{node.name}/import"
    inputs = (table.ref, *(value.ref for value in made))
    attrs = {"Tin": kind, "Tout": result}
    b.initializer.update({each.name: each for each in (node, *contents)})
    b.initializer[name] = Node(name, "LookupTableImportV2", inputs, attrs)
    fallback = b.constant(default, result)
    return b.emit(
        "LookupTableFindV2", table, x, fallback, shape=x.shape, dtype=result, Tin=kind, Tout=result
    )


@rule("Hashing")
def hashing(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """StringToHashBucketFast."""
    config = layer.config
    if x.dtype != "string" or config.get("salt") or config.get("sparse"):
        raise Refusal(
            "hashing of numbers, with a salt, or with sparse output",
            "Hash the values in JavaScript and feed the model from the next layer on.",
        )
    bins, mask = int(config["num_bins"]), config.get("mask_value")
    count = bins - 1 if mask is not None and bins > 1 else bins
    y = b.emit("StringToHashBucketFast", x, dtype="int32", num_buckets=count)
    if mask is not None:
        y = a.where(b, a.equal(b, x, str(mask)), 0, a.add(b, y, 1))
    return _encode(b, y, bins, config["output_mode"])


_TEXT = "Prepare the text in JavaScript and start the model at the tokens or numbers."
refuse(
    "TextVectorization",
    reason="tfjs has no operations that normalise or split strings",
    hint=_TEXT,
)
refuse("HashedCrossing", reason="tfjs does not hash crossed features", hint=_TEXT)


@rule("AutoContrast")
def auto_contrast(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Min and Max of each channel, Mul, AddV2."""
    low, high = (float(each) for each in layer.config.get("value_range") or (0, 255))
    x = f.real(b, x)
    scaled = a.multiply(b, a.subtract(b, x, low), 255 / (high - low))
    first, last = (side(b, scaled, [1, 2], True) for side in (r.min_, r.max_))
    factor = a.divide(b, 255.0, a.subtract(b, last, first))
    shift = a.negative(b, a.multiply(b, first, factor))
    wide = a.clip(b, a.add(b, a.multiply(b, scaled, factor), shift), 0.0, 255.0)
    back = a.add(b, a.multiply(b, wide, (high - low) / 255), low)
    return a.where(b, f.isnan(b, back), x, back)


refuse(
    "ContrastLimitedAdaptiveHistogramEqualization", "Equalization",
    reason="it works on the histogram of an image, which tfjs has no operations for",
    hint="Do it in JavaScript before the model.",
)  # fmt: skip
