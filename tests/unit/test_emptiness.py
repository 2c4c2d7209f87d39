"""Reductions of what may be empty get a neutral element or are warned of, others stay."""

from __future__ import annotations

import numpy as np
import pytest

from tfjs_codec.graph.emptiness import guard_reductions, warn_of_emptiness
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor, const

F = {"T": "float32"}
REDUCE = {**F, "keep_dims": False, "Tidx": "int32"}
GATHER = {"Tparams": "float32", "Tindices": "int64", "Taxis": "int32", "batch_dims": 0}
NO_MASKS = dict.fromkeys(
    ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0
)
ROWS = [("picked", "Where", ["mask"], {"T": "bool"}),
        ("flat", "Reshape", ["picked", "flat_shape"], {"T": "int64", "Tshape": "int32"}),
        ("rows", "GatherV2", ["x", "flat", "zero"], GATHER)]  # fmt: skip


def made(*nodes, dims=(-1, 4)):
    """A graph of *nodes* with input x of shape *dims*, a mask and a number."""
    given = [
        Node("x", "Placeholder", (), {"dtype": "float32", "shape": Shape(dims)}),
        Node("mask", "Placeholder", (), {"dtype": "bool", "shape": Shape((-1,))}),
        Node("n", "Placeholder", (), {"dtype": "int32", "shape": Shape((1,))}),
        const("flat_shape", np.int32([-1])), const("zero", np.int32(0)),
        const("first", np.int32([0])), const("second", np.int32([1])), const("one", np.int32([1])),
        *(Node(name, op, tuple(map(Ref, inputs)), attrs) for name, op, inputs, attrs in nodes),
    ]  # fmt: skip
    outputs = {"y": Tensor(Ref(given[-1].name), "float32")}
    return Graph({node.name: node for node in given}, {}, outputs)


def warnings(*nodes, dims=(-1, 4)):
    return warn_of_emptiness(made(*nodes, dims=dims)).warnings


@pytest.mark.parametrize(
    ("op", "neutral"), [("Sum", 0), ("Prod", 1), ("Max", -np.inf), ("Min", np.inf)]
)
def test_a_neutral_element_is_added(op, neutral):
    graph = guard_reductions(made(*ROWS, ("y", op, ["rows", "first"], REDUCE)))
    pad = graph.nodes[graph.nodes["y"].inputs[0].node]
    widths, value = (graph.nodes[ref.node].value.numpy() for ref in pad.inputs[1:])
    assert (pad.op, pad.inputs[0]) == ("PadV2", Ref("rows"))
    assert (widths.tolist(), value.item()) == ([[0, 1], [0, 0]], neutral)
    said = [text for text in graph.warnings if "webgl" in text]
    assert len(said) == (op in ("Max", "Min"))
    assert warn_of_emptiness(graph).warnings == graph.warnings


def test_reductions_that_are_not_padded():
    for op, rest in (("Mean", REDUCE), ("Max", {**REDUCE, "T": "int32"})):
        graph = made(*ROWS, ("y", op, ["rows", "first"], rest))
        assert guard_reductions(graph) == graph


@pytest.mark.parametrize("op", ["Sum", "Max", "Mean", "Prod"])
def test_a_boolean_mask(op):
    (text,) = warnings(*ROWS, ("y", op, ["rows", "first"], REDUCE))
    assert text.startswith("node 'y' reduces a tensor whose size depends on values")
    assert all(backend in text for backend in ("wasm", "webgl", "webgpu"))


def test_what_follows_a_selection():
    assert warnings(
        *ROWS, ("e", "Exp", ["rows"], F), ("y", "Sum", ["e", "first"], REDUCE),
        ("z", "Max", ["e", "first"], REDUCE),
    )[0].startswith("node 'y' and 1 more")  # fmt: skip


def test_slices_that_end_where_a_number_says():
    cut = ("cut", "StridedSlice", ["x", "first", "n", "one"], {**F, **NO_MASKS, "Index": "int32"})
    assert warnings(cut, ("y", "Sum", ["cut", "first"], REDUCE))
    element = {**F, **NO_MASKS, "Index": "int32", "shrink_axis_mask": 1}
    one = ("cut", "StridedSlice", ["x", "n", "n", "one"], element)
    assert not warnings(one, ("y", "Sum", ["cut", "first"], REDUCE))


def test_ordinary_reductions():
    assert not warnings(("y", "Sum", ["x", "first"], REDUCE))
    assert not warnings(*ROWS, ("y", "Sum", ["rows", "second"], REDUCE))
    only_once = ("s", "Sum", ["rows", "first"], REDUCE)  # what is left has four elements
    assert "more" not in warnings(*ROWS, only_once, ("y", "Sum", ["s", "first"], REDUCE))[0]
    shape = ("shape", "Shape", ["x"], {**F, "out_type": "int32"})
    batch = ("batch", "Slice", ["shape", "first", "one"], {"T": "int32", "Index": "int32"})
    cut = ("cut", "StridedSlice", ["x", "first", "batch", "one"],
           {**F, **NO_MASKS, "Index": "int32"})  # fmt: skip
    assert not warnings(shape, batch, cut, ("y", "Sum", ["cut", "first"], REDUCE))
