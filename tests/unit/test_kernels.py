"""Every kernel gives TensorFlow's numbers, dtypes and shapes."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfjs_codec
from tfjs_codec.graph.interpreter import TABLES, has_kernel
from tfjs_codec.graph.kernels import KERNELS, compute
from tfjs_codec.graph.kernels.core import KernelError
from tfjs_codec.graph.kernels.lists import Table
from tfjs_codec.ir.graph import Shape
from tfjs_codec.tfjs.graph_ops import op_def

PACKAGE = Path(tfjs_codec.__file__).parent
FOLDER = Path(__file__).parents[2] / "fixtures" / "graph_kernels"
LISTED = json.loads((FOLDER / "cases.json").read_text())
CHAINS = json.loads((FOLDER / "chains.json").read_text())


def attributes(op: str, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return all attributes of a node, of the types of :mod:`tfjs_codec.ir.graph`."""
    known = op_def(op)
    return {**(known.defaults if known else {}), **{k: value(v) for k, v in recorded.items()}}


def value(recorded: Any) -> Any:
    if isinstance(recorded, list):
        if any(item is None for item in recorded) or recorded == [4]:
            return Shape(tuple(-1 if size is None else size for size in recorded))
        return tuple(map(value, recorded))
    return recorded[2:].encode() if str(recorded).startswith("b:") else recorded


def array(stored: np.ndarray) -> np.ndarray:
    """Return the array as the graph has it: strings are objects."""
    return stored.astype(object) if stored.dtype.kind == "S" else stored


def same(got: Sequence[np.ndarray], recorded: Sequence[np.ndarray]) -> None:
    assert len(got) >= len(recorded)
    for ours, tensorflow in zip(got, map(array, recorded), strict=False):
        assert ours.dtype == tensorflow.dtype
        assert ours.shape == tensorflow.shape
        if tensorflow.dtype.kind in "fc":
            scale = max(1.0, float(np.abs(tensorflow[np.isfinite(tensorflow)]).max(initial=0)))
            np.testing.assert_allclose(ours, tensorflow, rtol=2e-6, atol=1e-6 * scale)
        else:
            np.testing.assert_array_equal(ours, tensorflow)


@pytest.mark.parametrize("number", range(len(LISTED)), ids=lambda n: f"{LISTED[n]['op']}-{n}")
def test_kernel(number):
    case = LISTED[number]
    with np.load(FOLDER / "io.npz") as arrays:
        inputs = [array(arrays[f"{number}.in.{i}"]) for i in range(case["inputs"])]
        outputs = [arrays[f"{number}.out.{i}"] for i in range(case["outputs"])]
    same(compute(case["op"], attributes(case["op"], case["attrs"]), inputs), outputs)


@pytest.mark.parametrize("steps", CHAINS, ids=lambda steps: steps[0]["op"])
def test_kernels_of_lists_and_tables(steps):
    results: list[Sequence[Any]] = []
    with np.load(FOLDER / "io.npz") as arrays:
        for step in steps:
            inputs = [
                array(arrays[name]) if isinstance(name, str) else results[name[0]][name[1]]
                for name in step["inputs"]
            ]
            op, attrs = step["op"], attributes(step["op"], step["attrs"])
            results.append([Table()] if op in TABLES else compute(op, attrs, inputs))
            for output, name in step["outputs"].items():
                same([results[-1][int(output)]], [arrays[name]])


# Of TensorFlow 1, with the kernels of their successors.
OLD = {"HashTable", "InitializeTable", "LookupTableFind", "LookupTableImport", "LookupTableSize"}


# Of tfjs, without a kernel in numpy: random numbers, and what neither our graphs nor the fixtures
# have. A model with one of them is refused by its name.
NOT_IN_NUMPY = {
    "Multinomial", "RandomStandardNormal", "RandomUniform", "RandomUniformInt", "TruncatedNormal",
    "FakeQuantWithMinMaxVars", "ImageProjectiveTransformV3", "MaxPoolWithArgmax",
    "SparseFillEmptyRows", "SparseReshape", "SparseSegmentMean", "SparseSegmentSum",
}  # fmt: skip
# Lowered before a graph is run.
CONTROL = {"If", "StatelessIf", "StatelessWhile", "While"}


def test_which_operations_of_tfjs_can_be_run():
    table = json.loads((files("tfjs_codec.tfjs") / "graph_ops.json").read_bytes())
    tfjs = {name for name, row in table.items() if "tfjs" in row}
    assert {name for name in tfjs if not has_kernel(name)} == NOT_IN_NUMPY | CONTROL


def test_every_operation_that_rules_emit_can_be_run():
    emitted = set()
    for path in sorted((PACKAGE / "operations").rglob("*.py")):
        emitted |= {
            node.args[0].value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("emit", "emit_many")
            and isinstance(node.args[0], ast.Constant)
        }
    assert len(emitted) > 40
    assert {op for op in emitted if not has_kernel(op)} == set()


def test_every_kernel_has_a_case():
    tried = {case["op"] for case in LISTED} | {step["op"] for steps in CHAINS for step in steps}
    assert set(KERNELS) | TABLES == tried | OLD


@pytest.mark.parametrize(
    ("op", "attrs", "inputs"),
    [
        ("Conv2D", {"strides": [1, 1, 1, 2]}, [(1, 4, 4, 1), (1, 1, 1, 1)]),
        ("Conv2D", {"strides": [1, 1, 1, 1]}, [(1, 4, 4, 3), (1, 1, 2, 2)]),
        ("MaxPool", {"ksize": [1, 5, 5, 1], "strides": [1, 1, 1, 1]}, [(1, 4, 4, 1)]),
        ("_FusedMatMul", {"fused_ops": (b"Cos",)}, [(2, 2), (2, 2)]),
        ("MatMul", {}, [(2, 3), (2, 3)]),
        ("Unique", {"out_idx": "int32"}, [(2, 2)]),
        ("Nonsense", {}, []),
    ],
)
def test_refuses(op, attrs, inputs):
    attrs = {**attributes(op, {}), "padding": b"VALID", **attrs}
    with pytest.raises(KernelError):
        compute(op, attrs, [np.ones(shape, np.float32) for shape in inputs])


def test_indices_out_of_range_are_refused():
    x, far = np.zeros((2, 3), np.float32), np.array([[0, 3]])
    for op, inputs in (
        ("GatherNd", [x, far]),
        ("ScatterNd", [far, np.zeros(1, np.float32), np.array([2, 3])]),
        ("TensorScatterUpdate", [x, -far, np.zeros(1, np.float32)]),
        ("Bincount", [np.array([-1]), np.array(3), np.zeros(0, np.float32)]),
        (
            "CropAndResize",
            [np.zeros((1, 2, 2, 1)), np.zeros((1, 4)), np.array([1]), np.array([1, 1])],
        ),
    ):
        with pytest.raises(KernelError, match=r"out of range|negative"):
            compute(op, attributes(op, {}), inputs)
