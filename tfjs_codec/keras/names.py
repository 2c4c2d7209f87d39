"""How Keras spells the names of classes."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(256)
def snake_case(name: str) -> str:
    """Return *name* as Keras spells it in paths: ``Conv2DTranspose``, ``conv2d_transpose``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
