"""Loops of known length, and what an unrolled recurrence leaves to do."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import graph_fixtures
import numpy as np
import pytest

from tfjs_codec.graph.interpreter import run
from tfjs_codec.graph.optimise import unroll as unrolling
from tfjs_codec.graph.optimise.slices import merge_slices
from tfjs_codec.graph.optimise.steps import batch_steps
from tfjs_codec.graph.optimise.unroll import unroll
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor, const
from tfjs_codec.limits import Limits

RNG = np.random.default_rng(3)
FLOAT = {"T": "float32"}
MATMUL = {**FLOAT, "transpose_a": False, "transpose_b": False}
MASKS = dict.fromkeys(
    ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0
)


def floats(*shape):
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def ops_of(name, folder):
    model = json.loads((graph_fixtures.convert(name, folder) / "model.json").read_text())
    return Counter(node["op"] for node in model["modelTopology"]["node"])


def node(name, op, *inputs, attrs=FLOAT):
    refs = tuple(each if isinstance(each, Ref) else Ref(each) for each in inputs)
    return Node(name, op, refs, attrs)


def graph(shape, *nodes, outputs=("y",)) -> Graph:
    """A graph of the input ``x`` and of *nodes*."""
    x = Node("x", "Placeholder", (), {"dtype": "float32", "shape": Shape(shape)})
    return Graph(
        {each.name: each for each in (x, *nodes)},
        {"x": Tensor(Ref("x"), "float32", Shape(shape))},
        {name: Tensor(Ref(name), "float32") for name in outputs},
    )


def same(before: Graph, after: Graph, x, tolerance=0.0):
    old, new = run(before, {"x": x}), run(after, {"x": x})
    for key, values in old.items():
        np.testing.assert_allclose(new[key], values, atol=tolerance)


def count(made: Graph) -> Counter:
    return Counter(each.op for each in made.nodes.values())


# ------------------------------------------------------------------------------------------ loops


@pytest.mark.parametrize(
    "name", ["graph_keras2_recurrent", "graph_keras3_recurrent", "graph_v1_recurrence"]
)
def test_recurrent_layers_have_no_loop(name, tmp_path):
    ops = ops_of(name, tmp_path)
    assert not {"LoopCond", "Enter", "Switch"} & ops.keys()
    assert not any(op.startswith(("TensorList", "TensorArray")) for op in ops)


def test_only_loops_of_known_length_are_unrolled(tmp_path):
    ops = ops_of("graph_unrolled", tmp_path)
    # many: too long; branched: on one side of a condition; mixed: two of unknown length and the
    # two loops that are inside of one or have one inside
    assert ops["LoopCond"] == 6
    assert ops["Tanh"] == 4
    assert ops["_FusedMatMul"] == 1  # the product of all steps, with the bias behind the state


def test_the_graph_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr(unrolling, "UNROLLED_NODES", 0)
    assert ops_of("graph_keras3_recurrent", tmp_path)["LoopCond"] == 3


def loop(steps, *, name="loop"):
    """``y = x · 2`` *steps* times."""
    attrs = {**FLOAT, "frame_name": name.encode(), "is_constant": False}
    ints = {"T": "int32"}
    return [
        const(f"{name}/zero", np.int32(0)), const(f"{name}/one", np.int32(1)),
        const(f"{name}/steps", np.int32(steps)), const(f"{name}/two", np.float32(2)),
        node(f"{name}/enter", "Enter", f"{name}/zero", attrs={**attrs, **ints}),
        node(f"{name}/enter_x", "Enter", "x", attrs=attrs),
        node(f"{name}/i", "Merge", f"{name}/enter", f"{name}/back", attrs={**ints, "N": 2}),
        node(f"{name}/v", "Merge", f"{name}/enter_x", f"{name}/back_x", attrs={**FLOAT, "N": 2}),
        node(f"{name}/less", "Less", f"{name}/i", f"{name}/steps", attrs=ints),
        node(f"{name}/going", "LoopCond", f"{name}/less", attrs={}),
        node(f"{name}/turn", "Switch", f"{name}/i", f"{name}/going", attrs=ints),
        node(f"{name}/turn_x", "Switch", f"{name}/v", f"{name}/going"),
        node(f"{name}/next", "AddV2", Ref(f"{name}/turn", 1), f"{name}/one", attrs=ints),
        node(f"{name}/next_x", "Mul", Ref(f"{name}/turn_x", 1), f"{name}/two"),
        node(f"{name}/back", "NextIteration", f"{name}/next", attrs=ints),
        node(f"{name}/back_x", "NextIteration", f"{name}/next_x"),
        node(f"{name}/y", "Exit", f"{name}/turn_x"),
    ]  # fmt: skip


@pytest.mark.parametrize("steps", [0, 1, 3, 20])
def test_a_loop_becomes_its_steps(steps):
    before = graph((2,), *loop(steps), node("y", "Neg", "loop/y"))
    after = unroll(before)
    assert count(after) == Counter(
        {"Placeholder": 1, "Neg": 1, "Mul": steps, "Const": 1 if steps else 0}
    )
    same(before, after, floats(2))


def test_what_is_the_same_in_every_step_is_made_once():
    nodes = loop(5)
    nodes.append(const("weights", floats(2)))
    nodes.append(node("fixed", "Sigmoid", "weights_x"))
    nodes.append(node("weights_x", "AddV2", Ref("loop/turn_w", 1), "weights"))
    attrs = {**FLOAT, "frame_name": b"loop", "is_constant": False}
    nodes += [
        node("loop/enter_w", "Enter", "x", attrs=attrs),
        node("loop/w", "Merge", "loop/enter_w", "loop/back_w", attrs={**FLOAT, "N": 2}),
        node("loop/turn_w", "Switch", "loop/w", "loop/going"),
        node("loop/back_w", "NextIteration", Ref("loop/turn_w", 1)),
    ]
    at = next(i for i, each in enumerate(nodes) if each.name == "loop/next_x")
    nodes[at] = node("loop/next_x", "Mul", Ref("loop/turn_x", 1), "fixed")
    before = graph((2,), *nodes, node("y", "Neg", "loop/y"))
    after = unroll(before)
    assert (count(after)["Mul"], count(after)["Sigmoid"], count(after)["AddV2"]) == (5, 1, 1)
    same(before, after, floats(2))


def test_random_numbers_are_drawn_in_every_step():
    nodes = loop(3)
    attrs = {"T": "int32", "dtype": "float32", "seed": 0, "seed2": 0}
    nodes += [
        node("loop/shape", "Shape", Ref("loop/turn_x", 1), attrs={**FLOAT, "out_type": "int32"}),
        node("loop/noise", "RandomStandardNormal", "loop/shape", attrs=attrs),
    ]
    at = next(i for i, each in enumerate(nodes) if each.name == "loop/next_x")
    nodes[at] = node("loop/next_x", "Mul", Ref("loop/turn_x", 1), "loop/noise")
    after = unroll(graph((2,), *nodes, node("y", "Neg", "loop/y")))
    assert count(after)["RandomStandardNormal"] == 3


def test_a_loop_that_never_ends_stays():
    nodes = [
        replace(each, inputs=(each.inputs[0], Ref("loop/zero")))
        if each.name == "loop/next" else each
        for each in loop(3)
    ]  # fmt: skip
    before = graph((2,), *nodes, node("y", "Neg", "loop/y"))
    assert unroll(before) is before


def test_loops_are_unrolled_as_far_as_the_limit_on_nodes_goes():
    before = graph((2,), *loop(50), node("y", "Neg", "loop/y"))
    assert (
        unroll(replace(before, limits=Limits(graph_nodes=60))).nodes.keys() == before.nodes.keys()
    )
    assert count(unroll(replace(before, limits=Limits(graph_nodes=100))))["Mul"] == 50


# ------------------------------------------------------------------------------------------ steps


def cells(steps, *, sums="AddV2"):
    """``s = s + x[:, i] · W + b``, unrolled."""
    nodes = [
        const("perm", np.int32([1, 0, 2])), const("w", floats(3, 4)), const("b", floats(4)),
        node("t", "Transpose", "x", "perm", attrs={**FLOAT, "Tperm": "int32"}),
        node("u", "Unpack", "t", attrs={**FLOAT, "num": steps, "axis": 0}),
        const("s", floats(1, 4)),
    ]  # fmt: skip
    state = "s"
    for step in range(steps):
        nodes += [
            node(f"p{step}", "MatMul", Ref("u", step), "w", attrs=MATMUL),
            node(f"a{step}", sums, f"p{step}", state),
            node(f"s{step}", "BiasAdd", f"a{step}", "b", attrs={**FLOAT, "data_format": b"NHWC"}),
        ]
        state = f"s{step}"
    return graph((-1, steps, 3), *nodes, node("y", "Tanh", state))


def test_steps_are_multiplied_at_once():
    before = cells(5)
    after = batch_steps(before)
    assert (count(after)["MatMul"], count(after)["BiasAdd"], count(after)["AddV2"]) == (1, 1, 5)
    same(before, after, floats(2, 5, 3), 1e-5)


def test_a_bias_behind_another_operation_stays():
    before = cells(5, sums="Maximum")
    after = batch_steps(before)
    assert (count(after)["MatMul"], count(after)["BiasAdd"]) == (1, 5)
    same(before, after, floats(2, 5, 3), 1e-5)


def test_the_bias_of_a_sum_of_two_slices_is_added_once():
    nodes = [
        node("u", "Unpack", "x", attrs={**FLOAT, "num": 4, "axis": 0}), const("b", floats(3)),
        node("n", "Neg", "x"),
        node("v", "Unpack", "n", attrs={**FLOAT, "num": 4, "axis": 0}),
    ]  # fmt: skip
    for step in range(4):
        nodes += [node(f"a{step}", "AddV2", Ref("u", step), Ref("v", step)),
                  node(f"s{step}", "AddV2", f"a{step}", "b")]  # fmt: skip
    outputs = [f"s{step}" for step in range(4)]
    before = graph((4, -1, 3), *nodes, outputs=outputs)
    after = batch_steps(before)
    assert count(after)["AddV2"] == 5
    same(before, after, floats(4, 2, 3), 1e-6)


def test_steps_that_differ_stay():
    before = cells(5)
    other = const("w2", floats(3, 4))
    nodes = {**before.nodes, "w2": other}
    nodes["p3"] = replace(nodes["p3"], inputs=(nodes["p3"].inputs[0], Ref("w2")))
    before = replace(before, nodes=nodes)
    after = batch_steps(before)
    assert count(after)["MatMul"] == count(before)["MatMul"]
    same(before, after, floats(2, 5, 3))


def test_constants_along_the_batch_stay():
    nodes = [node("u", "Unpack", "x", attrs={**FLOAT, "num": 3, "axis": 0}),
             const("rows", floats(2, 1))]  # fmt: skip
    nodes += [node(f"s{step}", "Mul", Ref("u", step), "rows") for step in range(3)]
    before = graph((3, 2, 4), *nodes, outputs=("s0", "s1", "s2"))
    assert batch_steps(before) is before


# ----------------------------------------------------------------------------------------- slices


def cut(name, begin, end, **masks):
    """A slice of the last of two axes."""
    return [
        const(f"{name}/begin", np.int32([0, begin])), const(f"{name}/end", np.int32([0, end])),
        const(f"{name}/strides", np.int32([1, 1])),
        node(name, "StridedSlice", "x", f"{name}/begin", f"{name}/end", f"{name}/strides",
             attrs={**FLOAT, "Index": "int32", **MASKS, "begin_mask": 1, "end_mask": 1, **masks}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("bounds", "op"),
    [
        ([(0, 2), (2, 4), (4, 6)], "Split"),
        ([(4, 6), (0, 4)], "SplitV"),
        ([(0, 3), (-3, 6), (0, 3)], "Split"),
    ],
)
def test_parts_become_one_split(bounds, op):
    names = [f"s{number}" for number in range(len(bounds))]
    nodes = [each for name, ends in zip(names, bounds, strict=True) for each in cut(name, *ends)]
    before = graph((-1, 6), *nodes, outputs=names)
    after = merge_slices(before)
    assert (count(after)[op], count(after)["StridedSlice"]) == (1, 0)
    same(before, after, floats(2, 6))


@pytest.mark.parametrize("bounds", [[(0, 2), (2, 4)], [(0, 4), (3, 6)], [(0, 6), (0, 3)]])
def test_slices_that_are_no_parts_stay(bounds):
    names = [f"s{number}" for number in range(len(bounds))]
    nodes = [each for name, ends in zip(names, bounds, strict=True) for each in cut(name, *ends)]
    before = graph((-1, 6), *nodes, outputs=names)
    assert merge_slices(before) is before


@pytest.mark.parametrize(("place", "masks", "taken"), [(1, 1, True), (-1, 1, True), (1, 0, False)])
def test_a_tensor_of_a_stack_is_that_tensor(place, masks, taken):
    nodes = [
        node("n", "Neg", "x"), node("p", "Pack", "x", "n", attrs={**FLOAT, "N": 2, "axis": 0}),
        const("begin", np.int32([place])), const("end", np.int32([place + 1])),
        const("strides", np.int32([1])),
        node("s", "StridedSlice", "p", "begin", "end", "strides",
             attrs={**FLOAT, "Index": "int32", **MASKS, "shrink_axis_mask": masks}),
        node("y", "Tanh", "s"),
    ]  # fmt: skip
    before = graph((2,), *nodes)
    after = merge_slices(before)
    assert count(after)["Pack"] == (not taken)
    same(before, after, floats(2))
