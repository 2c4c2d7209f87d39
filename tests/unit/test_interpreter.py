"""The interpreter of graphs: inputs, control flow, and memory. All fixtures: test_predictions."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from tfjs_codec.errors import (
    CorruptFileError,
    LimitExceededError,
    UnsupportedModelError,
    UsageError,
)
from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.graph.interpreter import run
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor, const
from tfjs_codec.ir.loaded import TfjsGraph
from tfjs_codec.limits import Limits


def graph(nodes, outputs, inputs=("x",), shape=()) -> Graph:
    """A graph of *nodes* with float32 Placeholders *inputs*."""
    placeholders = [Node(name, "Placeholder", (), {"dtype": "float32"}) for name in inputs]
    return Graph(
        {node.name: node for node in (*placeholders, *nodes)},
        {name: Tensor(Ref(name), "float32", Shape(shape)) for name in inputs},
        {name: Tensor(Ref(name), "float32") for name in outputs},
        path="model.json",
    )


def node(name, op, *inputs, **attrs) -> Node:
    refs = (Ref(each) if isinstance(each, str) else Ref(*each) for each in inputs)
    return Node(name, op, tuple(refs), attrs)


def loop(name, start, limit, *body) -> list[Node]:
    """Nodes that set NAME/i to *start*, and to *body*'s last node while it is below *limit*."""
    return [
        node(f"{name}/enter", "Enter", start, frame_name=name.encode()),
        node(f"{name}/i", "Merge", f"{name}/enter", f"{name}/next"),
        node(f"{name}/less", "Less", f"{name}/i", limit),
        node(f"{name}/cond", "LoopCond", f"{name}/less"),
        node(f"{name}/switch", "Switch", f"{name}/i", f"{name}/cond"),
        *body,
        node(f"{name}/next", "NextIteration", body[-1].name),
        node(f"{name}/exit", "Exit", f"{name}/switch"),
    ]


def test_a_loop_takes_what_is_outside():
    body = node("y", "AddV2", ("a/switch", 1), "two")
    nodes = [
        const("ten", np.float32(10)),
        *loop("a", "x", "ten", body),
        const("two", np.float32(2)),
    ]
    assert run(graph(nodes, ["a/exit"]), {"x": 1.5})["a/exit"] == 11.5
    assert run(graph(nodes, ["a/exit"]), {"x": 20})["a/exit"] == 20


def test_a_loop_without_end_is_stopped():
    body = node("y", "Mul", ("a/switch", 1), ("a/switch", 1))
    nodes = [const("ten", np.float32(10)), *loop("a", "x", "ten", body)]
    endless = replace(graph(nodes, ["a/exit"]), limits=Limits(loop_steps=50))
    with pytest.raises(LimitExceededError, match="loop_steps = 50"):
        run(endless, {"x": 1})
    assert run(endless, {"x": 2})["a/exit"] == 16


def test_a_loop_in_a_loop():
    """X doubles until 4, then one is added to what the outer loop has, until 30."""
    inner = loop("b", "start", "four", node("twice", "AddV2", ("b/switch", 1), ("b/switch", 1)))
    body = [
        node("start", "AddV2", ("a/switch", 1), "zero"),
        *inner,
        node("more", "AddV2", "b/exit", "one"),
    ]
    nodes = [const(name, np.float32(value)) for name, value in
             (("zero", 0), ("one", 1), ("four", 4), ("thirty", 30))]  # fmt: skip
    made = graph([*nodes, *loop("a", "x", "thirty", *body)], ["a/exit"])
    assert run(made, {"x": 1})["a/exit"] == 30  # 1, 2, 4, 5, 6, …
    assert run(made, {"x": 3})["a/exit"] == 30  # 6, 7, …


@pytest.mark.parametrize(("x", "y", "branch"), [(3, 6, 1), (-3, 3, 0)])
def test_a_condition(x, y, branch):
    nodes = [
        const("zero", np.float32(0)),
        node("positive", "Greater", "x", "zero"),
        node("switch", "Switch", "x", "positive"),
        node("minus", "Neg", "switch"),
        node("twice", "AddV2", ("switch", 1), ("switch", 1)),
        node("y", "Merge", "minus", "twice"),
        node("branch", "Identity", ("y", 1)),
    ]
    assert run(graph(nodes, ["y", "branch"]), {"x": x}) == {"y": y, "branch": branch}


def test_a_loop_on_a_branch_that_is_not_taken():
    nodes = [
        const("zero", np.float32(0)),
        node("positive", "Greater", "x", "zero"),
        node("switch", "Switch", "x", "positive"),
        *loop("a", ("switch", 1), "zero", node("y", "AddV2", ("a/switch", 1), "x")),
        node("minus", "Neg", ("switch", 0)),
        node("z", "Merge", "minus", "a/exit"),
    ]
    assert run(graph(nodes, ["z"]), {"x": -2})["z"] == 2
    assert run(graph(nodes, ["z"]), {"x": 2})["z"] == 2


def test_unknown_operations_are_refused_by_name():
    nodes = [node("a", "Nonsense", "x"), node("b", "Multinomial", "x")]
    with pytest.raises(UnsupportedModelError, match=r"'a' \(Nonsense\)[^|]*'b' \(Multinomial\)"):
        run(graph(nodes, ["a", "b"]), {"x": 1})


def test_what_cannot_be_computed_names_its_node():
    nodes = [const("shape", np.array([2, 3])), node("y", "Reshape", "x", "shape")]
    with pytest.raises(UnsupportedModelError, match=r"node 'y' \(Reshape\): cannot reshape"):
        run(graph(nodes, ["y"], shape=None), {"x": np.zeros(5)})


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "input 'x' is missing"),
        ({"x": [1, 2], "y": 1}, r"no input is called 'y'. Inputs: \['x'\]"),
        ({"x": [1, 2, 3]}, r"input 'x' is \[3\], the model takes \[2\]"),
        ({"x": 1}, r"input 'x' is \[\], the model takes \[2\]"),
    ],
)
def test_inputs_that_do_not_fit(inputs, message):
    with pytest.raises(UsageError, match=message):
        run(graph([node("y", "Neg", "x")], ["y"], shape=(2,)), inputs)


def test_default_of_an_input():
    made = graph([const("two", np.float32(2)), node("x", "PlaceholderWithDefault", "two"),
                  node("y", "Neg", "x")], ["y"])  # fmt: skip
    assert run(made, {})["y"] == -2
    assert run(made, {"x": 3})["y"] == -3


def test_values_are_dropped_after_their_last_use():
    size = 1 << 20
    chain = [node(f"n{i}", "Neg", f"n{i - 1}" if i else "x") for i in range(40)]
    x = np.zeros(size, np.float32)
    tracemalloc.start()
    try:
        run(graph(chain, ["n39"], shape=None), {"x": x})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * x.nbytes


# --- Parsing --------------------------------------------------------------------------------------


def model(*nodes, **fields) -> TfjsGraph:
    return TfjsGraph(path="model.json", weights=(), topology={"node": list(nodes)}, fields=fields)


X = {"name": "x", "op": "Placeholder", "attr": {"dtype": {"type": "DT_INT32"}}}


def test_without_a_signature_placeholders_go_in_and_what_is_left_comes_out():
    made = parse(
        model(
            X,
            {"name": "y", "op": "Neg", "input": ["x"]},
            {"name": "z", "op": "Abs", "input": ["x:0"]},
        )
    )
    assert made.inputs["x"].dtype == "int32"
    assert run(made, {"x": [3]}) == {"y": -3, "z": 3}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (model({**X, "input": ["nowhere"]}), "no node 'nowhere'"),
        (model(X, X), "two nodes are called 'x'"),
        (model({"name": "c", "op": "Const", "attr": {"dtype": {"type": "DT_INT32"}}}), "KeyError"),
        (model({"op": "Neg"}), "KeyError"),
        (model({"name": "y", "op": "Neg", "attr": {"a": {"i": "one"}}}), "ValueError"),
        (model({"name": "y", "op": "Neg", "attr": {"a": {}}}), "ValueError"),
        (model(X, signature={"inputs": {"k": {"name": "gone:0"}}}), "no node 'gone'"),
        (model(X, signature=[1]), "AttributeError"),
    ],
)  # fmt: skip
def test_graphs_that_make_no_sense(broken, message):
    with pytest.raises(CorruptFileError, match=message):
        parse(broken)
