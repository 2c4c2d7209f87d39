"""Batch normalisation."""

from __future__ import annotations

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import WRONG, op
from tfjs_codec.ir.graph import Node, Ref


@op("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", because=WRONG)
def normalise_batch(build: Build, node: Node) -> list[Ref] | None:
    """Write out the training form, which tfjs computes as inference."""
    if not node.attrs.get("is_training", True):
        return None
    x, scale, offset, _, _ = node.inputs
    over = build.ints(*range(len(node.attrs.get("data_format", b"NHWC")) - 1))
    mean = build.op("Mean", x, over, keep_dims=True)
    squares = build.op("SquaredDifference", x, mean)
    variance = build.op("Mean", squares, over, keep_dims=True)
    count = build.op("RealDiv", *(_count(build, each) for each in (x, mean)))
    unbiased = build.op("RealDiv", count, build.op("Sub", count, build.number(1)))
    flat = build.ints(-1)
    results = [
        build.op("Reshape", each, flat) for each in (mean, build.op("Mul", variance, unbiased))
    ]
    epsilon = build.number(node.attrs.get("epsilon", 1e-4))
    factor = build.op("Mul", build.op("Rsqrt", build.op("AddV2", variance, epsilon)), scale)
    centred = build.op("Mul", build.op("Sub", x, mean), factor)
    return [*build.same("AddV2", centred, offset), *results]


def _count(build: Build, x: Ref) -> Ref:
    """Return the number of elements of *x*, in its type."""
    size = build.op("Size", x)
    return build.cast(size, "int32", build.dtype)
