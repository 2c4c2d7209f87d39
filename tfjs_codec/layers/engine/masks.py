"""Masks: making tfjs's layers see the mask that Keras would give them.

tfjs keeps one mask for the whole execution: a layer whose inputs carry no mask sees the last one
that any layer saw (tfjs-layers/src/engine/executor.ts). So a layer that
uses masks must either receive the right mask from its input, or get a ``Masking`` layer in front
that makes one: one that masks nothing, or one that rebuilds the wanted mask from numbers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tfjs_codec.ir.layers import TfjsLayer
from tfjs_codec.ir.tensors import ArrayTensor
from tfjs_codec.layers.engine.symbolic import Mask, Network, Tensor
from tfjs_codec.tracing.refusal import Refusal

# Marks a masked step for tfjs's Masking layer; no network computes it by accident.
MARK = 3e38


def made(layer: TfjsLayer, inputs: list[Tensor]) -> Mask | None:
    """Return the mask that tfjs's *layer* makes by itself."""
    if layer.class_name == "Embedding" and layer.config.get("mask_zero"):
        return Mask("not_equal", (inputs[0], 0))
    if layer.class_name == "Masking":
        return Mask("any", (Mask("not_equal", (inputs[0], layer.config["mask_value"])),))
    return None


def strip(b: Network, x: Tensor) -> Tensor:
    """Return *x* without the mask tfjs holds for it; what Keras knows stays."""
    if x.tfjs_mask is None:
        return x
    plain = b.add("Rescaling", x, {"scale": 1, "offset": 0}, part="unmasked")
    return replace(plain, mask=x.mask)


def isolate(b: Network, x: Tensor) -> Tensor:
    """Return *x* with a mask that masks nothing."""
    return b.add("Masking", x, {"mask_value": MARK}, part="isolated")


def attach(b: Network, x: Tensor, mask: Mask) -> Tensor:
    """Return *x* ``(batch, time, …)`` carrying *mask* ``(batch, time)`` in tfjs, too.

    Masked steps are overwritten by a mark that ``Masking`` recognises; it makes them zeros.
    """
    keep = compute(b, mask)
    time = x.shape[1]
    ones = [1] * (x.rank - 2)
    keep = b.add(
        "Reshape", keep, {"target_shape": [-1 if time is None else time, *ones]}, part="keep"
    )
    x = b.add("Multiply", [x, keep], part="kept")
    marks = b.add("Rescaling", keep, {"scale": -MARK, "offset": MARK}, part="marks")
    marked = b.add("Add", [x, marks], part="marked")
    masked = b.add("Masking", marked, {"mask_value": MARK}, part="masked")
    return replace(masked, mask=mask, tfjs_mask=mask)


def compute(b: Network, mask: Mask) -> Tensor:
    """Return *mask* as a float tensor of 0s and 1s (its shape is that of the mask)."""
    done = b.computed_masks.get(mask)
    if done is None:
        done = replace(_compute(b, mask), meaning=mask, dtype="bool")
        b.computed_masks[mask] = done
    return done


def _compute(b: Network, mask: Mask) -> Tensor:
    if mask.op == "not_equal":
        x, value = mask.args
        return not_zero(b, b.add("Rescaling", x, {"scale": 1, "offset": -value}, part="offset"))
    if mask.op == "any":
        return _any(b, compute(b, mask.args[0]))
    if mask.op in ("and", "or"):
        pair = [compute(b, part) for part in mask.args]
        return b.add("Minimum" if mask.op == "and" else "Maximum", pair, part=mask.op)
    if mask.op == "not":
        return b.add("Rescaling", compute(b, mask.args[0]), {"scale": -1, "offset": 1}, part="not")
    raise Refusal(
        "the mask comes from outside a nested model, where it cannot be computed",
        "Make the mask inside the nested model, or call its layers directly.",
    )


def not_zero(b: Network, x: Tensor) -> Tensor:
    """Return 1 where *x* is not 0 (or a denormal number), else 0."""
    minus = b.add("Rescaling", x, {"scale": -1, "offset": 0}, part="minus")
    size = b.add("Maximum", [x, minus], part="abs")
    return _step(b, size)


def positive(b: Network, x: Tensor) -> Tensor:
    """Return 1 where *x* is above 0 (and not denormal), else 0.

    What is below 0 goes first: webgl makes NaN of -∞ in a ReLU, and spares what is beside a NaN
    when it clips.
    """
    return _step(b, b.add("ReLU", x, {}, part="above"))


def _step(b: Network, x: Tensor) -> Tensor:
    """Return 1 where *x*, which is not negative, is above 0 (and not denormal), else 0."""
    big = b.add("Rescaling", x, {"scale": MARK, "offset": 0}, part="scaled")
    return b.add("ReLU", big, {"max_value": 1}, part="step")


def _any(b: Network, x: Tensor) -> Tensor:
    """Return 1 where any value on the last axis of the 0s and 1s *x* is 1; the axis goes."""
    ones = ArrayTensor("ones", np.ones((x.shape[-1] or 0, 1), np.float32))
    config = {"units": 1, "use_bias": False, "activation": "linear"}
    count = b.add("Dense", x, config, {"kernel": ones}, part="count")
    some = b.add("ReLU", count, {"max_value": 1}, part="some")
    target = [-1 if size is None else size for size in x.shape[1:-1]]
    return b.add("Reshape", some, {"target_shape": target}, part="any")
