"""Channels first becomes channels last, and turns that follow each other are joined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.graph.check import check
from tfjs_codec.graph.optimise.fold import fold
from tfjs_codec.graph.rewrites.layout import join_transposes, move_channels_last
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor, const

FLOAT = {"T": "float32"}
TURN = {**FLOAT, "Tperm": "int32"}
X = Node("x", "Placeholder", (), {"dtype": "float32", "shape": Shape((2, 3, 4, 5))})


def graph(*nodes: Node) -> Graph:
    """A graph of *nodes* on x, whose result is the last of them."""
    ends = {"y": Tensor(Ref(nodes[-1].name), "float32")}
    return Graph(
        {node.name: node for node in (X, *nodes)}, {"x": Tensor(Ref("x"), "float32")}, ends
    )


def computed(made: Graph) -> np.ndarray:
    x = const("x", np.arange(-60, 60, dtype="f4").reshape(2, 3, 4, 5) / 7)
    made = fold(replace(made, nodes={**made.nodes, "x": x}, inputs={}))
    return made.nodes[made.outputs["y"].ref.node].value.numpy()


def count(made: Graph) -> int:
    return sum(node.op == "Transpose" for node in made.nodes.values())


def test_a_convolution_is_turned_before_and_after():
    attrs = {**FLOAT, "data_format": b"NCHW", "strides": (1, 1, 2, 3), "dilations": (1, 1, 1, 1),
             "padding": b"EXPLICIT", "explicit_paddings": (0, 0, 0, 0, 1, 2, 3, 4)}  # fmt: skip
    made = move_channels_last(graph(const("w", np.ones((1, 1, 3, 4), "f4")),
                               Node("y", "Conv2D", (Ref("x"), Ref("w")), attrs)))  # fmt: skip
    (conv,) = (node for node in made.nodes.values() if node.op == "Conv2D")
    assert conv.attrs["data_format"] == b"NHWC"
    assert conv.attrs["strides"] == (1, 2, 3, 1)
    assert conv.attrs["explicit_paddings"] == (0, 0, 1, 2, 3, 4, 0, 0)
    perms = [made.nodes[node.inputs[1].node].value.numpy().tolist()
             for node in made.nodes.values() if node.op == "Transpose"]  # fmt: skip
    assert sorted(perms) == [[0, 2, 3, 1], [0, 3, 1, 2]]
    assert made.nodes["y"].op == "Transpose"  # the name is known outside


@pytest.mark.parametrize(
    ("op", "layout"), [("Conv2D", b"NCHW_VECT_C"), ("LRN", b"NCHW"), ("BiasAdd", b"NCHW")]
)
def test_layouts_that_are_refused(op, layout):
    unknown = replace(X, attrs={"dtype": "float32", "shape": Shape()})
    made = graph(Node("y", op, (Ref("x"), Ref("x")), {**FLOAT, "data_format": layout}))
    with pytest.raises(UnsupportedModelError, match="channels_last"):
        check(move_channels_last(replace(made, nodes={**made.nodes, "x": unknown})))


def test_what_has_no_turns_stays():
    made = graph(Node("y", "Relu", (Ref("x"),), FLOAT))
    assert join_transposes(made) is made


def test_turns_that_would_not_become_fewer_stay():
    turn = Node("t", "Transpose", (Ref("x"), Ref("p")), TURN)
    relu = Node("y", "Relu", (Ref("t"),), FLOAT)
    made = graph(const("p", np.int32([0, 2, 3, 1])), turn, relu)
    assert join_transposes(made) is made


PERMS = st.permutations(range(4))


class Chain:
    """Operations one after the other, behind a turned x."""

    def __init__(self, data):
        self.perm = data.draw(PERMS)
        self.nodes = []
        self.last = "x"
        self.sizes = [2, 3, 4, 5]
        self.draw = data.draw
        self.turn(self.perm)

    def put(self, op, *inputs, **attrs):
        """Add *op*; inputs are names or constants."""
        refs = []
        for each in inputs:
            if not isinstance(each, str):
                self.nodes.append(const(f"c{len(self.nodes)}", each))
            refs.append(Ref(each if isinstance(each, str) else self.nodes[-1].name))
        self.last = f"n{len(self.nodes)}"
        self.nodes.append(Node(self.last, op, tuple(refs), {**FLOAT, **attrs}))

    def turn(self, order):
        self.put("Transpose", self.last, np.int32(order), Tperm="int32")
        self.sizes = [self.sizes[axis] for axis in order]

    def back(self):
        self.turn(np.argsort(self.perm))

    def again(self):
        self.turn(self.draw(PERMS))

    def alike(self):
        self.put(self.draw(st.sampled_from(["Relu", "Square"])), self.last)

    def two(self):
        self.put("Mul", self.last, self.last)

    def number(self):
        self.put("AddV2", np.float32(0.5), self.last)

    def vector(self):
        self.put("Mul", self.last, np.linspace(1, 2, self.sizes[-1], dtype="f4"))

    def concat(self):
        axis = self.draw(st.integers(-4, 3))
        self.put("ConcatV2", self.last, self.last, np.int32(axis), N=2, Tidx="int32")
        self.sizes[axis] *= 2

    def pad(self):
        pads = np.int32([[k, 3 - k] for k in range(4)])
        self.put("Pad", self.last, pads, Tpaddings="int32")
        self.sizes = [size + 3 for size in self.sizes]

    def reduce(self):
        axes = self.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True))
        op, keep = self.draw(st.sampled_from(["Max", "Mean"])), self.draw(st.booleans())
        self.put(op, self.last, np.int32(axes), keep_dims=keep, Tidx="int32")


STEPS = st.sampled_from(
    [*[Chain.alike, Chain.two, Chain.number, Chain.vector], *[Chain.concat, Chain.pad, Chain.again]]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=5), st.sampled_from([Chain.back, Chain.reduce]), st.data())
def test_the_same_is_computed(steps, end, data):
    chain = Chain(data)
    for step in (*steps, end):
        step(chain)
    made = graph(*chain.nodes)
    joined = join_transposes(made)
    assert count(joined) <= count(made)
    np.testing.assert_allclose(computed(joined), computed(made), rtol=1e-5, atol=1e-5)
