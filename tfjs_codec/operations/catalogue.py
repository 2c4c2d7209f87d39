"""All rules and operations of the graph target: importing this module registers them."""

from __future__ import annotations

from tfjs_codec.operations.ops import (  # noqa: F401 - each module registers its operations
    arithmetic,
    arrangements,
    convolution,
    functions,
    image,
    indexing,
    integers,
    linalg,
    losses,
    matrices,
    reductions,
    sampling,
    shapes,
    signal,
    slicing,
    statistics,
)
from tfjs_codec.operations.registry import REGISTRY
from tfjs_codec.operations.rules import (  # noqa: F401 - the same
    activations,
    attention,
    convolutions,
    core,
    merging,
    normalization,
    pooling,
    preprocessing,
    recurrent,
    spatial,
    spectrograms,
    text,
    wrappers,
)

__all__ = ["REGISTRY"]
