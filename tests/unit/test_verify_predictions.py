"""``verify --against``: predictions of both for random inputs that suit them."""

from __future__ import annotations

import json

import graph_fixtures
import numpy as np
import pytest
from keras_files import dense_h5, entry, functional, h5_model, input_entry
from layer_fixtures import keras_file

import tfjs_codec
from tfjs_codec.cli import main as cli
from tfjs_codec.errors import VerificationError
from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.ir.graph import Graph, Node, Ref, Shape, Tensor, const
from tfjs_codec.readers import open_model
from tfjs_codec.verification.outputs import compare_outputs
from tfjs_codec.verification.samples import Sampler


def said(found) -> str:
    (text,) = [each for each in (*found.checks, *found.notes) if each.startswith("predictions")]
    return text


def change(web, old, new):
    text = (web / "model.json").read_text()
    assert old in text
    (web / "model.json").write_text(text.replace(old, new))


@pytest.mark.parametrize("to", ["layers", "graph"])
def test_what_was_compared_is_said(tmp_path, to):
    tfjs_codec.convert(dense_h5(), tmp_path / "web", to=to)
    found = tfjs_codec.verify(tmp_path / "web", dense_h5(), samples=3, seed=7)
    assert said(found).startswith(
        "predictions for 3 random inputs (seed 7: 'd_input' float32 [3, 4]) differ from those of "
        "the source by at most "
    )
    assert said(found).endswith(": 'd' float32 [3, 3]")


def test_a_topology_that_predicts_something_else_is_found(tmp_path):
    """All names, shapes and values are right."""
    tfjs_codec.convert(dense_h5(), tmp_path / "web")
    change(tmp_path / "web", '"activation":"linear"', '"activation":"tanh"')
    with pytest.raises(VerificationError, match=r"output 'd' differs by .*, allowed are .*, for 2"):
        tfjs_codec.verify(tmp_path / "web", dense_h5())
    found = tfjs_codec.verify(tmp_path / "web", dense_h5(), samples=0)
    assert said(found) == "predictions: none were asked for"


def test_a_graph_that_predicts_something_else_is_found(tmp_path):
    file = keras_file("merging", "keras-3.15.keras", tmp_path).source
    tfjs_codec.convert(file, tmp_path / "web", to="graph")
    tfjs_codec.verify(tmp_path / "web", file)
    change(tmp_path / "web", '"op":"Maximum"', '"op":"Minimum"')
    with pytest.raises(VerificationError, match="differs by"):
        tfjs_codec.verify(tmp_path / "web", file)


def test_quantised_weights_predict_nearly_the_same(fixtures_dir, tmp_path):
    source = fixtures_dir / "digits" / "digits.h5"
    tfjs_codec.convert(source, tmp_path / "web", quantize={"uint8": True})
    assert "weights are quantised" in said(tfjs_codec.verify(tmp_path / "web", source))


def test_what_cannot_be_run_is_no_failure(tmp_path):
    config = {"units": 2, "stateful": True, "batch_input_shape": [2, 3, 4]}
    model = {
        "class_name": "Sequential",
        "config": {"name": "s", "layers": [entry("SimpleRNN", "d", **config)]},
    }
    shapes = {"kernel": (4, 2), "recurrent_kernel": (2, 2), "bias": (2,)}
    weights = [(f"d/{name}:0", np.ones(shape)) for name, shape in shapes.items()]
    source = h5_model(model, {"d": weights})
    tfjs_codec.convert(source, tmp_path / "web")
    found = tfjs_codec.verify(tmp_path / "web", source)
    assert said(found).startswith("predictions: 1 layer cannot be expressed")
    assert "'d'" in said(found)


def test_a_class_that_tfjs_lacks_is_a_failure(tmp_path):
    tfjs_codec.convert(dense_h5(), tmp_path / "web")
    change(tmp_path / "web", '"class_name":"Dense"', '"class_name":"Mine"')
    with pytest.raises(VerificationError, match="layer 'd': tfjs has no Mine"):
        tfjs_codec.verify(tmp_path / "web")


def test_a_model_that_does_not_run_fails(tmp_path):
    layers = [
        input_entry("x", [None, 4]),
        entry("Reshape", "y", [[["x", 0, 0, {}]]], target_shape=[2, 2]),
    ]
    source = h5_model(functional(layers, [["x", 0, 0]], [["y", 0, 0]]), {})
    tfjs_codec.convert(source, tmp_path / "web", to="graph")
    change(tmp_path / "web", '"op":"Reshape"', '"op":"MirrorPad"')
    with pytest.raises(
        VerificationError, match=r"the source predicts for 2 .*, the model does not"
    ):
        tfjs_codec.verify(tmp_path / "web", source)


def test_outputs_of_layers_that_were_asked_for(tmp_path):
    file = keras_file("nested_sequential", "keras-3.15.keras", tmp_path).source
    tfjs_codec.convert(file, tmp_path / "web", to="graph", outputs=["one"])
    assert "'one'" in said(tfjs_codec.verify(tmp_path / "web", file, outputs=["one"]))
    with pytest.raises(VerificationError):
        tfjs_codec.verify(tmp_path / "web", file)


def test_the_command(tmp_path, capsys):
    file = tmp_path / "m.h5"
    file.write_bytes(dense_h5())
    tfjs_codec.convert(file, tmp_path / "web")
    command = ["verify", str(tmp_path / "web"), "--against", str(file), "--samples", "4"]
    assert cli.main([*command, "--seed", "5"]) == 0
    assert "for 4 random inputs (seed 5:" in capsys.readouterr().out


# --- Inputs ---------------------------------------------------------------------------------------


def graph(x: Tensor, *nodes: Node) -> Graph:
    attrs = {"dtype": x.dtype, "shape": x.shape}
    every = {"x": Node("x", "Placeholder", (), attrs), **{node.name: node for node in nodes}}
    return Graph(every, {"x": x}, {})


def draw(made: Graph, count=50, size=6, below=1000, seed=0) -> np.ndarray:
    return Sampler(made, made).draw(count, size, below, seed)["x"]


def test_indices_are_within_their_tables():
    x = Tensor(Ref("x"), "float32", Shape((-1, -1)))
    table, axis = const("table", np.zeros((7, 3), np.float32)), const("axis", np.int32(0))
    nodes = [
        Node("cast", "Cast", (Ref("x"),), {"SrcT": "float32", "DstT": "int32"}),
        Node("take", "GatherV2", (Ref("table"), Ref("cast"), Ref("axis")), {"batch_dims": 0}),
    ]
    found = draw(graph(x, table, axis, *nodes))
    assert found.dtype == np.float32
    assert found.shape == (50, 6)
    assert set(found.reshape(-1)) == set(range(7))


@pytest.mark.parametrize(("op", "size"), [("OneHot", 4), ("DenseBincount", 3)])
def test_classes_are_within_their_number(op, size):
    x = Tensor(Ref("x"), "int32", Shape((-1,)))
    made = graph(x, const("n", np.int32(size)), Node("y", op, (Ref("x"), Ref("n"))))
    assert set(draw(made)) == set(range(size))


@pytest.mark.parametrize(
    ("dtype", "values"), [("bool", {False, True}), ("uint8", {0, 1, 2}), ("int64", {0, 1, 2})]
)
def test_other_types_have_some_values(dtype, values):
    found = draw(graph(Tensor(Ref("x"), dtype, Shape((100,)))), below=3)
    assert found.dtype == dtype
    assert found.shape == (100,)
    assert set(found.tolist()) == values


def test_words_are_those_of_the_table(tmp_path):
    with open_model(graph_fixtures.convert("graph_vocabulary", tmp_path)) as model:
        made = parse(model)
    sampler = Sampler(made, made)
    keys = {
        key
        for node in made.initializer.values()
        if node.op == "Const"
        for key in node.value.numpy().reshape(-1).tolist()
        if isinstance(key, bytes)
    }
    (drawn,) = [v for v in sampler.draw(50, 4, 10, 0).values() if v.dtype == object]
    words = {word for text in drawn.reshape(-1) for word in text.split()}
    assert keys & words
    assert b"unknown" in words


def test_the_same_seed_draws_the_same():
    made = graph(Tensor(Ref("x"), "float32", Shape((-1, 3))))
    np.testing.assert_array_equal(draw(made), draw(made))
    assert (draw(made) != draw(made, seed=1)).any()


# --- Outputs --------------------------------------------------------------------------------------


def test_outputs_are_compared_relative_to_the_largest():
    one, two = {"y": np.array([1000.0, np.inf, np.nan])}, {"y": np.array([1000.05, np.inf, np.nan])}
    assert not compare_outputs(one, two, 1e-4).failures
    assert compare_outputs(one, two, 1e-6).failures
    assert compare_outputs(one, {"y": np.array([1000.0, np.inf, 0])}, 1e-4).largest == np.inf
    assert "shape" in compare_outputs(one, {"y": np.zeros(2)}, 1e-4).failures[0]


def test_texts_are_equal_or_not():
    one, two = (np.array([text, b"b"], object) for text in (b"a", b"c"))
    assert not compare_outputs({"y": one}, {"y": one}, 1e-4).failures
    assert compare_outputs({"y": one}, {"y": two}, 1e-4).failures


def test_the_report_is_json(tmp_path):
    tfjs_codec.convert(dense_h5(), tmp_path / "web")
    found = tfjs_codec.verify(tmp_path / "web", dense_h5())
    assert json.loads(json.dumps(found.to_json()))["notes"] == []
