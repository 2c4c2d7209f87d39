"""Details that fixtures do not show: axes of volumes, numbers of outputs, ties of boxes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tfjs_codec.graph import interpreter
from tfjs_codec.graph.kernels import compute
from tfjs_codec.graph.passes import run
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor, const
from tfjs_codec.options import ConvertOptions
from tfjs_codec.writers.tfjs_graph import index_json

RNG = np.random.default_rng(0)


def node(name, op, *inputs, **attrs):
    refs = (Ref(*each) if isinstance(each, tuple) else Ref(each) for each in inputs)
    return Node(name, op, tuple(refs), attrs)


def graph(shape, *nodes, output):
    x = node("x", "Placeholder", dtype="float32", shape=Shape(shape))
    return Graph(
        {each.name: each for each in (x, *nodes)},
        {"x": Tensor(Ref("x"), "float32", Shape(shape))},
        {"y": Tensor(output, "float32")},
    )


@pytest.mark.parametrize("padding", [b"SAME", b"VALID"])
def test_transposed_volumes_are_flipped_along_every_axis(padding):
    """The rewrite computes what the kernel does, which is checked with TensorFlow's numbers."""
    kernel = RNG.normal(size=(2, 3, 4, 2, 3)).astype(np.float32)
    sizes = (1, 3, 4, 5, 2) if padding == b"SAME" else (1, 4, 6, 8, 2)
    transposed = node(
        "y", "Conv3DBackpropInputV2", "sizes", "kernel", "x", T="float32", Tshape="int32",
        strides=(1,) * 5, padding=padding, data_format=b"NDHWC", dilations=(1,) * 5,
    )  # fmt: skip
    transposed = replace(transposed, shapes=(Shape((*sizes[:4], 2)),))  # as SavedModels record it
    made = graph(
        (1, 3, 4, 5, 3),
        const("sizes", np.array(sizes, np.int32)),
        const("kernel", kernel),
        transposed,
        output=Ref("y"),
    )
    fed = {"x": RNG.normal(size=(1, 3, 4, 5, 3)).astype(np.float32)}
    rewritten = run(made)
    assert "Conv3DBackpropInputV2" not in {each.op for each in rewritten.nodes.values()}
    expected = interpreter.run(made, fed)["y"]
    np.testing.assert_allclose(interpreter.run(rewritten, fed)["y"], expected, atol=1e-5)


def test_the_signature_says_which_output_of_a_node_it_means():
    made = graph(
        (2, 4),
        const("axis", np.int32(1)),
        node("s", "Split", "axis", "x", T="float32", num_split=2),
        output=Ref("s", 1),
    )
    written = json.loads(index_json(made, [], ConvertOptions()))
    assert written["signature"]["outputs"]["y"]["name"] == "s:1"


@pytest.mark.parametrize(("threshold", "kept"), [(0.5, [0, 1]), (0.49, [0])])
def test_boxes_that_overlap_just_as_much_as_they_may_are_kept(threshold, kept):
    """TensorFlow suppresses what overlaps by more than the threshold (image_ops, V3)."""
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.5]], np.float32)
    given = [boxes, np.array([2, 1], np.float32), np.int32(2), np.float32(threshold), np.float32(0)]
    (found,) = compute("NonMaxSuppressionV3", {"T": "float32"}, given)
    assert found.tolist() == kept


def test_products_over_two_axes_at_once_use_sizes_that_are_known():
    """Tfjs's Einsum would make tensors of seven axes, which webgl and webgpu do not have."""
    x = RNG.normal(size=(2, 3, 4, 2, 5)).astype(np.float32)
    scores = node(
        "y", "Einsum", ("x", 0), ("x", 0), T="float32", N=2, equation=b"afgde,abcde->adbcfg"
    )
    values = node("z", "Einsum", "y", "x", T="float32", N=2, equation=b"adbcfg,afgde->abcde")
    made = graph((-1, 3, 4, 2, 5), scores, values, output=Ref("z"))
    rewritten = run(made)
    assert "Einsum" not in {each.op for each in rewritten.nodes.values()}
    first = np.einsum("afgde,abcde->adbcfg", x, x)
    expected = np.einsum("adbcfg,afgde->abcde", first, x)
    np.testing.assert_allclose(interpreter.run(rewritten, {"x": x})["y"], expected, rtol=1e-4)
