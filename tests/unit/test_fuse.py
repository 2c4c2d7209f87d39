"""Batch-norm folding and fusion, on graphs of a few nodes."""

from __future__ import annotations

import numpy as np
import pytest

from tfjs_codec.graph.optimise.affine import fold_affine
from tfjs_codec.graph.optimise.fuse import find_prelus, fuse
from tfjs_codec.ir.graph import Graph, Node, Ref, Tensor, const

RNG = np.random.default_rng(5)
FLOAT = {"T": "float32"}
NHWC = {**FLOAT, "data_format": b"NHWC"}
CONV = {
    **NHWC,
    "strides": (1, 1, 1, 1),
    "dilations": (1, 1, 1, 1),
    "padding": b"SAME",
    "explicit_paddings": (),
}
NORM = {**NHWC, "U": "float32", "epsilon": 0.01, "is_training": False}


def floats(*shape):
    return RNG.uniform(0.5, 1.5, shape).astype(np.float32)


def graph(*nodes, outputs=("y",)) -> Graph:
    """A graph of the input ``x`` and of *nodes*."""
    x = Node("x", "Placeholder", (), {"dtype": "float32"})
    listed = {node.name: node for node in (x, *nodes)}
    return Graph(
        listed,
        {"x": Tensor(Ref("x"), "float32")},
        {name: Tensor(Ref(name), "float32") for name in outputs},
    )


def node(name, op, *inputs, attrs=FLOAT):
    return Node(name, op, tuple(Ref(each) for each in inputs), attrs)


def linear(op="Conv2D", **changed):
    """An operation ``c`` with weights ``w`` and 6 output channels."""
    shapes = {
        "Conv2D": (3, 3, 2, 6),
        "Conv2DBackpropInput": (3, 3, 6, 2),
        "Conv3D": (2, 2, 2, 2, 6),
        "DepthwiseConv2dNative": (3, 3, 2, 3),
        "MatMul": (4, 6),
    }
    attrs = {**CONV, **changed}
    if op == "Conv3D":
        attrs |= {"strides": (1,) * 5, "data_format": b"NDHWC"}
    if op == "MatMul":
        attrs = {**FLOAT, "transpose_a": False, "transpose_b": False, **changed}
    shape = shapes[op][::-1] if changed.get("transpose_b") else shapes[op]
    inputs = ("size", "w", "x") if op == "Conv2DBackpropInput" else ("x", "w")
    size = [const("size", np.int32([1, 2, 2, 6]))] if len(inputs) == 3 else []
    return [*size, const("w", floats(*shape)), node("c", op, *inputs, attrs=attrs)]


def weights(made: Graph, name="c"):
    return made.nodes[made.nodes[name].inputs[1].node].value.numpy()


@pytest.mark.parametrize(
    ("op", "changed", "shape"),
    [
        ("Conv2D", {}, (1, 1, 1, 6)),
        ("Conv2DBackpropInput", {}, (1, 1, 6, 1)),
        ("Conv3D", {}, (1, 1, 1, 1, 6)),
        ("DepthwiseConv2dNative", {}, (1, 1, 2, 3)),
        ("MatMul", {}, (1, 6)),
        ("MatMul", {"transpose_b": True}, (6, 1)),
    ],
)
def test_scale_and_offset_go_into_weights_and_bias(op, changed, shape):
    base = linear(op, **changed)
    scale, offset, second, third = floats(6), floats(1, 6), floats(), floats(6)
    made = fold_affine(
        graph(
            *base,
            const("s", scale),
            const("o", offset),
            const("t", second),
            const("u", third),
            node("m", "Mul", "s", "c"),
            node("a", "AddV2", "m", "o"),
            node("d", "RealDiv", "a", "t"),
            node("y", "Sub", "u", "d"),
        )
    )
    assert [each.op for each in made.nodes.values() if each.op not in ("Const", "Placeholder")] == [
        op,
        "AddV2" if op == "Conv3D" else "BiasAdd",  # webgpu adds no vector to five axes
    ]
    before = next(each.value.numpy() for each in base if each.name == "w")
    np.testing.assert_allclose(weights(made), before * -(scale / second).reshape(shape), rtol=1e-6)
    bias = weights(made, "y")
    np.testing.assert_allclose(bias.ravel(), third - offset[0] / second, rtol=1e-5)
    assert bias.shape == ((1, 6) if op == "Conv3D" else (6,))
    assert bias.dtype == np.float32


def test_batch_norm():
    gamma, beta, mean, variance = (floats(6) for _ in range(4))
    values = {"g": gamma, "b": beta, "m": mean, "v": variance}
    made = fold_affine(
        graph(
            *linear(),
            *(const(name, value) for name, value in values.items()),
            node("y", "FusedBatchNormV3", "c", "g", "b", "m", "v", attrs=NORM),
        )
    )
    scale = gamma / np.sqrt(variance + 0.01)
    np.testing.assert_allclose(weights(made, "y"), beta - mean * scale, rtol=1e-4)
    assert made.nodes["y"].op == "BiasAdd"


def test_scale_alone_needs_no_bias():
    made = fold_affine(graph(*linear(), const("s", floats(6)), node("y", "Mul", "c", "s")))
    assert set(made.nodes) == {"x", "w/scaled", "c"}
    assert made.outputs["y"].ref == Ref("c")


def test_layers_called_twice_share_their_scaled_weights():
    one, two = (node(name, "Conv2D", "x", "w", attrs=CONV) for name in "cd")
    scale = const("s", floats(6))
    made = fold_affine(
        graph(
            const("w", floats(1, 1, 2, 6)), one, two, scale,
            node("y", "Mul", "c", "s"), node("z", "Mul", "d", "s"), outputs=("y", "z"),
        )
    )  # fmt: skip
    assert set(made.nodes) == {"x", "w/scaled", "c", "d"}


def stays(*nodes, outputs=("y",)):
    given = graph(*nodes, outputs=outputs)
    with np.errstate(all="ignore"):  # as all passes run
        assert fold_affine(given).nodes.keys() == given.nodes.keys()


def test_what_is_not_affine_per_channel_stays():
    base = linear()
    stays(*base, const("s", floats(5, 6)), node("y", "Mul", "c", "s"))
    stays(*base, const("s", floats(1, 1, 1, 1, 6)), node("y", "Mul", "c", "s"))
    stays(*base, const("s", floats(6)), node("y", "RealDiv", "s", "c"))
    stays(*base, node("y", "Mul", "c", "c"))
    stays(*base, node("y", "AddV2", "c", "x"))
    stays(*base, const("s", np.zeros(6, np.float32)), node("y", "RealDiv", "c", "s"))
    stays(*base, const("s", floats(6)), node("y", "Mul", "c", "s"), outputs=("c", "y"))
    stays(*linear(data_format=b"NCHW"), const("s", floats(6)), node("y", "Mul", "c", "s"))
    norm = node("y", "FusedBatchNormV3", "c", *"ssss", attrs={**NORM, "is_training": True})
    stays(*base, const("s", floats(6)), norm)


PRELU = (
    node("p", "Relu", "x"),
    node("n", "Neg", "x"),
    node("r", "Relu", "n"),
    node("m", "Mul", "slope", "r"),
    node("y", "AddV2", "p", "m"),
)


@pytest.mark.parametrize(
    ("shape", "read_as"),
    [((1, 1, 6), (6,)), ((4, 5, 6), (4, 5, 6)), ((), ()), ((1,), ()), ((4, 6), (4, 6))],
)
def test_prelu(shape, read_as):
    slope = floats(*shape)
    made = find_prelus(graph(const("slope", slope), *PRELU))
    assert set(made.nodes) == {"x", "y", "y/alpha"}
    assert made.nodes["y"].op == "Prelu"
    assert made.nodes["y"].inputs == (Ref("x"), Ref("y/alpha"))
    np.testing.assert_array_equal(weights(made, "y"), -slope.reshape(read_as))


def test_no_prelu():
    other = graph(const("slope", floats(4, 1, 6)), *PRELU)
    assert find_prelus(other) == other
    other = graph(const("slope", floats(6)), *PRELU[:2], node("r", "Relu", "p"), *PRELU[3:])
    assert find_prelus(other).nodes["y"].op == "AddV2"


BIAS = (const("b", floats(6)), node("a", "BiasAdd", "c", "b", attrs=NHWC))


@pytest.mark.parametrize(
    ("op", "into"),
    [
        ("Conv2D", "_FusedConv2D"),
        ("DepthwiseConv2dNative", "FusedDepthwiseConv2dNative"),
        ("MatMul", "_FusedMatMul"),
    ],
)
@pytest.mark.parametrize("activation", ["Relu", "Relu6", "Elu", "LeakyRelu", "Prelu"])
def test_bias_and_activation_are_fused(op, into, activation):
    prelu = activation == "Prelu"
    last = node("y", activation, "a", *["s"] * prelu, attrs={**FLOAT, "alpha": 0.3})
    base = linear(op)
    made = fuse(graph(*base, *BIAS, const("s", floats(6)), last)).nodes["y"]
    if (op, activation) == ("DepthwiseConv2dNative", "LeakyRelu"):  # tfjs would lose its slope
        assert made == last
        return
    assert made.op == into
    assert [ref.node for ref in made.inputs] == ["x", "w", "b", *["s"] * prelu]
    assert made.attrs["fused_ops"] == (b"BiasAdd", activation.encode())
    assert made.attrs["num_args"] == 1 + prelu
    assert made.attrs["leakyrelu_alpha"] == 0.3
    assert base[-1].attrs.items() <= made.attrs.items()


def test_bias_alone_and_activation_alone_are_fused():
    made = fuse(graph(*linear(), *BIAS, outputs=("a",))).nodes["a"]
    assert made.attrs["fused_ops"] == (b"BiasAdd",)
    made = fuse(graph(*linear(), node("y", "Relu", "c"))).nodes["y"]
    assert (made.attrs["fused_ops"], made.attrs["num_args"]) == ((b"NoOp", b"Relu"), 0)


def test_what_tfjs_cannot_fuse_stays():
    made = fuse(graph(*linear(), *BIAS, node("y", "Tanh", "a")))
    assert (made.nodes["a"].op, made.nodes["y"].op) == ("_FusedConv2D", "Tanh")
    made = fuse(graph(*linear(), *BIAS, const("s", floats(4, 6)), node("y", "Prelu", "a", "s")))
    assert made.nodes["y"].op == "Prelu"
    made = fuse(graph(*linear(), *BIAS, node("y", "Relu", "a"), outputs=("a", "y")))
    assert made.nodes["y"].op == "Relu"
    made = fuse(graph(*linear(data_format=b"NCHW"), *BIAS, node("y", "Relu", "a")))
    assert made.nodes["y"].op == "Relu"
    made = fuse(graph(*linear("Conv3D"), node("y", "Relu", "c")))
    assert made.nodes["c"].op == "Conv3D"
