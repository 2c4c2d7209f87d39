"""``load(x).predict``: what goes in, what comes out, and one clear error for what does not fit."""

from __future__ import annotations

import io
import json
import tracemalloc

import numpy as np
import pytest
from keras_files import dense_h5, entry, functional, h5_model, input_entry
from tfjs_files import manifest_model

import tfjs_codec
from tfjs_codec.cli import main as cli
from tfjs_codec.errors import TfjsCodecError, UnsupportedModelError, UsageError
from tfjs_codec.prediction.files import as_json


def two_in_two_out(outputs):
    """``low`` is a - b, ``high`` is a + b."""
    both = [[["a", 0, 0, {}], ["b", 0, 0, {}]]]
    layers = [
        input_entry("a", [None, 2]),
        entry("InputLayer", "b", [], batch_input_shape=[None, 2], dtype="int32"),
        entry("Add", "high", both),
        entry("Subtract", "low", both),
    ]
    return h5_model(functional(layers, [["a", 0, 0], ["b", 0, 0]], outputs), {})


LISTED = [["low", 0, 0], ["high", 0, 0]]
A, B = np.array([[1.5, 2]], np.float32), np.array([[3, 4]], np.int32)
LOW, HIGH = A - B, A + B


@pytest.fixture
def model():
    with tfjs_codec.load(two_in_two_out(LISTED)) as loaded:
        yield loaded


@pytest.mark.parametrize("inputs", [[A, B], (A, B), {"b": B, "a": A}, [A.tolist(), B.tolist()]])
def test_inputs_are_a_list_or_a_dict_and_outputs_a_list(model, inputs):
    low, high = model.predict(inputs)
    assert (model.input_names, model.output_names) == (["a", "b"], ["low", "high"])
    np.testing.assert_array_equal(low, LOW)
    np.testing.assert_array_equal(high, HIGH)


@pytest.mark.parametrize("inputs", [[[1, 2, 3, 4]], np.float64([[1, 2, 3, 4]]), [np.ones((1, 4))]])
def test_one_input_is_an_array_or_a_list_of_one(inputs):
    model = tfjs_codec.load(dense_h5())
    y = model.predict(inputs)
    assert isinstance(y, np.ndarray)
    assert y.shape == (1, 3)


def test_outputs_are_a_dict_if_those_of_keras_are():
    source = two_in_two_out({"sum": ["high", 0, 0], "difference": ["low", 0, 0]})
    found = tfjs_codec.load(source).predict([A, B])
    assert list(found) == ["difference", "sum"]
    np.testing.assert_array_equal(found["sum"], HIGH)


@pytest.mark.parametrize("structured", [False, True])
def test_outputs_of_a_graph_model_are_those_of_tfjs(tmp_path, structured):
    source = tmp_path / "m.h5"
    source.write_bytes(two_in_two_out(LISTED))
    tfjs_codec.convert(source, tmp_path / "web", to="graph", structured_outputs=structured)
    found = tfjs_codec.load(tmp_path / "web").predict({"a": A, "b": B})
    if structured:
        assert list(found) == ["low", "high"]
        found = list(found.values())
    np.testing.assert_array_equal(found[0], LOW)
    np.testing.assert_array_equal(found[1], HIGH)


def test_outputs_of_a_signature_are_a_dict_by_its_keys(fixtures_dir, tmp_path):
    import graph_fixtures

    source, _ = graph_fixtures.source("graph_ports", tmp_path)
    given, expected = next(graph_fixtures.runs("graph_ports"))
    assert len(expected) > 1
    assert list(tfjs_codec.load(source).predict(given)) == list(expected)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (A, "the model has 2 inputs, 1 were passed. Inputs: "),
        ([A, B, B], "the model has 2 inputs, 3 were passed"),
        ({"a": A}, "input 'b' is missing"),
        ({"a": A, "b": B, "c": B}, r"no input is called 'c'. Inputs: \['a', 'b'\]"),
        ([A, B[0]], r"input 'b' is \[2\], the model takes \[None, 2\]"),
        ([A, B + 0.5], "input 'b' holds float64 values that are no int32"),
        ([A, B * np.nan], "input 'b' holds float64 values that are no int32"),
        ([A, [[1 << 40, 2]]], "input 'b' holds int64 values that are no int32"),
        ([A * 1j, B], "input 'a' holds complex64 values that are no float32"),
        ([[["x", "y"]], B], "input 'a' holds <U1 values that are no float32"),
        ([[[1, 2], [3]], B], "input 'a' is not an array: its rows differ in length"),
    ],
)
def test_inputs_that_do_not_fit(model, inputs, message):
    with pytest.raises(UsageError, match=message):
        model.predict(inputs)


def test_numbers_that_stay_the_same_are_cast(model):
    low, _ = model.predict([A.astype(np.float64), B.astype(np.float32)])
    np.testing.assert_array_equal(low, LOW)
    assert low.dtype == np.float32


def test_texts_are_strings_or_bytes(tmp_path):
    import graph_fixtures

    source, _ = graph_fixtures.source("graph_texts", tmp_path)
    model = tfjs_codec.load(source)
    given, _ = next(graph_fixtures.runs("graph_texts"))
    texts = {key: value for key, value in given.items() if value.dtype.kind in "US"}
    assert texts
    encoded = {key: np.char.encode(value).astype(object) for key, value in texts.items()}
    for one, two in zip(
        model.predict(given).values(), model.predict({**given, **encoded}).values(), strict=True
    ):
        np.testing.assert_array_equal(one, two)
    key = next(iter(texts))
    with pytest.raises(UsageError, match=f"input '{key}' holds float64 values that are no string"):
        model.predict({**given, key: np.zeros(texts[key].shape)})


def test_weights_without_an_architecture_predict_nothing(tmp_path):
    model = tfjs_codec.load(manifest_model(tmp_path / "web", np.random.default_rng(5)))
    with pytest.raises((UnsupportedModelError, UsageError)):
        model.predict(A)


def test_layers_of_somebodys_own_are_refused_by_name():
    layers = [input_entry("x", [None, 2]), entry("Mine", "mine", [[["x", 0, 0, {}]]])]
    source = h5_model(functional(layers, [["x", 0, 0]], [["mine", 0, 0]]), {})
    with pytest.raises(UnsupportedModelError, match="'mine'"):
        tfjs_codec.load(source).predict(A)


def test_a_closed_model_predicts_no_more():
    model = tfjs_codec.load(dense_h5())
    model.close()
    with pytest.raises(UsageError, match="closed"):
        model.predict(np.ones((1, 4)))


def test_weights_are_released_after_their_layer(tmp_path):
    """Twenty layers of 4 MB need the memory of a few."""
    names = [f"d{number}" for number in range(20)]
    layers = [input_entry("x", [None, 1024])]
    layers += [
        entry("Dense", name, [[[before, 0, 0, {}]]], units=1024, use_bias=False)
        for before, name in zip(["x", *names], names, strict=False)
    ]
    kernel = np.eye(1024, dtype=np.float32)
    groups = {name: [(f"{name}/kernel:0", kernel)] for name in names}
    file = tmp_path / "m.h5"
    file.write_bytes(h5_model(functional(layers, [["x", 0, 0]], [[names[-1], 0, 0]]), groups))
    x = np.ones((1, 1024), np.float32)
    tracemalloc.start()
    try:
        with tfjs_codec.load(file) as model:
            np.testing.assert_array_equal(model.predict(x), x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * kernel.nbytes


def test_functions_of_a_graph_of_the_official_converter(tmp_path):
    """With ``control_flow_v2`` its topology has a library of functions, as in TensorFlow."""
    int32 = {"type": "DT_INT32"}

    def arg(name):
        return {"name": name, "type": "DT_INT32"}

    def node(name, op, *inputs, **attr):
        return {"name": name, "op": op, "input": list(inputs), "attr": {"T": int32, **attr}}

    less = {
        "signature": {"name": "less", "inputArg": [arg("i")],
                      "outputArg": [{"name": "go", "type": "DT_BOOL"}]},
        "nodeDef": [node("below", "Less", "i", "i")], "ret": {"go": "below:z:0"},
    }  # fmt: skip
    body = {
        "signature": {"name": "body", "inputArg": [arg("i")], "outputArg": [arg("next")]},
        "nodeDef": [node("twice", "AddV2", "i", "i")], "ret": {"next": "twice:z:0"},
    }  # fmt: skip
    loop = {
        "name": "y", "op": "StatelessWhile", "input": ["x"],
        "attr": {"T": {"list": {"type": ["DT_INT32"]}}, "cond": {"func": {"name": "less"}},
                 "body": {"func": {"name": "body"}}},
    }  # fmt: skip
    x = {"name": "x", "op": "Placeholder", "attr": {"dtype": int32, "shape": {"shape": {}}}}
    content = {
        "format": "graph-model",
        "modelTopology": {"node": [x, loop], "library": {"function": [less, body]}},
        "weightsManifest": [],
    }
    (tmp_path / "model.json").write_text(json.dumps(content))
    assert tfjs_codec.load(tmp_path / "model.json").predict(np.int32(3)) == 3
    content["modelTopology"]["library"]["function"][0]["ret"]["go"] = "nowhere:z:0"
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(TfjsCodecError):
        tfjs_codec.load(tmp_path / "model.json").predict(np.int32(3))


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    """A model of two inputs and two outputs, and its inputs in both formats."""
    (tmp_path / "m.h5").write_bytes(two_in_two_out(LISTED))
    (tmp_path / "x.json").write_text(json.dumps({"a": A.tolist(), "b": B.tolist()}))
    np.savez(tmp_path / "x.npz", a=A, b=B)
    return tmp_path


@pytest.mark.parametrize("inputs", ["x.json", "x.npz"])
def test_the_command_prints_json(files, capsys, inputs):
    assert cli.main(["predict", str(files / "m.h5"), str(files / inputs)]) == 0
    assert json.loads(capsys.readouterr().out) == [LOW.tolist(), HIGH.tolist()]


def test_the_command_writes_npz(files, capsys):
    command = ["predict", str(files / "m.h5"), str(files / "x.json"), str(files / "y.npz")]
    assert cli.main(command) == 0
    assert "low float32 [1, 2], high float32 [1, 2]" in capsys.readouterr().out
    with np.load(files / "y.npz") as found:
        np.testing.assert_array_equal(found["low"], LOW)
        np.testing.assert_array_equal(found["high"], HIGH)
    (files / "notes.txt").write_text("mine")
    assert cli.main([*command[:3], str(files / "notes.txt")]) != 0
    assert (files / "notes.txt").read_text() == "mine"


def test_the_command_reads_standard_input(files, monkeypatch, capsys):
    class Pipe:
        buffer = io.BytesIO((files / "x.npz").read_bytes())

        def readable(self):
            return True

    monkeypatch.setattr("sys.stdin", Pipe())
    assert cli.main(["predict", str(files / "m.h5"), "-"]) == 0
    assert json.loads(capsys.readouterr().out) == [LOW.tolist(), HIGH.tolist()]
    assert cli.main(["predict", "-", "-"]) == 2


@pytest.mark.parametrize("content", [b"PK\x03\x04 and nothing", b"{", b"\x00\x01"])
def test_inputs_that_are_no_inputs(files, content):
    (files / "x.bin").write_bytes(content)
    assert cli.main(["predict", str(files / "m.h5"), str(files / "x.bin")]) == 3


def test_values_that_json_lacks():
    values = np.array([np.nan, np.inf, -np.inf, 1.5])
    assert as_json(values) == ["NaN", "Infinity", "-Infinity", 1.5]
    assert as_json(np.array([1 + 2j])) == [[1.0, 2.0]]
    assert as_json({"t": np.array([b"a"], object)}) == {"t": ["a"]}
