"""Functions that no tfjs layer has, from layers that compute them on the way.

``ELU`` contains an exponential. ``LayerNormalization`` divides by a root: the vector
``[c, -c, x, -x]`` has mean 0 and variance ``(c² + x²)/2``, so that with epsilon 0 its first entry
becomes ``c·√2/√(c² + x²)``.
"""

from __future__ import annotations

from math import exp, sqrt

import numpy as np

from tfjs_codec.ir.shapes import product
from tfjs_codec.layers.engine.builder import Scope
from tfjs_codec.layers.engine.symbolic import Tensor
from tfjs_codec.layers.primitives import affine, dense, negate, relu, reshape

# |x| is told from 0 down to here; the square is still a normal float32 number.
_TINY = 1e-18
_SQUARINGS = 7
_SHIFT = 0.7  # above ln(float32's largest number) / 2**7


def exponential(b: Scope, x: Tensor) -> Tensor:
    """Return ``e**x``: the 128th power of ``e**(x/128)``, which ELU knows below 0.

    Relative error 3e-5 at most; inf from 89.6 on, where float32 ends at 88.7.
    """
    b.warn(
        "approximate: its exponential is right to 3e-5; a graph model (--to graph) has it as it is"
    )
    shifted = affine(b, x, 1 / 2**_SQUARINGS, -_SHIFT)
    y = affine(b, b.add("ELU", shifted, {"alpha": 1}), exp(_SHIFT), exp(_SHIFT))
    for _ in range(_SQUARINGS):
        y = b.add("Multiply", [y, y])
    return y


def expm1(b: Scope, x: Tensor) -> Tensor:
    """Return ``e**x - 1``: ELU below 0, and above ``-ELU(-x)·e**x``; exact beside 0, too."""
    upper = relu(b, x)
    lower = negate(b, relu(b, negate(b, x)))
    share = b.add("ELU", negate(b, upper), {"alpha": 1})
    above = b.add("Multiply", [negate(b, share), exponential(b, upper)])
    return b.add("Add", [b.add("ELU", lower, {"alpha": 1}), above])


def inverse_root(b: Scope, x: Tensor, c: float) -> Tensor:
    """Return ``1 / √(x² + c²)`` for a constant *c* above 0."""
    flat = reshape(b, x, (product(x.shape[1:]), 1))
    signs = np.array([[0, 0, 1, -1]], np.float32)
    vector = dense(b, flat, signs, np.array([c, -c, 0, 0], np.float32), part="vector")
    config = {"axis": [2], "epsilon": 0, "center": False, "scale": False}
    normal = b.add("LayerNormalization", vector, config, part="normal")
    first = dense(b, normal, np.array([[1 / (c * sqrt(2))], [0], [0], [0]], np.float32))
    return reshape(b, first, x.shape[1:])


def root_of_square(b: Scope, x: Tensor, c: float) -> Tensor:
    """Return ``√(x² + c²)`` for a constant *c* above 0."""
    total = affine(b, b.add("Multiply", [x, x]), 1, c * c)
    return b.add("Multiply", [total, inverse_root(b, x, c)])


def reciprocal(b: Scope, x: Tensor) -> Tensor:
    """Return ``1 / x`` (relative error below 1e-6 for ``1e-15 < |x| < 1e19``), and 0 for 0."""
    b.warn(
        "divides by a tensor: accurate for 1e-15 < |divisor| < 1e19; for smaller "
        "divisors the results are too small, and 0 where Keras returns inf or nan"
    )
    size = inverse_root(b, x, _TINY)
    return b.add("Multiply", [b.add("Multiply", [x, size]), size])
