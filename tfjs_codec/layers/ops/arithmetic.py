"""Operations on numbers: arithmetic, comparisons, activations.

Operands are tensors or constants; ``keras.ops`` broadcasts as numpy does, from the last axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.layers import functions
from tfjs_codec.layers.engine import masks
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.registry import op
from tfjs_codec.layers.engine.symbolic import Mask, Tensor
from tfjs_codec.layers.primitives import affine, clip, constant, filled, matrix_on_axis, negate
from tfjs_codec.tfjs.shapes import broadcast
from tfjs_codec.tracing.refusal import Refusal


def with_constant(b: Scope, x: Tensor, value: Any) -> tuple[Tensor, NDArray[np.float32]]:
    """Return *x* and a constant operand as float32, without the batch axis, to broadcast on it.

    Axes of size 1 of *x* along which the constant is longer are repeated.
    """
    x, array = b.concrete(x), np.asarray(value, dtype=np.float32)
    if array.ndim == x.rank:
        if array.shape[0] != 1:
            raise Refusal("a constant that differs along the batch")
        array = array[0]
    if array.ndim > x.rank - 1 and array.ndim > 0:
        raise Refusal("a constant with more axes than the tensor")
    if not np.all(np.isfinite(array)):
        raise Refusal("a constant that is not finite")
    for axis, size in zip(range(x.rank - 1, 0, -1), array.shape[::-1], strict=False):
        if size == 1 or x.shape[axis] == size:
            continue
        if x.shape[axis] is None:
            raise Refusal("a constant along an axis of unknown size")
        if x.shape[axis] != 1:
            raise Refusal(f"a constant of shape {list(array.shape)} on {list(x.shape)}")
        x = matrix_on_axis(b, x, filled(1, 1, size), axis, part="repeated")
    return x, array


def align(b: Scope, x1: Tensor, x2: Tensor) -> list[Tensor]:
    """Return two tensors of equal rank that broadcast the same in tfjs and numpy."""
    x1, x2 = b.concrete(x1), b.concrete(x2)
    if x1.rank != x2.rank:
        raise Refusal(
            "operands of different rank, whose batch axes numpy would not match",
            "Reshape the operand of lower rank in the model.",
        )
    broadcast([x1.shape, x2.shape])
    return [x1, x2]


def operand(b: Scope, x: Tensor, value: Any) -> Any:
    """Return *value*, an operand beside *x*, as a tensor if it is one value for each sample."""
    if isinstance(value, Tensor) or np.ndim(value) < x.rank or np.shape(value)[0] == 1:
        return value
    return b.tensor(value)


@op("add")
def add(b: Scope, x1: Any, x2: Any) -> Tensor:
    """Rescaling with a constant, Add of tensors."""
    if not isinstance(x1, Tensor):
        x1, x2 = x2, x1
    x2 = operand(b, x1, x2)
    if isinstance(x2, Tensor):
        if x1.dtype == x2.dtype == "bool":
            raise Refusal("a sum of booleans, which is boolean")
        return b.add("Add", align(b, x1, x2))
    x1, offset = with_constant(b, x1, x2)
    return affine(b, x1, 1, offset)


@op("subtract")
def subtract(b: Scope, x1: Any, x2: Any) -> Tensor:
    """Rescaling with a constant; Add of the negated tensor."""
    if not isinstance(x2, Tensor):
        return add(b, x1, -np.asarray(x2, np.float32))
    if not isinstance(x1, Tensor):
        return add(b, negate(b, b.concrete(x2)), x1)
    return b.add("Add", align(b, x1, negate(b, x2)))


@op("multiply")
def multiply(b: Scope, x1: Any, x2: Any) -> Tensor:
    """Rescaling with a constant, Multiply of tensors."""
    if not isinstance(x1, Tensor):
        x1, x2 = x2, x1
    x2 = operand(b, x1, x2)
    if isinstance(x2, Tensor):
        return b.add("Multiply", align(b, x1, x2))
    x1, scale = with_constant(b, x1, x2)
    return affine(b, x1, scale)


@op("bias_add")
def _bias_add(b: Scope, x: Any, bias: Any) -> Tensor:
    """Rescaling."""
    return add(b, x, bias)


@op("rsub")
def _rsub(b: Scope, x: Any, y: Any) -> Tensor:
    """As subtract, the other way round."""
    return subtract(b, y, x)


@op("true_divide")
def true_divide(b: Scope, x1: Any, x2: Any) -> Tensor:
    """Rescaling by the reciprocal of a constant; of a tensor, Multiply by its reciprocal."""
    if isinstance(x2, Tensor):
        return multiply(b, x1, functions.reciprocal(b, x2))
    x1, value = with_constant(b, x1, x2)
    divisor = value.astype(np.float64)
    if np.any(divisor == 0):
        raise Refusal("a division by zero")
    return affine(b, x1, 1 / divisor)


@op("rtruediv")
def _rtruediv(b: Scope, x: Any, y: Any) -> Tensor:
    """As true_divide, the other way round."""
    return true_divide(b, y, x)


@op("divide_no_nan")
def _divide_no_nan(b: Scope, x1: Any, x2: Any) -> Tensor:
    """Multiply by the reciprocal, which is 0 for 0."""
    if not isinstance(x2, Tensor):
        return true_divide(b, x1, x2)
    return multiply(b, x1, functions.reciprocal(b, x2))


@op("negative")
def _negative(b: Scope, x: Tensor) -> Tensor:
    """Rescaling."""
    return negate(b, x)


@op("absolute")
def _absolute(b: Scope, x: Tensor) -> Tensor:
    """Maximum of the tensor and its negative."""
    return b.add("Maximum", [x, negate(b, x)])


@op("square")
def _square(b: Scope, x: Tensor) -> Tensor:
    """Multiply of the tensor by itself."""
    return b.add("Multiply", [x, x])


@op("squared_difference")
def _squared_difference(b: Scope, x1: Any, x2: Any) -> Tensor:
    """Subtract, Multiply."""
    difference = subtract(b, x1, x2)
    return b.add("Multiply", [difference, difference])


@op("power")
def _power(b: Scope, x1: Any, x2: Any) -> Tensor:
    """Repeated Multiply for small whole exponents, of the reciprocal for negative ones."""
    if isinstance(x2, Tensor) or not isinstance(x1, Tensor):
        raise Refusal("a power whose exponent is a tensor")
    exponent = float(np.asarray(x2)) if np.size(x2) == 1 else 0.5
    if exponent != int(exponent) or not 1 <= abs(exponent) <= 16:
        raise Refusal(
            f"a power of {exponent}; only integer exponents up to 16 can be written as products"
        )
    if exponent < 0:
        x1 = true_divide(b, 1, x1)
    result: Tensor = x1
    for _ in range(int(abs(exponent)) - 1):
        result = b.add("Multiply", [result, x1])
    return result


@op("maximum", "minimum")
def _extremum(b: Scope, x1: Any, x2: Any) -> Tensor:
    """Maximum and Minimum; against a constant with ReLU."""
    if not isinstance(x1, Tensor):
        x1, x2 = x2, x1
    class_name = b.layer.class_name.title()
    x2 = operand(b, x1, x2)
    if isinstance(x2, Tensor):
        return b.add(class_name, align(b, x1, x2))
    x1, bound = with_constant(b, x1, x2)
    return b.add(class_name, [x1, constant(b, x1, bound)])


@op("clip")
def _clip(b: Scope, x: Tensor, x_min: Any, x_max: Any) -> Tensor:
    """Maximum and Minimum; from 0 on, ReLU with a maximum."""
    return clip(b, x, float(x_min), float(x_max))


@op("cast")
def _cast(b: Scope, x: Tensor, dtype: str) -> Tensor:
    """Nothing, between types whose values tfjs computes as float32; refused where it truncates."""
    x = b.concrete(x)
    if str(dtype) == "bool":
        return _bool(x, Mask("not_equal", (x, 0)))
    if "int" in str(dtype) and not x.dtype.startswith(("int", "uint", "bool")):
        raise Refusal("a cast to integers, which truncates")
    return x if "int" in str(dtype) else affine(b, x)


@op("stop_gradient", "identity", "copy", "convert_to_tensor", "ensure_shape")
def _nothing(b: Scope, x: Tensor, shape: Any = None) -> Tensor:
    """Nothing, when predicting."""
    return x


# -------------------------------------------------------------------------------- comparisons


def _bool(x: Tensor, meaning: Mask) -> Tensor:
    return Tensor(x.shape, "bool", None, meaning=meaning)


@op("not_equal", "equal")
def _not_equal(b: Scope, x1: Any, x2: Any) -> Tensor:
    """1 or 0: the difference, scaled up and clipped."""
    if not isinstance(x1, Tensor):
        x1, x2 = x2, x1
    if isinstance(x2, Tensor) or np.size(x2) != 1:
        difference = subtract(b, x1, x2)
        meaning = Mask("not_equal", (difference, 0))
        shape = difference
    else:
        meaning, shape = Mask("not_equal", (x1, np.asarray(x2).item())), x1
    return _bool(shape, meaning if b.layer.class_name == "not_equal" else Mask("not", (meaning,)))


@op("greater", "less", "greater_equal", "less_equal")
def _compare(b: Scope, x1: Any, x2: Any) -> Tensor:
    """1 or 0: the difference, scaled up and clipped."""
    name = b.layer.class_name
    if name in ("less", "greater_equal"):
        x1, x2 = x2, x1
    step = masks.positive(b, subtract(b, x1, x2))
    return replace(step if name in ("greater", "less") else affine(b, step, -1, 1), dtype="bool")


def _meaning(b: Scope, x: Tensor) -> Mask:
    return x.meaning or Mask("not_equal", (b.concrete(x), 0))


@op("logical_and", "logical_or")
def _logical(b: Scope, x1: Tensor, x2: Tensor) -> Tensor:
    """Minimum or Maximum of 0s and 1s."""
    kind = b.layer.class_name.removeprefix("logical_")
    shape = Tensor(broadcast([x1.shape, x2.shape]), "bool", None)
    return _bool(shape, Mask(kind, (_meaning(b, x1), _meaning(b, x2))))


@op("logical_not")
def _logical_not(b: Scope, x: Tensor) -> Tensor:
    """1 minus 0s and 1s."""
    return _bool(x, Mask("not", (_meaning(b, x),)))


@op("where")
def _where(b: Scope, condition: Tensor, x1: Any, x2: Any) -> Tensor:
    """The sum of both, each clipped to ±∞ where it is chosen, and to 0 elsewhere."""
    yes = b.concrete(condition)
    if not yes.dtype == "bool" and yes.meaning is None:
        raise Refusal("'where' on something that is not a comparison")
    no = affine(b, yes, -1, 1)
    return add(b, _choose(b, yes, x1), _choose(b, no, x2))


def _choose(b: Scope, flags: Tensor, x: Any) -> Tensor:
    """Return *x* where the 0s and 1s *flags* are 1, else 0: a product would make NaN of 0·∞."""
    if not isinstance(x, Tensor):
        return multiply(b, flags, x)
    flags, x = align(b, flags, x)
    big = affine(b, affine(b, flags, 3e38), 10)  # 0 or ∞, which no JSON can hold
    above = b.add("Maximum", [x, negate(b, big)])
    return b.add("Minimum", [above, big])


def sum_of(b: Scope, terms: Sequence[Tensor]) -> Tensor:
    """Return the sum of one or more tensors of one shape."""
    return terms[0] if len(terms) == 1 else b.add("Add", list(terms))


@op("add_n")
def _add_n(b: Scope, xs: list[Tensor]) -> Tensor:
    """Add."""
    return sum_of(b, xs)
