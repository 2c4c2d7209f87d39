"""Finding the rule of a layer; importing this module registers all rules."""

from __future__ import annotations

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.layers.engine.registry import (
    CUSTOM_HINT,
    LAYER_RULES,
    OP_RULES,
    REFUSED,
    USER_RULES,
    Entry,
)
from tfjs_codec.layers.engine.symbolic import Refusal
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


def find(layer: KerasLayer) -> Entry | None:
    """Return the rule for *layer*: the user's, an operation's or a layer class's."""
    user = USER_RULES.get(layer.registered_name) or USER_RULES.get(layer.class_name)
    if user is not None:
        return user
    if layer.is_op:
        return OP_RULES.get(layer.class_name)
    if layer.graph is not None:
        return LAYER_RULES["Functional"]
    return LAYER_RULES.get(layer.class_name)


def verdict(layer: KerasLayer) -> Refusal:
    """Say why *layer* has no rule."""
    if layer.class_name in REFUSED:
        return Refusal(*REFUSED[layer.class_name])
    if layer.is_op:
        return Refusal(
            f"the operation '{layer.class_name}' has no counterpart among tfjs layers",
            "Move it out of the model, into the JavaScript around it.",
        )
    return Refusal("tfjs has no such layer and no lowering is known", CUSTOM_HINT)
