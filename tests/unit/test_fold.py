"""Constant folding: what is computed, and what is left as it is."""

from __future__ import annotations

import numpy as np
import pytest

from tfjs_codec.graph.kernels import compute_constant
from tfjs_codec.graph.kernels.core import KernelError
from tfjs_codec.graph.optimise.fold import fold
from tfjs_codec.ir.graph import Graph, Node, Ref, Tensor, const


@pytest.mark.parametrize(
    ("op", "attrs", "inputs"),
    [
        ("Fill", {}, [np.array([1 << 20, 1 << 20]), np.float32(1)]),
        ("Tile", {}, [np.zeros((4, 4)), np.array([1 << 30, 1 << 30])]),
        ("Range", {}, [np.float32(0), np.float32(1e30), np.float32(1)]),
        ("BroadcastTo", {}, [np.zeros(1), np.array([1 << 40])]),
        ("AddV2", {}, [np.zeros((1 << 16, 1)), np.zeros((1, 1 << 16))]),
        ("Pad", {}, [np.zeros(1), np.array([[1 << 40, 0]])]),
        ("OneHot", {"axis": -1}, [np.zeros(9, int), np.int64(1 << 40), np.int8(1), np.int8(0)]),
        ("ConcatV2", {}, [*[np.zeros(1 << 19)] * 9, np.array(0)]),
        ("FloorDiv", {}, [np.int32([1]), np.int32([0])]),
        ("Cast", {"DstT": "int32"}, [np.float32([1e20])]),
        ("Cast", {"DstT": "bfloat16"}, [np.float32([1])]),
        ("GatherV2", {"batch_dims": 0}, [np.zeros(3), np.array([3]), np.array(0)]),
        ("GatherV2", {"batch_dims": 0}, [np.zeros(3), np.array([0]), np.array(5)]),
        ("Split", {"num_split": 0}, [np.array(0), np.zeros(4)]),
        ("Reshape", {}, [np.zeros(4), np.array([3, -1])]),
        ("Squeeze", {}, [np.zeros(4)]),
        ("RandomUniform", {}, [np.array([3])]),
    ],
)
def test_refuses(op, attrs, inputs):
    with pytest.raises(KernelError):
        compute_constant(op, attrs, [np.asarray(each) for each in inputs])


def graph(nodes, outputs, inputs=()) -> Graph:
    """A graph of *nodes*; the names *outputs* go out, the Placeholders *inputs* come in."""

    def tensors(names):
        return {name: Tensor(Ref(name), "float32") for name in names}

    return Graph({node.name: node for node in nodes}, tensors(inputs), tensors(outputs))


def test_folds_what_depends_on_constants_only():
    made = fold(
        graph(
            [
                Node("x", "Placeholder", (), {"dtype": "float32"}),
                const("two", np.float32([2.0, 3.0])),
                const("axis", np.int32(0)),
                Node("split", "Split", (Ref("axis"), Ref("two")), {"num_split": 2}),
                Node("sum", "AddV2", (Ref("split", 1), Ref("split")), {"T": "float32"}),
                Node("y", "Mul", (Ref("x"), Ref("sum")), {"T": "float32"}),
                Node("z", "Mul", (Ref("x"), Ref("split", 1)), {"T": "float32"}),
            ],
            ["y", "z"],
            ["x"],
        )
    )
    assert {name: node.op for name, node in made.nodes.items()} == {
        "x": "Placeholder",
        "sum": "Const",
        "y": "Mul",
        "z": "Mul",
        "split/1": "Const",
    }
    np.testing.assert_array_equal(made.nodes["sum"].value.numpy(), np.float32([5.0]))
    assert made.nodes["z"].inputs == (Ref("x"), Ref("split/1"))


def test_scalars_stay_scalars():
    nodes = [const("a", np.int32(3)), Node("y", "Neg", (Ref("a"),), {"T": "int32"})]
    assert fold(graph(nodes, ["y"])).nodes["y"].value.numpy().shape == ()


@pytest.mark.parametrize(
    ("op", "inputs", "shape", "goes"),
    [
        ("Mul", ("x", "c"), (), True),
        ("Mul", ("c", "x"), (), True),
        ("RealDiv", ("x", "c"), (), True),
        ("RealDiv", ("c", "x"), (), False),
        ("Mul", ("x", "c"), (1, 1), False),
        ("AddV2", ("x", "c"), (), False),
    ],
)
def test_operands_that_change_nothing(op, inputs, shape, goes):
    nodes = [
        Node("x", "Placeholder", (), {"dtype": "float32"}),
        const("c", np.ones(shape, np.float32)),
        Node("m", op, tuple(map(Ref, inputs)), {"T": "float32"}),
        Node("y", "Sigmoid", (Ref("m"),), {"T": "float32"}),
    ]
    made = fold(graph(nodes, ["y"], ["x"]))
    assert made.nodes["y"].inputs == ((Ref("x"),) if goes else (Ref("m"),))


def test_keeps_types_that_numpy_lacks():
    nodes = [
        const("a", np.float32([2.0]), "bfloat16"),
        Node("y", "AddV2", (Ref("a"), Ref("a")), {"T": "bfloat16"}),
    ]
    assert fold(graph(nodes, ["y"])).nodes["y"].op == "AddV2"


def test_shape_of_a_large_constant_reads_nothing():
    class Unreadable(type(const("w", np.zeros(2)).value)):
        def numpy(self):
            raise AssertionError

    weight = Unreadable("w", np.zeros((3, 4), np.float32))
    nodes = [
        Node("w", "Const", (), {"dtype": "float32", "value": weight}),
        Node("y", "Shape", (Ref("w"),), {"T": "float32", "out_type": "int32"}),
    ]
    made = fold(graph(nodes, ["y"]))
    assert made.nodes["y"].value.numpy().tolist() == [3, 4]


def test_work_is_bounded():
    """Each fold is small, all together are not."""
    first = const("0", np.zeros((1 << 18, 4), np.float64))
    chain = [Node(str(i), "Neg", (Ref(str(i - 1)),), {"T": "float64"}) for i in range(1, 80)]
    ops = [node.op for node in fold(graph([first, *chain], ["79"])).nodes.values()]
    assert ops.count("Neg") > 40
