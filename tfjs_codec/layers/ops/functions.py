"""Functions of one tensor, and reductions that are more than pooling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tfjs_codec.ir.keras import KerasLayer
from tfjs_codec.ir.tensors import formula
from tfjs_codec.layers import functions
from tfjs_codec.layers.engine import masks
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import op, refuse
from tfjs_codec.layers.engine.symbolic import Mask, Tensor
from tfjs_codec.layers.ops.arithmetic import add, align, multiply, subtract, sum_of, true_divide
from tfjs_codec.layers.ops.shape import axes_of, reduce, sum_over
from tfjs_codec.layers.primitives import (
    affine,
    known_size,
    matrix_on_axis,
    negate,
    reshape,
    slice_axis,
)
from tfjs_codec.layers.rules import activation
from tfjs_codec.layers.rules.norm import over_norm
from tfjs_codec.tracing.refusal import Refusal, ShapeRefusal


@op(
    "relu", "relu6", "sigmoid", "tanh", "softplus", "softsign", "silu", "selu", "mish",
    "hard_sigmoid", "sparse_sigmoid", "sparse_plus", "hard_silu", "hard_tanh", "log_sigmoid",
    "tanh_shrink",
)  # fmt: skip
def _activation(b: Scope, x: Tensor) -> Tensor:
    """The activation of that name."""
    return activation.apply(b, x, b.layer.class_name)


@op("leaky_relu")
def _leaky_relu(b: Scope, x: Tensor, negative_slope: float) -> Tensor:
    """LeakyReLU."""
    return b.add("LeakyReLU", x, {"alpha": float(negative_slope)})


@op("elu", "celu")
def _elu(b: Scope, x: Tensor, alpha: float) -> Tensor:
    """ELU; celu(x) as alpha·ELU(x/alpha) where x is negative."""
    if b.layer.class_name == "celu" and alpha != 1:
        curve = affine(
            b,
            b.add(
                "ELU", affine(b, negate(b, b.add("ReLU", negate(b, x))), 1 / alpha), {"alpha": 1}
            ),
            alpha,
        )
        return b.add("Add", [b.add("ReLU", x), curve])
    return activation.elu(b, KerasLayer(b.layer.name, "ELU", {"alpha": alpha}), x)


@op("gelu")
def _gelu(b: Scope, x: Tensor, approximate: Any) -> Tensor:
    """gelu; its tanh form from products and a sigmoid."""
    if not approximate:
        return activation.function(b, x, "gelu")
    c = 2 * np.sqrt(2 / np.pi)
    inner = affine(b, b.add("Multiply", [x, x]), 0.044715 * c, c)
    gate = activation.function(b, b.add("Multiply", [inner, x]), "sigmoid")
    return b.add("Multiply", [x, gate])


@op("softmax", "log_softmax")
def _softmax(b: Scope, x: Tensor, axis: Any) -> Tensor:
    """softmax; over another axis than the last by permuting."""
    return activation.over_axis(b, x, axis, b.layer.class_name)


@op("squareplus")
def _squareplus(scope: Scope, x: Tensor, b: float) -> Tensor:
    """(x + √(x² + b)) / 2, the root by a LayerNormalization."""
    return activation.squareplus(scope, x, float(b))


@op("soft_shrink", "hard_shrink")
def _shrink(b: Scope, x: Tensor, threshold: float) -> Tensor:
    """ReLU or ThresholdedReLU of the tensor and of its negative."""
    shrink = (
        activation.soft_shrink if b.layer.class_name == "soft_shrink" else activation.hard_shrink
    )
    return shrink(b, x, float(threshold))


@op("threshold")
def _threshold(b: Scope, x: Tensor, threshold: float, default_value: float) -> Tensor:
    """The tensor where it is above, a constant elsewhere."""
    above = masks.positive(b, affine(b, x, 1, -float(threshold)))
    kept = b.add("Multiply", [x, above])
    return add(b, kept, affine(b, above, -float(default_value), float(default_value)))


@op("glu")
def _glu(b: Scope, x: Tensor, axis: int) -> Tensor:
    """Multiply of one half and the sigmoid of the other."""
    (at,) = axes_of(x, axis)
    size = x.shape[at]
    if size is None or size % 2:
        raise Refusal("glu of an axis of odd or unknown size")
    first, second = (slice_axis(b, x, at, i, i + size // 2) for i in (0, size // 2))
    return b.add("Multiply", [first, activation.function(b, second, "sigmoid")])


# ------------------------------------------------------------------------- elementary functions


@op("exp", "exp2", "expm1", "cosh")
def _exponential(b: Scope, x: Tensor) -> Tensor:
    """A power of ELU's result."""
    x = b.concrete(x)
    if b.layer.class_name == "exp2":
        x = affine(b, x, np.log(2))
    if b.layer.class_name == "expm1":
        return functions.expm1(b, x)
    y = functions.exponential(b, x)
    if b.layer.class_name == "cosh":
        return affine(b, b.add("Add", [y, functions.exponential(b, negate(b, x))]), 0.5)
    return y


@op("logaddexp")
def _logaddexp(b: Scope, x1: Any, x2: Any) -> Tensor:
    """The second operand and softplus of the difference."""
    return add(b, activation.function(b, subtract(b, x1, x2), "softplus"), x2)


@op("logsumexp")
def _logsumexp(b: Scope, x: Tensor, axis: Any, keepdims: Any) -> Tensor:
    """The maximum less that of log_softmax, which subtracts the result from every entry."""
    axes = axes_of(x, axis)
    if len(axes) != 1:
        raise Refusal("logsumexp over several axes")
    log_shares = activation.over_axis(b, x, axes[0], "log_softmax")
    top, top_share = (reduce(b, y, "Max", axes, keepdims) for y in (x, log_shares))
    return b.add("Add", [top, negate(b, top_share)])


@op("reciprocal")
def _reciprocal(b: Scope, x: Tensor) -> Tensor:
    """By a LayerNormalization that divides by the tensor."""
    return true_divide(b, 1, x)


@op("sign")
def _sign(b: Scope, x: Tensor) -> Tensor:
    """1 above 0 minus 1 below."""
    return b.add("Add", [masks.positive(b, x), negate(b, masks.positive(b, negate(b, x)))])


@op("deg2rad", "rad2deg")
def _angle(b: Scope, x: Tensor) -> Tensor:
    """Rescaling."""
    return affine(b, x, np.pi / 180 if b.layer.class_name == "deg2rad" else 180 / np.pi)


@op("ones_like", "zeros_like", "full_like")
def _fill(b: Scope, x: Tensor, fill_value: Any = None, *, dtype: Any) -> Tensor:
    """Rescaling by 0."""
    if fill_value is None:
        fill_value = 1 if b.layer.class_name == "ones_like" else 0
    return add(b, multiply(b, b.concrete(x), 0), fill_value)


refuse(
    "log", "log10", "log2", "log1p", "sqrt", "rsqrt", "cbrt", "sin", "cos", "tan", "arctan",
    "arctan2", "arcsin", "arccos", "sinh", "arcsinh", "arccosh", "arctanh", "erf", "erfc",
    "erfinv", "log_gamma", "hypot", "sinc", "i0", "angle",
    reason="no network of tfjs layers computes this function",
    hint="Compute it in JavaScript, or train the model without it.",
)  # fmt: skip
refuse(
    "floor",
    "ceil",
    "round",
    "trunc",
    "rint",
    "floor_divide",
    "mod",
    "fmod",
    "digitize",
    reason="tfjs layers cannot round",
    hint="Compute it in JavaScript.",
)
refuse(
    "sort", "argsort", "top_k", "median", "quantile", "percentile", "nonzero", "unique",
    "take_along_axis", "searchsorted", "scatter", "scatter_update", "in_top_k", "segment_sum",
    "segment_max", "argpartition", "bincount",
    reason="tfjs layers cannot sort, or move values to computed positions",
    hint="Do it in JavaScript, after the model.",
)  # fmt: skip
refuse(
    "shape", "size", "get_item_shape", "while_loop", "for_loop", "fori_loop", "cond", "scan", "map",
    "vectorized_map", "associative_scan", "switch", "custom_gradient",
    reason="tfjs's layer models have no control flow and no shapes as values",
    hint="Fix the sizes in the model's Input(shape=...), and build it without loops.",
)  # fmt: skip
refuse(
    "fft", "fft2", "ifft2", "rfft", "irfft", "stft", "istft", "view_as_complex", "view_as_real",
    "real", "imag", "conj", "conjugate", "svd", "qr", "eig", "eigh", "inv", "det", "cholesky",
    "solve",
    reason="tfjs layers have no complex numbers and no linear algebra beyond products",
    hint="Compute it in JavaScript before the model.",
)  # fmt: skip


# ---------------------------------------------------------------------------------- reductions


@op("any", "all")
def _any(b: Scope, x: Tensor, axis: Any, keepdims: Any) -> Tensor:
    """The maximum or minimum of 0s and 1s."""
    axes = axis if isinstance(axis, list) else [axis]
    last = not keepdims and axes in ([-1], [x.rank - 1])
    if b.layer.class_name == "any" and x.meaning is not None and last:
        return Tensor(x.shape[:-1], "bool", None, meaning=Mask("any", (x.meaning,)))
    flags = b.concrete(x)
    if flags.dtype != "bool":
        flags = masks.not_zero(b, flags)
    if b.layer.class_name == "all":
        lowest = reduce(b, affine(b, flags, -1, 1), "Max", axis, keepdims)
        return replace(affine(b, lowest, -1, 1), dtype="bool")
    return replace(reduce(b, flags, "Max", axis, keepdims), dtype="bool")


@op("count_nonzero")
def _count_nonzero(b: Scope, x: Tensor, axis: Any) -> Tensor:
    """The sum of 1s."""
    return sum_over(b, masks.not_zero(b, b.concrete(x)), axis)


@op("argmax", "argmin")
def _argmax(b: Scope, x: Tensor, axis: Any, keepdims: Any) -> Tensor:
    """N minus the largest n - i where entry i is the maximum: the first one."""
    (at,) = axes_of(x, axis)
    size = known_size(x, at)
    x = negate(b, x) if b.layer.class_name == "argmin" else b.concrete(x)
    top = reduce(b, x, "Max", at, keepdims=True)
    lower = masks.positive(b, sum_of(b, align(b, top, negate(b, x))))
    b.pay(size)
    ranks = np.arange(size, 0, -1, dtype=np.float32).reshape([-1, *[1] * (x.rank - 1 - at)])
    first = reduce(b, multiply(b, affine(b, lower, -1, 1), ranks), "Max", at, keepdims)
    return replace(affine(b, first, -1, size), dtype="int32")


@op("prod")
def _prod(b: Scope, x: Tensor, axis: Any, keepdims: Any) -> Tensor:
    """Multiply of all slices."""
    axes = axes_of(x, axis)
    for at in axes:
        size = x.shape[at]
        if size is None or size > 64:
            raise Refusal("a product of more than 64 values, or of an unknown number of values")
        pieces = [slice_axis(b, x, at, i, i + 1) for i in range(size)]
        x = pieces[0] if size == 1 else b.add("Multiply", pieces)
    return (
        x if keepdims else reshape(b, x, [s for i, s in enumerate(x.shape) if i and i not in axes])
    )


@op("average")
def _average(b: Scope, x: Tensor, axis: Any, weights: Any) -> Tensor:
    """Global pooling of the axes."""
    if axis is None or weights is not None:
        raise Refusal("an average over the batch, or with weights")
    return reduce(b, x, "Average", axis)


@op("ptp")
def _ptp(b: Scope, x: Tensor, axis: Any, keepdims: Any) -> Tensor:
    """The maximum plus the maximum of the negative."""
    return b.add("Add", [reduce(b, y, "Max", axis, keepdims) for y in (x, negate(b, x))])


@op("var", "std")
def _var(b: Scope, x: Tensor, axis: Any, keepdims: Any) -> Tensor:
    """The mean of the squared differences from the mean; its root as their norm."""
    axes = axes_of(x, axis)
    mean = reduce(b, x, "Average", axes, keepdims=True)
    off = sum_of(b, align(b, x, negate(b, mean)))
    if b.layer.class_name == "std":
        count = int(np.prod([x.shape[at] or 0 for at in axes]))
        return affine(b, norm(b, off, axes, keepdims), 1 / np.sqrt(count))
    return reduce(b, b.add("Multiply", [off, off]), "Average", axes, keepdims)


def norm(b: Scope, x: Tensor, axes: list[int], keepdims: Any = False) -> Tensor:
    """Return ``√Σx²`` over *axes*: the sum of the products of x and the normalised x."""
    unit = over_norm(b, x, axes, 1e-30)
    return sum_over(b, b.add("Multiply", [x, unit]), axes, keepdims)


@op("norm", "euclidean_norm")
def _norm(
    b: Scope,
    x: Tensor,
    axis: Any,
    keepdims: Any,
    ord: Any,  # noqa: A002  Keras's name
) -> Tensor:
    """The sum of the tensor times its UnitNormalization; sums or maxima of sizes."""
    axes = axes_of(x, axis)
    if ord in (None, "fro", "euclidean") or (ord == 2 and len(axes) == 1):
        return norm(b, x, axes, keepdims)
    size = b.add("Maximum", [x, negate(b, x)])
    if len(axes) == 1 and ord in (1, 1.0):
        return sum_over(b, size, axes, keepdims)
    if len(axes) == 1 and ord in ("inf", float("inf")):
        return reduce(b, size, "Max", axes, keepdims)
    raise Refusal(f"a norm of order {ord}")


@op("normalize", "l2_normalize")
def _normalize(b: Scope, x: Tensor, axis: Any, order: Any = 2, *, epsilon: Any) -> Tensor:
    """UnitNormalization."""
    if order not in (2, 2.0):
        raise Refusal(f"a normalisation by the norm of order {order}")
    if b.layer.class_name == "normalize":  # Keras's bounds the norm, TensorFlow's its square
        least = float(1e-7 if epsilon is None else epsilon) ** 2
    else:
        least = float(1e-12 if epsilon is None else epsilon)
    if least > 1e-10:  # √(Σx² + ε²) is the larger of the norm and ε where they are far apart
        b.approximate(
            "its epsilon is large; tfjs's results are too small where the norm is of that size"
        )
    return over_norm(b, b.concrete(x), axes_of(x, axis), least)


@op("cumsum")
def _cumsum(b: Scope, x: Tensor, axis: Any) -> Tensor:
    """A triangular matrix."""
    (at,) = axes_of(x, axis)
    size = known_size(x, at)
    return matrix_on_axis(b, b.concrete(x), formula((size, size), lambda i, j: i <= j), at)


@op("diff")
def _diff(b: Scope, a: Tensor, n: int, axis: Any) -> Tensor:
    """A matrix of 1 and -1."""
    (at,) = axes_of(a, axis)
    for _ in range(n):
        size = known_size(a, at)
        if size < 2:
            raise ShapeRefusal("the differences of fewer than two values")
        step = formula((size, size - 1), lambda i, j: (i == j + 1) * 1.0 - (i == j))
        a = matrix_on_axis(b, a, step, at)
    return a


@op("tril", "triu")
def _triangle(b: Scope, x: Tensor, k: int) -> Tensor:
    """Rescaling by 0s and 1s."""
    if x.rank < 3 or None in x.shape[-2:]:
        raise Refusal("a triangle of the batch or of unknown size")
    b.pay(*x.shape[-2:], 8)  # it becomes a list in a config
    ones = np.ones((x.shape[-2] or 0, x.shape[-1] or 0), np.float32)
    return affine(b, x, np.tril(ones, k) if b.layer.class_name == "tril" else np.triu(ones, k))
