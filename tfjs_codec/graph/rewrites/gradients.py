"""Gradients of functions, which ``tf.gradients`` puts into a graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import LACKS, op
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.tracing.refusal import Refusal

_SELU_SCALE, _SELU_SLOPE = 1.0507009873554805, 1.7580993408473766


@op("ReluGrad", "Relu6Grad", "LeakyReluGrad", "EluGrad", "SeluGrad", because=LACKS)
def through_branches(build: Build, node: Node) -> list[Ref]:
    """Pass the gradient where the number is positive, and its scaled value elsewhere.

    The number is the function's argument, of ``EluGrad`` and ``SeluGrad`` its result.
    """
    gradient, x = node.inputs
    here, below = gradient, build.op("ZerosLike", gradient)
    if node.op == "LeakyReluGrad":
        below = build.op("Mul", gradient, build.number(node.attrs["alpha"]))
    elif node.op == "EluGrad":
        below = build.op("Mul", gradient, build.op("AddV2", x, build.number(1)))
    elif node.op == "SeluGrad":
        here = build.op("Mul", gradient, build.number(_SELU_SCALE))
        below = build.op("Mul", gradient, build.op("AddV2", x, build.number(_SELU_SLOPE)))
    positive = build.op("Greater", x, build.number(0))
    if node.op == "Relu6Grad":
        positive = build.op("LogicalAnd", positive, build.op("Less", x, build.number(6)))
    return build.same("SelectV2", positive, here, below)


def _slope(build: Build, op: str, y: Ref) -> Ref:
    """Return the slope of a function at its result *y*, or of softplus and softsign at x."""

    def one_more(x: Ref) -> Ref:
        return build.op("AddV2", x, build.number(1))

    def rest(x: Ref) -> Ref:
        return build.op("Sub", build.number(1), x)

    def power(x: Ref, count: int) -> Ref:
        return x if count == 1 else build.op("Mul", x, power(x, count - 1))

    slopes: dict[str, Callable[[], Ref]] = {
        "InvGrad": lambda: build.op("Neg", power(y, 2)),
        "ReciprocalGrad": lambda: build.op("Neg", power(y, 2)),
        "RsqrtGrad": lambda: build.op("Mul", build.number(-0.5), power(y, 3)),
        "SigmoidGrad": lambda: build.op("Mul", y, rest(y)),
        "SoftplusGrad": lambda: build.op("Sigmoid", y),
        "SoftsignGrad": lambda: build.op("Reciprocal", power(one_more(build.op("Abs", y)), 2)),
        "SqrtGrad": lambda: build.op("RealDiv", build.number(0.5), y),
        "TanhGrad": lambda: rest(power(y, 2)),
    }
    return slopes[op]()


@op(
    *("InvGrad", "ReciprocalGrad", "RsqrtGrad", "SigmoidGrad", "SoftplusGrad", "SoftsignGrad"),
    *("SqrtGrad", "TanhGrad"),
    because=LACKS,
)
def multiply_by_slope(build: Build, node: Node) -> list[Ref]:
    """Multiply the gradient by the slope of the function."""
    first, second = node.inputs
    swapped = node.op in ("SoftplusGrad", "SoftsignGrad")
    gradient, at = (first, second) if swapped else (second, first)
    return build.same("Mul", gradient, _slope(build, node.op, at))


@op("BiasAddGrad", because=LACKS)
def sum_channels(build: Build, node: Node) -> list[Ref] | None:
    """Add up the gradients of each channel."""
    (x,) = node.inputs
    rank = build.known_rank(x)
    channels = 1 if node.attrs["data_format"] == b"NCHW" else rank - 1
    axes = build.ints(*(axis for axis in range(rank) if axis != channels))
    return build.same("Sum", x, axes)


@op("BroadcastGradientArgs", because=LACKS)
def broadcast_axes(build: Build, node: Node) -> list[Ref] | None:
    """Return the axes along which each of two shapes was repeated, if all sizes are known."""
    shapes = []
    for ref in node.inputs:
        shape = build.content(ref)
        if shape is None:
            raise Refusal("only known shapes are supported")
        shapes.append(shape)
    rank = max(map(len, shapes))
    padded = [[1] * (rank - len(shape)) + shape for shape in shapes]
    axes = [[at for at, size in enumerate(shape) if size == 1] for shape in padded]
    return [build.const(np.array(each, build.dtype), build.dtype) for each in axes]
