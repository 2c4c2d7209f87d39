"""What preprocessing layers know of their data: means and variances, boundaries of bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.tracing.refusal import Refusal


def statistic(
    layer: KerasLayer, name: str, axes: Sequence[int], shape: Sequence[int | None]
) -> NDArray[np.float32]:
    """Return the *name* (mean or variance), broadcastable against a tensor of *shape*, with batch.

    One number has the shape ``()``. Values with fewer axes than *axes*, those that are kept, belong
    to the last of them.

    Raises:
        Refusal: The layer has none.
    """
    stored = layer.weights.get(name)
    value = layer.config.get(name) if stored is None else stored.numpy()
    if value is None:
        raise Refusal("a Normalization that was never adapted")
    values = np.asarray(value, np.float32)
    if values.size == 1 or not axes:
        return values.reshape(()) if values.size == 1 else values
    kept = list(values.shape)
    if len(kept) > len(axes):
        kept = [size for size in kept if size != 1]
    if len(kept) > len(axes):
        kept = [shape[axis] or -1 for axis in sorted(axes)]
    sizes = iter([1] * (len(axes) - len(kept)) + kept)
    return values.reshape([next(sizes) if i in axes else 1 for i in range(len(shape))])


def bin_edges(layer: KerasLayer) -> NDArray[np.float32]:
    """Return the boundaries of the bins of a Discretization.

    Raises:
        Refusal: The layer has none, or returns a sparse tensor.
    """
    if not layer.config.get("bin_boundaries"):
        raise Refusal(
            "a Discretization without bin_boundaries",
            "Build it with bin_boundaries=adapted.bin_boundaries instead of num_bins.",
        )
    if layer.config.get("sparse"):
        raise Refusal("sparse output")
    return np.asarray(layer.config["bin_boundaries"], np.float32)
