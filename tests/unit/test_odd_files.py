"""Files that Keras wrote in an unusual way, and what they predict."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from keras_files import entry, h5_model, v3_model
from layers_interpreter import load

import tfjs_codec
from tfjs_codec.errors import CorruptFileError, UnsupportedModelError

FILES = Path(__file__).parents[2] / "fixtures" / "files"
CASES = sorted(path for path in FILES.iterdir() if path.is_dir())


def recorded(case):
    with np.load(case / "io.npz") as file:
        return [[file[n] for n in sorted(file.files) if n.startswith(k)] for k in ("in", "out")]


def predict(source, folder, inputs, **options):
    tfjs_codec.convert(source, folder, **options)
    return load(folder).predict(inputs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_recorded_predictions(case, tmp_path):
    inputs, outputs = recorded(case)
    (source,) = case.glob("model.*")
    for ours, theirs in zip(predict(source, tmp_path / "web", inputs), outputs, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_names_with_backslashes(tmp_path):
    case = FILES / "keras214_two_dense"
    inputs, outputs = recorded(case)
    buffer, weights = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(case / "model.keras") as old, zipfile.ZipFile(buffer, "w") as new:
        with (
            h5py.File(io.BytesIO(old.read("model.weights.h5"))) as source,
            h5py.File(weights, "w") as target,
        ):
            old_name = "_layer_checkpoint_dependencies"
            for path in (f"dense{n}/vars/{k}" for n in ("", "_1") for k in (0, 1)):
                target[f"{old_name}\\{path}"] = source[f"{old_name}/{path}"][()]
        for name in ("metadata.json", "config.json"):
            new.writestr(name, old.read(name))
        new.writestr("model.weights.h5", weights.getvalue())
    (ours,) = predict(buffer.getvalue(), tmp_path / "web", inputs)
    np.testing.assert_allclose(ours, outputs[0], rtol=1e-4, atol=1e-5)


def clip_model(low, high):
    def tensor(name):
        history = {"shape": [None, 3], "dtype": "float32", "keras_history": [name, 0, 0]}
        return {"class_name": "__keras_tensor__", "config": history}

    source = {"module": "keras.layers", "class_name": "InputLayer", "name": "i",
              "config": {"batch_shape": [None, 3], "dtype": "float32", "name": "i"},
              "inbound_nodes": []}  # fmt: skip
    node = {"args": [tensor("i")], "kwargs": {"x_min": low, "x_max": high}}
    clip = {"module": "keras.src.ops.numpy", "class_name": "Clip", "name": "clip",
            "config": {"name": "clip", "x_min": low, "x_max": high},
            "inbound_nodes": [node]}  # fmt: skip
    config = {"name": "m", "layers": [source, clip], "input_layers": [["i", 0, 0]],
              "output_layers": [["clip", 0, 0]]}  # fmt: skip
    return v3_model({"module": "keras", "class_name": "Functional", "config": config}, {})


@pytest.mark.parametrize("low", [0, -1, -np.inf])
@pytest.mark.parametrize("high", [2, np.inf])
def test_infinite_bounds(low, high, tmp_path):
    x = np.array([[-5, 1, 7]], np.float32)
    (ours,) = predict(clip_model(low, high), tmp_path / "web", [x])
    np.testing.assert_array_equal(ours, np.clip(x, low, high))


def test_what_json_cannot_say_is_refused(tmp_path):
    layer = entry("Masking", "m", mask_value=float("nan"), batch_input_shape=[None, 3, 2])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    with pytest.raises(UnsupportedModelError, match="mask_value is not finite"):
        tfjs_codec.convert(h5_model(config, {"m": []}), tmp_path / "web")


def test_an_architecture_within_a_string(tmp_path):
    layer = entry("Dense", "d", units=2, batch_input_shape=[None, 2])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    (tmp_path / "model.json").write_text(json.dumps(json.dumps(config)))
    weights = [("d/kernel:0", np.eye(2)), ("d/bias:0", np.ones(2))]
    x = np.array([[1, 2]], np.float32)
    given = {"architecture": tmp_path / "model.json"}
    (ours,) = predict(h5_model(None, {"d": weights}), tmp_path / "web", [x], **given)
    np.testing.assert_array_equal(ours, x + 1)


def test_an_open_size_that_tfjs_wrote_as_null(tmp_path):
    layer = entry("Reshape", "r", target_shape=[-1, 3], batch_input_shape=[None, 2, 6])
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    web = tmp_path / "web"
    tfjs_codec.convert(h5_model(config, {"r": []}), web)
    content = json.loads((web / "model.json").read_text())
    entries = content["modelTopology"]["model_config"]["config"]["layers"]
    entries[-1]["config"]["target_shape"] = [None, 3]
    (web / "model.json").write_text(json.dumps(content))
    assert tfjs_codec.verify(web).notes == ()
    tfjs_codec.convert(web, tmp_path / "back.h5")
    x = np.arange(12, dtype=np.float32).reshape(1, 2, 6)
    (ours,) = predict(tmp_path / "back.h5", tmp_path / "again", [x])
    np.testing.assert_array_equal(ours, x.reshape(1, 4, 3))


def test_strict_json_stays_strict(tmp_path):
    (tmp_path / "model.json").write_text('{"modelTopology": {"class_name": NaN}}')
    with pytest.raises(CorruptFileError, match="NaN is not a JSON number"):
        tfjs_codec.convert(tmp_path / "model.json", tmp_path / "out")


def test_a_sequential_of_a_dict_of_tensors_has_no_layers(tmp_path):
    layer = entry("Dense", "d", units=2)
    inner = {"name": "s", "layers": [layer], "build_input_shape": {"a": [None, 2], "b": [None, 1]}}
    config = {"class_name": "Sequential", "config": inner}
    weights = [("d/kernel:0", np.eye(2)), ("d/bias:0", np.ones(2))]
    with pytest.raises(UnsupportedModelError, match="input is a dict of tensors"):
        tfjs_codec.convert(h5_model(config, {"d": weights}), tmp_path / "web")
