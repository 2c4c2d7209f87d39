"""``inspect``: what it says of every kind of file, and what it does not load for that."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from keras_files import entry, functional, h5_model, input_entry
from tfjs_files import manifest_model, write_model

import tfjs_codec
from tfjs_codec.cli import main as cli
from tfjs_codec.errors import CorruptFileError, UnknownFormatError


def nested_h5(class_name: str = "Dense", name: str = "d") -> bytes:
    """A model whose nested model holds one layer."""
    layer = entry(class_name, name, [[["i", 0, 0, {}]]], units=3)
    inner = functional([input_entry("i", [None, 4]), layer], [["i", 0, 0]], [[name, 0, 0]], "inner")
    nested = {**inner, "name": "inner", "inbound_nodes": [[["x", 0, 0, {}]]]}
    norm = entry("BatchNormalization", "bn", [[["inner", 1, 0, {}]]], axis=[1])
    layers = [input_entry("x", [None, 4]), nested, norm]
    config = functional(layers, [["x", 0, 0]], [["bn", 0, 0]], "outer")
    weights = {
        "inner": [(f"{name}/kernel:0", np.ones((4, 3))), (f"{name}/bias:0", np.ones(3))],
        "bn": [(f"bn/{role}:0", np.ones(3)) for role in
               ("gamma", "beta", "moving_mean", "moving_variance")],
    }  # fmt: skip
    return h5_model(config, weights)


def by_name(found):
    return {layer.name: layer for layer in found.layers}


def test_a_keras_model():
    found = tfjs_codec.inspect(nested_h5())
    assert found.format == "keras-h5"
    assert dict(found.facts)["keras version"] == "2.15.0"
    inner, norm = by_name(found)["inner"], by_name(found)["bn"]
    assert [(one.name, one.shapes, one.parameters) for one in inner.layers] == [
        ("i", ((None, 4),), 0),
        ("d", ((None, 3),), 15),
    ]
    assert (inner.parameters, inner.inputs) == (15, ("x",))
    assert (norm.parameters, norm.frozen) == (12, 6)
    assert (found.parameters, found.frozen, found.nbytes) == (27, 6, 108)
    assert [t.name for t in found.tensors][:2] == ["inner/d/kernel", "inner/d/bias"]
    assert found.problems == ()


def test_the_text_is_a_tree_with_totals():
    text = str(tfjs_codec.inspect(nested_h5()))
    assert "\ninner  Functional          [?, 3]          15  x\n" in text
    assert "\n  d    Dense               [?, 3]          15  i\n" in text
    assert "inner/d/kernel      float32  [4, 3]     48\n" in text
    assert "27 parameters (6 frozen), 6 tensors, 108 bytes" in text


def test_problems_are_listed_and_are_no_failure(tmp_path, capsys):
    (tmp_path / "m.h5").write_bytes(nested_h5("Odd"))
    assert cli.main(["inspect", str(tmp_path / "m.h5")]) == 0
    out = capsys.readouterr().out
    assert "problem: layer 'inner/d' (Odd): " in out
    found = tfjs_codec.inspect(tmp_path / "m.h5")
    assert [(one.layer, one.class_name) for one in found.problems] == [("inner/d", "Odd")]
    assert by_name(found)["bn"].parameters == 12


def test_what_lowering_does():
    layers = [
        input_entry("x", [None, 4]),
        entry("GRU", "g", [[["r", 0, 0, {}]]], units=2, reset_after=True, return_sequences=False),
        entry("Reshape", "r", [[["x", 0, 0, {}]]], target_shape=[2, 2]),
    ]
    config = functional(layers, [["x", 0, 0]], [["g", 0, 0]])
    weights = {"g": [("g/kernel:0", np.ones((2, 6))), ("g/recurrent_kernel:0", np.ones((2, 6))),
                     ("g/bias:0", np.ones((2, 6)))]}  # fmt: skip
    found = tfjs_codec.inspect(h5_model(config, weights))
    assert "RNN" in by_name(found)["g"].becomes
    assert by_name(found)["g"].shapes == ((None, 2),)
    assert by_name(found)["r"].becomes == ()
    assert "g (GRU) becomes " in str(found)


def test_weights_only():
    weights = {"d": [("d/kernel:0", np.ones((4, 3))), ("d/bias:0", np.ones(3))]}
    found = tfjs_codec.inspect(h5_model(None, weights))
    assert found.format == "keras-h5-weights"
    assert found.layers == ()
    assert [(t.name, t.shape) for t in found.tensors] == [
        ("d/kernel", (4, 3)),
        ("d/bias", (3,)),
    ]
    assert "no architecture" in str(found)


@pytest.mark.parametrize(
    ("case", "format_"),
    [("savedmodel_tf2.15_nested", "keras-savedmodel"), ("savedmodel_tf2.19_module", "savedmodel")],
)
def test_saved_models(fixtures_dir, case, format_):
    found = tfjs_codec.inspect(fixtures_dir / case / "model")
    assert found.format.endswith(format_)
    assert found.tensors
    assert found.problems == ()
    assert found.target == ("graph" if format_ == "savedmodel" else "layers")


def test_a_tfjs_model(tmp_path):
    directory = manifest_model(tmp_path / "web", np.random.default_rng(0))
    found = tfjs_codec.inspect(directory)
    assert found == tfjs_codec.inspect(directory / "model.json")
    assert found.format == "tfjs-layers"
    dense = by_name(found)["dense_Dense1"]
    assert (dense.class_name, dense.shapes, dense.parameters) == ("Dense", ((None, 3),), 15)
    assert "metadata 'packageName': 'test'" in str(found)
    assert found.warnings == ("1 weight without a layer of that name: 'iter'",)


def test_layers_say_what_they_are_called_on_and_which_tensors_they_own(fixtures_dir, tmp_path):
    source = fixtures_dir / "digits" / "digits.keras"
    tfjs_codec.convert(source, tmp_path / "web")
    keras, tfjs = tfjs_codec.inspect(source), tfjs_codec.inspect(tmp_path / "web")
    assert [one.inputs for one in tfjs.layers] == [one.inputs for one in keras.layers]
    assert [one.tensors for one in tfjs.layers] == [one.tensors for one in keras.layers]
    assert by_name(tfjs)["dense"].tensors == ("dense/kernel", "dense/bias")


def test_shapes_and_parameters_are_those_of_the_source(fixtures_dir, tmp_path):
    for case in ("savedmodel_tf2.15_nested", "savedmodel_tf2.19_convolutional",
                 "savedmodel_tf2.19_recurrent", "savedmodel_tf2.4_recurrent"):  # fmt: skip
        source = fixtures_dir / case / "model"
        tfjs_codec.convert(source, tmp_path / case)
        keras, tfjs = tfjs_codec.inspect(source), tfjs_codec.inspect(tmp_path / case)
        ours = by_name(tfjs)
        for layer in keras.layers:
            if layer.class_name != "InputLayer":
                assert ours[layer.name].shapes == layer.shapes, layer.name
            if not layer.becomes:
                assert ours[layer.name].parameters == layer.parameters


def test_quantised_weights_are_counted_as_stored(tmp_path):
    tfjs_codec.convert(nested_h5(), tmp_path / "web", quantize={"uint8": "*/kernel"})
    found = tfjs_codec.inspect(tmp_path / "web")
    kernel = next(t for t in found.tensors if t.name.endswith("/kernel"))
    assert (kernel.dtype, kernel.stored, kernel.nbytes) == ("float32", "uint8", 12)
    assert "float32 as uint8" in str(found)
    assert found.nbytes == (tmp_path / "web" / "group1-shard1of1.bin").stat().st_size


def test_a_graph_model(tmp_path):
    tensor = {"name": "x:0", "dtype": "DT_FLOAT",
              "tensorShape": {"dim": [{"size": "-1"}, {"size": "4"}]}}  # fmt: skip
    nodes = [{"name": "x", "op": "Placeholder"}, {"name": "y", "op": "Relu", "input": ["x"]}]
    write_model(tmp_path / "web", {"w": np.ones(2, np.float32)}, topology={"node": nodes},
                format="graph-model", signature={"inputs": {"x": tensor}})  # fmt: skip
    found = tfjs_codec.inspect(tmp_path / "web")
    assert found.format == "tfjs-graph"
    assert ("input", "x: float [?, 4]") in found.facts
    assert ("  'Relu'", "1") in found.facts


def test_a_frozen_graph(fixtures_dir):
    found = tfjs_codec.inspect(fixtures_dir / "graph_frozen" / "model.pb")
    assert found.format == "tf-frozen-graph"
    assert "Name it with --output-node-names" in str(found)
    found = tfjs_codec.inspect(
        fixtures_dir / "graph_frozen" / "model.pb", output_node_names=["norm"]
    )
    facts = dict(found.facts)
    assert facts["input 'x'"].startswith("float32")
    assert "output 'norm'" in facts
    assert " Placeholder" in facts["operations"]
    assert found.problems == ()


def test_a_saved_model_in_a_tar_archive(fixtures_dir, tmp_path):
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as file:
        file.add(fixtures_dir / "savedmodel_tf2.15_nested" / "model", ".")
    found = tfjs_codec.inspect(tmp_path / "m.tar.gz")
    assert found.format == "keras-savedmodel"
    assert found.path == str(tmp_path / "m.tar.gz")
    assert found.parameters == 73


def test_models_in_models_take_no_time(tmp_path):
    name = "m0"
    inner = {"class_name": "Functional", "config": {"name": name, "layers": []}}
    for depth in range(1, 14):
        calls = [[["i", 0, 0, {}]]] * 10
        layers = [
            {"class_name": "Odd", "name": "i", "config": {"name": "i"}, "inbound_nodes": []},
            {**inner, "name": name, "inbound_nodes": calls},
        ]
        name = f"m{depth}"
        inner = {"class_name": "Functional", "config": {
            "name": name, "layers": layers, "input_layers": [["i", 0, 0]],
            "output_layers": [[f"m{depth - 1}", 0, 0]]}}  # fmt: skip
    (tmp_path / "model.json").write_text(json.dumps({"modelTopology": inner}))
    assert tfjs_codec.inspect(tmp_path / "model.json").parameters == 0


def test_json_is_the_same_content(tmp_path, capsys):
    (tmp_path / "m.h5").write_bytes(nested_h5())
    assert cli.main(["inspect", str(tmp_path / "m.h5"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["format"] == "keras-h5"
    assert found["parameters"] == 27
    assert found["layers"][1]["layers"][1]["name"] == "d"
    assert found["tensors"][0] == {
        "name": "inner/d/kernel", "shape": [4, 3], "dtype": "float32", "nbytes": 48, "stored": None,
    }  # fmt: skip


def test_a_dash_is_standard_input():
    line = [sys.executable, "-m", "tfjs_codec", "inspect", "-"]
    done = subprocess.run(line, input=nested_h5(), capture_output=True, check=True)
    assert done.stdout.startswith(b"<bytes>: keras-h5\n")


def test_a_model_json_needs_no_numpy(tmp_path):
    directory = manifest_model(tmp_path / "web", np.random.default_rng(0))
    code = (
        "import sys; from tfjs_codec.cli.main import main; main(sys.argv[1:]);"
        "print(sorted({'numpy', 'h5py', 'google.protobuf'} & sys.modules.keys()))"
    )
    line = [sys.executable, "-c", code, "inspect", str(directory), "--quiet"]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    "name", ["\x1b[31mred", "two\nlines", "\u202eabc", "<script>", "x" * 10**6]
)
def test_hostile_names_are_escaped(tmp_path, name):
    dense = {"name": name, "units": 1, "batch_input_shape": [None, 2]}
    layers = [
        {"class_name": "Dense", "config": dense},
        {"class_name": name, "config": {"name": "y"}},
    ]
    topology = {"class_name": "Sequential", "config": {"name": name, "layers": layers}}
    arrays = {f"{name}/kernel": np.ones((2, 1), np.float32), f"{name}/bias": np.ones(1, np.float32)}
    write_model(tmp_path / "web", arrays, topology=topology, userDefinedMetadata={name: name},
                generatedBy=name)  # fmt: skip
    found = tfjs_codec.inspect(tmp_path / "web")
    text = str(found)
    assert len(text) < 5000
    assert all(char.isprintable() or char == "\n" for char in text)
    assert json.loads(json.dumps(found.to_json()))["layers"][0]["name"] == name
    assert found.parameters == 3


@pytest.mark.parametrize(
    ("content", "error", "where"),
    [
        ({"some": "json"}, UnknownFormatError, ""),
        ({"weightsManifest": 3}, CorruptFileError, "weightsManifest"),
        ({"weightsManifest": [{"weights": [{"name": 1}]}]}, CorruptFileError, "weights[0].name"),
        ({"modelTopology": {"class_name": "Sequential", "config": {"layers": [7]}}},
         CorruptFileError, "modelTopology.config.layers[0]"),
    ],
)  # fmt: skip
def test_damaged_json(tmp_path, content, error, where):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(content))
    with pytest.raises(error) as caught:
        tfjs_codec.inspect(path)
    assert where in caught.value.where


def test_nonsense_in_configs_only_leaves_shapes_unknown(tmp_path):
    for value in (None, -1, "aaaa", [], [[1]], 10**60, {"a": 1}, 1.5):
        layers = [
            {"class_name": "InputLayer",
             "config": {"name": "i", "batch_input_shape": [None, 8, 8, 3]}},
            {"class_name": "UpSampling2D", "config": {"name": "u", "size": value}},
            {"class_name": "Conv2D", "config": {"name": "c", "filters": 2, "kernel_size": value,
                                                "strides": value}},
            {"class_name": "Dense", "config": {"name": "d", "units": value}},
        ]  # fmt: skip
        topology = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
        path = tmp_path / "model.json"
        path.write_text(json.dumps({"modelTopology": topology}))
        found = tfjs_codec.inspect(path)
        assert by_name(found)["i"].shapes == ((None, 8, 8, 3),)
        assert by_name(found)["d"].shapes == ()
