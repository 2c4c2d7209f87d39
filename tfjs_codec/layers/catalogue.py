"""All rules of the Layers target: importing this module registers them."""

from __future__ import annotations

from tfjs_codec.layers.engine.registry import REGISTRY
from tfjs_codec.layers.ops import (  # noqa: F401 - each module registers its rules
    arithmetic,
    functions,
    products,
    shape,
)
from tfjs_codec.layers.rules import (  # noqa: F401 - the same
    activation,
    attention,
    conv,
    core,
    merge,
    norm,
    pooling,
    preprocessing,
    recurrent,
    resize,
    wrappers,
)

__all__ = ["REGISTRY"]
