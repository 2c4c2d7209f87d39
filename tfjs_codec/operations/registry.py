"""The rules of the graph target, see :mod:`tfjs_codec.tracing.registry`, and its operations.

``b`` is a :class:`~tfjs_codec.operations.builder.Builder`, ``x`` a
:class:`~tfjs_codec.operations.values.Value` or a list of them.

An operation is ``name(b, *operands, **options) -> outputs`` with the operands and options of the
function of ``keras.ops``. Operands are values, numbers or arrays. Operation nodes of a model call
it, and so do the rules of layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tfjs_codec.tracing.refusal import CODE_HINT
from tfjs_codec.tracing.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])

REGISTRY = Registry(
    target="graph",
    unknown_layer=(
        "a class that is not one of Keras's: its code is not in the file",
        CODE_HINT,
    ),
    unknown_op=(
        "the operation '{}' has no counterpart among graph operations",
        "Convert what model.export() writes, or move it into the JavaScript around the model.",
    ),
)
rule, refuse = REGISTRY.rule, REGISTRY.refuse


def operation(*names: str) -> Callable[[F], F]:
    """Register the decorated function as operations, by default under its own name."""

    def register(function: F) -> F:
        called = names or (function.__name__,)
        function.__qualname__ = called[0]  # Python says it of wrong arguments
        return REGISTRY.op(*called)(function)

    return register
