"""The rules of the Layers target; see ``tfjs_codec.tracing.registry``.

``b`` is a ``Scope``, ``x`` a
``Tensor`` or a list of them.
"""

from __future__ import annotations

from tfjs_codec.tracing.refusal import CODE_HINT
from tfjs_codec.tracing.registry import Registry

REGISTRY = Registry(
    target="layers",
    unknown_layer=("tfjs has no such layer, and no equivalent network is known", CODE_HINT),
    unknown_op=(
        "the operation '{}' has no counterpart among tfjs layers",
        "Move it out of the model, into the JavaScript around it.",
    ),
)
rule, op, refuse = REGISTRY.rule, REGISTRY.op, REGISTRY.refuse
