"""What the rule of a user builds a graph with: ``keras.ops``, bound to the graph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from tfjs_codec.errors import suggest
from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.catalogue import REGISTRY
from tfjs_codec.operations.values import GraphValue, Operand
from tfjs_codec.tracing.refusal import Refusal
from tfjs_codec.tracing.registry import Rule

__all__ = ["GraphScope", "GraphValue", "Operations"]


@dataclass(frozen=True, slots=True)
class Operations:
    """The functions of ``keras.ops`` by their names, as :attr:`GraphScope.ops`.

    They take values, numbers and arrays, and the options that Keras's functions have, and return a
    :class:`GraphValue`, or a list of them (``split``, ``unstack``).
    """

    _builder: Builder

    def __getattr__(self, name: str) -> Rule:
        entry = REGISTRY.ops.get(name)
        if entry is None:
            hint = suggest(name, REGISTRY.ops)
            raise AttributeError(f"there is no operation {name!r}. {hint}".rstrip())
        return partial(entry.function, self._builder)


@dataclass(frozen=True, slots=True)
class GraphScope:
    """What a rule for graph models is called with, as ``rule(b, layer, x)``.

    *x* is a :class:`GraphValue` (``shape``, ``dtype``, ``mask``), or a list of them.
    """

    _builder: Builder

    @property
    def ops(self) -> Operations:
        """The functions of ``keras.ops``: ``b.ops.matmul(x, w)``."""
        return Operations(self._builder)

    def weight(self, layer: KerasLayer, name: str) -> GraphValue:
        """Return the variable *name* of *layer*, of dtype float32.

        Raises:
            KeyError: It has no such variable.
        """
        if name not in layer.weights:
            raise KeyError(name)
        return self._builder.weight(layer, name)

    def value(self, x: Operand, dtype: str = "") -> GraphValue:
        """Return *x*, a number, array or value, as a value, cast to *dtype* if it is given."""
        return self._builder.value(x, dtype)

    def argument(self, name: str) -> object:
        """Return the argument *name* of the layer's call, None if it is not given."""
        return self._builder.argument(name)

    def mask(self, x: GraphValue) -> GraphValue | None:
        """Return the mask that the layer sees beside *x*: bools ``(batch, steps)``, or None."""
        return self._builder.seen_mask(x)

    def refuse(self, reason: str, hint: str = "") -> Refusal:
        """Return the error to raise for what the rule cannot express: ``raise b.refuse(…)``."""
        return Refusal(reason, hint)
