"""Operations on the bits of whole numbers, in arithmetic: tfjs has none that works."""

from __future__ import annotations

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.forms import broadcast
from tfjs_codec.graph.rewrites.registry import LACKS, WRONG, op
from tfjs_codec.ir.graph import Node, Ref

_WHOLE = {"T": "int32"}
_BITS = 32  # of all integers in tfjs
_SMALL = {"int8": 8, "uint8": 8, "int16": 16, "uint16": 16}


@op("BitwiseAnd", "BitwiseOr", "BitwiseXor", because=WRONG)
def combine_bits(build: Build, node: Node) -> list[Ref] | None:
    """Combine the bits of both numbers on an axis of their own."""
    kind = build.dtype
    given = [_whole(build, ref) for ref in node.inputs]
    x, y = broadcast(build, *given, dtype="int32")
    ours, theirs = _digits(build, x), _digits(build, y)
    if node.op == "BitwiseAnd":
        made = build.op("Mul", ours, theirs, **_WHOLE)
    elif node.op == "BitwiseOr":
        made = build.op("Maximum", ours, theirs, **_WHOLE)
    else:
        different = build.op("Sub", ours, theirs, **_WHOLE)
        made = build.op("Mul", different, different, **_WHOLE)
    made = _number(build, made)
    made = _reshape(build, made, x)
    return [made if kind == "int32" else build.cast(made, "int32", kind)]


@op("PopulationCount", because=LACKS)
def count_bits(build: Build, node: Node) -> list[Ref]:
    """Add up the bits; those of a sign are as many as the type has more than 32."""
    (x,), kind = node.inputs, build.dtype
    weights = np.ones(_BITS, np.int32)
    weights[_SMALL.get(kind, _BITS) :] = 0
    weights[-1] += 32 * (kind == "int64")
    x = _whole(build, x)
    bits = build.op("Mul", _digits(build, x), build.const(weights, "int32"), **_WHOLE)
    made = build.op("Sum", bits, build.ints(1), **_WHOLE)
    return [build.cast(_reshape(build, made, x), "int32", "uint8")]


@op("LeftShift", "RightShift", because=LACKS)
def shift(build: Build, node: Node) -> list[Ref] | None:
    """Multiply with a power of two, or divide by it and round down."""
    x, places = node.inputs
    two = build.value(2, "float32")
    power = build.op("Pow", two, build.cast(places, build.dtype, "float32"), T="float32")
    power = build.cast(build.op("Round", power, T="float32"), "float32", build.dtype)
    return build.same("Mul" if node.op == "LeftShift" else "FloorDiv", x, power)


@op("Invert", because=LACKS)
def invert(build: Build, node: Node) -> list[Ref] | None:
    """``-1 - x``, in unsigned numbers less than the largest one."""
    largest = {"uint8": 2**8 - 1, "uint16": 2**16 - 1}.get(build.dtype, -1)
    made = build.op("Sub", build.value(largest, "int32"), _whole(build, node.inputs[0]), **_WHOLE)
    return [made if build.dtype == "int32" else build.cast(made, "int32", build.dtype)]


def _whole(build: Build, x: Ref) -> Ref:
    return x if build.dtype == "int32" else build.cast(x, build.dtype, "int32")


def _digits(build: Build, x: Ref) -> Ref:
    """Return the bits of the numbers *x* of int32 as a matrix, one number a row.

    The quotients of negative numbers by powers of two are those of their two's complement if they
    are rounded down; the last bit is the sign.
    """
    column = build.op("Reshape", x, build.ints(-1, 1), **_WHOLE)
    powers = build.const((2 ** np.arange(_BITS - 1)).astype(np.int32), "int32")
    shifted = build.op("FloorDiv", column, powers, **_WHOLE)
    bits = build.op("FloorMod", shifted, build.value(2, "int32"), **_WHOLE)
    sign = build.cast(build.op("Less", column, build.value(0, "int32"), **_WHOLE), "bool", "int32")
    return build.op("ConcatV2", bits, sign, build.scalar(1), N=2, **_WHOLE)


def _number(build: Build, digits: Ref) -> Ref:
    """Return the numbers whose bits are the rows of *digits*.

    Both halves are added up by themselves: webgpu adds as floats do.
    """
    weights = 2 ** np.arange(_BITS // 2)
    halves = []
    for half, sign in ((0, 1), (1, -1)):
        bounds = build.ints(0, half * _BITS // 2), build.ints(-1, _BITS // 2)
        bits = build.op("Slice", digits, *bounds, **_WHOLE)
        signed = np.where(weights == weights.max(), sign * weights, weights).astype(np.int32)
        each = build.op("Mul", bits, build.const(signed, "int32"), **_WHOLE)
        halves.append(build.op("Sum", each, build.ints(1), **_WHOLE))
    high = build.op("Mul", halves[1], build.value(1 << _BITS // 2, "int32"), **_WHOLE)
    return build.op("AddV2", high, halves[0], **_WHOLE)


def _reshape(build: Build, flat: Ref, x: Ref) -> Ref:
    shape = build.op("Shape", x, **_WHOLE)
    return build.op("Reshape", flat, shape, **_WHOLE)
