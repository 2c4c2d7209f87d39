"""Words and numbers looked up in tables, hashed words, split texts."""

from __future__ import annotations

from string import ascii_lowercase
from typing import Any

import numpy as np

from tfjs_codec.ir.graph import fill_table
from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops import reductions as r
from tfjs_codec.operations.ops import shapes as s
from tfjs_codec.operations.ops.slicing import gather, getitem, slice_axis
from tfjs_codec.operations.registry import refuse, rule
from tfjs_codec.operations.rules.preprocessing import encode
from tfjs_codec.operations.values import Value
from tfjs_codec.tracing.refusal import Refusal

# -------------------------------------------------------------------------------------- tables


@rule("IntegerLookup", "StringLookup")
def lookup(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """A hash table."""
    words = _words(layer)
    config = layer.config
    mask, kind = config.get("mask_token"), _kind(layer)
    if not config.get("invert"):
        return _encode_words(b, layer, _numbers(b, layer, words, x), words)
    token = config.get("oov_token")
    token = token if token is not None else "[UNK]" if kind == "string" else -1
    first = (mask is not None) + int(config.get("num_oov_indices") or 0)
    keys, values = list(range(first, first + len(words))), words
    if mask is not None:
        keys, values = [0, *keys], [mask, *values]
    return _find(b, b.value(x, "int32"), keys, values, token, "int32", kind)


def _kind(layer: KerasLayer) -> str:
    return "int32" if layer.class_name == "IntegerLookup" else "string"


def _words(layer: KerasLayer) -> list[Any]:
    """Return the vocabulary without the tokens for masked and unknown words at its start."""
    config = layer.config
    words = config.get("vocabulary")
    if not isinstance(words, list) or not words:
        raise Refusal(
            "its vocabulary is not in the file",
            "Save the model as .keras, or give the layer vocabulary=[...].",
        )
    mask, unknown = config.get("mask_token"), config.get("oov_token")
    masked = mask is not None and config["output_mode"] == "int"
    special = masked + max(0, int(config.get("num_oov_indices") or 0))
    if 0 < special <= len(words):  # before anything is as long as a number in the file
        start = [mask] * masked + [unknown] * (special - masked)
        if words[:special] == start:
            return words[special:]
    if words[:1] in ([mask], [""]):  # tables of SavedModels
        return [word for word in words if word not in (mask, unknown)]
    return words


def _numbers(b: Builder, layer: KerasLayer, words: list[Any], x: Value) -> Value:
    """Return the numbers of words; unknown ones are hashed to those before the first."""
    config, kind = layer.config, _kind(layer)
    mask, unknown = config.get("mask_token"), int(config.get("num_oov_indices") or 0)
    masked = mask is not None and config["output_mode"] == "int"
    start = int(masked)
    keys, values = words, list(range(start + unknown, start + unknown + len(words)))
    if masked:
        keys, values = [mask, *keys], [0, *values]
    given = x if kind == "string" else b.value(x, "int32")
    if unknown == 0:
        b.warn("a value outside its vocabulary becomes -1 in tfjs; Keras raises an error")
    found = _find(b, given, keys, values, start if unknown == 1 else -1, kind, "int32")
    if unknown < 2:
        return found
    if kind == "int32" and config.get("oov_method") in (None, "floormod"):
        hashed = a.mod(b, given, unknown)
    elif kind == "string" and config.get("salt") is None:
        hashed = b.emit("StringToHashBucketFast", given, dtype="int32", num_buckets=unknown)
    else:
        raise Refusal("unknown values that are hashed as numbers, or with a salt", _HASH)
    return a.where(b, a.less(b, found, 0), a.add(b, hashed, start), found)


def _encode_words(b: Builder, layer: KerasLayer, ids: Value, words: list[Any]) -> Value:
    """Return numbers of words in the output mode of the layer."""
    config = layer.config
    if config.get("sparse") or config.get("ragged"):
        raise Refusal("sparse or ragged output")
    mode, unknown = config["output_mode"], int(config.get("num_oov_indices") or 0)
    padded, most = config.get("pad_to_max_tokens"), config.get("max_tokens")
    if mode == "int":
        return ids
    depth = int(most) if padded and most is not None else unknown + len(words)
    if mode != "tf_idf":
        return encode(b, ids, depth, mode)
    weights = np.asarray(config.get("idf_weights") or (), np.float32)
    if len(weights) == len(words):  # Keras has no weights for unknown words
        weights = np.concatenate([np.full(unknown, weights.mean()), weights])
    if not unknown + len(words) <= len(weights) <= depth:
        raise Refusal("its idf_weights are not in the file", "Save the model as .keras.")
    weights = np.pad(weights, (0, depth - len(weights))).astype(np.float32)
    return a.multiply(b, encode(b, ids, depth, "count"), weights)


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
    b.initializer.update({each.name: each for each in (node, *contents)})
    b.initializer[name] = fill_table(name, node, *(value.ref for value in made))
    fallback = b.constant(default, result)
    return b.emit(
        "LookupTableFindV2", table, x, fallback, shape=x.shape, dtype=result, Tin=kind, Tout=result
    )


# ------------------------------------------------------------------------------------- hashing

_HASH = "Hash the values in JavaScript and feed the model from the next layer on."


@rule("Hashing")
def hashing(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """StringToHashBucketFast."""
    config = layer.config
    if config.get("salt"):
        raise Refusal("it hashes with a salt, by SipHash, which tfjs lacks", _HASH)
    if x.dtype != "string":
        raise Refusal("it hashes numbers as texts, which tfjs cannot make of them", _HASH)
    if config.get("sparse"):
        raise Refusal("its output is sparse, which does not exist in tfjs", _HASH)
    bins, mask = int(config["num_bins"]), config.get("mask_value")
    count = bins - 1 if mask is not None and bins > 1 else bins
    y = b.emit("StringToHashBucketFast", x, dtype="int32", num_buckets=count)
    if mask is not None:
        y = a.where(b, a.equal(b, x, str(mask)), 0, a.add(b, y, 1))
    return encode(b, y, bins, config["output_mode"])


refuse(
    "HashedCrossing",
    reason="it hashes pairs of features by SparseCrossHashed, which tfjs lacks",
    hint=_HASH,
)


# --------------------------------------------------------------------------------------- texts

_PUNCTUATION = rb"""[!"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\']"""
_SPACE = " \t\n\v\f\r"


def _replace(b: Builder, x: Value, pattern: bytes, by: bytes) -> Value:
    return b.emit("StaticRegexReplace", x, pattern=pattern, rewrite=by, replace_global=True)


@rule("TextVectorization")
def text_vectorization(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """StaticRegexReplace, StringSplit, StringNGrams, a hash table."""
    config, mode = layer.config, layer.config["output_mode"]
    inner = KerasLayer(layer.name, "StringLookup", {
        "mask_token": "" if mode == "int" else None, "oov_token": "[UNK]", "num_oov_indices": 1,
        **{key: config.get(key) for key in ("output_mode", "vocabulary", "idf_weights", "sparse",
                                            "ragged", "max_tokens", "pad_to_max_tokens")},
    })  # fmt: skip
    words = _words(inner)
    standardize, cut = config.get("standardize"), config.get("split")
    if standardize is not None or cut is not None:
        b.warn("tfjs normalises text on cpu and webgl only, and splits it on these and on wasm")
    ngrams, length = config.get("ngrams"), config.get("output_sequence_length")
    if standardize not in (None, "lower", "strip_punctuation", "lower_and_strip_punctuation"):
        raise Refusal("its standardize is Python code", _HASH)
    if standardize in ("lower", "lower_and_strip_punctuation"):
        for letter in ascii_lowercase:
            x = _replace(b, x, letter.upper().encode(), letter.encode())
    if standardize in ("strip_punctuation", "lower_and_strip_punctuation"):
        x = _replace(b, x, _PUNCTUATION, b"")
    if cut is None and ngrams is None and length is None:
        return _encode_words(b, inner, _numbers(b, inner, words, x), words)
    if cut != "whitespace":
        raise Refusal(f"the split {cut!r}, which tfjs cannot do", "Split in JavaScript.")
    rows, places, found = _tokens(b, s.reshape(b, x, [-1]), ngrams)
    ids = _numbers(b, inner, words, found)
    batch = s.size_of(b, x, 0)
    widest = r.max_(b, a.add(b, places, 1), initial=int(length or 0))
    indices = s.stack(b, [rows, places], 1)
    target = b.value([batch, widest], "int32")
    # Padding becomes 0 in sequences, and -1 where words are counted.
    shift = 0 if mode == "int" else 1
    dense = b.emit("ScatterNd", indices, a.add(b, ids, shift), target, dtype="int32",
                   shape=(x.shape[0], None), Tindices="int32")  # fmt: skip
    if mode != "int":
        return _encode_words(b, inner, a.subtract(b, dense, shift), words)
    if length is None:
        return dense
    cut_off = slice_axis(b, dense, 1, 0, int(length))
    return s.reshape(b, cut_off, [s.size_of(b, dense, 0), int(length)])


def _tokens(b: Builder, texts: Value, ngrams: Any) -> tuple[Value, Value, Value]:
    """Return the rows, the places and the contents of the pieces of *texts*."""
    pieces = [((None, 2), "int32"), ((None,), "string"), ((2,), "int32")]
    indices, found, _ = b.emit_many(
        "StringSplit", texts, b.constant(_SPACE), results=pieces, skip_empty=True
    )
    rows, places = (getitem(b, indices, [slice(None), i]) for i in (0, 1))
    if ngrams is None:
        return rows, places, found
    widths = range(1, int(ngrams) + 1) if isinstance(ngrams, int) else [int(n) for n in ngrams]
    count = b.value(s.size_of(b, texts, 0), "int32")
    borders = s.arange(b, 0, a.add(b, count, 1), dtype="int32")
    before = a.less(b, rows, s.expand_dims(b, borders, 1))
    splits = r.sum_(b, b.value(before, "int32"), 1)
    found, ends = b.emit_many(
        "StringNGrams", found, splits, results=[((None,), "string"), ((None,), "int32")],
        separator=b" ", ngram_widths=tuple(widths), left_pad=b"", right_pad=b"", pad_width=0,
        preserve_short_sequences=False, Tsplits="int32",
    )  # fmt: skip
    numbers = s.arange(b, 0, b.value(s.size_of(b, found, 0), "int32"), dtype="int32")
    later = a.less_equal(b, s.expand_dims(b, slice_axis(b, ends, 0, 1, None), 1), numbers)
    rows = r.sum_(b, b.value(later, "int32"), 0)
    return rows, a.subtract(b, numbers, gather(b, ends, rows, 0)), found
