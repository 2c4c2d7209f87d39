"""Preprocessing and augmentation layers."""

from __future__ import annotations

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.keras.classes import names_of
from tfjs_codec.layers.engine import masks
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import refuse, rule
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.layers.ops.shape import reduce
from tfjs_codec.layers.primitives import affine, dense, filled, identity, reshape
from tfjs_codec.tracing.refusal import Refusal, StaticShapeNeeded
from tfjs_codec.tracing.statistics import bin_edges


@rule(*names_of("augmentation"))
def augmentation(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Activation('linear'): identity when predicting."""
    b.check_predicting()
    return x


@rule("CategoryEncoding")
def category_encoding(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Embedding of the identity matrix; the maximum (multi_hot) or sum (count) of its rows."""
    size, mode = layer.config["num_tokens"], layer.config["output_mode"]
    if layer.config.get("sparse") or b.call.kwargs.get("count_weights") is not None:
        raise Refusal("sparse output or count weights")
    config = {"input_dim": size, "output_dim": size, "mask_zero": False}
    rows = b.add("Embedding", x, config, {"embeddings": identity(size)})
    if mode == "one_hot":
        return reshape(b, rows, (size,)) if x.shape[1:] == (1,) else rows
    if x.rank != 2:
        raise Refusal(f"{mode} of inputs that are not (batch, tokens)")
    if mode == "multi_hot":
        return reduce(b, rows, "Max", 1)
    if x.shape[1] is None:
        raise StaticShapeNeeded("the number of tokens must be known")
    return affine(b, reduce(b, rows, "Average", 1), x.shape[1])


@rule("Discretization")
def discretization(b: Scope, layer: KerasLayer, x: Tensor) -> Tensor:
    """Steps at the boundaries (Dense, ReLU), counted by a Dense."""
    edges = bin_edges(layer)
    if layer.config.get("output_mode", "int") != "int":
        raise Refusal("a Discretization not to integers")
    column = reshape(b, x, (*x.shape[1:], 1))
    below = dense(b, column, filled(-1, 1, edges.size), edges, part="distance")
    steps = masks.positive(b, below)
    ones = filled(-1, edges.size, 1)
    count = dense(b, steps, ones, np.asarray([edges.size], np.float32), part="count")
    return reshape(b, count, x.shape[1:])


refuse(
    "StringLookup", "TextVectorization", "Hashing", "HashedCrossing",
    reason="tfjs layers do not work on strings",
    hint="Look the numbers up in JavaScript and feed the model from the next layer on.",
)  # fmt: skip
refuse(
    "MelSpectrogram", "STFTSpectrogram",
    reason="tfjs layers have no Fourier transform, and no logarithm",
    hint="Compute it with tf.signal in JavaScript and feed the model from the next layer on.",
)  # fmt: skip
refuse(
    "IntegerLookup",
    reason="looking up arbitrary integers needs a table that tfjs layers do not have",
    hint="Map the values in JavaScript and feed the model from the next layer on.",
)
refuse(
    "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization",
    reason="it works on the histogram or range of an image, which tfjs layers cannot compute",
    hint="Do it in JavaScript before the model.",
)  # fmt: skip
