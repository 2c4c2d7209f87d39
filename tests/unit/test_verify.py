"""``verify``: what it accepts, and every kind of damage it must find."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import graph_fixtures
import h5py
import numpy as np
import pytest
from keras_files import dense_h5, entry, functional, h5_model, input_entry
from tfjs_files import dense_topology, manifest_model, write_model

import tfjs_codec
from tfjs_codec.cli import main as cli
from tfjs_codec.errors import (
    CorruptFileError,
    UnsafeFileError,
    UnsupportedModelError,
    UsageError,
    VerificationError,
)
from tfjs_codec.verification import node

NODE_DIR = Path(__file__).parent.parent / "oracle" / "node"
NESTED = ("savedmodel_tf2.15_nested", "savedmodel_tf2.15_recurrent", "savedmodel_tf2.4_recurrent",
          "savedmodel_tf2.19_convolutional", "savedmodel_tf2.19_attention")  # fmt: skip


@pytest.fixture
def web(tmp_path):
    tfjs_codec.convert(dense_h5(), tmp_path / "web")
    return tmp_path / "web"


def edit(web, change):
    """Apply *change* to the parsed ``model.json``."""
    index = json.loads((web / "model.json").read_text())
    change(index)
    (web / "model.json").write_text(json.dumps(index))


def weights_of(index):
    return index["weightsManifest"][0]["weights"]


def failure(web, *arguments, **options):
    with pytest.raises(VerificationError) as caught:
        tfjs_codec.verify(web, *arguments, **options)
    assert caught.value.exit_code == 7
    return str(caught.value)


def test_what_was_written_is_verified(web):
    found = tfjs_codec.verify(web, against=dense_h5())
    assert found.format == "tfjs-layers"
    assert "the weight files hold exactly 2 weights" in str(found)
    assert "names and shapes agree with 2 variables that tfjs creates" in str(found)
    assert "the values of 2 weights match the source" in str(found)
    assert found.notes == ()
    assert found.to_json()["checks"] == found.checks


@pytest.mark.parametrize("case", NESTED)
def test_names_and_shapes_of_all_kinds_of_layers(fixtures_dir, tmp_path, case):
    source = fixtures_dir / case / "model"
    tfjs_codec.convert(source, tmp_path / "web", to="layers")
    assert tfjs_codec.verify(tmp_path / "web", source).notes == ()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_quantised_values_are_within_their_step(fixtures_dir, tmp_path, dtype):
    source = fixtures_dir / "digits" / "digits.h5"
    tfjs_codec.convert(source, tmp_path / "web", quantize={dtype: "*"})
    tfjs_codec.verify(tmp_path / "web", source)
    shard = tmp_path / "web" / "group1-shard1of1.bin"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 2  # one step more or less is allowed nowhere
    shard.write_bytes(data)
    text = failure(tmp_path / "web", source)
    assert ("in 1 of 10 values" if dtype == "float16" else "its quantisation allows") in text


def test_a_model_of_another_format_can_be_the_source(fixtures_dir, tmp_path):
    tfjs_codec.convert(fixtures_dir / "digits" / "digits.h5", tmp_path / "web")
    tfjs_codec.verify(tmp_path / "web", fixtures_dir / "digits" / "digits.keras")
    tfjs_codec.verify(tmp_path / "web", tmp_path / "web")


def test_graph_models(fixtures_dir, tmp_path):
    source = fixtures_dir / "graph_frozen" / "model.pb"
    outputs = json.loads((source.parent / "case.json").read_text())["outputs"]
    tfjs_codec.convert(source, tmp_path / "web", output_node_names=outputs)
    found = tfjs_codec.verify(tmp_path / "web", source, output_node_names=outputs)
    assert found.format == "tfjs-graph"

    def rename(index):
        weights_of(index)[0]["name"] = "another"

    edit(tmp_path / "web", rename)
    text = failure(tmp_path / "web", source, output_node_names=outputs)
    assert "there is no weight for the constant '" in text
    assert "the source has no weight 'another'" in text


def test_a_shard_that_is_cut_off(web):
    shard = web / "group1-shard1of1.bin"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert "60 bytes of weights, found 59" in failure(web)


def test_a_shard_that_is_too_long(web):
    with (web / "group1-shard1of1.bin").open("ab") as file:
        file.write(b"\0")
    assert "expected 60 bytes of weights, found 61" in failure(web)


def test_a_shard_that_is_missing(web):
    (web / "group1-shard1of1.bin").unlink()
    assert "'group1-shard1of1.bin' is missing" in failure(web)


def test_values_that_were_changed(web):
    shard = web / "group1-shard1of1.bin"
    values = np.frombuffer(shard.read_bytes(), "<f4").copy()
    values[5] += 0.25
    values[7] = np.nan
    shard.write_bytes(values.tobytes())
    tfjs_codec.verify(web)
    assert "'d/kernel' differs from the source in 2 of 12 values, by up to inf" in failure(
        web, dense_h5()
    )


def test_two_shards_that_were_exchanged(tmp_path):
    tfjs_codec.convert(dense_h5(), tmp_path / "web", shard_size_bytes=16, checksums=True)
    tfjs_codec.verify(tmp_path / "web")
    first, second = sorted((tmp_path / "web").glob("*.bin"))[:2]
    data = first.read_bytes(), second.read_bytes()
    first.write_bytes(data[1])
    second.write_bytes(data[0])
    text = failure(tmp_path / "web")
    assert "2 checks failed" in text
    assert "the SHA-256 of 'group1-shard1of4.bin' does not match the recorded one" in text
    assert "'d/kernel' differs" in failure(tmp_path / "web", dense_h5())


def test_checksums_do_not_outlive_their_files(tmp_path):
    tfjs_codec.convert(dense_h5(), tmp_path / "a", checksums=True, metadata={"k": 1})
    tfjs_codec.convert(tmp_path / "a", tmp_path / "b", shard_size_bytes=16)
    metadata = json.loads((tmp_path / "b" / "model.json").read_text())["userDefinedMetadata"]
    assert metadata == {"k": 1}
    tfjs_codec.verify(tmp_path / "b", tmp_path / "a")


def test_checksums_of_files_elsewhere_are_not_opened(web):
    (web.parent / "secret").write_text("x")
    digests = {"../secret": "0" * 64}
    edit(web, lambda index: index.update(userDefinedMetadata={"weightsSha256": digests}))
    with pytest.raises(UnsafeFileError, match="leads out of its directory"):
        tfjs_codec.verify(web)


def test_shapes_that_tfjs_will_not_create(web):
    def transpose(index):
        weights_of(index)[0]["shape"] = [3, 4]

    edit(web, transpose)
    assert "'d/kernel' has shape [3, 4], tfjs creates [4, 3]" in failure(web)


# Layers that tfjs cannot apply to the shapes of their inputs.
MISFITS = (
    *(("BatchNormalization", {"axis": axis}, [[None, 4, 3]], text) for axis, text in (
        (3, "there is no axis 3 of [None, 4, 3]"), (-4, "there is no axis -4 of [None, 4, 3]"),
        (0, "the normalised axis must be known"), ([-1], "axis is [-1], not an axis, or a list"),
        ([1, 2], "axis is [1, 2], not an axis, or a list of one"),
    )),
    ("BatchNormalization", {"axis": 1}, [[None, None, 3]], "the normalised axis must be known"),
    ("LayerNormalization", {"axis": 3}, [[None, 4, 3]], "there is no axis 3 of [None, 4, 3]"),
    ("LayerNormalization", {"axis": [1, -4]}, [[None, 4, 3]], "there is no axis -4"),
    ("LayerNormalization", {"axis": [2, -1]}, [[None, 4, 3]], "the axes [2, -1] of [None, 4, 3]"),
    ("Permute", {"dims": [1]}, [[None, 4, 3]], "dims [1] do not permute [None, 4, 3]"),
    ("Permute", {"dims": [2, 1, 3]}, [[None, 4, 3]], "dims [2, 1, 3] do not permute"),
    ("Flatten", {}, [[None, None, 3]], "[None, None, 3] must be known"),
    ("Dense", {"units": 2}, [[None, None]], "the last axis of [None, None] must be known"),
    ("MaxPooling1D", {"pool_size": 6, "strides": 1}, [[None, 4, 3]], "a window of 6 does not fit"),
    ("Cropping2D", {"cropping": 3}, [[None, 4, 4, 3]], "nothing is left of an axis of 4"),
    ("Reshape", {"target_shape": [5]}, [[None, 4]], "cannot reshape [None, 4] to [5]"),
    ("Add", {}, [[None, 3], [None, 4]], "do not broadcast"),
    ("Concatenate", {"axis": 4}, [[None, 4, 3], [None, 4, 3]], "there is no axis 4"),
    ("Concatenate", {"axis": 2}, [[None, 4, 3], [None, None, 3]], "all other sizes must be equal"),
    ("Dot", {"axes": 1}, [[None, 4, 3], [None, None, 3]], "do not match on axes [1, 1]"),
    ("Dot", {"axes": [1]}, [[None, 4], [None, 4]], "axes is [1], not an axis, or one of each"),
    ("Dot", {"axes": 2}, [[None, 4], [None, 4]], "there is no axis 2 of [None, 4]"),
    ("Dot", {"axes": 1}, [[None, 4]] * 3, "Dot needs exactly 2 inputs"),
)  # fmt: skip


def one_layer(class_name, config, shapes):
    """Return the topology of a model of one layer, and arrays for its variables."""
    names = [f"x{i}" for i in range(len(shapes))]
    inputs = [input_entry(name, shape) for name, shape in zip(names, shapes, strict=True)]
    layer = entry(class_name, "d", [[[name, 0, 0, {}] for name in names]], **config)
    ends = [[name, 0, 0] for name in names], [["d", 0, 0]]
    return functional([*inputs, layer], *ends)


@pytest.mark.parametrize(("class_name", "config", "shapes", "text"), MISFITS)
def test_layers_that_do_not_fit_their_inputs(tmp_path, class_name, config, shapes, text):
    write_model(tmp_path / "web", {}, topology=one_layer(class_name, config, shapes))
    said = failure(tmp_path / "web")
    assert f"layer 'd' ('{class_name}')" in said
    assert text in said
    with pytest.raises(UnsupportedModelError, match=re.escape(text)):
        tfjs_codec.convert(tmp_path / "web", tmp_path / "copy")


@pytest.mark.parametrize(
    ("class_name", "config"),
    [("Concatenate", {"axis": 2}), ("Dot", {"axes": 1, "normalize": False})],
)
def test_known_sizes_do_not_meet_unknown_ones_in_tfjs(tmp_path, class_name, config):
    source = h5_model(one_layer(class_name, config, [[None, 4, 3], [None, None, 3]]), {})
    with pytest.raises(UnsupportedModelError, match=r"--to graph\.\n  layer 'd'"):
        tfjs_codec.convert(source, tmp_path / "web")
    tfjs_codec.convert(source, tmp_path / "web", to="graph")


@pytest.mark.parametrize("to", ["layers", "graph"])
@pytest.mark.parametrize(
    ("class_name", "config"),
    [("Concatenate", {"axis": 3}), ("Dot", {"axes": -4, "normalize": False})],
)
def test_axes_that_are_not_there(tmp_path, class_name, config, to):
    source = h5_model(one_layer(class_name, config, [[None, 4, 3]] * 2), {})
    with pytest.raises(CorruptFileError, match=r"'d' .*axis (3|-4) of 3 axes"):
        tfjs_codec.convert(source, tmp_path / "web", to=to)


@pytest.mark.parametrize(
    ("class_name", "config", "shapes"),
    [
        ("MaxPooling1D", {"pool_size": 5}, [[None, 4, 3]]),  # tfjs computes empty tensors
        ("Cropping2D", {"cropping": 2}, [[None, 4, 4, 3]]),
        ("Concatenate", {"axis": 0}, [[None, 4], [None, 4]]),
        ("LayerNormalization", {"axis": 0, "center": False, "scale": False}, [[None, 4]]),
        ("Permute", {"dims": [1]}, [[None, 4]]),
        ("Dot", {"axes": -1}, [[None, 4, 3], [None, 2, 3]]),
    ],
)
def test_odd_layers_that_tfjs_runs_are_verified(tmp_path, class_name, config, shapes):
    write_model(tmp_path / "web", {}, topology=one_layer(class_name, config, shapes))
    assert tfjs_codec.verify(tmp_path / "web").checks


@pytest.mark.node
@pytest.mark.parametrize(
    ("value", "biased"),
    [([], True), ({}, True), ("no", True), (1, True), (None, True), (0, False), ("", False)],
)
def test_flags_are_what_javascript_takes_them_for(tmp_path, value, biased):
    rng = np.random.default_rng(0)
    arrays = {"d/kernel": rng.normal(size=(4, 3)), "d/bias": rng.normal(size=3)}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    if not biased:
        del arrays["d/bias"]
    topology = one_layer("Dense", {"units": 3, "use_bias": value}, [[None, 4]])
    web = write_model(tmp_path / "web", arrays, topology=topology)
    assert tfjs_codec.verify(web, node=True, node_modules=NODE_DIR).checks
    tfjs_codec.convert(web, tmp_path / "model.keras")
    assert tfjs_codec.verify(web, against=tmp_path / "model.keras").checks
    x = rng.normal(size=(2, 4)).astype(np.float32)
    with tfjs_codec.load(tmp_path / "model.keras") as model:
        made = model.predict(x)
    np.testing.assert_allclose(made, x @ arrays["d/kernel"] + arrays.get("d/bias", 0), 1e-5)


def test_a_dot_without_axes_is_refused_by_every_reader(tmp_path):
    """Keras cannot make it; tfjs runs it, and its result has another shape than it states."""
    topology = one_layer("Dot", {"normalize": False}, [[None, 4]] * 2)
    web = write_model(tmp_path / "web", {}, topology=topology)
    assert "layer 'd' ('Dot') has no axes" in failure(web)
    with pytest.raises(UnsupportedModelError, match="layer 'd' \\('Dot'\\) has no axes"):
        tfjs_codec.convert(web, tmp_path / "model.keras")
    with pytest.raises(CorruptFileError, match="the option 'axes' of Dot is missing"):
        tfjs_codec.convert(h5_model(topology, {}), tmp_path / "model.keras")


def test_negative_axes_along_which_tfjs_does_not_concatenate(tmp_path):
    """Tfjs joins along the last axis, and states the shape that Keras would compute."""
    model = one_layer("Concatenate", {"axis": -2}, [[None, 2, 2], [None, 2, 2]])
    write_model(tmp_path / "web", {}, topology=model)
    assert "axis is -2, not -1 or an axis that counts from 0" in failure(tmp_path / "web")
    x = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    with tfjs_codec.load(tmp_path / "web") as loaded:
        made = loaded.predict({"x0": x, "x1": x})
    np.testing.assert_array_equal(made, np.concatenate([x, x], -1))


def test_names_that_tfjs_will_not_create(web):
    def rename(index):
        weights_of(index)[0]["name"] = "d/weight"

    edit(web, rename)
    text = failure(web)
    assert "tfjs creates no variable 'd/weight'" in text
    assert "there is no weight for the variable 'd/kernel'" in text


def test_names_with_a_part_more_are_what_tfjs_accepts(web):
    def rename(index):
        weights_of(index)[0]["name"] = "d/inner/kernel"

    edit(web, rename)
    tfjs_codec.verify(web)
    edit(web, lambda index: weights_of(index)[1].update(name="d/kernel"))
    assert "two weights are for the variable 'd/kernel'" in failure(web)


def test_a_model_of_tfjs_with_its_optimizer(tmp_path):
    directory = manifest_model(tmp_path / "web", np.random.default_rng(0))
    assert "hold exactly 3 weights" in str(tfjs_codec.verify(directory))


def test_custom_layers_are_named(tmp_path):
    topology = dense_topology()
    topology["config"]["layers"].append({"class_name": "Odd", "config": {"name": "o"}})
    arrays = {"dense_Dense1/kernel": np.ones((4, 3), np.float32),
              "dense_Dense1/bias": np.ones(3, np.float32),
              "o/w": np.ones(2, np.float32)}  # fmt: skip
    write_model(tmp_path / "web", arrays, topology=topology)
    assert "layer 'o': tfjs has no Odd, unless a page registers it" in failure(tmp_path / "web")


def test_many_failures_are_bounded(tmp_path):
    topology = {"class_name": "Sequential", "config": {"layers": []}}
    arrays = {f"w{i}/\x1b[31m": np.ones(1, np.float32) for i in range(50)}
    write_model(tmp_path / "web", arrays, topology=topology)
    text = failure(tmp_path / "web")
    assert "51 checks failed" in text  # one says that there are no layers
    assert text.count("\n") == 21
    assert "\x1b" not in text


@pytest.mark.parametrize("name", ["saved", "other.h5"])
def test_models_of_tensorflow_and_keras_are_compared_with_their_source(name, tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    other = tmp_path / name
    tfjs_codec.convert(tmp_path / "m.h5", other, to="h5" if name.endswith("h5") else "savedmodel")
    found = tfjs_codec.verify(other, against=tmp_path / "m.h5")
    assert found.checks[0] == "the values of 2 weights match the source"
    assert "differ from those of the source by at most 0" in found.checks[1]
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["model_weights/d/d/bias:0"][1] += 1
    with pytest.raises(VerificationError) as caught:
        tfjs_codec.verify(other, against=tmp_path / "m.h5")
    assert "'d/bias' differs from the source in 1 of 3 values, by up to 1" in str(caught.value)


def test_a_graph_and_the_savedmodel_of_its_source_have_the_same_constants(tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    tfjs_codec.convert(tmp_path / "m.h5", tmp_path / "web", to="graph")
    tfjs_codec.convert(tmp_path / "m.h5", tmp_path / "saved", to="savedmodel")
    found = tfjs_codec.verify(tmp_path / "web", against=tmp_path / "saved")
    assert "the values of 2 weights match the source" in found.checks
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["model_weights/d/d/bias:0"][1] += 1
    tfjs_codec.convert(tmp_path / "m.h5", tmp_path / "saved", to="savedmodel")
    with pytest.raises(VerificationError, match="'d/bias' differs from the source in 1 of 3"):
        tfjs_codec.verify(tmp_path / "web", against=tmp_path / "saved")


def test_a_savedmodel_without_layers_is_compared_by_predictions(tmp_path):
    web = graph_fixtures.convert("graph_conv_bn", tmp_path)
    tfjs_codec.convert(web, tmp_path / "saved", to="savedmodel")
    found = tfjs_codec.verify(tmp_path / "saved", against=web)
    assert "values: not both have layers" in found.notes[0]
    assert found.checks[0].startswith("predictions for 2 random inputs")
    assert tfjs_codec.verify(web, against=tmp_path / "saved").notes == ()


def test_without_a_source_only_tfjs_models_can_be_verified(tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    with pytest.raises(UsageError, match="not a tfjs model but keras-h5"):
        tfjs_codec.verify(tmp_path / "m.h5")


def test_checksums_on_the_command_line(tmp_path, capsys):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    files = [str(tmp_path / "m.h5"), str(tmp_path / "web")]
    assert cli.main(["convert", "--checksums", "--quiet", *files]) == 0
    assert cli.main(["verify", files[1]]) == 0
    assert "SHA-256 verified for 1 weight file\n" in capsys.readouterr().out


def test_the_command_line(web, tmp_path, capsys):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    assert cli.main(["verify", str(web), "--against", str(tmp_path / "m.h5"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "tfjs-layers"
    (web / "group1-shard1of1.bin").write_bytes(b"")
    assert cli.main(["verify", str(web)]) == 7
    assert capsys.readouterr().err.startswith(f"tfjs-codec: error: {web}/model.json: ")
    assert cli.main(["verify", str(web), "--inputs", "x.npz"]) == 2
    assert "need --node" in capsys.readouterr().err


def test_failures_as_json(web, tmp_path, capsys):
    (tmp_path / "m.h5").write_bytes(dense_h5("other"))
    assert cli.main(["verify", str(web), "--against", str(tmp_path / "m.h5"), "--json"]) == 7
    failures = json.loads(capsys.readouterr().out)["error"]["failures"]
    assert "the weight 'other/kernel' is missing" in failures
    assert "the source has no weight 'd/kernel'" in failures


@pytest.mark.parametrize("flag", ["rename", "replace"])
def test_what_was_changed_on_the_way(tmp_path, flag):
    """Sources are changed as they were for the conversion, by ``verify`` and by ``diff``."""
    layers = [entry("Dense", name, units=4, batch_input_shape=[None, 4]) for name in ("d", "e")]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    tensors = {
        name: [(f"{name}/kernel:0", np.eye(4) * k), (f"{name}/bias:0", np.zeros(4))]
        for k, name in enumerate(("d", "e"))
    }
    for name, content in (("m.h5", h5_model(config, tensors)), ("r.h5", dense_h5("r", (4, 4)))):
        (tmp_path / name).write_bytes(content)
    change = [f"--{flag}", f"e={'f' if flag == 'rename' else tmp_path / 'r.h5'}"]
    source, web = str(tmp_path / "m.h5"), str(tmp_path / "web")
    assert cli.main(["convert", source, web, "--quiet", *change]) == 0
    for command in (["verify", web, "--against", source], ["diff", source, web]):
        assert cli.main([*command, "--quiet", *change]) == 0
        assert cli.main([*command, "--quiet"]) == (7 if command[0] == "verify" else 1)


# --- real TensorFlow.js ----------------------------------------------------------------------


@pytest.mark.node
def test_predictions_in_tfjs(fixtures_dir, tmp_path):
    case = fixtures_dir / "digits"
    tfjs_codec.convert(case / "digits.h5", tmp_path / "web")
    how = {"node": True, "node_modules": NODE_DIR}
    found = tfjs_codec.verify(tmp_path / "web", inputs=case / "io.npz", **how)
    assert "TensorFlow.js 4.22.0 loads and runs the model" in found.checks
    assert "predictions differ from the recorded ones by at most" in found.checks[-1]
    assert len(tfjs_codec.verify(tmp_path / "web", **how).checks) == 3
    with np.load(case / "io.npz") as file:
        wrong = dict(file)
    wrong["out0"] = wrong["out0"] + 0.5
    np.savez(tmp_path / "wrong.npz", **wrong)
    text = failure(tmp_path / "web", inputs=tmp_path / "wrong.npz", **how)
    assert "output 'out0' differs by 0.5, allowed are" in text
    wrong["out0"] = wrong["out0"][:, :3]
    np.savez(tmp_path / "wrong.npz", **wrong)
    text = failure(tmp_path / "web", inputs=tmp_path / "wrong.npz", **how)
    assert "output 'out0' has shape [24, 10], not [24, 3], as recorded" in text


@pytest.mark.node
def test_graph_models_in_tfjs(fixtures_dir, tmp_path):
    source = fixtures_dir / "graph_frozen" / "model.pb"
    outputs = json.loads((source.parent / "case.json").read_text())["outputs"]
    tfjs_codec.convert(source, tmp_path / "web", output_node_names=outputs)
    how = {"node": True, "node_modules": NODE_DIR}
    found = tfjs_codec.verify(tmp_path / "web", **how)
    assert "loads and runs the model" in found.checks[-1]
    with np.load(source.parent / "io.npz") as file:
        recorded = {
            "in:x": file["0.in.x"],
            **{f"out:{key}": file[f"0.out.{key}"] for key in outputs},
        }
    np.savez(tmp_path / "io.npz", **recorded)
    found = tfjs_codec.verify(tmp_path / "web", inputs=tmp_path / "io.npz", **how)
    assert "predictions differ from the recorded ones by at most" in found.checks[-1]


@pytest.mark.node
@pytest.mark.parametrize(("class_name", "config", "shapes", "text"), MISFITS)
def test_tfjs_refuses_layers_that_do_not_fit(tmp_path, class_name, config, shapes, text):
    write_model(tmp_path / "web", {}, topology=one_layer(class_name, config, shapes))
    failures: list[str] = []
    node.check(tmp_path / "web", None, node.Predicting(modules=NODE_DIR), [], failures)
    assert len(failures) == 1
    assert "weights are not set" not in failures[0]


@pytest.mark.node
def test_models_that_tfjs_cannot_load(tmp_path):
    topology = {"class_name": "Sequential", "config": {"name": "s", "layers": [
        {"class_name": "CenterCrop", "config": {"name": "o"}}]}}  # fmt: skip
    write_model(tmp_path / "web", {}, topology=topology)
    text = failure(tmp_path / "web", node=True, node_modules=NODE_DIR)
    assert "tfjs fails to load the model: 'The first layer in a Sequential model" in text


@pytest.mark.node
def test_tfjs_that_is_not_there(web, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="npm install @tensorflow/tfjs"):
        tfjs_codec.verify(web, node=True)
    monkeypatch.setenv("NODE_PATH", os.fspath(NODE_DIR / "node_modules"))
    tfjs_codec.verify(web, node=True)


def test_node_that_is_not_there(web, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="Node is not installed"):
        tfjs_codec.verify(web, node=True)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip", b"\x80\x04pickle"])
def test_recorded_files_that_are_none(web, tmp_path, content):
    (tmp_path / "io.npz").write_bytes(content)
    with pytest.raises(UsageError, match=r"not an \.npz file of numeric arrays"):
        tfjs_codec.verify(web, node=True, inputs=tmp_path / "io.npz")


def test_recorded_files_without_inputs(web, tmp_path):
    np.savez(tmp_path / "io.npz", x=np.ones(3))
    with pytest.raises(UsageError, match="needs arrays named in0"):
        tfjs_codec.verify(web, node=True, inputs=tmp_path / "io.npz")


def test_every_call_of_a_shared_layer_has_its_own_shape(tmp_path):
    """``both`` is called on rows of 5 and of 4, and what is called on its results follows."""
    sizes = {"a": 5, "b": 4}
    layers = [input_entry(name, [None, size]) for name, size in sizes.items()]
    calls = [[[name, 0, 0, {}]] for name in sizes]
    layers.append(entry("Activation", "both", calls, activation="relu"))
    for call, (name, size) in enumerate(sizes.items()):
        reshape = entry("Reshape", f"r{name}", [[["both", call, 0, {}]]], target_shape=[size, 1])
        layers.append(reshape)
    outputs = [["ra", 0, 0], ["rb", 0, 0]]
    config = functional(layers, [[name, 0, 0] for name in sizes], outputs)
    tfjs_codec.convert(h5_model(config, {}), tmp_path / "web")
    assert tfjs_codec.verify(tmp_path / "web")
