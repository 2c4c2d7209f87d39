"""Arithmetic, comparisons and logic, element by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfjs_codec.ir.shapes import broadcast
from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value, float_dtype, is_float, is_int, result_dtype
from tfjs_codec.tracing.refusal import Refusal


def dtype_of(x: Operand) -> str:
    """Return the dtype of an operand; that of a Python number is weak (``int``, ``float``)."""
    if isinstance(x, Value):
        return x.dtype
    if isinstance(x, (list, tuple)) and any(isinstance(item, Value) for item in x):
        return result_dtype(*map(dtype_of, x))
    array = np.asarray(x)
    if array.dtype.kind in "SUO":
        return "string"
    if isinstance(x, np.ndarray | np.generic):
        return str(array.dtype)
    return {"b": "bool", "i": "int", "u": "int", "f": "float", "c": "complex64"}[array.dtype.kind]


def common_dtype(b: Builder, *operands: Operand) -> str:
    """Return the dtype in which *operands* are combined; Python's numbers alone are weak.

    TensorFlow promotes nothing: before Keras 3, a constant has the dtype of the other operand.
    """
    kinds = [dtype_of(x) for x in operands]
    if b.generation < 3:
        kinds = [x.dtype for x in operands if isinstance(x, Value)] or kinds
    return result_dtype(*kinds)


def promote(b: Builder, *operands: Operand) -> list[Value]:
    """Return *operands* as values of their common dtype."""
    dtype = common_dtype(b, *operands)
    return [b.value(x, dtype) for x in operands]


def floats(b: Builder, *operands: Operand) -> list[Value]:
    """Return *operands* as values of their common dtype of real numbers."""
    dtype = float_dtype(common_dtype(b, *operands))
    return [b.value(x, dtype) for x in operands]


_OF_SIZES: dict[str, Callable[[int, int], int]] = {
    "AddV2": int.__add__, "Sub": int.__sub__, "Mul": int.__mul__, "FloorDiv": int.__floordiv__,
    "Maximum": max, "Minimum": min,
}  # fmt: skip


def _sizes(op: str, x1: Value, x2: Value, y: Value) -> Value:
    """Follow sizes of tensors through arithmetic."""
    compute = _OF_SIZES.get(op)
    if compute is None or x1.sizes is None or x2.sizes is None or y.rank > 1:
        return y
    count = max(len(x1.sizes), len(x2.sizes))
    pairs = zip(*(each * (count // len(each)) for each in (x1.sizes, x2.sizes)), strict=True)
    try:
        found = tuple(None if a is None or c is None else compute(a, c) for a, c in pairs)
    except ZeroDivisionError:
        return y
    return Value(y.ref, y.shape, y.dtype, sizes=found)


def binary(b: Builder, op: str, x1: Operand, x2: Operand) -> Value:
    """Return TensorFlow's *op* of two operands, promoted to their common dtype."""
    left, right = promote(b, x1, x2)
    return _sizes(op, left, right, b.emit(op, left, right))


def _binary(op: str) -> Callable[[Builder, Operand, Operand], Value]:
    def function(b: Builder, x1: Operand, x2: Operand) -> Value:
        return binary(b, op, x1, x2)

    return function


add = operation("add")(_binary("AddV2"))
subtract = operation("subtract")(_binary("Sub"))
multiply = operation("multiply")(_binary("Mul"))
maximum = operation("maximum", "fmax")(_binary("Maximum"))
minimum = operation("minimum", "fmin")(_binary("Minimum"))
squared_difference = operation("squared_difference")(_binary("SquaredDifference"))
mod = operation("mod")(_binary("FloorMod"))
floor_divide = operation("floor_divide")(_binary("FloorDiv"))


@operation()
def bias_add(b: Builder, x: Operand, bias: Operand, data_format: Any = None) -> Value:
    """Return ``x + bias``, the bias along the last axis."""
    if data_format not in (None, "NHWC", "channels_last"):
        raise Refusal(f"a bias in the layout '{data_format}'")
    x, bias = promote(b, x, bias)
    return b.emit("BiasAdd", x, bias, shape=x.shape, data_format=b"NHWC")


@operation("rsub")
def reverse_subtract(b: Builder, x: Operand, y: Operand) -> Value:
    """Return ``y - x``."""
    return subtract(b, y, x)


@operation("true_divide", "divide")
def divide(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return ``x1 / x2`` as real numbers."""
    return b.emit("RealDiv", *floats(b, x1, x2))


@operation("rtruediv")
def reverse_divide(b: Builder, x: Operand, y: Operand) -> Value:
    """Return ``y / x``."""
    return divide(b, y, x)


@operation()
def divide_no_nan(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return ``x1 / x2``, 0 where *x2* is 0."""
    x1, x2 = floats(b, x1, x2)
    zero = equal(b, x2, 0.0)
    return where(b, zero, 0.0, divide(b, x1, where(b, zero, 1.0, x2)))


@operation()
def power(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return *x1* to the power *x2*."""
    if isinstance(x2, int | float) and x2 == 2:
        return square(b, x1)
    return b.emit("Pow", *promote(b, x1, x2))


@operation()
def square(b: Builder, x: Operand) -> Value:
    """Return x²."""
    x = b.value(x)
    return b.emit("Square", b.value(x, "int32") if x.dtype == "bool" else x)


@operation("negative")
def negative(b: Builder, x: Operand) -> Value:
    """Return -x."""
    return b.emit("Neg", b.value(x))


@operation("absolute", "abs", "fabs")
def absolute(b: Builder, x: Operand) -> Value:
    """Return the absolute value."""
    x = b.value(x)
    if x.dtype.startswith("complex"):
        return b.emit("ComplexAbs", x, dtype="float32", Tout="float32")
    return x if x.dtype == "bool" else b.emit("Abs", x)


@operation()
def fmod(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return the remainder of the quotient rounded towards zero; it has the sign of *x1*."""
    x1, x2 = promote(b, x1, x2)
    size = b.emit("FloorMod", absolute(b, x1), absolute(b, x2))
    return b.emit("Mul", b.emit("Sign", x1), size)


@operation()
def clip(b: Builder, x: Operand, x_min: Operand, x_max: Operand) -> Value:
    """Return *x* between *x_min* and *x_max*."""
    x = b.value(x)
    numbers = [bound for bound in (x_min, x_max) if isinstance(bound, int | float)]
    if is_float(x.dtype) and len(numbers) == 2 and numbers[0] <= numbers[1]:
        low, high = (b.value(float(bound), x.dtype) for bound in numbers)
        return b.emit("ClipByValue", x, low, high, shape=x.shape)
    x = b.value(x, "int32") if x.dtype == "bool" else x
    x_min, x_max = b.value(x_min, x.dtype), b.value(x_max, x.dtype)
    return b.emit("Minimum", b.emit("Maximum", x, x_min), x_max)


@operation()
def add_n(b: Builder, xs: Sequence[Operand]) -> Value:
    """Return the sum of several operands."""
    values = promote(b, *xs)
    if len(values) > 1 and len({x.shape for x in values}) == 1:
        return b.emit("AddN", *values)
    total = values[0]
    for x in values[1:]:
        total = add(b, total, x)
    return total


@operation()
def cast(b: Builder, x: Operand, dtype: str) -> Value:
    """Return *x* as *dtype*; real numbers are truncated towards zero."""
    return b.value(b.value(x), str(dtype))


@operation()
def saturate_cast(b: Builder, x: Operand, dtype: str) -> Value:
    """Return *x* as *dtype*, clipped to its range."""
    x = b.value(x)
    if is_int(dtype):
        bounds = np.iinfo(np.dtype(dtype))
        low, high = max(bounds.min, -(1 << 31)), min(bounds.max, (1 << 31) - 1)
        x = clip(b, x, low, high)
    return b.value(x, dtype)


@operation("identity", "copy", "stop_gradient", "ensure_shape")
def identity(b: Builder, x: Operand, shape: Any = None) -> Value:
    """Return *x*."""
    return b.value(x)


@operation("convert_to_tensor", "array")
def convert_to_tensor(b: Builder, x: Operand, dtype: str | None = None) -> Value:
    """Return *x* as a value."""
    return b.value(x, dtype or "")


# -------------------------------------------------------------------------------- comparisons


def _comparison(op: str, **attrs: Any) -> Callable[[Builder, Operand, Operand], Value]:
    def function(b: Builder, x1: Operand, x2: Operand) -> Value:
        return b.emit(op, *promote(b, x1, x2), dtype="bool", **attrs)

    return function


equal = operation("equal")(_comparison("Equal"))
not_equal = operation("not_equal")(_comparison("NotEqual"))
greater = operation("greater")(_comparison("Greater"))
greater_equal = operation("greater_equal")(_comparison("GreaterEqual"))
less = operation("less")(_comparison("Less"))
less_equal = operation("less_equal")(_comparison("LessEqual"))


def _logical(op: str) -> Callable[[Builder, Operand, Operand], Value]:
    def function(b: Builder, x1: Operand, x2: Operand) -> Value:
        return b.emit(op, b.value(x1, "bool"), b.value(x2, "bool"))

    return function


logical_and = operation("logical_and")(_logical("LogicalAnd"))
logical_or = operation("logical_or")(_logical("LogicalOr"))


@operation()
def logical_xor(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return True where one of both is, and not the other."""
    return not_equal(b, b.value(x1, "bool"), b.value(x2, "bool"))


@operation()
def logical_not(b: Builder, x: Operand) -> Value:
    """Return True where *x* is zero or false."""
    return b.emit("LogicalNot", b.value(x, "bool"))


@operation()
def where(b: Builder, condition: Operand, x1: Operand = None, x2: Operand = None) -> Value:
    """Return *x1* where the condition holds, else *x2*; NaN in the other one does not matter."""
    if x1 is None or x2 is None:
        raise Refusal("'where' with a condition alone, whose result has no fixed size")
    x1, x2 = promote(b, x1, x2)
    condition = b.value(condition, "bool")
    shape = broadcast(condition.shape, x1.shape, x2.shape)
    return b.emit("SelectV2", condition, x1, x2, shape=shape, dtype=x1.dtype)


@operation()
def isclose(
    b: Builder, x1: Operand, x2: Operand, rtol: float = 1e-5, atol: float = 1e-8,
    equal_nan: bool = False,
) -> Value:  # fmt: skip
    """Return True where both are equal within tolerances."""
    if equal_nan:
        raise Refusal("isclose with equal_nan")
    x1, x2 = floats(b, x1, x2)
    bound = add(b, multiply(b, absolute(b, x2), rtol), atol)
    near = less_equal(b, absolute(b, subtract(b, x1, x2)), bound)
    return logical_or(
        b, equal(b, x1, x2), logical_and(b, near, b.emit("IsFinite", x2, dtype="bool"))
    )
