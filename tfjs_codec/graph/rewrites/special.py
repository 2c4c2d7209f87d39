"""Special functions of mathematics, by approximations that are exact in float32."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, pi, sqrt

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import LACKS, op
from tfjs_codec.ir.graph import Node, Ref

# M. Giles, "Approximating the erfinv function", of w - 2.5 and sqrt(w) - 3; highest power first.
_ERFINV_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
    -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_ERFINV_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
    0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip
# The Lanczos approximation of the gamma function with g = 7.
_LANCZOS_FIRST, _LANCZOS_G = 0.9999999999998099, 7.5
_LANCZOS = (
    676.520368121885, -1259.1392167224028, 771.3234287776531, -176.6150291621406,
    12.507343278686905, -0.13857109526572012, 9.984369578019572e-06, 1.5056327351493116e-07,
)  # fmt: skip
# Abramowitz and Stegun 9.8.1 to 9.8.4: of (x / 3.75)², and of 3.75 / x; highest power first.
_BESSEL_NEAR = (
    (0.0045813, 0.0360768, 0.2659732, 1.2067492, 3.0899424, 3.5156229, 1.0),
    (0.00032411, 0.00301532, 0.02658733, 0.15084934, 0.51498869, 0.87890594, 0.5),
)
_BESSEL_FAR = (
    (0.00392377, -0.01647633, 0.02635537, -0.02057706, 0.00916281, -0.00157565, 0.00225319,
     0.01328592, 0.39894228),
    (-0.00420059, 0.01787654, -0.02895312, 0.02282967, -0.01031555, 0.00163801, -0.00362018,
     -0.03988024, 0.39894228),
)  # fmt: skip


def _polynomial(build: Build, x: Ref, factors: Sequence[float]) -> Ref:
    made = build.number(factors[0])
    for factor in factors[1:]:
        made = build.op("AddV2", build.op("Mul", made, x), build.number(factor))
    return made


@op("Erfinv", because=LACKS)
def erfinv(build: Build, node: Node) -> list[Ref]:
    """Approximate by the logarithm of the distance to both ends."""
    (x,) = node.inputs
    one = build.number(1)
    ends = build.op("Mul", build.op("Sub", one, x), build.op("AddV2", one, x))
    w = build.op("Neg", build.op("Log", ends))
    centre = _polynomial(build, build.op("Sub", w, build.number(2.5)), _ERFINV_CENTRE)
    outer = build.op("Sqrt", build.op("Maximum", w, build.number(0)))
    tail = _polynomial(build, build.op("Sub", outer, build.number(3)), _ERFINV_TAIL)
    size = build.op("SelectV2", build.op("Less", w, build.number(5)), centre, tail)
    at_end = build.op("GreaterEqual", build.op("Abs", x), one)
    infinite = build.op("RealDiv", x, build.op("Sub", one, build.op("Abs", x)))
    return build.same("SelectV2", at_end, infinite, build.op("Mul", size, x))


@op("Ndtri", because=LACKS)
def normal_quantile(build: Build, node: Node) -> list[Ref]:
    """``sqrt(2) · erfinv(2x - 1)``."""
    (x,) = node.inputs
    turned = build.op("Sub", build.op("AddV2", x, x), build.number(1))
    return build.same("Mul", build.number(sqrt(2)), build.op("Erfinv", turned))


@op("Lgamma", "Digamma", because=LACKS)
def gamma(build: Build, node: Node) -> list[Ref]:
    """Approximate at one half or more; reflect smaller numbers."""
    (x,) = node.inputs
    one, half = build.number(1), build.number(0.5)
    small = build.op("Less", x, half)
    z = build.op("SelectV2", small, build.op("Neg", x), build.op("Sub", x, one))
    column = build.op("Reshape", z, build.ints(-1, 1))
    steps = build.op("AddV2", column, build.const(np.arange(1, 9, dtype="f4"), build.dtype))
    terms = build.op("RealDiv", build.const(np.array(_LANCZOS, "f4"), build.dtype), steps)

    def total(terms: Ref) -> Ref:
        flat = build.op("Sum", terms, build.ints(1))
        shape = build.op("Shape", x)
        return build.op("Reshape", flat, shape)

    series = build.op("AddV2", build.number(_LANCZOS_FIRST), total(terms))
    t = build.op("AddV2", z, build.number(_LANCZOS_G))
    scaled = build.op("Log1p", build.op("RealDiv", z, build.number(_LANCZOS_G)))
    log_t = build.op("AddV2", scaled, build.number(log(_LANCZOS_G)))
    # sin and cos have the period 2 in x · pi; what is left of a large x is exact.
    left = build.op("Sub", x, build.op("Floor", x))
    angle = build.op("Mul", left, build.number(pi))
    if node.op == "Digamma":
        slope = build.op("Neg", total(build.op("RealDiv", terms, steps)))
        made = build.op("AddV2", log_t, build.op("RealDiv", slope, series))
        made = build.op("Sub", made, build.op("RealDiv", build.number(_LANCZOS_G - 0.5), t))
        other = build.op("RealDiv", build.number(pi), build.op("Tan", angle))
        return build.same("SelectV2", small, build.op("Sub", made, other), made)
    power = build.op("Sub", build.op("AddV2", z, half), build.op("RealDiv", t, log_t))
    made = build.op("AddV2", build.op("Mul", power, log_t), build.op("Log", series))
    made = build.op("AddV2", made, build.number(0.5 * log(2 * pi)))
    other = build.op("Log", build.op("RealDiv", build.number(pi), build.op("Sin", angle)))
    return build.same("SelectV2", small, build.op("Sub", other, made), made)


@op("BesselI0", "BesselI0e", "BesselI1", "BesselI1e", because=LACKS)
def bessel(build: Build, node: Node) -> list[Ref]:
    """Approximate near zero and far from it; ``e``: multiplied by ``exp(-|x|)``."""
    (x,) = node.inputs
    order, scaled = int(node.op[7]), node.op.endswith("e")
    size = build.op("Abs", x)
    limit = build.number(3.75)
    ratio = build.op("RealDiv", size, limit)
    near = _polynomial(build, build.op("Mul", ratio, ratio), _BESSEL_NEAR[order])
    least = build.op("Maximum", size, limit)
    far = _polynomial(build, build.op("RealDiv", limit, least), _BESSEL_FAR[order])
    far = build.op("RealDiv", far, build.op("Sqrt", least))
    if order:
        near = build.op("Mul", near, x)
        far = build.op("Mul", far, build.op("Sign", x))
    power = build.op("Exp", build.op("Neg", size) if scaled else size)
    if scaled:
        near = build.op("Mul", near, power)
    else:
        far = build.op("Mul", far, power)
    return build.same("SelectV2", build.op("Less", size, limit), near, far)
