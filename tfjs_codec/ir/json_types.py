"""The types of parsed JSON, and how we write it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

# Only lists and dicts are made and accepted; the wider types let mypy take lists of one kind.
Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]
# The config of a layer: JSON, with a meaning that its class gives it.
Config: TypeAlias = dict[str, Any]


def compact(content: Json) -> str:
    """Return the JSON of *content*: ASCII, without white space, same content same text.

    Raises:
        ValueError: A number is not finite.
    """
    return json.dumps(content, allow_nan=False, separators=(",", ":"))


def plain_float(value: float) -> float | str:
    """Return *value*, or its name if it is not finite, which JSON has no number for."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
