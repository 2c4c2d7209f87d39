"""Constants as tensors: Keras takes both in a call, tfjs only outputs of layers."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.tensors import ArrayTensor
from tfjs_codec.layers.engine.symbolic import Network, Tensor
from tfjs_codec.tracing.refusal import Refusal, check_constant


def as_array(value: Any) -> NDArray[Any]:
    """Return *value*, a constant of a call, as an array.

    Raises:
        Refusal: It is none.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "bifu":
        raise Refusal("an argument of its call that is neither a tensor nor numbers")
    return array


def fill(b: Network, like: Tensor, value: Any) -> Tensor:
    """Return the constant *value* as a tensor; *like* is any tensor that has the batch.

    The first axis of *value* is the batch: one sample for all, or one for each.

    Raises:
        Refusal: The batch has another size.
    """
    array = as_array(value)
    if not array.ndim:
        raise Refusal("a number among the inputs of a layer")
    samples, *sizes = array.shape
    width = prod(sizes)
    check_constant(samples, width)
    batch = like.shape[0]
    if samples != 1 and batch not in (None, samples):
        raise Refusal(f"an array for {samples} samples in a batch of {batch}")
    flat = np.asarray(array.reshape(samples, width), np.float32)
    weights = {"kernel": np.zeros((1, width), np.float32), "bias": flat[0]}
    row = b.add(
        "Dense",
        _zero(b, like),
        {"units": width, "use_bias": True, "activation": "linear"},
        {name: ArrayTensor("constant", values) for name, values in weights.items()},
        part="constant",
    )
    if samples > 1:
        b.warn(f"an array in its call holds {samples} samples: predict batches of {samples}")
        offset = [[float(str(v)) for v in line] for line in flat - flat[0]]
        row = b.add("Rescaling", row, {"scale": 1, "offset": offset}, part="samples")
    y = b.add("Reshape", row, {"target_shape": sizes}, part="constant_shape") if sizes else row
    dtype = "bool" if array.dtype == np.bool_ else "float32"
    return Tensor((batch, *sizes), dtype, y.layer, y.call, y.index, poisoned=like.poisoned)


def _zero(b: Network, like: Tensor) -> Tensor:
    """Return zeros of shape ``(batch, 1)``."""
    flat = b.add("Reshape", like, {"target_shape": [-1, 1]}, part="column")
    top = b.add("GlobalMaxPooling1D", flat, {"data_format": "channels_last"}, part="top")
    finite = b.add("ReLU", top, {"max_value": 1}, part="finite")  # 0·∞ is not 0
    return b.add("Rescaling", finite, {"scale": 0, "offset": 0}, part="zero")
