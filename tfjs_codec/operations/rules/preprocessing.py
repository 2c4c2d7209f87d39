"""Preprocessing layers, and augmentation layers, which do nothing when predicting."""

from __future__ import annotations

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
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded
from tfjs_codec.tracing.statistics import bin_edges


@rule(*names_of("augmentation"))
def augmentation(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Nothing, when predicting."""
    b.check_predicting()
    return x


def encode(b: Builder, x: Value, depth: int, mode: str, weights: Value | None = None) -> Value:
    """Return whole numbers in the output mode of a layer."""
    if mode == "int":
        return x
    rows = one_hot(b, x, depth)
    if mode == "one_hot":
        if x.rank > 1 and x.shape[-1] is None:
            raise StaticShapeNeeded(
                "Keras drops the last axis if its size is 1, which must be known"
            )
        return s.squeeze(b, rows, -2) if x.rank > 1 and x.shape[-1] == 1 else rows
    rows = rows if x.rank > 1 else s.expand_dims(b, rows, -2)
    axis = 1 if b.generation > 2 and x.rank > 1 else -2
    if mode == "multi_hot":
        return r.max_(b, rows, axis)
    if mode != "count":
        raise Refusal(f"the output mode '{mode}'")
    if weights is not None:
        rows = a.multiply(b, rows, s.expand_dims(b, b.value(weights, "float32"), -1))
    return r.sum_(b, rows, axis)


@rule("CategoryEncoding")
def category_encoding(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Equal; Max or Sum."""
    if layer.config.get("sparse"):
        raise Refusal("sparse output")
    weights = b.argument("count_weights")
    ids = b.value(x, "int32")
    return encode(b, ids, layer.config["num_tokens"], layer.config["output_mode"], weights)


@rule("Discretization")
def discretization(b: Builder, layer: KerasLayer, x: Value) -> Value:
    """Comparisons with the boundaries, Sum."""
    edges = bin_edges(layer)
    places = searchsorted(b, edges, b.value(x, "float32"), "right")
    return encode(b, places, edges.size + 1, layer.config["output_mode"])


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
