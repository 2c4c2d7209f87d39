"""Calls and references of all generations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras_files import call3, entry, functional, input_entry, tensor3

from tfjs_codec.errors import CorruptFileError
from tfjs_codec.files.place import Place
from tfjs_codec.ir.keras import Call, KerasGraph, Ref
from tfjs_codec.readers.architecture import detect_generation, read_architecture
from tfjs_codec.readers.nodes import parse_call

PLACE = Place("model.h5", "node")


def graph_of(model: Any, version: str | None = None) -> KerasGraph:
    return read_architecture(model, path="model.h5", keras_version=version).graph


def layer(graph: KerasGraph, name: str) -> Any:
    return next(item for item in graph.layers if item.name == name)


def test_keras_2_forms() -> None:
    assert parse_call([["x", 0, 1]], PLACE).args == (Ref("x", 0, 1),)
    two = parse_call([["x", 0, 0, {}], ["y", 1, 0, {}]], PLACE)
    assert two.args == ([Ref("x", 0, 0), Ref("y", 1, 0)],)
    flat = parse_call(["x", 0, 0, {"y": ["j", 0, 0], "name": None}], PLACE)
    assert flat.args == (Ref("x", 0, 0),)
    assert flat.kwargs == {"y": Ref("j", 0, 0), "name": None}
    constant = parse_call(["_CONSTANT_VALUE", -1, 2.0, {"y": ["x", 0, 0]}], PLACE)
    assert constant.args == (2.0,)


def test_keras_3_forms() -> None:
    key = [
        {"class_name": "__slice__", "config": {"start": None, "stop": 2, "step": None}},
        -1,
        {"class_name": "__ellipsis__", "config": {}},
    ]
    array = {"class_name": "__numpy__", "config": {"value": [1, 2], "dtype": "int32"}}
    call = parse_call(call3([tensor3("x"), tensor3("y", 1)], key, array), PLACE)
    assert call.args[0] == [Ref("x", 0, 0), Ref("y", 1, 0)]
    assert call.args[1] == [slice(None, 2), -1, Ellipsis]
    np.testing.assert_array_equal(call.args[2], np.array([1, 2], dtype=np.int32))


def nested(generation: int, kind: str, inner_ref: int, output_ref: int) -> KerasGraph:
    """A model that calls an inner one twice; returns the outer graph."""
    key = "batch_shape" if generation == 3 else "batch_input_shape"

    def call(name: str, node: int = 0) -> Any:
        return call3(tensor3(name, node)) if generation == 3 else [[name, node, 0, {}]]

    inner = [
        input_entry("in", [None, 4], key),
        entry("Dense", "d", [call("in")], units=4),
    ]
    if kind == "Functional":
        model = functional(inner, [["in", 0, 0]], [["d", 0, 0]], "inner")
    else:
        stripped = [{k: v for k, v in item.items() if k in ("class_name", "config")} for item in
                    inner]  # fmt: skip
        model = {"class_name": "Sequential", "config": {"name": "inner", "layers": stripped}}
    outer = [
        input_entry("a", [None, 4], key),
        {**model, "name": "inner", "inbound_nodes": [call("a"), call("inner", inner_ref)]},
    ]
    return graph_of(functional(outer, [["a", 0, 0]], [["inner", output_ref, 0]]))


@pytest.mark.parametrize(
    ("generation", "kind", "inner_ref", "output_ref"),
    [
        (2, "Functional", 1, 2),  # a model's own graph is its node 0
        (2, "Sequential", 1, 2),
        (2, "Sequential", 0, 1),  # never built with an input: not counted
        (3, "Functional", 0, 2),  # calls and outputs count differently
        (3, "Sequential", 0, 1),
    ],
)
def test_node_numbers_of_nested_models(
    generation: int, kind: str, inner_ref: int, output_ref: int
) -> None:
    graph = nested(generation, kind, inner_ref, output_ref)
    calls = layer(graph, "inner").calls
    assert [call.args[0] for call in calls] == [Ref("a", 0, 0), Ref("inner", 0, 0)]
    assert graph.outputs == [Ref("inner", 1, 0)]


def test_inputs_and_outputs_in_dicts_are_sorted_by_key() -> None:
    layers = [input_entry("p", [None, 1]), input_entry("q", [None, 1])]
    graph = graph_of(
        functional(layers, {"b": ["p", 0, 0], "a": ["q", 0, 0]}, {"z": [["p", 0, 0]],
                                                                 "y": ["q", 0, 0]})
    )  # fmt: skip
    assert [ref.layer for ref in graph.inputs] == ["q", "p"]
    assert [ref.layer for ref in graph.outputs] == ["q", "p"]


def test_sequential_gets_an_input_and_calls() -> None:
    first = entry("Dense", "d", units=2, batch_input_shape=[None, 3])
    graph = graph_of({"class_name": "Sequential", "config": [first, entry("ReLU", "r")]})
    assert graph.sequential
    assert [item.class_name for item in graph.layers] == ["InputLayer", "Dense", "ReLU"]
    assert graph.layers[0].config["batch_shape"] == [None, 3]
    assert layer(graph, "r").calls[0].args == (Ref("d", 0, 0),)


def test_keras_1_towers_become_a_functional_model() -> None:
    def tower(name: str) -> dict[str, Any]:
        dense = entry("Dense", name, output_dim=2, W_regularizer=None)
        dense["config"].update(batch_input_shape=[None, 3], input_dtype="float32")
        return {"class_name": "Sequential", "config": [dense]}

    merge = entry("Merge", "m", mode="sum", layers=[tower("l"), tower("r")])
    graph = graph_of({"class_name": "Sequential", "config": [merge, entry("Flatten", "f")]}, "1.2")
    assert not graph.sequential
    assert layer(graph, "m").class_name == "Add"
    assert len(graph.inputs) == 2


def test_bidirectional_always_has_both_directions() -> None:
    inner = entry("LSTM", "lstm", units=2)
    wrapper = entry("Bidirectional", "b", layer=inner, batch_input_shape=[None, 3, 4])
    children = graph_of({"class_name": "Sequential", "config": [wrapper]}).layers[1].children
    assert [child.name for child in children.values()] == ["forward_lstm", "backward_lstm"]
    assert children["backward_layer"].config["go_backwards"] is True


@pytest.mark.parametrize(
    ("function", "node", "expected"),
    [
        (
            "math.multiply",
            ["x", 0, 0, {"y": 2, "name": None}],
            ("multiply", (Ref("x", 0, 0), 2), {}),
        ),
        (
            "math.subtract",
            ["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0]}],
            ("subtract", (1.0, Ref("x", 0, 0)), {}),
        ),
        (
            "math.reduce_mean",
            ["x", 0, 0, {"axis": 1, "keepdims": True}],
            ("mean", (Ref("x", 0, 0),), {"axis": 1, "keepdims": True}),
        ),
        ("reshape", ["x", 0, 0, {"shape": [-1, 4]}],
         ("reshape", (Ref("x", 0, 0),), {"newshape": [-1, 4]})),
        ("nn.gelu", ["x", 0, 0, {}], ("gelu", (Ref("x", 0, 0),), {"approximate": False})),
        ("compat.v1.transpose", ["x", 0, 0, {"perm": [0, 2, 1]}],
         ("transpose", (Ref("x", 0, 0),), {"axes": [0, 2, 1]})),
        ("concat", [["x", 0, 0, {"axis": 1}], ["x", 0, 0, {"axis": 1}]],
         ("concatenate", ([Ref("x", 0, 0)] * 2,), {"axis": 1})),
        ("split", ["x", 0, 0, {"num_or_size_splits": [1, 2, 1], "axis": 1}],
         ("split", (Ref("x", 0, 0),), {"indices_or_sections": [1, 3], "axis": 1})),
        ("split", ["x", 0, 0, {"num_or_size_splits": [1, -1, 2, 3], "axis": 1}],
         ("split", (Ref("x", 0, 0),), {"indices_or_sections": [1, -5, -3], "axis": 1})),
        ("ones", {"class_name": "__tuple__",
                  "items": [["x", 0, 0, {}], ["_CONSTANT_VALUE", -1, 2, {}]]},
         ("ones", ([Ref("x", 0, 0), 2],), {})),
        ("image.rot90", ["x", 0, 0, {"k": 3}],
         ("rot90", (Ref("x", 0, 0),), {"k": 3, "axes": (-3, -2)})),
        ("nn.embedding_lookup", ["x", 0, 0, {"ids": ["x", 0, 0]}],
         ("embedding_lookup", (Ref("x", 0, 0), Ref("x", 0, 0)), {"axis": 0})),
        ("searchsorted", ["_CONSTANT_VALUE", -1, [0, 1], {"values": ["x", 0, 0], "side": "left"}],
         ("searchsorted", ([0, 1], Ref("x", 0, 0)), {"side": "left"})),
    ],
)  # fmt: skip
def test_tensorflow_functions(function: str, node: Any, expected: Any) -> None:
    layers = [input_entry("x", [None, 4]), entry("TFOpLambda", "op", [node], function=function)]
    op = layer(graph_of(functional(layers, [["x", 0, 0]], [["op", 0, 0]])), "op")
    assert op.is_op
    assert (op.class_name, op.calls[0].args, op.calls[0].kwargs) == expected


def test_slicing_and_node_defs() -> None:
    spec = [{"start": None, "stop": None, "step": None}, -1]
    node_def = {"op": "RealDiv", "attr": {"T": {"type": "DT_FLOAT"}}}
    mean = {"op": "Mean", "attr": {"keep_dims": {"b": True}}}
    layers = [
        input_entry("x", [None, 4, 2]),
        entry("SlicingOpLambda", "s", [["x", 0, 0, {"slice_spec": spec}]],
              function="__operators__.getitem"),
        entry("TensorFlowOpLayer", "t", [[["s", 0, 0, {}]]], node_def=node_def,
              constants={"1": 255.0}),
        entry("TensorFlowOpLayer", "m", [[["t", 0, 0, {}]]], node_def=mean, constants={"1": 1}),
    ]  # fmt: skip
    graph = graph_of(functional(layers, [["x", 0, 0]], [["m", 0, 0]]))
    assert layer(graph, "s").calls == [Call((Ref("x", 0, 0), [slice(None), -1]), {})]
    assert layer(graph, "t").class_name == "true_divide"
    assert layer(graph, "t").calls == [Call((Ref("s", 0, 0), 255.0), {})]
    assert layer(graph, "m").calls == [Call((Ref("t", 0, 0),), {"axis": 1, "keepdims": True})]


def node_def_graph(node_def: Any, **constants: Any) -> Any:
    layers = [
        input_entry("x", [None, 4]),
        entry("TensorFlowOpLayer", "t", [[["x", 0, 0, {}]]], node_def=node_def,
              constants=constants),
    ]  # fmt: skip
    return graph_of(functional(layers, [["x", 0, 0]], [["t", 0, 0]]))


@pytest.mark.parametrize("mask", [[], [1], {"b": 1}, "x", -1, 1.5])
def test_masks_of_node_defs_are_whole_numbers(mask: Any) -> None:
    node_def = {"op": "StridedSlice", "attr": {"begin_mask": {"i": mask or ["x"]}}}
    with pytest.raises(CorruptFileError, match=r"attr\.begin_mask: expected an integer"):
        node_def_graph(node_def)


def test_a_node_def_without_operation_is_an_unknown_operation() -> None:
    for node_def in ({}, {"attr": {}}, None, "binary"):
        assert layer(node_def_graph(node_def), "t").class_name == "tensor_flow_op_layer"


def test_lists_of_node_defs_may_be_anything() -> None:
    for found in (1, None, {"a": 1}, []):
        node_def = {"op": "Squeeze", "attr": {"squeeze_dims": {"list": {"i": found}}}}
        assert layer(node_def_graph(node_def), "t").class_name == "squeeze"


def test_operations_of_keras_3_without_a_module() -> None:
    op = {"class_name": "Add", "config": {"name": "add"}, "name": "add",
          "inbound_nodes": [call3(tensor3("x"), 1.0)]}  # fmt: skip
    merge = entry("Add", "merge", [call3([tensor3("add"), tensor3("x")])])
    layers = [input_entry("x", [None, 4], "batch_shape"), op, merge]
    graph = graph_of(functional(layers, ["x", 0, 0], ["merge", 0, 0]))
    assert (layer(graph, "add").is_op, layer(graph, "add").class_name) == (True, "add")
    assert (layer(graph, "merge").is_op, layer(graph, "merge").class_name) == (False, "Add")


def test_the_structure_beats_a_version_that_lies() -> None:
    model = functional([input_entry("x", [None, 4])], [["x", 0, 0]], [["x", 0, 0]])
    for lie in ("9.9", "3.1.0", "1.2"):
        generation, warnings = detect_generation(model, lie)
        assert generation == 2
        assert bool(warnings) == (lie != "9.9")


def broken(*layers: Any, outputs: Any = (("d", 0, 0),)) -> str:
    model = functional([input_entry("x", [None, 4]), *layers], [["x", 0, 0]],
                       [list(ref) for ref in outputs])  # fmt: skip
    with pytest.raises(CorruptFileError) as caught:
        graph_of(model)
    assert caught.value.where
    return caught.value.what


def test_bad_references_name_both_layers() -> None:
    dense = entry("Dense", "d", [[["x", 0, 0, {}]]], units=1)
    assert "'nope'" in broken(entry("Dense", "d", [[["nope", 0, 0, {}]]], units=1))
    assert "node 7" in broken(entry("Dense", "d", [[["x", 7, 0, {}]]], units=1))
    assert "output 3" in broken(entry("Dense", "d", [[["x", 0, 3, {}]]], units=1))
    assert "'d'" in broken(dense, dense)
    assert "node 4" in broken(dense, outputs=[("d", 4, 0)])
    first = entry("Dense", "a", [[["b", 0, 0, {}]]], units=1)
    second = entry("Dense", "b", [[["a", 0, 0, {}]]], units=1)
    cycle = broken(first, second, dense)
    assert "'a'" in cycle
    assert "'b'" in cycle


@pytest.mark.parametrize("nodes", [7, "x", {"a": 1}, True])
@pytest.mark.parametrize("trainable", [{}, {"trainable": True}])
def test_calls_that_are_no_list(nodes: Any, trainable: Any) -> None:
    """Also of what might be an operation: a Keras 3 entry without ``trainable``."""
    config = {"name": "a", "units": 2, **trainable}
    odd = {"class_name": "Dense", "name": "a", "config": config, "inbound_nodes": nodes}
    model = functional(
        [input_entry("x", [None, 2], "batch_shape"), odd], [["x", 0, 0]], [["a", 0, 0]]
    )
    with pytest.raises(CorruptFileError, match="inbound_nodes"):
        graph_of(model, "3.5.0")
