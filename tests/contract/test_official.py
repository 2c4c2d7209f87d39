"""Models that the official converter made of Keras 3 files are repaired when they are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import official
import pytest
from compare import assert_close
from keras_files import dense_h5, entry, h5_model
from layer_fixtures import FILES, REFUSED, keras_file
from layers_interpreter import load

import tfjs_codec
from tfjs_codec.errors import CorruptFileError, UnsupportedModelError, VerificationError
from tfjs_codec.verification import node

NODE_DIR = Path(__file__).parent.parent / "oracle" / "node"
OF_H5 = [case for case, file in FILES if file == "keras-3.15.h5" and case not in REFUSED]
OF_KERAS = ["activations", "bidirectional", "lstm", "nested", "normalization_adapted", "unet"]
AMBIGUOUS = "shared_across_levels"  # two variables have one name


def files():
    yield from ((case, "keras-3.15.h5") for case in OF_H5 if case != AMBIGUOUS)
    for case, file in FILES:
        if case in OF_KERAS and file in ("keras-3.15.keras", "tf_keras-2.19.keras"):
            yield case, file


@pytest.mark.parametrize(("case", "file"), list(files()))
def test_repaired_models_predict_what_keras_predicts(case, file, tmp_path):
    keras = keras_file(case, file, tmp_path)
    official.convert(keras.source, tmp_path / "official")
    report = tfjs_codec.convert(tmp_path / "official", tmp_path / "web")
    assert "in the dialect of Keras" in report.warnings[0]
    assert tfjs_codec.verify(tmp_path / "web").checks
    assert_close(load(tmp_path / "web").predict(keras.inputs), keras.outputs, **keras.tolerance)


def test_names_that_repeat_are_refused(tmp_path):
    official.convert(keras_file(AMBIGUOUS, "keras-3.15.h5", tmp_path).source, tmp_path / "official")
    with pytest.raises(CorruptFileError, match="two weights called"):
        tfjs_codec.convert(tmp_path / "official", tmp_path / "web")


@pytest.fixture
def sequential(tmp_path):
    """What the converter makes of a Sequential of Keras 3, and its config."""
    dense = {"name": "dense", "units": 2, "activation": "linear", "use_bias": True,
             "dtype": {"module": "keras", "class_name": "DTypePolicy",
                       "config": {"name": "float32"}, "registered_name": None}}  # fmt: skip
    source = {"name": "i", "batch_shape": [None, 2], "dtype": "float32"}
    layers = [{"module": "keras.layers", "class_name": kind, "config": config}
              for kind, config in (("InputLayer", source), ("Dense", dense))]  # fmt: skip
    config = {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}
    return {"keras_version": "3.9.0", "backend": "jax", "model_config": config}


WEIGHTS = [("sequential/dense/kernel", np.array([[1.0, 2.0], [3.0, 4.0]])),
           ("sequential/dense/bias", np.array([5.0, 6.0]))]  # fmt: skip


def failures(web):
    with pytest.raises(VerificationError) as caught:
        tfjs_codec.verify(web)
    return "; ".join(caught.value.failures)


def test_half_repaired_models_are_not_verified(sequential, tmp_path):
    first, _ = sequential["model_config"]["config"]["layers"]
    official.write(tmp_path / "whole", sequential, WEIGHTS)
    first["config"]["batch_input_shape"] = first["config"].pop("batch_shape")
    official.write(tmp_path / "shapes", sequential, WEIGHTS)
    found = failures(tmp_path / "shapes")
    assert "tfjs creates no variable 'sequential/dense/kernel'" in found
    named = [(name.removeprefix("sequential/"), array) for name, array in WEIGHTS]
    official.write(tmp_path / "names", sequential, named)
    assert tfjs_codec.verify(tmp_path / "names").checks  # tfjs ignores the dtype of a Dense
    x = np.array([[1, 1]], np.float32)
    for name in ("whole", "shapes", "names"):
        tfjs_codec.convert(tmp_path / name, tmp_path / f"{name}_web")
        (y,) = load(tmp_path / f"{name}_web").predict([x])
        np.testing.assert_array_equal(y, [[9, 12]])
        assert tfjs_codec.verify(tmp_path / f"{name}_web", tmp_path / name).checks
        tfjs_codec.convert(tmp_path / name, tmp_path / f"{name}.h5")
    assert tfjs_codec.diff(tmp_path / "whole.h5", tmp_path / "names.h5").equal
    assert tfjs_codec.load(tmp_path / "whole").keras_version == "3.9.0"


@pytest.fixture
def functional(tmp_path):
    layers = [
        entry("InputLayer", "i", batch_input_shape=[None, 2]),
        entry("Dense", "d", units=2),
        entry("Activation", "a", activation="relu"),
    ]
    for layer, source in zip(layers, (None, "i", "d"), strict=True):
        layer |= {"name": layer["config"]["name"]}
        layer["inbound_nodes"] = [[[source, 0, 0, {}]]] if source else []
    config = {"name": "m", "layers": layers, "input_layers": [["i", 0, 0]],
              "output_layers": [["a", 0, 0]]}  # fmt: skip
    weights = [("d/kernel:0", np.eye(2)), ("d/bias:0", np.zeros(2))]
    source = h5_model({"class_name": "Functional", "config": config}, {"d": weights})
    tfjs_codec.convert(source, tmp_path / "web")
    return tmp_path / "web"


def edit(web, change):
    content = json.loads((web / "model.json").read_text())
    change(content["modelTopology"]["model_config"]["config"])
    (web / "model.json").write_text(json.dumps(content))


BROKEN = {
    "layer 'd' is called on layer 'x', which does not exist": lambda c: c["layers"][1].update(
        inbound_nodes=[[["x", 0, 0, {}]]]
    ),
    "layer 'd' is called on node 1 of layer 'i', which does not exist": lambda c: c["layers"][
        1
    ].update(inbound_nodes=[[["i", 1, 0, {}]]]),
    "is called in another form": lambda c: c["layers"][1].update(inbound_nodes=[["i", 0, 0, {}]]),
    "has no list of inbound_nodes": lambda c: c["layers"][1].pop("inbound_nodes"),
    "input_layers are in another form": lambda c: c.update(input_layers=["i", 0, 0]),
    "output_layers are on layer 'z'": lambda c: c.update(output_layers=[["z", 0, 0]]),
    "2 layers are called 'd'": lambda c: c["layers"].append(c["layers"][1]),
    "has no units": lambda c: c["layers"][1]["config"].pop("units"),
    "has no batch_input_shape": lambda c: c["layers"][0]["config"].pop("batch_input_shape"),
    "cannot feed the dtype 'float16'": lambda c: c["layers"][0]["config"].update(dtype="float16"),
    "'a' ('Reshape'): target_shape is 'relu', not a shape": lambda c: c["layers"][2].update(
        class_name="Reshape", config={"name": "a", "target_shape": "relu"}
    ),
    "'a' ('Reshape'): cannot reshape [None, 2] to []": lambda c: c["layers"][2].update(
        class_name="Reshape", config={"name": "a", "target_shape": []}
    ),
    "has no name, and tfjs calls its variables": lambda c: c["layers"][1]["config"].update(
        name=None
    ),
    "is called on tensor 2 of layer 'i', which does not exist": lambda c: c["layers"][1].update(
        inbound_nodes=[[["i", 0, 2, {}]]]
    ),
    "batch_input_shape is 'x', not a shape": lambda c: c["layers"][0]["config"].update(
        batch_input_shape="x"
    ),
    "'a' ('GRU') has no units": lambda c: c["layers"][2].update(class_name="GRU"),
    "'a' ('Add') needs at least 2 inputs": lambda c: c["layers"][2].update(class_name="Add"),
    "'a' ('Conv1D') does not take inputs of rank 2": lambda c: c["layers"][2].update(
        class_name="Conv1D", config={"name": "a", "filters": 1, "kernel_size": 1}
    ),
    "units is 1.5, not a positive integer": lambda c: c["layers"][1]["config"].update(units=1.5),
    "'a' ('TimeDistributed') has no layer": lambda c: c["layers"][2].update(
        class_name="TimeDistributed"
    ),
    "the model has no input_layers": lambda c: c.update(input_layers=[]),
    "tfjs has no activation 'silu'": lambda c: c["layers"][2]["config"].update(activation="silu"),
    "tfjs has no initializer 'LecunNormal'": lambda c: c["layers"][1]["config"].update(
        kernel_initializer={"class_name": "LecunNormal", "config": {}}
    ),
    "tfjs has no regularizer 'L2'": lambda c: c["layers"][1]["config"].update(
        kernel_regularizer={"class_name": "L2", "config": {}}
    ),
    "tfjs has no constraint 'Mine'": lambda c: c["layers"][1]["config"].update(
        kernel_constraint={"class_name": "Mine", "config": {}}
    ),
    "some layers depend on each other": lambda c: c["layers"][1].update(
        inbound_nodes=[[["a", 0, 0, {}]]]
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_tfjs_refuses_is_found_and_not_copied(functional, tmp_path, what):
    assert tfjs_codec.verify(functional).checks
    edit(functional, BROKEN[what])
    assert what in failures(functional)
    with pytest.raises((UnsupportedModelError, CorruptFileError)):
        tfjs_codec.convert(functional, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


LOADED = {
    "Activation without activation": lambda c: c["layers"][2]["config"].pop("activation"),
    "dtype of a layer": lambda c: c["layers"][1]["config"].update(dtype="float16"),
    "no dtype": lambda c: c["layers"][0]["config"].update(dtype=0),
    "flag": lambda c: c["layers"][1]["config"].update(trainable="x"),
    "name without variables": lambda c: c["layers"][2]["config"].update(name=None),
    "default initializer": lambda c: c["layers"][1]["config"].update(kernel_initializer=False),
    "initializer by name": lambda c: c["layers"][1]["config"].update(bias_initializer="ones"),
}


@pytest.mark.parametrize("what", LOADED)
def test_what_tfjs_loads_is_verified(functional, what):
    edit(functional, LOADED[what])
    assert tfjs_codec.verify(functional).checks


# tfjs loads two layers of one name, and finds only the second by it.
@pytest.mark.node
@pytest.mark.parametrize("what", sorted(BROKEN.keys() - {"2 layers are called 'd'"}))
def test_tfjs_refuses_it(functional, what, monkeypatch):
    monkeypatch.setattr(node, "_TIMEOUT_S", 10.0)
    edit(functional, BROKEN[what])
    found: list[str] = []
    node.check(functional, None, node.Predicting(modules=NODE_DIR), [], found)
    assert found


@pytest.mark.node
@pytest.mark.parametrize("what", LOADED)
def test_tfjs_loads_it_and_predicts(functional, what):
    edit(functional, LOADED[what])
    assert tfjs_codec.verify(functional, node=True, node_modules=NODE_DIR).checks


def test_classes_that_a_page_registers_are_copied(functional, tmp_path):
    edit(functional, lambda c: c["layers"][2].update(class_name="Mine"))
    assert "tfjs has no Mine, unless a page registers it" in failures(functional)
    tfjs_codec.convert(functional, tmp_path / "copy")
    assert tfjs_codec.diff(functional, tmp_path / "copy").equal


def test_keras_files_are_no_tfjs_models(tmp_path):
    (tmp_path / "m.h5").write_bytes(dense_h5())
    with pytest.raises(tfjs_codec.errors.UsageError, match="not a tfjs model but keras-h5"):
        tfjs_codec.verify(tmp_path / "m.h5")
