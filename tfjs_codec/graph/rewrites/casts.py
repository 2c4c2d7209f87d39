"""Conversions between types of numbers, and numbers of fewer bits."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.forms import convert
from tfjs_codec.graph.rewrites.registry import WRONG, op, wrong_on
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.tracing.refusal import Refusal

_SMALL = frozenset(("int8", "int16", "uint8", "uint16"))
_OVERFLOWING = frozenset(
    (
        *("Add", "AddN", "AddV2", "Cumprod", "Cumsum", "LeftShift", "MatMul", "Mul", "Neg", "Pow"),
        *("Prod", "Square", "SquaredDifference", "Sub", "Sum"),
    )
)
# Results beyond 32 bits, whose last bits tfjs loses.
_LARGE = frozenset(("Cumprod", "Pow", "Prod"))
_LARGE_OF_16_BITS = frozenset(("MatMul", "Mul", "Square", "SquaredDifference"))
_BOUNDING = frozenset(
    ("Cast", "Ceil", "ClipByValue", "Floor", "Identity", "Maximum", "Minimum", "Rint", "Round")
)
_EXACT = frozenset(("Add", "AddN", "AddV2", "Cumsum", "Mul", "Sub", "Sum"))
_STEPS = 6
_FEW = 64  # elements of a constant whose range is looked up
_INT32 = np.iinfo(np.int32)


@op(*_OVERFLOWING, "Cast", because=WRONG)
def wrap(build: Build, node: Node) -> list[Ref] | None:
    """Wrap results around that 8 or 16 bits may not hold; all integers of tfjs have 32."""
    if not build.given or not _wraps(build, node):
        return None
    kind = str(node.attrs["DstT"] if node.op == "Cast" else node.attrs["T"])
    limits = np.iinfo(kind)
    if node.op in _LARGE or (node.op in _LARGE_OF_16_BITS and limits.bits > 8):
        raise Refusal("its small integers wrap around, those of tfjs do not", "Use int32.")
    if node.op == "Cast":
        made = build.op("Cast", *node.inputs, **{**node.attrs, "DstT": "int32"})
    else:
        made = build.cast(build.op(node.op, *node.inputs, **node.attrs), kind, "int32")
    whole = {"T": "int32"}
    size, low = build.value(1 << limits.bits, "int32"), build.value(int(limits.min), "int32")
    if limits.min:
        made = build.op("Sub", made, low, **whole)
    made = build.op("FloorMod", made, size, **whole)
    if limits.min:
        made = build.op("AddV2", made, low, **whole)
    return build.same("Cast", made, SrcT="int32", DstT=kind)


def _wraps(build: Build, node: Node) -> bool:
    if node.op == "Cast":
        given, wanted = node.attrs["SrcT"], str(node.attrs["DstT"])
        if wanted not in _SMALL or (given in _SMALL | {"bool"} and np.can_cast(given, wanted)):
            return False
        low, high = _held(build, node.inputs[0], _STEPS)
    else:
        wanted = str(node.attrs.get("T"))
        if wanted not in _SMALL:
            return False
        if node.op not in _EXACT:
            return True
        low, high = _range(build, Ref(node.name), _STEPS)
    limits = np.iinfo(wanted)
    return not limits.min <= low <= high <= limits.max


def _range(build: Build, ref: Ref, steps: int) -> tuple[float, float]:
    """Return bounds of the numbers of *ref*, looking *steps* nodes back; NaN if they may wrap."""
    node = build.nodes[ref.node]
    numbers = build.numbers(ref) if node.op == "Const" and node.value.size <= _FEW else None
    if numbers:
        return min(numbers), max(numbers)
    if node.op == "Relu6":
        return 0, 6
    if node.op in ("ArgMax", "ArgMin"):
        return 0, (_count(build, node) or np.inf) - 1
    kind = build.type_of(ref)
    if kind == "bool":
        return 0, 1
    if not steps or node.op not in _BOUNDING | _EXACT:
        limits = np.iinfo(kind) if kind in _SMALL else None
        return (limits.min, limits.max) if limits else (-np.inf, np.inf)
    data = node.inputs[:1] if node.op in ("Cumsum", "Sum") else node.inputs
    given = [_held(build, each, steps - 1) for each in data]
    lows, highs = (np.array(ends, np.float64) for ends in zip(*given, strict=True))
    if node.op in _EXACT:
        return _arithmetic_range(build, node, lows, highs)
    low, high = lows[0], highs[0]
    if node.op == "Minimum":
        low, high = lows.min(), highs.min()
    elif node.op == "Maximum":
        low, high = lows.max(), highs.max()
    elif node.op == "ClipByValue":
        low, high = (np.minimum(np.maximum(x[0], x[1]), x[2]) for x in (lows, highs))
    elif node.op == "Cast" and not node.attrs["SrcT"].startswith(("int", "uint", "bool")):
        whole = not node.attrs["DstT"].startswith(("float", "bfloat"))
        if whole and not _INT32.min <= low <= high <= _INT32.max:
            return np.nan, np.nan
    return float(low), float(high)


def _held(build: Build, ref: Ref, steps: int) -> tuple[float, float]:
    """Return bounds of the numbers of *ref* after they wrapped around, if they did."""
    low, high = _range(build, ref, steps)
    kind = build.type_of(ref)
    if kind not in _SMALL:
        return low, high
    limits = np.iinfo(kind)
    inside = limits.min <= low <= high <= limits.max
    return (low, high) if inside else (limits.min, limits.max)


def _arithmetic_range(
    build: Build, node: Node, lows: NDArray[np.float64], highs: NDArray[np.float64]
) -> tuple[float, float]:
    if node.op in ("Cumsum", "Sum"):
        count = _count(build, node) or np.inf
        return min(0, float(lows[0]) * count), max(0, float(highs[0]) * count)
    if node.op == "Sub":
        return float(lows[0] - highs[1]), float(highs[0] - lows[1])
    if node.op == "Mul":
        ends = np.outer([lows[0], highs[0]], [lows[1], highs[1]])
        return float(ends.min()), float(ends.max())
    return float(lows.sum()), float(highs.sum())


def _count(build: Build, node: Node) -> int | None:
    """Return how many elements a reduction takes for each result, if that is known."""
    shape, axes = build.shape(node.inputs[0]), build.numbers(node.inputs[1])
    if shape is None or axes is None:
        return None
    sizes = [shape[axis] for axis in axes]
    return None if None in sizes else prod(size or 0 for size in sizes)


@op("Cast", because=wrong_on("wasm"))
def cast_to_bool(build: Build, node: Node) -> list[Ref] | None:
    """Compare with zero to get a bool; the wasm backend keeps the number's last byte."""
    given = node.attrs["SrcT"]
    if node.attrs["DstT"] != "bool" or given in ("bool", "string") or given.startswith("complex"):
        return None
    return convert(build, node.inputs[0], given, "bool")


@op("Cast", because=wrong_on("webgpu"))
def store_floats(build: Build, node: Node) -> list[Ref] | None:
    """Compute something of whole numbers that become floats.

    webgpu keeps the whole numbers in memory, which some of its kernels take for floats.
    """
    given, wanted = str(node.attrs["SrcT"]), str(node.attrs["DstT"])
    if not given.startswith(("int", "uint", "bool")) or not wanted.startswith(("float", "bfloat")):
        return None
    made = build.op("Cast", *node.inputs, **node.attrs)
    return build.same("Floor", made, T=wanted)


@op(
    "FakeQuantWithMinMaxArgs",
    "FakeQuantWithMinMaxVars",
    "FakeQuantWithMinMaxVarsPerChannel",
    because=WRONG,
)
def fake_quantise(build: Build, node: Node) -> list[Ref] | None:
    """Round to the levels that ``num_bits`` can tell apart, with zero among them."""
    if node.op == "FakeQuantWithMinMaxArgs":
        low, high = (np.array(node.attrs[key], np.float32) for key in ("min", "max"))
    else:
        ends = [build.nodes[ref.node] for ref in node.inputs[1:]]
        if any(end.op != "Const" for end in ends):
            raise Refusal("tfjs does not quantise", "Its range must be constant.")
        low, high = (end.value.numpy().astype(np.float32) for end in ends)
    # In float32, because TensorFlow rounds a number of it.
    first = np.float32(1 if node.attrs["narrow_range"] else 0)
    last = np.float32((1 << int(node.attrs["num_bits"])) - 1)
    scale = (high - low) / (last - first)
    zero = np.clip(np.floor(first - low / scale + np.float32(0.5)), first, last)
    bottom, top = (first - zero) * scale, (last - zero) * scale

    def number(value: Any) -> Ref:
        return build.const(np.asarray(value, np.float32), "float32")

    inside = build.op("Minimum", node.inputs[0], number(top), T="float32")
    inside = build.op("Maximum", inside, number(bottom), T="float32")
    steps = build.op("Sub", inside, number(bottom), T="float32")
    steps = build.op("RealDiv", steps, number(scale), T="float32")
    level = build.op("AddV2", steps, number(0.5), T="float32")
    level = build.op("Floor", level, T="float32")
    level = build.op("Mul", level, number(scale), T="float32")
    return build.same("AddV2", level, number(bottom), T="float32")
