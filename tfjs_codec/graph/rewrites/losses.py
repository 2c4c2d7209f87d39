"""Losses, and other functions of a few matrices, written out."""

from __future__ import annotations

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import LACKS, op
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.tracing.refusal import Refusal


def _sum_last(build: Build, x: Ref) -> Ref:
    return build.op("Sum", x, build.ints(-1))


@op("L2Loss", because=LACKS)
def halve_squares(build: Build, node: Node) -> list[Ref]:
    """Half the sum of all squares."""
    squares = build.op("Square", node.inputs[0])
    flat = build.op("Reshape", squares, build.ints(-1))
    return build.same("Mul", _sum_last(build, flat), build.number(0.5))


@op("SoftmaxCrossEntropyWithLogits", because=LACKS)
def cross_entropy(build: Build, node: Node) -> list[Ref]:
    """The loss of each row, and its gradient."""
    return _cross_entropy(build, *node.inputs)


@op("SparseSoftmaxCrossEntropyWithLogits", because=LACKS)
def sparse_cross_entropy(build: Build, node: Node) -> list[Ref]:
    """The same for labels that are numbers of classes."""
    logits, labels = node.inputs
    numbers = build.cast(labels, str(node.attrs["Tlabels"]), "int32")
    classes = build.count(build.sizes(logits, 1, 1))
    kind = {"T": "int32"}
    chosen = build.op("Equal", build.expand_dims(numbers, 1), build.expand_dims(classes, 0), **kind)
    return _cross_entropy(build, logits, build.cast(chosen, "bool", build.dtype))


def _cross_entropy(build: Build, logits: Ref, labels: Ref) -> list[Ref]:
    products = build.op("Mul", labels, build.op("LogSoftmax", logits))
    gradient = build.op("Sub", build.op("Softmax", logits), labels)
    return [*build.same("Neg", _sum_last(build, products)), gradient]


@op("InTopKV2", "InTopK", because=LACKS)
def in_top_k(build: Build, node: Node) -> list[Ref]:
    """Count the classes with a higher score than the wanted one."""
    scores, wanted, *most = node.inputs
    floats = {"T": "float32"}
    kind = str(node.attrs["T"])
    places = build.cast(wanted, kind, "int32")
    k = build.cast(most[0], kind, "int32") if most else build.scalar(int(node.attrs["k"]))
    classes = build.count(build.sizes(scores, 1, 1))
    same = {"T": "int32"}
    here = build.op("Equal", build.expand_dims(places, 1), build.expand_dims(classes, 0), **same)
    none = build.value(0, "float32")
    score = build.op(
        "Sum", build.op("SelectV2", here, scores, none, **floats), build.ints(-1),
        keep_dims=True, **floats,
    )  # fmt: skip
    higher = build.cast(build.op("Greater", scores, score, **floats), "bool", "int32")
    count = build.op("Sum", higher, build.ints(-1), T="int32")
    finite = build.op("IsFinite", build.op("Reshape", score, build.ints(-1), **floats), **floats)
    return build.same("LogicalAnd", build.op("Less", count, k, T="int32"), finite)


@op("Cross", because=LACKS)
def cross(build: Build, node: Node) -> list[Ref] | None:
    """Multiply the parts of vectors of three numbers."""
    ranks = [build.rank(ref) for ref in node.inputs]
    rank = ranks[0]
    if rank is None or rank != ranks[1]:
        raise Refusal("only a known rank is supported")
    axis = build.scalar(rank - 1)
    splits = [build.op("Split", axis, ref, num_split=3) for ref in node.inputs]
    a, b = ([Ref(each.node, number) for number in range(3)] for each in splits)
    parts = [
        build.op("Sub", build.op("Mul", a[i], b[j]), build.op("Mul", a[j], b[i]))
        for i, j in ((1, 2), (2, 0), (0, 1))
    ]
    return build.same("ConcatV2", *parts, axis, N=3)
