"""What the rule of a user builds a graph with: ``keras.ops``, bound to the graph."""

from __future__ import annotations

from dataclasses import dataclass

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.functions import Functions
from tfjs_codec.operations.values import GraphValue, Operand
from tfjs_codec.tracing.refusal import Refusal

__all__ = ["Functions", "GraphScope", "GraphValue"]


@dataclass(frozen=True, slots=True)
class GraphScope:
    """What a rule for graph models is called with, as ``rule(b, layer, x)``.

    *x* is a :class:`GraphValue` (``shape``, ``dtype``, ``mask``), or a list of them.
    """

    _builder: Builder

    @property
    def ops(self) -> Functions:
        """The functions of ``keras.ops``: ``b.ops.matmul(x, w)``."""
        return Functions(self._builder)

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
