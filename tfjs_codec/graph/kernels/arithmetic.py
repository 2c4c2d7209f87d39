"""Element by element: arithmetic, comparisons, activations, casts, and choices.

Results have TensorFlow's dtypes because numpy keeps the dtype of equal operands; whole numbers wrap
around as TensorFlow's do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfjs_codec.graph.kernels.core import Kernel, KernelError, bound, numpy_dtype
from tfjs_codec.ir.graph import Attrs
from tfjs_codec.ir.tensors import Array


def _unary(function: Callable[[Any], Any], dtype: type | None = None) -> Kernel:
    """A function of one operand; *dtype* of the result is the operand's if None."""

    def kernel(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
        (x,) = inputs
        return [np.asarray(function(x), dtype or x.dtype)]

    return kernel


def _binary(function: Callable[[Any, Any], Any], dtype: type | None = None) -> Kernel:
    """The same for operands that are broadcast; *dtype* of the result is theirs if None."""

    def kernel(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
        x, y = inputs
        bound(np.broadcast_shapes(x.shape, y.shape), x.dtype, inputs)
        return [np.asarray(function(x, y), dtype or x.dtype)]

    return kernel


def _divisor(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """Whole numbers divided by zero are an error in TensorFlow."""

    def divide(x: Array, y: Array) -> Array:
        if y.dtype.kind in "iu" and not y.all():
            raise KernelError("division by zero")
        return function(x, y)

    return divide


def _quotient(x: Any, y: Any) -> Array:
    """The quotient, of whole numbers rounded towards zero."""
    return _truncate_quotient(x, y) if x.dtype.kind in "iu" else np.asarray(x / y)


def _truncate_quotient(x: Any, y: Any) -> Array:
    """The quotient rounded towards zero."""
    if x.dtype.kind not in "iu":
        return np.asarray(np.trunc(x / y))
    return np.asarray(x // y + ((x % y != 0) & ((x < 0) != (y < 0))))


def _rsqrt(x: Any) -> Array:
    return np.asarray(1 / np.sqrt(x))


def _add_n(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    total: Any = inputs[0]
    for each in inputs[1:]:
        if each.shape != total.shape:
            raise KernelError("shapes")
        total = total + each
    return [np.asarray(total, inputs[0].dtype)]


def _select(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    condition, x, y = inputs
    bound(np.broadcast_shapes(condition.shape, x.shape, y.shape), x.dtype, inputs)
    return [np.where(condition, x, y)]


def _select_v1(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """The condition is a scalar, has the shape of the operands, or chooses rows."""
    condition, x, y = inputs
    if condition.ndim == 1 and x.ndim > 1:
        condition = condition.reshape((-1,) + (1,) * (x.ndim - 1))
    return _select(attrs, [condition, x, y])


def _cast(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    """Floats lose their fraction; out of range of the integers TensorFlow's result is undefined."""
    (x,) = inputs
    dtype = numpy_dtype(attrs, "DstT")
    if x.dtype.kind == "O":
        raise KernelError("string")
    bound(x.shape, dtype, inputs)
    return [x.astype(dtype)]


# --- Activations and special functions ------------------------------------------------------------


# XLA's rational approximation of erf on [-4, 4], in odd and even powers: 7e-8 off at most.
_ERF_ODD = (
    -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
    -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
)  # fmt: skip
_ERF_EVEN = (
    -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
    -1.42647390514189e-02,
)  # fmt: skip


def _erf(x: Any) -> Array:
    inside = np.clip(x.astype(np.float64), -4, 4)
    square = inside * inside
    return np.asarray(inside * np.polyval(_ERF_ODD, square) / np.polyval(_ERF_EVEN, square))


def relu(x: Any) -> Array:
    """Return max(x, 0)."""
    return np.asarray(np.maximum(x, x.dtype.type(0)))


def relu6(x: Any) -> Array:
    """Return min(max(x, 0), 6)."""
    return np.asarray(np.clip(x, x.dtype.type(0), x.dtype.type(6)))


def sigmoid(x: Any) -> Array:
    """Return 1 / (1 + exp(-x))."""
    return np.asarray(1 / (1 + np.exp(-x)), x.dtype)


def elu(x: Any) -> Array:
    """Return x, or exp(x) - 1 below zero."""
    return np.asarray(np.where(x >= 0, x, np.expm1(x)), x.dtype)


def leaky_relu(x: Any, alpha: float) -> Array:
    """Return x, or alpha * x below zero."""
    return np.asarray(np.where(x >= 0, x, x * x.dtype.type(alpha)), x.dtype)


def prelu(x: Any, alpha: Any) -> Array:
    """Return x, or alpha * x below zero; alpha is broadcast."""
    return np.asarray(np.where(x >= 0, x, x * alpha), x.dtype)


def _selu(x: Any) -> Array:
    scale, scale_alpha = 1.0507009873554804934193349852946, 1.7580993408473768599402175208123
    return np.asarray(np.where(x >= 0, scale * x, scale_alpha * np.expm1(x)))


def _quotient_or_zero(x: Any, y: Any) -> Array:
    return np.asarray(np.where(y == 0, np.zeros_like(x), x / np.where(y == 0, np.ones_like(y), y)))


def _zero_first(function: Callable[[Any, Any], Any]) -> Kernel:
    """Return *function* of two operands, but zero where the first is zero."""
    return _binary(lambda x, y: np.where(x == 0, x.dtype.type(0), function(x, y)))


def _clip(_: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, low, high = inputs
    return [np.asarray(np.minimum(np.maximum(x, low), high), x.dtype)]


def _bias_add(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    x, bias = inputs
    if attrs.get("data_format", b"").startswith(b"NC"):
        bias = bias.reshape(-1, *(1,) * (x.ndim - 2))
    return [np.add(x, bias)]


def _complex(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
    real, imaginary = inputs
    return [np.asarray(real + 1j * imaginary, numpy_dtype(attrs, "Tout"))]


def _part(function: Callable[[Any], Any]) -> Kernel:
    """A part of complex numbers."""

    def kernel(attrs: Attrs, inputs: Sequence[Any]) -> Sequence[Array]:
        return [np.asarray(function(inputs[0]), numpy_dtype(attrs, "Tout"))]

    return kernel


KERNELS: dict[str, Kernel] = {
    "Abs": _unary(np.abs),
    "Acos": _unary(np.arccos),
    "Acosh": _unary(np.arccosh),
    "Asin": _unary(np.arcsin),
    "Asinh": _unary(np.arcsinh),
    "Atan": _unary(np.arctan),
    "Atanh": _unary(np.arctanh),
    "Ceil": _unary(np.ceil),
    "Cos": _unary(np.cos),
    "Cosh": _unary(np.cosh),
    "Elu": _unary(elu),
    "Erf": _unary(_erf),
    "Erfc": _unary(lambda x: 1 - _erf(x)),
    "Exp": _unary(np.exp),
    "Expm1": _unary(np.expm1),
    "Floor": _unary(np.floor),
    "Invert": _unary(np.invert),
    "IsFinite": _unary(np.isfinite, np.bool_),
    "IsInf": _unary(np.isinf, np.bool_),
    "IsNan": _unary(np.isnan, np.bool_),
    "LeakyRelu": lambda attrs, inputs: [leaky_relu(inputs[0], attrs["alpha"])],
    "Log": _unary(np.log),
    "Log1p": _unary(np.log1p),
    "LogicalNot": _unary(np.logical_not),
    "Neg": _unary(np.negative),
    "OnesLike": _unary(np.ones_like),
    "Reciprocal": _unary(np.reciprocal),
    "Relu": _unary(relu),
    "Relu6": _unary(relu6),
    "Rint": _unary(np.round),
    "Round": _unary(np.round),
    "Rsqrt": _unary(_rsqrt),
    "Selu": _unary(_selu),
    "Sigmoid": _unary(sigmoid),
    "Sign": _unary(np.sign),
    "Sin": _unary(np.sin),
    "Sinh": _unary(np.sinh),
    "Softplus": _unary(lambda x: np.logaddexp(x, x.dtype.type(0))),
    "Softsign": _unary(lambda x: x / (1 + np.abs(x))),
    "Sqrt": _unary(np.sqrt),
    "Square": _unary(np.square),
    "Tan": _unary(np.tan),
    "Tanh": _unary(np.tanh),
    "ZerosLike": _unary(np.zeros_like),
    "Add": _binary(np.add),
    "AddN": _add_n,
    "AddV2": _binary(np.add),
    "Atan2": _binary(np.arctan2),
    "BiasAdd": _bias_add,
    "BitwiseAnd": _binary(np.bitwise_and),
    "ClipByValue": _clip,
    "Div": _binary(_divisor(_quotient)),
    "DivNoNan": _binary(_quotient_or_zero),
    "Equal": _binary(np.equal, np.bool_),
    "FloorDiv": _binary(_divisor(np.floor_divide)),
    "FloorMod": _binary(_divisor(np.mod)),
    "Greater": _binary(np.greater, np.bool_),
    "GreaterEqual": _binary(np.greater_equal, np.bool_),
    "Less": _binary(np.less, np.bool_),
    "LessEqual": _binary(np.less_equal, np.bool_),
    "LogicalAnd": _binary(np.logical_and),
    "LogicalOr": _binary(np.logical_or),
    "Maximum": _binary(np.maximum),
    "Minimum": _binary(np.minimum),
    "Mod": _binary(_divisor(np.fmod)),
    "Mul": _binary(np.multiply),
    "MulNoNan": lambda attrs, inputs: _zero_first(np.multiply)(attrs, inputs[::-1]),
    "NotEqual": _binary(np.not_equal, np.bool_),
    "Pow": _binary(np.power),
    "Prelu": _binary(prelu),
    "RealDiv": _binary(np.true_divide),
    "SquaredDifference": _binary(lambda x, y: np.square(np.subtract(x, y))),
    "Sub": _binary(np.subtract),
    "TruncateDiv": _binary(_divisor(_truncate_quotient)),
    "Xdivy": _zero_first(np.true_divide),
    "Xlog1py": _zero_first(lambda x, y: x * np.log1p(y)),
    "Xlogy": _zero_first(lambda x, y: x * np.log(y)),
    "Cast": _cast,
    "Complex": _complex,
    "ComplexAbs": _part(np.abs),
    "Imag": _part(np.imag),
    "Real": _part(np.real),
    "Select": _select_v1,
    "SelectV2": _select,
}
