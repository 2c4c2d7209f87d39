"""Resizing of images of known sizes, as products with a matrix for each axis.

The matrices hold what TensorFlow's kernels weigh the pixels with: ``resize_bicubic_op.cc`` (cubic
weights from a table of 1,024 steps), ``resize_area_op.cc`` and ``scale_and_translate_op.cc``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tfjs_codec.graph.build import Build
from tfjs_codec.graph.rewrites.registry import LACKS, op
from tfjs_codec.ir.graph import Node, Ref
from tfjs_codec.tracing.refusal import Refusal

Matrix = NDArray[np.float32]

_STEPS = 1024  # of TensorFlow's table of cubic weights
_LEAST = 1000 * np.finfo(np.float32).tiny  # sums of weights below it are not divided by


@op("ResizeBicubic", "ResizeArea", because=LACKS)
def resize(build: Build, node: Node) -> list[Ref] | None:
    """Resample both axes."""
    area, align = node.op == "ResizeArea", bool(node.attrs["align_corners"])
    half = bool(node.attrs.get("half_pixel_centers"))

    def weigh(size: int, wanted: int, _: int) -> Matrix:
        scale = np.float32(size / wanted)
        if align and wanted > 1:
            scale = np.float32((size - 1) / (wanted - 1))
        return _weigh_area(size, wanted, scale) if area else _weigh_cubic(size, wanted, scale, half)

    return _resample(build, node, weigh)


@op("ScaleAndTranslate", because=LACKS)
def scale_and_translate(build: Build, node: Node) -> list[Ref] | None:
    """Resample both axes with one of several kernels."""
    scales, shifts = (build.numbers(ref) for ref in node.inputs[2:])
    kernel = _KERNELS.get(bytes(node.attrs["kernel_type"]))
    if scales is None or shifts is None or kernel is None:
        raise Refusal("only constant scales and translations are supported")
    antialias = bool(node.attrs["antialias"])

    def weigh(size: int, wanted: int, axis: int) -> Matrix:
        return _weigh_spans(size, wanted, scales[axis], shifts[axis], kernel, antialias=antialias)

    return _resample(build, node, weigh)


def _resample(
    build: Build, node: Node, weigh: Callable[[int, int, int], Matrix]
) -> list[Ref] | None:
    x, shape, wanted = node.inputs[0], build.shape(node.inputs[0]), build.numbers(node.inputs[1])
    if shape is None or shape[1] is None or shape[2] is None or wanted is None:
        raise Refusal("only images of a known size are supported", "Give the model a fixed size.")
    high, wide = (int(size) for size in wanted)
    floats = {"T": "float32"}
    if build.dtype != "float32":
        x = build.cast(x, build.dtype, "float32")
    depth = build.sizes(x, 3, 1)
    rows = build.const(weigh(shape[1], high, 0), "float32")
    columns = build.const(weigh(shape[2], wide, 1), "float32")
    made = build.op(
        "Reshape", x, build.concat(build.ints(-1, shape[1]), _times(build, depth, shape[2])),
        **floats,
    )  # fmt: skip
    made = build.op("BatchMatMulV2", rows, made, **floats)
    made = build.op("Reshape", made, build.concat(build.ints(-1, shape[2]), depth), **floats)
    made = build.op("BatchMatMulV2", columns, made, **floats)
    target = build.concat(build.ints(-1, high, wide), depth)
    return build.same("Reshape", made, target, **floats)


def _times(build: Build, vector: Ref, number: int) -> Ref:
    return build.op("Mul", vector, build.ints(number), T="int32")


def _weigh_cubic(size: int, wanted: int, scale: np.float32, half: bool) -> Matrix:
    table = _cubic_table(-0.5 if half else -0.75)
    matrix = np.zeros((wanted, size), np.float32)
    for row in range(wanted):
        place = (np.float32(row + 0.5) * scale - np.float32(0.5)) if half else row * scale
        first = floor(place)
        offset = int(np.rint((place - first) * _STEPS))
        weights = [
            table[offset, 1], table[offset, 0], table[_STEPS - offset, 0],
            table[_STEPS - offset, 1],
        ]  # fmt: skip
        taken = [first - 1, first, first + 1, first + 2]
        if half:
            weights = [w if 0 <= at < size else 0 for w, at in zip(weights, taken, strict=True)]
            total = sum(weights)
            weights = [w / total for w in weights] if abs(total) >= _LEAST else weights
        for weight, at in zip(weights, taken, strict=True):
            matrix[row, min(max(at, 0), size - 1)] += weight
    return matrix


def _cubic_table(a: float) -> NDArray[np.float32]:
    """Return weights by the distance in steps: of the nearer and of the farther pixel."""
    x = np.arange(_STEPS + 1, dtype=np.float32) / _STEPS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    x = x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.stack([near, far], 1).astype(np.float32)


def _weigh_area(size: int, wanted: int, scale: np.float32) -> Matrix:
    matrix = np.zeros((wanted, size), np.float32)
    for row in range(wanted):
        start, end = np.float32(row) * scale, np.float32(row + 1) * scale
        for at in range(floor(start), ceil(end)):
            covered = min(np.float32(at + 1), end) - max(np.float32(at), start)
            matrix[row, min(max(at, 0), size - 1)] += covered / scale
    return matrix


def _weigh_spans(
    size: int, wanted: int, scale: float, shift: float, kernel: _Kernel, *, antialias: bool
) -> Matrix:
    radius, weigh = kernel
    inverse = np.float32(1) / np.float32(scale)
    start = -inverse * np.float32(shift)
    stretch = max(inverse, np.float32(1)) if antialias else np.float32(1)
    matrix = np.zeros((wanted, size), np.float32)
    for row in range(wanted):
        centre = np.float32(row + 0.5) * inverse + start
        if not 0 <= centre <= size:
            continue
        first = ceil(centre - radius * stretch - 0.5)
        last = floor(centre + radius * stretch - 0.5)
        taken = range(max(first, 0), min(last, size - 1) + 1)
        weights = [weigh(abs((at + 0.5 - centre) / stretch)) for at in taken]
        total = float(sum(weights))
        if abs(total) >= _LEAST:
            matrix[row, taken.start : taken.stop] = np.array(weights) / total
    return matrix


_Number: TypeAlias = "float | np.floating[Any]"
_Kernel = tuple[float, Callable[[_Number], _Number]]


def _lanczos(radius: int) -> _Kernel:
    def weigh(x: _Number) -> _Number:
        if x > radius:
            return 0
        if x <= 1e-3:
            return 1
        return float(
            radius * np.sin(np.pi * x) * np.sin(np.pi * x / radius) / (np.pi * np.pi * x * x)
        )

    return radius, weigh


def _gaussian(x: _Number) -> _Number:
    radius = 1.5
    sigma = radius / 3
    return float(np.exp(-x * x / (2 * sigma * sigma))) if x < radius else 0


def _box(x: _Number) -> _Number:
    return 1 if x < 0.5 else 0.5 if x == 0.5 else 0


def _keys(x: _Number) -> _Number:
    if x >= 2:
        return 0
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x >= 1 else ((1.5 * x - 2.5) * x) * x + 1


def _mitchell(x: _Number) -> _Number:
    if x >= 2:
        return 0
    if x >= 1:
        return (((-7 / 18) * x + 2) * x - 10 / 3) * x + 16 / 9
    return (((7 / 6) * x - 2) * x) * x + 8 / 9


_KERNELS: dict[bytes, _Kernel] = {
    b"lanczos1": _lanczos(1), b"lanczos3": _lanczos(3), b"lanczos5": _lanczos(5),
    b"gaussian": (1.5, _gaussian), b"box": (0.5, _box),
    b"triangle": (1, lambda x: max(0, 1 - x)), b"keyscubic": (2, _keys),
    b"mitchellcubic": (2, _mitchell),
}  # fmt: skip
