"""The arguments of a layer's call by name."""

from __future__ import annotations

from typing import Any

from tfjs_codec.ir.keras import Call, KerasLayer
from tfjs_codec.keras.classes import CLASSES
from tfjs_codec.tracing.refusal import Refusal


def arguments_of(layer: KerasLayer, call: Call, generation: int) -> dict[str, Any]:
    """Return the arguments of *call*, given by position or keyword, by parameter name.

    Raises:
        Refusal: There are more arguments than the class is known to take.
    """
    row = CLASSES.get(layer.class_name)
    if row is None or layer.is_op:
        return dict(call.kwargs)
    names = row.call_in(generation)
    if len(call.args) > len(names):
        raise Refusal("positional arguments that the class is not known to take")
    return {**dict(zip(names, call.args, strict=False)), **call.kwargs}
