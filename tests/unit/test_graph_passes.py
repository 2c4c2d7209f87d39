"""Reading, inlining, lowering and checking of graphs, each pass on a tiny one."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from growth import growth

import tfjs_codec
from tfjs_codec.errors import (
    CorruptFileError,
    InputError,
    LimitExceededError,
    UnknownFormatError,
    UnsafeFileError,
    UnsupportedModelError,
    UsageError,
)
from tfjs_codec.files.tensor_proto import proto_tensor
from tfjs_codec.graph.check import check
from tfjs_codec.graph.importing.control_v1 import gate_merges
from tfjs_codec.graph.importing.expand import expand
from tfjs_codec.graph.importing.loops import carry
from tfjs_codec.graph.importing.variables import bind_variables
from tfjs_codec.graph.optimise.narrow import narrow
from tfjs_codec.graph.optimise.simplify import forward, separate_outputs
from tfjs_codec.graph.passes import run
from tfjs_codec.ir.graph import Func, Function, Graph, Node, Ref, Shape, Tensor, const, sort_nodes
from tfjs_codec.ir.tensors import ArrayTensor
from tfjs_codec.limits import Limits
from tfjs_codec.pb import messages
from tfjs_codec.readers.graph_def import GraphReader
from tfjs_codec.tfjs.graph_ops import in_tfjs, op_def

FIXTURES = Path(__file__).parents[2] / "fixtures"
F = {"T": "float32"}


def ref(text: str) -> Ref:
    name, _, number = text.partition(":")
    return Ref(name, int(number or 0))


def node(name: str, op: str, *inputs: str, controls=(), **attrs) -> Node:
    return Node(name, op, tuple(map(ref, inputs)), attrs or F, controls)


X = node("x", "Placeholder", dtype="float32", shape=Shape((2,)))


def graph(*nodes: Node, outputs=("y",), **more) -> Graph:
    found = {each.name: each for each in (X, *nodes)}
    return Graph(
        found,
        {"x": Tensor(Ref("x"), "float32")},
        {name: Tensor(ref(name), "float32") for name in outputs},
        **more,
    )


def function(name: str, args: str, returns: str, *nodes: Node, controls=()) -> Function:
    given = [Node(arg, "_Arg", attrs=F) for arg in args.split()]
    found = {each.name: each for each in (*given, *nodes)}
    return Function(name, tuple(args.split()), tuple(map(ref, returns.split())), found, controls)


def library(*functions: Function) -> dict[str, Function]:
    return {each.name: each for each in functions}


def ops(made: Graph) -> list[str]:
    return sorted(each.op for each in made.nodes.values())


def values(made: Graph, name: str) -> np.ndarray:
    return made.nodes[name].value.numpy()


# --- the op table and messages -----------------------------------------------------------------


def test_op_table():
    conv = op_def("Conv2D")
    assert conv.defaults["data_format"] == b"NHWC"
    assert conv.defaults["dilations"] == (1, 1, 1, 1)
    split = op_def("Split")
    assert split.output_dtypes({"num_split": 3, "T": "int32"}) == ("int32",) * 3
    assert op_def("TopKV2").first_output("indices", {"T": "float32"}) == 1
    assert op_def("FusedBatchNormV3").defaults["is_training"] is True
    assert in_tfjs("Prelu")
    assert not in_tfjs("RaggedRange")  # in the official list, and not in the runtime
    assert not in_tfjs("Cholesky")


def message(*nodes: tuple[str, str, list[str]], name="GraphDef"):
    made = getattr(messages, name)()
    for each, op, inputs in nodes:
        added = made.node.add(name=each, op=op, input=inputs)
        if op != "Const":
            added.attr["dtype" if op == "Placeholder" else "T"].type = 1
    return made


def test_messages_get_their_default_attributes_and_lose_private_ones():
    made = message(("x", "Placeholder", []), ("y", "Conv2D", ["x", "x:0", "^x"]))
    made.node[1].attr["_output_shapes"].i = 1
    made.node[1].attr["padding"].s = b"SAME"
    made.node[1].attr["strides"].list.i.extend([1, 1, 1, 1])
    found = GraphReader("file").nodes(made)["y"]
    assert found.inputs == (Ref("x"), Ref("x"))
    assert found.controls == ("x",)
    assert found.attrs["padding"] == b"SAME"
    assert found.attrs["explicit_paddings"] == ()
    assert "_output_shapes" not in found.attrs


def test_a_function_is_called_by_its_name():
    library = messages.FunctionDefLibrary()
    for name, op in (("pair", "Neg"), ("caller", "pair")):
        function = library.function.add()
        function.signature.name = name
        function.signature.input_arg.add(name="x", type=1)
        for result in ("first", "second"):
            function.signature.output_arg.add(name=result, type=1)
        added = function.node_def.add(name="n", op=op, input=["x"])
        if op == "Neg":
            added.attr["T"].type = 1
        results = ("n:y:0", "x") if op == "Neg" else ("n:second:0", "n:first:0")
        function.ret.update(zip(("first", "second"), results, strict=True))
    found = GraphReader("file").functions(library)
    assert found["pair"].returns == (Ref("n"), Ref("x"))
    assert found["caller"].returns == (Ref("n", 1), Ref("n"))


@pytest.mark.parametrize(("producer", "dims"), [(0, None), (21, None), (22, ())])
def test_scalar_placeholders_of_old_graphs_have_unknown_shapes(producer, dims):
    made = message(("x", "Placeholder", []), ("y", "Relu", ["x"]))
    made.node[0].attr["shape"].shape.SetInParent()
    made.versions.producer = producer
    assert GraphReader("file").nodes(made)["x"].attrs["shape"] == Shape(dims)


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ([("y", "Relu", ["z"])], "input 'z' is missing"),
        ([("y", "Relu", []), ("y", "Relu", [])], "two nodes are called 'y'"),
        ([("x", "Placeholder", []), ("y", "Relu", ["x:1"])], "'x:1' does not exist"),
        ([("y", "AddV2", ["y"])], r"'y' \(AddV2\): takes 2 inputs and has 1"),
        ([("", "Relu", [])], "has no name"),
        ([("y", "Const", [])], "attribute 'value' is missing or no tensor"),
        ([("y", "Relu", ["^z"])], "waits for a node that is missing"),
    ],
)
def test_damaged_messages(nodes, text):
    with pytest.raises(CorruptFileError, match=text):
        GraphReader("file").nodes(message(*nodes))


def tensor(dtype: int, shape, **lists):
    made = messages.TensorProto(dtype=dtype, **lists)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (tensor(1, [3], float_val=[1, 2]), np.array([1, 2, 2], "f4")),
        (tensor(3, [2, 2], int_val=[7]), np.full((2, 2), 7, "i4")),
        (tensor(9, [2]), np.zeros(2, "i8")),
        (tensor(10, [], bool_val=[True]), np.array(True)),
        (tensor(19, [1], half_val=[0x3C00]), np.array([1], "f2")),
        (tensor(14, [1], half_val=[0x3F80]), np.array([1], "f4")),
        (tensor(8, [1], scomplex_val=[1, 2]), np.array([1 + 2j], "c8")),
        (tensor(4, [2], tensor_content=b"\x01\xff"), np.array([1, 255], "u1")),
        (tensor(7, [2], string_val=[b"a", b"b"]), np.array([b"a", b"b"], object)),
    ],
)
def test_constants(made, expected):
    got = proto_tensor(made, path="file", where="")
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got.numpy(), expected)
    flat = np.concatenate([np.ravel(chunk) for chunk in got.chunks(4)])
    np.testing.assert_array_equal(flat, expected.ravel())


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (tensor(1, [-1]), CorruptFileError),
        (tensor(1, [2], tensor_content=b"123"), CorruptFileError),
        (tensor(1, [1], float_val=[1, 2]), CorruptFileError),
        (tensor(26, [1]), UnsupportedModelError),
        (tensor(1, [1 << 20, 1 << 20], float_val=[1]), LimitExceededError),
        (tensor(1, [1 << 28], float_val=[1]), LimitExceededError),
    ],
)
def test_impossible_constants(made, error):
    with pytest.raises(error):
        proto_tensor(made, path="file", where="")


# --- calls and control flow --------------------------------------------------------------------


def call(name: str, target: str, *inputs: str, op="PartitionedCall", **more) -> Node:
    return node(name, op, *inputs, f=Func(target), **more)


def test_calls_are_inlined_however_deep():
    made = expand(
        graph(
            call("c", "outer", "x"),
            node("y", "Neg", "c"),
            functions=library(
                function("outer", "a", "d", call("d", "inner", "a")),
                function("inner", "b", "r", node("r", "Relu", "b")),
            ),
        )
    )
    assert made.nodes["y"].inputs == (Ref("c/d/r"),)
    assert made.nodes["c/d/r"].inputs == (Ref("x"),)
    assert not made.functions


def test_a_function_that_returns_its_argument():
    made = expand(graph(call("y", "same", "x"), functions=library(function("same", "a", "a"))))
    assert made.outputs["y"].ref == Ref("x")


@pytest.mark.parametrize(
    ("target", "inputs", "text"),
    [
        ("loop", ["x"], "calls itself"),
        ("none", ["x"], "there is no function 'none'"),
        ("same", ["x", "x"], "with 2 arguments instead of 1"),
        ("same", ["y"], "cycle"),
    ],
)
def test_wrong_calls(target, inputs, text):
    functions = library(
        function("loop", "a", "c", call("c", "loop", "a")), function("same", "a", "a")
    )
    with pytest.raises(CorruptFileError, match=text):
        expand(graph(call("y", target, *inputs), functions=functions))


def test_calls_cannot_multiply_without_end():
    levels = [
        function(f"f{n}", "a", "d", call("c", f"f{n + 1}", "a"), call("d", f"f{n + 1}", "c"))
        for n in range(30)
    ]
    functions = library(*levels, function("f30", "a", "r", node("r", "Relu", "a")))
    with pytest.raises(LimitExceededError, match="graph_nodes"):
        expand(graph(call("y", "f0", "x"), functions=functions), Limits(graph_nodes=1000))


P = node("p", "Placeholder", dtype="bool", shape=Shape(()))


def branch(**more) -> dict:
    return {"Tcond": "bool", "Tin": ("float32",), "Tout": ("float32",), **more}


def test_if():
    made = expand(
        graph(
            P,
            node("y", "If", "p", "x", **branch(then_branch=Func("t"), else_branch=Func("e"))),
            functions=library(
                function("t", "a", "r", node("r", "Relu", "a")),
                function("e", "a", "c", const("c", np.zeros(2, "f4"))),
            ),
        )
    )
    merge = made.nodes[made.outputs["y"].ref.node]
    assert merge.op == "Merge"
    no, yes = (made.nodes[each.node] for each in merge.inputs)
    assert (no.op, merge.inputs[0].output) == ("Switch", 0)  # the constant is gated
    assert made.nodes[no.inputs[0].node].op == "Const"
    assert yes.op == "Relu"
    assert yes.inputs[0].output == 1
    assert made.nodes[yes.inputs[0].node].inputs == (Ref("x"), Ref("p"))


def test_if_with_a_known_predicate_is_its_branch():
    made = expand(
        graph(
            const("p", np.array(True)),
            node("y", "If", "p", "x", **branch(then_branch=Func("t"), else_branch=Func("t"))),
            functions=library(function("t", "a", "r", node("r", "Relu", "a"))),
        )
    )
    assert ops(made).count("Relu") == 1
    assert "Switch" not in ops(made)


def loop(*, result: str, body: tuple[Node, ...]) -> Graph:
    less = node("l", "Less", "i", "n", T="int32")
    types = ("int32", "int32", "float32")
    step = (const("one", np.array(1, "i4")), node("j", "AddV2", "i", "one", T="int32"))
    return expand(
        graph(
            const("zero", np.array(0, "i4")),
            const("n", np.array(3, "i4")),
            node("w", "While", "zero", "n", "x", cond=Func("c"), body=Func("b"), T=types),
            node("y", "Identity", "w:2"),
            functions=library(
                function("c", "i n v", "l", less),
                function("b", "i n v", f"j n {result}", *step, *body),
            ),
        )
    )


def test_while():
    made = loop(result="r", body=(node("r", "Relu", "v"),))
    kinds = ops(made)
    assert kinds.count("Enter") == kinds.count("NextIteration") == 2  # n never changes
    exit_ = made.nodes[made.nodes["y"].inputs[0].node]
    assert exit_.op == "Exit"
    assert {made.nodes[name].op for name in ("w/loop_cond",)} == {"LoopCond"}
    sort_nodes(made.nodes)


def test_a_constant_result_of_a_loop_is_gated_and_carried():
    body = (const("k", np.ones(2, "f4")), node("r", "Neg", "k"))
    made = carry(loop(result="r", body=body))
    back = next(each for each in made.nodes.values() if each.name == "w/next_2")
    gate = made.nodes[back.inputs[0].node]
    assert (gate.op, back.inputs[0].output) == ("Switch", 1)
    assert made.nodes[gate.inputs[0].node].op == "Switch"  # carried: Neg runs once, outside
    assert made.nodes["w/body/r/carried/enter"].inputs == (Ref("w/body/r"),)


def test_constants_in_branches_of_tensorflow_1_are_gated():
    """Only a control edge from the pivot of its branch holds the constant back."""
    held = Node("k", "Const", attrs=const("k", np.ones(2, "f4")).attrs, controls=("pivot",))
    made = gate_merges(
        graph(
            P,
            node("s", "Switch", "p", "p", T="bool"),
            node("pivot", "Identity", "s:1", T="bool"),
            node("sx", "Switch", "x", "p"),
            held,
            node("y", "Merge", "sx", "k", T="float32", N=2),
        )
    )
    assert made.nodes["y"].inputs == (Ref("sx"), Ref("y/gate_1", 1))
    assert made.nodes["y/gate_1"].inputs == (Ref("k"), Ref("p"))
    assert gate_merges(made) == made


# --- variables ---------------------------------------------------------------------------------


def variable(*nodes: Node, **more) -> Graph:
    handle = node("v", "VarHandleOp", dtype="float32")
    values = {"v": ArrayTensor("v", np.arange(2, dtype="f4"))}
    return graph(handle, *nodes, variables=values, **more)


def test_variables_become_constants_named_like_their_first_read():
    read = [node(name, "ReadVariableOp", "v", dtype="float32") for name in ("r", "s")]
    made = bind_variables(variable(*read, node("m", "Mul", "x", "r"), node("y", "AddV2", "m", "s")))
    assert made.nodes["y"].inputs == (Ref("m"), Ref("r"))
    np.testing.assert_array_equal(values(made, "r"), [0, 1])
    assert "v" not in made.nodes


def test_gather_from_a_variable():
    index = const("i", np.array([0], "i4"))
    gather = node("y", "ResourceGather", "v", "i", dtype="float32", Tindices="int32", batch_dims=0)
    made = bind_variables(variable(index, gather))
    assert made.nodes["y"].op == "GatherV2"
    assert [made.nodes[each.node].op for each in made.nodes["y"].inputs] == ["Const"] * 3


def test_a_model_that_changes_its_variables_is_refused():
    write = node("w", "AssignAddVariableOp", "v", "x", dtype="float32")
    late = node("y", "ReadVariableOp", "v", controls=("w",), dtype="float32")
    with pytest.raises(UnsupportedModelError, match="written before it is read") as caught:
        check(bind_variables(variable(write, late)))
    assert "node 'y' (ReadVariableOp)" in str(caught.value)
    early = node("y", "ReadVariableOp", "v", dtype="float32")
    after = node("w", "AssignAddVariableOp", "v", "x", controls=("y",), dtype="float32")
    assert ops(bind_variables(variable(early, after))) == ["Const", "Placeholder"]


@pytest.mark.parametrize("written_first", [True, False])
def test_reference_variables_are_read_by_who_takes_them(written_first):
    held = node("v", "VariableV2", dtype="float32", shape=Shape((2,)))
    write = node("w", "AssignAdd", "v", "x", controls=() if written_first else ("y",))
    read = node("y", "Identity", "v", controls=("w",) if written_first else ())
    values = {"v": ArrayTensor("v", np.arange(2, dtype="f4"))}
    made = graph(held, write, read, variables=values)
    if written_first:
        with pytest.raises(UnsupportedModelError, match="written before it is read"):
            check(bind_variables(made))
    else:
        assert ops(bind_variables(made)) == ["Const", "Identity", "Placeholder"]


def test_a_variable_without_values():
    read = node("y", "ReadVariableOp", "v", dtype="float32")
    with pytest.raises(CorruptFileError, match="no values"):
        bind_variables(graph(node("v", "VarHandleOp", dtype="float32"), read))


# --- the small passes --------------------------------------------------------------------------


def test_identities_go_and_outputs_keep_theirs():
    made = forward(
        graph(
            node("a", "StopGradient", "x"),
            node("b", "IdentityN", "a", "x", T=("float32", "float32")),
            node("c", "Relu", "b:1"),
            node("y", "Identity", "c"),
        )
    )
    assert set(made.nodes) == {"x", "c", "y"}
    assert made.nodes["c"].inputs == (Ref("x"),)


def test_every_output_is_a_node_of_its_own():
    top = node("t", "TopKV2", "x", "k", T="float32", sorted=True)
    made = separate_outputs(
        graph(const("k", np.array(1, "i4")), top, outputs=("t", "t:1", "x")),
    )
    refs = [tensor.ref for tensor in made.outputs.values()]
    assert refs == [Ref("t"), Ref("Identity"), Ref("Identity_1")]
    assert made.nodes["Identity"].inputs == (Ref("t", 1),)


def test_integers_are_narrowed_or_refused():
    many = const("m", np.array([1, 2**40], "i8"))
    with pytest.raises(UnsupportedModelError, match="node 'm'"):
        check(narrow(graph(many, node("y", "Cast", "m", SrcT="int64", DstT="float32"))))
    end = node("y", "Slice", "x", "z", "m", T="float32", Index="int64")
    made = narrow(graph(const("z", np.zeros(2, "i8")), many, end))
    assert values(made, "m").tolist() == [1, 2**31 - 1]
    for outputs in (["m"], ["y", "m"]):  # an output of the model is not just the end of a slice
        with pytest.raises(UnsupportedModelError, match="node 'm'"):
            check(narrow(graph(const("z", np.zeros(2, "i8")), many, end, outputs=outputs)))
    with pytest.raises(UnsupportedModelError, match="node 'y'"):
        check(narrow(graph(const("y", np.int64(2**40)))))
    made = narrow(graph(const("d", np.ones(2)), node("y", "Mul", "d", "x", T="bfloat16")))
    assert values(made, "d").dtype == np.float32
    assert made.nodes["y"].attrs["T"] == "float32"


def test_all_unknown_operations_are_named():
    made = graph(
        node("a", "Cholesky", "x"), node("b", "Cholesky", "a"), node("y", "StringLower", "b")
    )
    with pytest.raises(UnsupportedModelError, match="Cholesky, StringLower") as caught:
        check(made)
    text = str(caught.value)
    assert "node 'a' (Cholesky): tfjs cannot execute this operation; also in b." in text
    assert "Prepare the text in JavaScript" in text


def test_problems_of_all_passes_are_collected():
    nodes = [
        node("v", "VarHandleOp", dtype="float32"),
        node("w", "AssignVariableOp", "v", "x", dtype="float32", validate_shape=False),
        node("s", "ScatterOfOurs", "v", T="float32"),
        node("b", "Dilation2D", "x", "x", T="float32"),
        node("t", "AsString", "b", T="int32"),
        const("m", np.int64(2**40)),
    ]
    with pytest.raises(UnsupportedModelError) as caught:
        run(graph(*nodes, outputs=("s", "t", "m")))
    found = {problem.layer: problem.class_name for problem in caught.value.problems}
    assert found == {"s": "ScatterOfOurs", "b": "Dilation2D", "t": "AsString", "m": "Const"}


def test_inputs_are_what_a_tensor_can_hold():
    made = graph(node("y", "Relu", "x"))
    made = replace(made, inputs={"x": Tensor(Ref("x"), "resource")})
    with pytest.raises(UnsupportedModelError, match=r"input 'x' \(Placeholder\): its type is"):
        check(made)


# --- frozen graphs, from the file to model.json ------------------------------------------------


def frozen(tmp_path, *nodes: tuple[str, str, list[str]]):
    made = message(("x", "Placeholder", []), *nodes)
    for each in made.node:
        each.attr["T" if each.op != "Placeholder" else "dtype"].type = 1
    path = tmp_path / "model.any"
    path.write_bytes(made.SerializeToString())
    return path


def test_frozen_graph(tmp_path):
    path = frozen(tmp_path, ("y", "Relu", ["x"]), ("z", "Neg", ["x"]))
    names = ["z", "y"]
    report = tfjs_codec.convert(path, tmp_path / "out", output_node_names=names)
    assert report.format == "tf-frozen-graph"
    first = (tmp_path / "out" / "model.json").read_bytes()
    content = json.loads(first)
    assert content["format"] == "graph-model"
    assert list(content["signature"]["outputs"]) == names
    assert content["signature"]["inputs"]["x"]["name"] == "x:0"
    found = {each["name"]: each for each in content["modelTopology"]["node"]}
    assert found["y"] == {
        "name": "y", "op": "Relu", "input": ["x"], "attr": {"T": {"type": "DT_FLOAT"}},
    }  # fmt: skip
    tfjs_codec.convert(path, tmp_path / "out", output_node_names=names)
    assert (tmp_path / "out" / "model.json").read_bytes() == first


def test_frozen_graph_needs_to_know_its_outputs(tmp_path):
    path = frozen(tmp_path, ("y", "Relu", ["x"]), ("z", "Neg", ["x"]))
    with pytest.raises(UsageError, match="nothing follows 'y', 'z'"):
        tfjs_codec.convert(path, tmp_path / "out")
    with pytest.raises(UsageError, match="no node 'q'"):
        tfjs_codec.convert(path, tmp_path / "out", output_node_names=["q"])


@pytest.mark.parametrize(
    "nodes",
    [
        [("y", "Identity", ["y"])],
        [("a", "Identity", ["y"]), ("y", "Identity", ["a"])],
        [("a", "AddV2", ["x", "y"]), ("y", "AddV2", ["a", "x"])],
    ],
)
def test_cycles(tmp_path, nodes):
    with pytest.raises(InputError, match="cycle"):
        tfjs_codec.convert(frozen(tmp_path, *nodes), tmp_path / "out", output_node_names=["y"])


@pytest.mark.parametrize("op", ["Identity", "Relu"])
def test_long_chains_take_linear_time(tmp_path, op):
    def check(length: int) -> None:
        chain = [(f"n{k}", op, [f"n{k - 1}" if k else "x"]) for k in range(length)]
        path = frozen(tmp_path, *chain, ("y", "Relu", [f"n{length - 1}"]))
        tfjs_codec.plan(path, output_node_names=["y"], to="graph")

    assert growth(check, 200, 1600) < 8 * 3


# --- SavedModels -------------------------------------------------------------------------------


def saved_model(tmp_path, name: str) -> Path:
    folder = tmp_path / name
    zipfile.ZipFile(FIXTURES / name / "model.zip").extractall(folder)
    return folder


def signature(folder: Path) -> dict:
    return json.loads((folder / "model.json").read_text())["signature"]


def test_keys_are_the_original_ones_in_the_order_of_arguments(tmp_path):
    report = tfjs_codec.convert(
        saved_model(tmp_path, "graph_ports"), tmp_path / "out", structured_outputs=True
    )
    assert report.format == "tf-saved-model"
    assert "not as a Layers model" in report.warnings[0]
    made = signature(tmp_path / "out")
    assert list(made["inputs"]) == ["left", "alpha"]
    assert list(made["outputs"]) == ["b", "m", "z"]
    content = json.loads((tmp_path / "out" / "model.json").read_text())
    assert content["userDefinedMetadata"] == {"structuredOutputKeys": ["b", "m", "z"]}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("graph_v1_variables", ["inputs 'x', 'word' and outputs 'ids', 'y'"]),
        ("graph_v1_vocabulary", []),
        ("graph_ports", ["inputs 'left', 'alpha' and outputs 'b', 'm', 'z'"]),
    ],
)
def test_several_inputs_or_outputs_are_warned_of(tmp_path, name, said):
    report = tfjs_codec.convert(saved_model(tmp_path, name), tmp_path / "out", to="graph")
    found = [text.partition(" are in this order")[0] for text in report.warnings if "order" in text]
    assert found == [f"arrays of {each}" for each in said]


def test_signatures_are_chosen_by_name(tmp_path):
    source = FIXTURES / "savedmodel_tf2.19_module" / "model"
    tfjs_codec.convert(source, tmp_path / "out", signature_name="count")
    assert list(signature(tmp_path / "out")["inputs"]) == ["n"]
    with pytest.raises(UsageError, match="There are: 'count', 'serving_default'"):
        tfjs_codec.convert(source, tmp_path / "out", signature_name="other")


def archive(tmp_path, *members: tuple[str, bytes]) -> Path:
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def test_archive(tmp_path):
    folder = saved_model(tmp_path, "graph_ports")
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    members = [(f"./{file.relative_to(folder)}", file.read_bytes()) for file in files]
    path = archive(tmp_path, *members, ("./notes.txt", b"not unpacked"))
    report = tfjs_codec.convert(path, tmp_path / "packed")
    tfjs_codec.convert(folder, tmp_path / "out")
    assert report.source == str(path)
    for file in (tmp_path / "out").iterdir():
        assert file.read_bytes() == (tmp_path / "packed" / file.name).read_bytes()


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ([("../saved_model.pb", b"")], UnsafeFileError),
        ([("/tmp/saved_model.pb", b"")], UnsafeFileError),
        ([("readme", b"")], UnknownFormatError),
        ([("a/saved_model.pb", b""), ("b/saved_model.pb", b"")], UnknownFormatError),
        ([("saved_model.pb", b""), ("saved_model.pb", b"")], CorruptFileError),
        ([("a.pb", b""), ("a.pb/variables/b", b""), ("saved_model.pb", b"")], CorruptFileError),
    ],
)
def test_archives_that_are_refused(tmp_path, members, error):
    with pytest.raises(error):
        tfjs_codec.convert(archive(tmp_path, *members), tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_are_not_read_before_they_are_limited(tmp_path, kind):
    info = tarfile.TarInfo("header")
    info.type, info.size = kind, 32 << 20
    path = tmp_path / "model.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(info.size), 1))
    tracemalloc.start()
    with pytest.raises(CorruptFileError, match="tar archive"):
        tfjs_codec.convert(path, tmp_path / "out", to="graph")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_truncated_archive(tmp_path):
    path = archive(tmp_path, ("saved_model.pb", bytes(range(256)) * 64))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptFileError, match="tar archive"):
        tfjs_codec.convert(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("pattern", "rewrite", "written"),
    [
        (b"[A-Z]x", b"-", (rb"[\x41-\x5a]x", b"-")),
        (rb"\S\d", b"", (rb"[^\s]\d", b"")),
        (b"(a)", rb"\1$\0", (b"(a)", b"$1$$$&")),
        (b"a", b"b", (b"a", b"b")),
    ],
)
def test_patterns_are_spelled_as_tfjs_takes_them(pattern, rewrite, written):
    attrs = {"pattern": pattern, "rewrite": rewrite, "replace_global": True}
    text = node("t", "Placeholder", dtype="string", shape=Shape((None,)))
    made = run(graph(text, node("y", "StaticRegexReplace", "t", **attrs)))
    found = made.nodes[made.outputs["y"].ref.node].attrs
    assert (found["pattern"], found["rewrite"]) == written


@pytest.mark.parametrize(("pattern", "rewrite"), [(rb"[\S]", b""), (rb"\B", b""), (b"a", b"A")])
def test_patterns_that_tfjs_would_take_in_lower_case(pattern, rewrite):
    attrs = {"pattern": pattern, "rewrite": rewrite, "replace_global": True}
    text = node("t", "Placeholder", dtype="string", shape=Shape((None,)))
    with pytest.raises(UnsupportedModelError, match="lower-cases"):
        run(graph(text, node("y", "StaticRegexReplace", "t", **attrs)))
