"""Keras models as graphs of operations: names, signatures, targets, dtypes and shapes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from keras_files import entry, functional, h5_model, input_entry
from layer_fixtures import Programs

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError, UsageError
from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.graph.interpreter import run
from tfjs_codec.ir.shapes import broadcast
from tfjs_codec.operations.values import result_dtype
from tfjs_codec.readers import open_model


def two_towers(outputs):
    layers = [
        input_entry("in", [None, 3]),
        entry("Dense", "hidden", [[["in", 0, 0, {}]]], units=2, activation="relu"),
        entry("Dense", "top", [[["hidden", 0, 0, {}]]], units=1, activation="sigmoid"),
    ]
    kernels = {"hidden": np.arange(6).reshape(3, 2) - 2.0, "top": np.ones((2, 1))}
    groups = {
        name: [(f"{name}/kernel:0", kernel), (f"{name}/bias:0", np.zeros(kernel.shape[1]))]
        for name, kernel in kernels.items()
    }
    return h5_model(functional(layers, [["in", 0, 0]], outputs), groups)


@pytest.fixture
def model(tmp_path):
    file = tmp_path / "m.h5"
    file.write_bytes(two_towers([["top", 0, 0]]))
    return file


def signature(folder):
    return json.loads((folder / "model.json").read_text())["signature"]


def predict(folder, x):
    with open_model(folder) as loaded:
        return run(parse(loaded), {"in": x})


X = np.array([[1, 2, 3], [-1, 0, 1]], np.float32)
HIDDEN = np.maximum(X @ (np.arange(6).reshape(3, 2) - 2), 0)


def test_inputs_and_outputs_have_the_names_of_their_layers(model, tmp_path):
    tfjs_codec.convert(model, tmp_path / "web", to="graph")
    found = signature(tmp_path / "web")
    assert list(found["inputs"]) == ["in"]
    assert found["outputs"]["top"]["name"] == "top:0"


def test_the_outputs_of_a_dict_have_its_keys(tmp_path):
    file = tmp_path / "m.h5"
    file.write_bytes(two_towers({"score": ["top", 0, 0], "features": ["hidden", 0, 0]}))
    tfjs_codec.convert(file, tmp_path / "web", to="graph")
    found = predict(tmp_path / "web", X)
    assert list(found) == ["features", "score"]
    np.testing.assert_allclose(found["features"], HIDDEN)


def test_the_output_of_a_layer_can_be_asked_for(model, tmp_path):
    tfjs_codec.convert(model, tmp_path / "web", to="graph", outputs=["hidden"])
    np.testing.assert_allclose(predict(tmp_path / "web", X)["hidden"], HIDDEN)
    with pytest.raises(UsageError, match="no layer 'nowhere'"):
        tfjs_codec.convert(model, tmp_path / "web", to="graph", outputs=["nowhere"])
    with pytest.raises(UsageError, match="outputs"):
        tfjs_codec.convert(model, tmp_path / "web", outputs=["hidden"])


def nested(tmp_path):
    """``outer`` is called on ``in``, and has ``inner`` with the layer ``hidden``."""
    kernel = np.arange(6).reshape(3, 2) - 2.0
    hidden = [
        input_entry("x", [None, 3]),
        entry("Dense", "hidden", [[["x", 0, 0, {}]]], units=2, activation="relu"),
    ]
    inner = functional(hidden, [["x", 0, 0]], [["hidden", 0, 0]], "inner")
    middle = [
        input_entry("y", [None, 3]),
        {**inner, "name": "inner", "inbound_nodes": [[["y", 0, 0, {}]]]},
    ]
    outer = functional(middle, [["y", 0, 0]], [["inner", 1, 0]], "outer")
    layers = [
        input_entry("in", [None, 3]),
        {**outer, "name": "outer", "inbound_nodes": [[["in", 0, 0, {}]]]},
        entry("Activation", "top", [[["outer", 1, 0, {}]]], activation="tanh"),
    ]
    weights = [("hidden/kernel:0", kernel), ("hidden/bias:0", np.zeros(2))]
    file = tmp_path / "nested.h5"
    config = functional(layers, [["in", 0, 0]], [["top", 0, 0]])
    file.write_bytes(h5_model(config, {"outer": weights}))
    return file


@pytest.mark.parametrize("name", ["outer", "outer/inner", "outer/inner/hidden"])
def test_the_output_of_an_inner_layer_is_asked_for_by_its_path(tmp_path, name):
    web = tmp_path / "web"
    tfjs_codec.convert(nested(tmp_path), web, to="graph", outputs=[name, "top"])
    found = predict(web, X)
    assert list(found) == [name, "top"]
    np.testing.assert_allclose(found[name], HIDDEN)
    np.testing.assert_allclose(found["top"], np.tanh(HIDDEN), rtol=1e-6)
    with pytest.raises(UsageError, match="no layer 'hidden'"):
        tfjs_codec.convert(nested(tmp_path), tmp_path / "other", to="graph", outputs=["hidden"])


def logarithm(tmp_path):
    layers = [
        input_entry("in", [None, 3]),
        {
            "class_name": "TFOpLambda",
            "config": {"name": "log", "trainable": True, "function": "math.log"},
            "name": "log",
            "inbound_nodes": [["in", 0, 0, {}]],
        },
    ]
    file = tmp_path / "log.h5"
    config = functional(layers, [["in", 0, 0]], [["log", 0, 0]])
    file.write_bytes(h5_model(config, {}))
    return file


def test_two_lookups_share_their_words(tmp_path):
    options = {"num_oov_indices": 1, "mask_token": None, "oov_token": -1, "output_mode": "int"}
    tables = [
        entry("IntegerLookup", name, [[["x", 0, 0, {}]]], vocabulary=[1, 2, 3], **options)
        for name in ("a", "b")
    ]
    config = functional(
        [input_entry("x", [None, 4]), *tables], [["x", 0, 0]], [["a", 0, 0], ["b", 0, 0]]
    )
    tfjs_codec.convert(h5_model(config, {}), tmp_path / "web", to="graph")
    graph = json.loads((tmp_path / "web" / "model.json").read_text())
    nodes = graph["modelInitializer"]["node"]
    assert sum(node["op"] == "LookupTableImportV2" for node in nodes) == 2


_FASTER = "where a Layers model is exact, it predicts"


@pytest.mark.parametrize(
    ("kind", "steps", "said"),
    [
        ("SimpleRNN", 100, None),
        ("SimpleRNN", None, f"its steps run as a loop; {_FASTER} 2.5 to 4 times as fast on wasm"),
        ("LSTM", 99, None),
        ("LSTM", 100, f"its 100 steps are unrolled; {_FASTER} 1.2 to 1.9 times as fast on wasm"),
        ("LSTM", None, f"its steps run as a loop; {_FASTER} 2.5 to 4 times as fast on wasm"),
    ],
)
def test_where_layers_is_faster_the_report_says_so(tmp_path, kind, steps, said):
    gates = {"recurrent_activation": "sigmoid"} if kind == "LSTM" else {}
    rnn = entry(
        kind, "rnn", units=1, **gates, activation="tanh", use_bias=False, return_sequences=False,
        return_state=False, go_backwards=False, stateful=False, unroll=False,
        batch_input_shape=[None, steps, 1],
    )  # fmt: skip
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [rnn]}}
    kernel = [[1.0] * (4 if kind == "LSTM" else 1)]
    weights = [("rnn/kernel:0", kernel), ("rnn/recurrent_kernel:0", kernel)]
    report = tfjs_codec.convert(h5_model(config, {"rnn": weights}), tmp_path / "web", to="graph")
    assert report.warnings == (() if said is None else (f"layer 'rnn': {said}",))


@pytest.mark.parametrize(
    ("dtype", "options", "reason"),
    [
        ("string", {"salt": [3, 4]}, "by SipHash"),
        ("int64", {}, "hashes numbers as texts"),
        ("string", {"sparse": True, "output_mode": "one_hot"}, "its output is sparse"),
    ],
)
def test_hashes_that_tfjs_lacks(tmp_path, dtype, options, reason):
    given = {"num_bins": 5, "mask_value": None, "salt": None, "output_mode": "int", "sparse": False}
    layer = entry("Hashing", "h", [[["x", 0, 0, {}]]], **{**given, **options})
    x = input_entry("x", [None, 1])
    x["config"]["dtype"] = dtype
    config = functional([x, layer], [["x", 0, 0]], [["h", 0, 0]])
    with pytest.raises(UnsupportedModelError, match=reason):
        tfjs_codec.convert(h5_model(config, {}), tmp_path / "web", to="graph")


def test_a_refusal_of_layers_names_the_graph(tmp_path):
    with pytest.raises(UnsupportedModelError, match="--to graph"):
        tfjs_codec.convert(logarithm(tmp_path), tmp_path / "web")


def test_auto_writes_a_graph_where_layers_are_refused(model, tmp_path):
    report = tfjs_codec.convert(logarithm(tmp_path), tmp_path / "graph", to="auto")
    assert any("not as a Layers model" in warning for warning in report.warnings)
    x = np.array([[1, 2, 4]], np.float32)
    np.testing.assert_allclose(predict(tmp_path / "graph", x)["log"], np.log(x), rtol=1e-6)
    tfjs_codec.convert(model, tmp_path / "layers", to="auto")
    assert json.loads((tmp_path / "layers/model.json").read_text())["format"] == "layers-model"


def test_a_layers_model_becomes_a_graph(model, tmp_path):
    tfjs_codec.convert(model, tmp_path / "layers")
    tfjs_codec.convert(tmp_path / "layers", tmp_path / "graph", to="graph")
    tfjs_codec.convert(model, tmp_path / "direct", to="graph")
    found, expected = (predict(tmp_path / name, X) for name in ("graph", "direct"))
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(found["top"], expected["top"])


@pytest.mark.parametrize(
    ("dtypes", "result"),
    [
        (("int32", "float"), "float32"), (("float16", "float"), "float16"),
        (("int64", "bfloat16"), "bfloat16"), (("uint8", "int8"), "int16"),
        (("bool", "int"), "int32"), (("float16", "bfloat16"), "float32"),
    ],
)  # fmt: skip
def test_dtypes_promote_as_in_keras(dtypes, result):
    assert result_dtype(*dtypes) == result


def test_unknown_sizes_broadcast_to_known_ones():
    assert broadcast((None, 1, 3), (5, None)) == (None, 5, 3)
    with pytest.raises(ValueError, match="broadcast"):
        broadcast((2, 3), (2, 4))


def function_layer(name, function, first, **arguments):
    """An operation of tf_keras, called on the layer *first*."""
    return {
        "class_name": "TFOpLambda",
        "config": {"name": name, "trainable": True, "function": function},
        "name": name,
        "inbound_nodes": [[first, 0, 0, arguments]],
    }


def test_what_comes_of_a_refused_operation_is_not_looked_at(tmp_path):
    """The layers in between would say that the file is damaged: their shapes are made up."""
    layers = [
        input_entry("in", [None, 3]),
        function_layer("unknown", "signal.frame", "in", frame_length=2, frame_step=1),
        function_layer("cast", "cast", "unknown", dtype="float32"),
        function_layer("sum", "math.multiply", "cast", y=[[1.0, 2.0], [3.0, 4.0]]),
    ]
    file = h5_model(functional(layers, [["in", 0, 0]], [["sum", 0, 0]]), {})
    with pytest.raises(UnsupportedModelError) as refusal:
        tfjs_codec.convert(file, tmp_path / "web", to="graph")
    assert [problem.layer for problem in refusal.value.problems] == ["unknown"]


@pytest.mark.parametrize("to", ["layers", "graph"])
def test_an_equation_without_operands_is_refused(tmp_path, to):
    equation = {
        **function_layer("e", "einsum", "in"),
        "inbound_nodes": [["_CONSTANT_VALUE", -1, "bi->b", {}]],
    }
    config = functional([input_entry("in", [None, 3]), equation], [["in", 0, 0]], [["e", 0, 0]])
    with pytest.raises(UnsupportedModelError, match=r"without its operands.*SavedModel"):
        tfjs_codec.convert(h5_model(config, {}), tmp_path / "web", to=to)


@pytest.mark.parametrize(
    "function", ["image.psnr", "linalg.adjoint", "signal.fft", "sparse.reshape", "random.split"]
)
def test_functions_are_known_by_their_modules(tmp_path, function):
    layers = [input_entry("in", [None, 4, 4, 3]), function_layer("f", function, "in")]
    file = h5_model(functional(layers, [["in", 0, 0]], [["f", 0, 0]]), {})
    name = function.replace(".", "_")
    with pytest.raises(UnsupportedModelError, match=f"the operation '{name}' has no counterpart"):
        tfjs_codec.convert(file, tmp_path / "web", to="graph")


def test_windows_of_recurrent_convolutions_are_padded_before(tmp_path):
    """Tfjs's wasm backend pads wrongly where strides are larger than the kernel."""
    file = Programs().get("ConvLSTM2D_7").source
    topology = json.loads(tfjs_codec.to_files(file, to="layers")["model.json"])["modelTopology"]
    made = topology["model_config"]["config"]["layers"]
    paddings = [layer["config"]["padding"] for layer in made if layer["class_name"] == "ConvLSTM2D"]
    assert paddings == ["valid"]
    assert "ZeroPadding2D" in [layer["class_name"] for layer in made]
