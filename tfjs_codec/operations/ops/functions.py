"""Functions of one tensor: elementary functions, activations, softmax."""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi, prod, sqrt
from typing import Any

from tfjs_codec.operations.builder import Builder
from tfjs_codec.operations.ops import arithmetic as a
from tfjs_codec.operations.ops.shapes import dynamic_shape, normalize_axes, reshape, transpose
from tfjs_codec.operations.ops.slicing import split
from tfjs_codec.operations.registry import operation
from tfjs_codec.operations.values import Operand, Value, float_dtype, is_float
from tfjs_codec.tracing.refusal import Refusal

Function = Callable[[Builder, Operand], Value]


def real(b: Builder, x: Operand) -> Value:
    """Return *x* as real (or complex) numbers."""
    return b.value(x, float_dtype(b.value(x).dtype))


def _real(op: str, *names: str) -> Function:
    @operation(*names)
    def function(b: Builder, x: Operand) -> Value:
        return b.emit(op, real(b, x))

    return function


arccos = _real("Acos", "arccos")
arccosh = _real("Acosh", "arccosh")
arcsin = _real("Asin", "arcsin")
arcsinh = _real("Asinh", "arcsinh")
arctan = _real("Atan", "arctan")
arctanh = _real("Atanh", "arctanh")
ceil = _real("Ceil", "ceil")
cos = _real("Cos", "cos")
cosh = _real("Cosh", "cosh")
erf = _real("Erf", "erf")
erfinv = _real("Erfinv", "erfinv")
exp = _real("Exp", "exp")
expm1 = _real("Expm1", "expm1")
floor = _real("Floor", "floor")
i0 = _real("BesselI0", "i0")
log_ = _real("Log", "log")
log1p = _real("Log1p", "log1p")
reciprocal = _real("Reciprocal", "reciprocal")
rsqrt = _real("Rsqrt", "rsqrt")
sin = _real("Sin", "sin")
sinh = _real("Sinh", "sinh")
sqrt_ = _real("Sqrt", "sqrt")
tan = _real("Tan", "tan")


def _test(op: str, *names: str) -> Function:
    @operation(*names)
    def function(b: Builder, x: Operand) -> Value:
        return b.emit(op, real(b, x), dtype="bool")

    return function


isfinite = _test("IsFinite", "isfinite")
isinf = _test("IsInf", "isinf")
isnan = _test("IsNan", "isnan")


@operation()
def arctan2(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return the angle of the point (x2, x1)."""
    return b.emit("Atan2", *a.floats(b, x1, x2))


@operation()
def exp2(b: Builder, x: Operand) -> Value:
    """Return 2 to the power x."""
    return exp(b, a.multiply(b, real(b, x), log(2)))


@operation()
def log2(b: Builder, x: Operand) -> Value:
    """Return the logarithm to the base 2."""
    return a.divide(b, log_(b, x), log(2))


@operation()
def log10(b: Builder, x: Operand) -> Value:
    """Return the logarithm to the base 10."""
    return a.divide(b, log_(b, x), log(10))


@operation()
def cbrt(b: Builder, x: Operand) -> Value:
    """Return the cube root."""
    x = real(b, x)
    return a.multiply(b, sign(b, x), a.power(b, a.absolute(b, x), 1 / 3))


@operation()
def erfc(b: Builder, x: Operand) -> Value:
    """Return 1 - erf(x)."""
    return a.subtract(b, 1.0, erf(b, x))


@operation()
def deg2rad(b: Builder, x: Operand) -> Value:
    """Return degrees in radians."""
    return a.multiply(b, real(b, x), pi / 180)


@operation()
def rad2deg(b: Builder, x: Operand) -> Value:
    """Return radians in degrees."""
    return a.multiply(b, real(b, x), 180 / pi)


@operation()
def sign(b: Builder, x: Operand) -> Value:
    """Return -1, 0 or 1."""
    x = b.value(x)
    return b.emit("Sign", b.value(x, "int32") if x.dtype == "bool" else x)


@operation("round")
def round_(b: Builder, x: Operand, decimals: int = 0) -> Value:
    """Round to *decimals*, halves to even."""
    x = b.value(x)
    if not is_float(x.dtype):
        if decimals < 0:
            raise Refusal("integers rounded to tens")
        return x
    if not decimals:
        return b.emit("Round", x)
    factor = 10.0**decimals
    return a.divide(b, b.emit("Round", a.multiply(b, x, factor)), factor)


@operation()
def rint(b: Builder, x: Operand) -> Value:
    """Round to whole numbers, halves to even."""
    return b.emit("Round", real(b, x))


@operation("trunc", "fix")
def trunc(b: Builder, x: Operand) -> Value:
    """Round towards zero."""
    x = b.value(x)
    return a.where(b, a.less(b, x, 0), ceil(b, x), floor(b, x)) if is_float(x.dtype) else x


@operation()
def hypot(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return √(x1² + x2²)."""
    x1, x2 = a.floats(b, x1, x2)
    return sqrt_(b, a.add(b, a.square(b, x1), a.square(b, x2)))


@operation()
def sinc(b: Builder, x: Operand) -> Value:
    """Return sin(πx)/(πx), 1 at 0."""
    x = a.multiply(b, real(b, x), pi)
    zero = a.equal(b, x, 0.0)
    safe = a.where(b, zero, 1.0, x)
    return a.where(b, zero, 1.0, a.divide(b, sin(b, safe), safe))


@operation()
def heaviside(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return 0 below 0, 1 above, *x2* at 0."""
    x1, x2 = a.floats(b, x1, x2)
    step = b.value(a.greater(b, x1, 0.0), x1.dtype)
    return a.where(b, a.equal(b, x1, 0.0), x2, step)


@operation()
def logaddexp(b: Builder, x1: Operand, x2: Operand) -> Value:
    """Return log(eˣ¹ + eˣ²)."""
    x1, x2 = a.floats(b, x1, x2)
    smaller = a.negative(b, a.absolute(b, a.subtract(b, x1, x2)))
    return a.add(b, a.maximum(b, x1, x2), log1p(b, exp(b, smaller)))


@operation()
def nan_to_num(
    b: Builder, x: Operand, nan: float = 0.0, posinf: float | None = None,
    neginf: float | None = None,
) -> Value:  # fmt: skip
    """Replace NaN, and infinities by the largest numbers."""
    x = b.value(x)
    if not is_float(x.dtype):
        return x
    most = 3.4028234663852886e38
    x = a.where(b, isnan(b, x), float(nan), x)
    infinite = isinf(b, x)
    high = most if posinf is None else float(posinf)
    low = -most if neginf is None else float(neginf)
    return a.where(b, infinite, a.where(b, a.greater(b, x, 0.0), high, low), x)


# -------------------------------------------------------------------------------- activations

relu = _real("Relu", "relu")
relu6 = _real("Relu6", "relu6")
selu = _real("Selu", "selu")
sigmoid = _real("Sigmoid", "sigmoid")
softplus = _real("Softplus", "softplus")
tanh = _real("Tanh", "tanh")


@operation("linear")
def linear(b: Builder, x: Operand) -> Value:
    """Return *x*."""
    return b.value(x)


@operation("silu", "swish")
def silu(b: Builder, x: Operand) -> Value:
    """Return x · sigmoid(x)."""
    x = real(b, x)
    return a.multiply(b, x, sigmoid(b, x))


@operation()
def softsign(b: Builder, x: Operand) -> Value:
    """Return x / (1 + |x|)."""
    x = real(b, x)
    return a.divide(b, x, a.add(b, a.absolute(b, x), 1.0))


@operation()
def mish(b: Builder, x: Operand) -> Value:
    """Return x · tanh(softplus(x))."""
    x = real(b, x)
    return a.multiply(b, x, tanh(b, softplus(b, x)))


@operation()
def hard_sigmoid(b: Builder, x: Operand) -> Value:
    """Return clip(x/6 + 1/2, 0, 1); x/5 before Keras 3."""
    x = real(b, x)
    slope = 0.2 if b.generation < 3 else 1 / 6
    return a.clip(b, a.add(b, a.multiply(b, x, slope), 0.5), 0, 1)


@operation("hard_silu", "hard_swish")
def hard_silu(b: Builder, x: Operand) -> Value:
    """Return x · relu6(x + 3) / 6."""
    x = real(b, x)
    gate = a.multiply(b, relu6(b, a.add(b, x, 3.0)), 1 / 6)
    return a.multiply(b, x, gate)


@operation()
def hard_tanh(b: Builder, x: Operand) -> Value:
    """Return clip(x, -1, 1)."""
    return a.clip(b, real(b, x), -1, 1)


@operation()
def leaky_relu(b: Builder, x: Operand, negative_slope: float = 0.2) -> Value:
    """Return x above 0, a fraction of it below."""
    return b.emit("LeakyRelu", real(b, x), alpha=float(negative_slope))


@operation()
def elu(b: Builder, x: Operand, alpha: float = 1.0) -> Value:
    """Return x above 0, alpha · (eˣ - 1) below."""
    x = real(b, x)
    curve = b.emit("Elu", x)
    if alpha == 1:
        return curve
    return a.where(b, a.greater(b, x, 0.0), x, a.multiply(b, curve, float(alpha)))


@operation()
def celu(b: Builder, x: Operand, alpha: float = 1.0) -> Value:
    """Return max(x, 0) + min(alpha · (exp(x/alpha) - 1), 0)."""
    x = real(b, x)
    if alpha == 1:
        return b.emit("Elu", x)
    curve = a.multiply(b, b.emit("Elu", a.divide(b, x, float(alpha))), float(alpha))
    return a.where(b, a.greater(b, x, 0.0), x, curve)


@operation()
def gelu(b: Builder, x: Operand, approximate: bool = True) -> Value:
    """Return x · Φ(x), by erf or by tanh."""
    x = real(b, x)
    if approximate:
        cube = a.multiply(b, x, a.square(b, x))
        inner = a.multiply(b, a.add(b, x, a.multiply(b, cube, 0.044715)), sqrt(2 / pi))
        curve = tanh(b, inner)
    else:
        curve = erf(b, a.multiply(b, x, sqrt(0.5)))
    return a.multiply(b, a.multiply(b, x, 0.5), a.add(b, curve, 1.0))


@operation()
def log_sigmoid(b: Builder, x: Operand) -> Value:
    """Return log(sigmoid(x))."""
    return a.negative(b, softplus(b, a.negative(b, real(b, x))))


@operation()
def soft_shrink(b: Builder, x: Operand, threshold: float = 0.5) -> Value:
    """Return x moved towards 0 by *threshold*, 0 where it is nearer."""
    x = real(b, x)
    return a.subtract(b, x, a.clip(b, x, -float(threshold), float(threshold)))


@operation()
def hard_shrink(b: Builder, x: Operand, threshold: float = 0.5) -> Value:
    """Return x, and 0 where it is within *threshold* of 0."""
    x = real(b, x)
    return a.where(b, a.greater(b, a.absolute(b, x), float(threshold)), x, 0.0)


@operation()
def tanh_shrink(b: Builder, x: Operand) -> Value:
    """Return x - tanh(x)."""
    x = real(b, x)
    return a.subtract(b, x, tanh(b, x))


@operation()
def sparse_sigmoid(b: Builder, x: Operand) -> Value:
    """Return clip((x + 1)/2, 0, 1)."""
    return a.clip(b, a.add(b, a.multiply(b, real(b, x), 0.5), 0.5), 0, 1)


@operation()
def sparse_plus(b: Builder, x: Operand) -> Value:
    """Return 0 below -1, (x + 1)²/4 up to 1, x from there."""
    x = real(b, x)
    curve = a.multiply(b, a.square(b, a.add(b, x, 1.0)), 0.25)
    high = a.where(b, a.less(b, x, 1.0), curve, x)
    return a.where(b, a.less_equal(b, x, -1.0), 0.0, high)


@operation()
def squareplus(builder: Builder, x: Operand, b: float = 4) -> Value:
    """Return (x + √(x² + b)) / 2."""
    x = real(builder, x)
    root = sqrt_(builder, a.add(builder, a.square(builder, x), float(b)))
    return a.multiply(builder, a.add(builder, x, root), 0.5)


@operation()
def threshold(b: Builder, x: Operand, threshold: float, default_value: float) -> Value:
    """Return x above the threshold, a constant elsewhere."""
    x = b.value(x)
    return a.where(b, a.greater(b, x, threshold), x, default_value)


@operation()
def glu(b: Builder, x: Operand, axis: int = -1) -> Value:
    """Return the first half of an axis times the sigmoid of the second."""
    first, second = split(b, real(b, x), 2, axis)
    return a.multiply(b, first, sigmoid(b, second))


@operation()
def softmax(b: Builder, x: Operand, axis: Any = -1) -> Value:
    """Return the exponentials over one axis or several, divided by their sum."""
    return _over_axis(b, "Softmax", real(b, x), axis)


@operation()
def log_softmax(b: Builder, x: Operand, axis: Any = -1) -> Value:
    """Return the logarithm of the softmax."""
    return _over_axis(b, "LogSoftmax", real(b, x), axis)


def hide(b: Builder, scores: Value, keep: Operand) -> Value:
    """Return *scores* where *keep* is true, elsewhere -1e9, so that softmax ignores the rest.

    The smaller of the score and of a limit; a SelectV2 would repeat the condition first.
    """
    limit = a.subtract(b, a.multiply(b, b.value(as_mask(b, keep), scores.dtype), 3e38), 1e9)
    return a.minimum(b, scores, limit)


def as_mask(b: Builder, mask: Operand) -> Value:
    """Return a mask of any dtype as bools: of numbers, those above one half are true."""
    keep = b.value(mask)
    if keep.dtype == "bool":
        return keep
    return a.greater(b, keep, b.value(0.5, keep.dtype) if is_float(keep.dtype) else 0)


def _over_axis(b: Builder, op: str, x: Value, axis: Any) -> Value:
    """Apply *op*, which tfjs has for the last axis alone, over *axis*."""
    axes = normalize_axes(x, axis)
    others = [i for i in range(x.rank) if i not in axes]
    order = [*others, *axes]
    moved = transpose(b, x, order)
    flat = moved
    if len(axes) > 1:
        sizes, last = dynamic_shape(b, moved), moved.shape[len(others) :]
        count = -1 if None in last else prod(size or 0 for size in last)
        flat = reshape(b, moved, [*sizes[: len(others)], count])
    y = b.emit(op, flat)
    if len(axes) > 1:
        y = reshape(b, y, dynamic_shape(b, moved))
    return transpose(b, y, [order.index(i) for i in range(x.rank)])


@operation("exponential")
def exponential(b: Builder, x: Operand) -> Value:
    """Return eˣ."""
    return exp(b, x)
