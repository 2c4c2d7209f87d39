"""Masks, computed as tensors of 0s and 1s.

tfjs's own masks are not used. It keeps one for the whole execution: a layer whose inputs carry no
mask sees the last one that any layer saw (tfjs-layers/src/engine/executor.ts). On webgpu, a mask
is integers that are called floats, which its transposition does not compile for (Cast.ts,
transpose_webgpu.ts), so that a recurrent layer with a mask reads what its buffer held before.
"""

from __future__ import annotations

from dataclasses import replace

from tfjs_codec.ir.tensors import formula
from tfjs_codec.layers.engine.symbolic import Mask, Network, Tensor

_HUGE = 3e38  # times any number that is not denormal, it is above 1


def compute(b: Network, mask: Mask) -> Tensor:
    """Return *mask* as a float tensor of 0s and 1s (its shape is that of the mask)."""
    if mask.op == "flags":
        flags: Tensor = mask.args[0]
        return flags
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
    if mask.op == "not":
        return b.add("Rescaling", compute(b, mask.args[0]), {"scale": -1, "offset": 1}, part="not")
    pair = [compute(b, part) for part in mask.args]
    return b.add("Minimum" if mask.op == "and" else "Maximum", pair, part=mask.op)


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
    big = b.add("Rescaling", x, {"scale": _HUGE, "offset": 0}, part="scaled")
    return b.add("ReLU", big, {"max_value": 1}, part="step")


def _any(b: Network, x: Tensor) -> Tensor:
    """Return 1 where any value on the last axis of the 0s and 1s *x* is 1; the axis goes."""
    ones = formula((x.shape[-1] or 0, 1), lambda *_: 1)
    config = {"units": 1, "use_bias": False, "activation": "linear"}
    count = b.add("Dense", x, config, {"kernel": ones}, part="count")
    some = b.add("ReLU", count, {"max_value": 1}, part="some")
    target = [-1 if size is None else size for size in x.shape[1:-1]]
    return b.add("Reshape", some, {"target_shape": target}, part="any")
