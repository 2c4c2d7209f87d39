"""The types of parsed JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

# Only lists and dicts are made and accepted; the wider types let mypy take lists of one kind.
Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]
# The config of a layer: JSON, with a meaning that its class gives it.
Config: TypeAlias = dict[str, Any]
