"""Bits of whole numbers; a later pass composes them of what tfjs has."""

from __future__ import annotations

from collections.abc import Callable

from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.registry import operation, refuse
from tfjs_codec.operations.values import Operand, Value

Binary = Callable[[Builder, Operand, Operand], Value]


def _bits(op: str, logic: Binary | None = None) -> Binary:
    def function(b: Builder, x: Operand, y: Operand) -> Value:
        if logic is not None and a.common_dtype(b, x, y) == "bool":
            return logic(b, x, y)
        return a.binary(b, op, x, y)

    return function


bitwise_and = operation("bitwise_and")(_bits("BitwiseAnd", a.logical_and))
bitwise_or = operation("bitwise_or")(_bits("BitwiseOr", a.logical_or))
bitwise_xor = operation("bitwise_xor")(_bits("BitwiseXor", a.logical_xor))
left_shift = operation("left_shift", "bitwise_left_shift")(_bits("LeftShift"))
right_shift = operation("right_shift", "bitwise_right_shift")(_bits("RightShift"))


@operation("bitwise_not", "bitwise_invert")
def bitwise_not(b: Builder, x: Operand) -> Value:
    """Return the complements."""
    x = b.value(x)
    return a.logical_not(b, x) if x.dtype == "bool" else b.emit("Invert", x)


refuse(
    "gcd", "lcm", "nextafter", "view",
    reason="tfjs has no operations for divisors, or for the bits of real numbers",
    hint="Compute it in JavaScript.",
)  # fmt: skip
