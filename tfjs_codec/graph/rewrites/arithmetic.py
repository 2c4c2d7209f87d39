"""Arithmetic on numbers, element by element."""

from __future__ import annotations

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref

_INTS = frozenset(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"))


@op("Abs", because=wrong_on("webgl"))
def absolute(build: Build, node: Node) -> list[Ref] | None:
    """Compute the larger of a whole number and its negative; webgl takes its bits for a float's."""
    if not build.dtype.startswith("int"):
        return None
    (x,) = node.inputs
    return build.same("Maximum", x, build.op("Neg", x))


@op("ApproximateEqual", because=LACKS)
def nearly_equal(build: Build, node: Node) -> list[Ref]:
    """Compare the distance with the tolerance."""
    distance = build.op("Abs", build.op("Sub", *node.inputs))
    return build.same("Less", distance, build.number(node.attrs["tolerance"]))


@op("Div", "TruncateDiv", because=WRONG)
def truncate_quotient(build: Build, node: Node) -> list[Ref] | None:
    """Round quotients of whole numbers towards zero; tfjs rounds them down."""
    if build.dtype not in _INTS:
        if node.op == "Div":
            return None
        quotient = build.op("RealDiv", *node.inputs)
        size = build.op("Floor", build.op("Abs", quotient))
        return build.same("Mul", build.op("Sign", quotient), size)
    x, y = node.inputs
    size = build.op("FloorDiv", build.op("Abs", x), build.op("Abs", y))
    sign = build.op("Mul", build.op("Sign", x), build.op("Sign", y))
    return build.same("Mul", sign, size)


@op("DivNoNan", because=wrong_on("webgl", "webgpu"))
def divide_no_nan(build: Build, node: Node) -> list[Ref] | None:
    """``x / y``, and 0 where y is 0; webgl and webgpu take up to four axes."""
    x, y = node.inputs
    if max(build.rank(ref) or 0 for ref in node.inputs) <= 4:
        return None
    return _zero_where(build, y, build.op("RealDiv", x, y))


@op("Erfc", because=LACKS)
def erfc(build: Build, node: Node) -> list[Ref]:
    """``1 - erf(x)``."""
    return build.same("Sub", build.number(1), build.op("Erf", node.inputs[0]))


@op("FloorDiv", because=wrong_on("webgl"))
def floor_quotient(build: Build, node: Node) -> list[Ref] | None:
    """Divide, then round down; webgl makes whole numbers of both operands first."""
    if build.dtype.startswith(("int", "uint")):
        return None
    return build.same("Floor", build.op("RealDiv", *node.inputs))


@op("Inv", because=LACKS)
def reciprocal(build: Build, node: Node) -> list[Ref]:
    """Use the operation's other name."""
    return build.same("Reciprocal", *node.inputs)


@op("LogicalXor", because=LACKS)
def logical_xor(build: Build, node: Node) -> list[Ref]:
    """Compare two bools."""
    return build.same("NotEqual", *node.inputs, T="bool")


@op("Mod", "TruncateMod", because=WRONG)
def truncate_remainder(build: Build, node: Node) -> list[Ref]:
    """Give the remainder the sign of x; that of tfjs has the sign of y."""
    x, y = node.inputs
    size = build.op("FloorMod", build.op("Abs", x), build.op("Abs", y))
    return build.same("Mul", build.op("Sign", x), size)


@op("MulNoNan", because=LACKS)
def multiply_no_nan(build: Build, node: Node) -> list[Ref]:
    """``x · y``, and 0 where y is 0, whatever x is."""
    x, y = node.inputs
    return _zero_where(build, y, build.op("Mul", x, y))


@op("Pow", because=wrong_on("webgpu"))
def whole_power(build: Build, node: Node) -> list[Ref] | None:
    """Round the power of whole numbers; webgpu cuts off the fraction."""
    kind = build.dtype
    if kind not in ("int32", "int64"):
        return None
    floats = [build.cast(ref, kind, "float32") for ref in node.inputs]
    made = build.op("Round", build.op("Pow", *floats, T="float32"), T="float32")
    return build.same("Cast", made, SrcT="float32", DstT=kind)


@op("Rint", because=LACKS)
def round_to_even(build: Build, node: Node) -> list[Ref]:
    """Use the operation's other name."""
    return build.same("Round", *node.inputs)


@op("Softsign", because=LACKS)
def softsign(build: Build, node: Node) -> list[Ref]:
    """``x / (1 + |x|)``."""
    (x,) = node.inputs
    size = build.op("AddV2", build.number(1), build.op("Abs", x))
    return build.same("RealDiv", x, size)


@op("Xdivy", because=LACKS)
def xdivy(build: Build, node: Node) -> list[Ref]:
    """``x / y``, and 0 where x is 0, whatever y is."""
    x, y = node.inputs
    return _zero_where(build, x, build.op("RealDiv", x, y))


@op("Xlogy", "Xlog1py", because=LACKS)
def xlogy(build: Build, node: Node) -> list[Ref]:
    """``x · log(y)`` or ``x · log(1 + y)``, and 0 where x is 0, whatever y is."""
    x, y = node.inputs
    product = build.op("Mul", x, build.op("Log" if node.op == "Xlogy" else "Log1p", y))
    zero = build.op("Equal", x, build.number(0))
    return build.same("SelectV2", zero, build.op("Mul", x, build.number(0)), product)


def _zero_where(build: Build, where: Ref, x: Ref) -> list[Ref]:
    zero = build.number(0)
    none = build.op("Equal", where, zero)
    return build.same("SelectV2", none, zero, x)
