"""Shapes that are known before the graph runs, on graphs of a few nodes."""

from __future__ import annotations

import numpy as np
import pytest

from tfjs_codec.graph.shapes import fold_shapes
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor, const

FLOAT = {"T": "float32"}
WINDOW = {"data_format": b"NHWC", "padding": b"SAME", "strides": (1, 2, 2, 1)}
CONV = {**FLOAT, **WINDOW, "dilations": (1, 1, 1, 1), "explicit_paddings": ()}
SLICE = dict.fromkeys(
    ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0
)


def node(name, op, *inputs, **attrs):
    refs = tuple(Ref(each) for each in inputs)
    return Node(name, op, refs, {**FLOAT, **attrs})


def ints(name, *values):
    return const(name, np.array(values, np.int32))


def shape_of(dims, *nodes, out_type="int32"):
    """The node ``size``, ``Shape`` of the last of *nodes*, after folding; x has shape *dims*."""
    x = Node("x", "Placeholder", (), {"dtype": "float32", "shape": Shape(dims)})
    last = nodes[-1].name if nodes else "x"
    size = node("size", "Shape", last, out_type=out_type)
    listed = {each.name: each for each in (x, *nodes, size)}
    inputs = {"x": Tensor(Ref("x"), "float32")}
    made = fold_shapes(Graph(listed, inputs, {"size": Tensor(Ref("size"), out_type)}))
    return made.nodes["size"]


@pytest.mark.parametrize(
    ("dims", "nodes", "expected"),
    [
        ((2, 3), [], [2, 3]),
        ((2, 3), [node("y", "Relu", "x")], [2, 3]),
        ((2, 3), [const("c", np.ones((4, 1, 3), "f4")), node("y", "AddV2", "x", "c")], [4, 2, 3]),
        ((2, 3), [const("w", np.ones((5, 3), "f4")),
                  node("y", "MatMul", "x", "w", transpose_a=False, transpose_b=True)], [2, 5]),
        ((2, 4, 3), [const("w", np.ones((3, 5), "f4")),
                     node("y", "BatchMatMulV2", "x", "w", adj_x=False, adj_y=False)], [2, 4, 5]),
        ((1, 7, 8, 3), [const("w", np.ones((3, 3, 3, 6), "f4")),
                        node("y", "Conv2D", "x", "w", **CONV)], [1, 4, 4, 6]),
        ((1, 7, 8, 3), [const("w", np.ones((3, 2, 3, 2), "f4")),
                        node("y", "DepthwiseConv2dNative", "x", "w",
                             **{**CONV, "padding": b"VALID", "dilations": (1, 2, 1, 1)})],
         [1, 2, 4, 6]),
        ((1, 7, 8, 3), [node("y", "MaxPool", "x", ksize=(1, 2, 3, 1), **WINDOW)], [1, 4, 4, 3]),
        ((2, 3, 4), [ints("s", 2, -1), node("y", "Reshape", "x", "s")], [2, 12]),
        ((2, 3, 4), [ints("p", 2, 0, 1), node("y", "Transpose", "x", "p")], [4, 2, 3]),
        ((2, 3), [const("a", np.int32(-1)), node("y", "ExpandDims", "x", "a")], [2, 3, 1]),
        ((2, 1, 3), [node("y", "Squeeze", "x", squeeze_dims=(-2,))], [2, 3]),
        ((2, 3, 4), [ints("a", 0, -1), node("y", "Mean", "x", "a", keep_dims=False)], [3]),
        ((2, 3, 4), [ints("a", 1), node("y", "Sum", "x", "a", keep_dims=True)], [2, 1, 4]),
        ((2, 3), [const("p", np.int32([[0, 1], [2, 0]])), node("y", "Pad", "x", "p")], [3, 5]),
        ((2, 3), [const("a", np.int32(1)), node("y", "ConcatV2", "x", "x", "a")], [2, 6]),
        ((4, 3), [ints("i", 1, 2), const("a", np.int32(0)),
                  node("y", "GatherV2", "x", "i", "a", batch_dims=0)], [2, 3]),
    ],
)  # fmt: skip
def test_shape_of_a_result(dims, nodes, expected):
    made = shape_of(dims, *nodes)
    assert made.op == "Const"
    assert made.value.numpy().tolist() == expected


@pytest.mark.parametrize(
    ("dims", "nodes"),
    [
        (None, []),
        ((-1, 3), []),
        ((2, -1), [const("c", np.ones((1, 1), "f4")), node("y", "AddV2", "x", "c")]),
        ((2, 3), [node("y", "Unique", "x")]),
        ((2, 3), [const("c", np.ones((2, 4), "f4")), node("y", "AddV2", "x", "c")]),
        ((1, 7, 8, 3), [node("y", "MaxPool", "x", ksize=(1, 2, 2, 1),
                             **{**WINDOW, "padding": b"EXPLICIT"})]),
    ],
)  # fmt: skip
def test_what_is_not_known_stays(dims, nodes):
    assert shape_of(dims, *nodes).op == "Shape"


def test_the_dtype_stays():
    assert shape_of((2, 3), out_type="int64").value.dtype == np.int64


def reshaped(*nodes, dims=(-1, 3, 4)):
    """The shape that Reshape ``y`` of x gets, None if it is still computed."""
    x = Node("x", "Placeholder", (), {"dtype": "float32", "shape": Shape(dims)})
    listed = {each.name: each for each in (x, node("s", "Shape", "x", out_type="int32"), *nodes)}
    listed["y"] = node("y", "Reshape", "x", nodes[-1].name)
    inputs, outputs = {"x": Tensor(Ref("x"), "float32")}, {"y": Tensor(Ref("y"), "float32")}
    made = fold_shapes(Graph(listed, inputs, outputs)).nodes
    shape = made[made["y"].inputs[1].node]
    return shape.value.numpy().tolist() if shape.op == "Const" else None


FIRST = (
    ints("zero", 0),
    ints("one", 1),
    node("batch", "StridedSlice", "s", "zero", "one", "one", **{**SLICE, "shrink_axis_mask": 1}),
)


def test_reshape_with_one_unknown_size():
    scalars = (const("a", np.int32(12)), const("b", np.int32(1)))
    packed = node("t", "Pack", "batch", "a", "b", axis=0, N=3, T="int32")
    assert reshaped(*FIRST, *scalars, packed) == [-1, 12, 1]


def test_reshape_by_products_as_tensordot_does():
    axes = (ints("free", 0, 1), ints("inner", 2), const("dim", np.int32(0)))
    gathered = [
        node(f"g{name}", "GatherV2", "s", name, "dim", batch_dims=0, T="int32")
        for name in ("free", "inner")
    ]
    products = [
        node(f"p{name}", "Prod", f"g{name}", "zero", keep_dims=False, T="int32")
        for name in ("free", "inner")
    ]
    packed = node("t", "Pack", "pfree", "pinner", axis=0, N=2, T="int32")
    assert reshaped(ints("zero", 0), *axes, *gathered, *products, packed) == [-1, 4]


def test_two_unknown_sizes_stay():
    one = const("a", np.int32(-1))
    packed = node("t", "Pack", "batch", "a", axis=0, N=2, T="int32")
    assert reshaped(*FIRST, one, packed) is None
    assert reshaped(node("t", "Identity", "s"), dims=(-1, -1, 4)) is None


def test_arithmetic_with_an_unknown_size_is_unknown():
    two = const("two", np.int32(2))
    doubled = node("d", "Mul", "batch", "two", T="int32")
    packed = node("t", "Pack", "d", "two", "two", axis=0, N=3, T="int32")
    assert reshaped(*FIRST, two, doubled, packed) == [-1, 2, 2]
