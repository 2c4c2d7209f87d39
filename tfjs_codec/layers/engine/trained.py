"""What training needs of a Keras layer and its tfjs layers do not say.

tfjs applies the constraint of a variable to the values that it loads (``LayerVariable.write``), and
reads activity regularisers without using them, so neither is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tfjs_codec.ir.json_types import Json
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.ir.layers import TfjsLayer

_KINDS = ("_regularizer", "_constraint")


def lost_options(layer: KerasLayer, used: Iterable[TfjsLayer]) -> list[str]:
    """Return as sentences the training options of *layer* that no *used* tfjs layer has."""
    kept = {key for one in used for key in _keys(one)}
    lost = {
        f"{key} {_name(value)}": None
        for one in _walk(layer)
        for key, value in one.config.items()
        if key.endswith(_KINDS) and key not in kept and _has_effect(value)
    }
    if layer.class_name == "ActivityRegularization":
        lost[layer.class_name] = None
    return [f"{what}, which fit() in tfjs does without" for what in lost]


def has_initializers(graph: KerasGraph) -> bool:
    """Tell whether a layer of *graph* says how its variables begin."""
    return any(
        value for layer in graph.walk() for key, value in layer.config.items()
        if key.endswith("_initializer")
    )  # fmt: skip


def _keys(layer: TfjsLayer) -> Iterator[str]:
    yield from layer.config
    for one in (*layer.owned, *(layer.graph.layers if layer.graph else ())):
        yield from _keys(one)


def _walk(layer: KerasLayer) -> Iterator[KerasLayer]:
    yield layer
    for child in layer.children.values():
        yield from _walk(child)


def _name(value: Json) -> str:
    """Return the class of a serialised object."""
    return str(value.get("class_name") or value.get("name")) if isinstance(value, dict) else "of it"


def _has_effect(value: Json) -> bool:
    """Tell whether a regulariser or constraint does anything: not if its factors are 0."""
    settings = value.get("config", value) if isinstance(value, dict) else None
    if not isinstance(settings, dict):
        return bool(value)
    factors = [settings[key] for key in ("l1", "l2") if key in settings]
    return not factors or any(factors)
