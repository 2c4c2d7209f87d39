"""SavedModels that we write, in TensorFlow, its TFLite converter, tf_keras and Keras 3.

``python tests/oracle/saved_models_exam.py DIRECTORY`` does the same with any number of models, and
``TFJS_CODEC_EXAM=1`` takes all recorded graphs.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import graph_fixtures
import numpy as np
import pytest
from compare import assert_same
from json_lines import JsonLines
from layer_fixtures import Programs, keras_file
from saved_models_exam import RUNS, exam

import tfjs_codec

FIXTURES = Path(__file__).parents[2] / "fixtures"
WAYS = ("signature", "serve", "version_1", "revive", "layer")
OLD, NEW = "tf_keras-2.19.h5", "keras-3.15.keras"
# Also trained, or made a TFLite model.
CASES = {
    ("attention", NEW): ("lite",),
    ("batch_normalization", OLD): ("fit",),
    ("bidirectional", NEW): ("fit",),
    ("conv2d", OLD): ("fit", "lite"),
    ("dict_input_output", NEW): (),
    ("gru", NEW): ("fit",),  # in layers of tfjs
    ("lstm", NEW): ("fit", "lite"),
    ("multi_input_output", OLD): ("fit",),
    ("nested_two_levels", NEW): ("fit",),
    ("residual_blocks", NEW): ("fit", "lite"),
    ("siamese", OLD): ("fit",),
    ("simple_rnn", NEW): ("fit",),
    ("transformer_block", NEW): ("fit", "lite"),
    ("unet", NEW): ("fit", "lite"),
}

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def runs(tensorflow) -> Iterator[JsonLines]:
    with closing(JsonLines([*tensorflow, str(RUNS)], 300)) as lines:
        yield lines


@pytest.mark.parametrize(("name", "file"), CASES, ids=map("-".join, CASES))
def test_all_loaders_predict_what_keras_recorded(name, file, runs, tmp_path):
    case = keras_file(name, file, tmp_path)
    arrays = {f"in{i}": array for i, array in enumerate(case.inputs)}
    arrays |= {f"out{i}": array for i, array in enumerate(case.outputs)}
    np.savez(tmp_path / "recorded.npz", **arrays)
    ways = (*WAYS, *CASES[name, file])
    found = exam(case.source, tmp_path / "recorded.npz", ways, runs, tmp_path / "saved")
    assert {way: gap for way, gap in found.items() if not isinstance(gap, float)} == {}
    assert max(found.values()) < 1e-5


PROGRAMS = Programs()
# Masked by large numbers; with a key that only Keras has; booleans as numbers.
SOME = ["Add_6", "AdditiveAttention_4", "SpatialDropout3D", "maximum_6", "power_10"]


@pytest.mark.parametrize("through", ["tfjs", "itself"])
@pytest.mark.parametrize("name", PROGRAMS.how if "TFJS_CODEC_EXAM" in os.environ else SOME)
def test_programs(name, through, runs, tmp_path):
    program = PROGRAMS.get(name)
    source = tmp_path / "model.keras"
    source.write_bytes(program.source)
    if through == "tfjs":
        tfjs_codec.convert(source, tmp_path / "web", to="auto")
        source = tmp_path / "web"
    arrays = {f"in{i}": array for i, array in enumerate(program.inputs)}
    arrays |= {f"out{i}": array for i, array in enumerate(program.outputs)}
    np.savez(tmp_path / "recorded.npz", **arrays)
    ways = ("signature", "revive")
    found = exam(source, tmp_path / "recorded.npz", ways, runs, tmp_path / "saved")
    assert {way: gap for way, gap in found.items() if not isinstance(gap, float)} == {}
    assert max(found.values()) < 1e-5


GRAPHS = (
    "graph_activations", "graph_channels_first", "graph_control", "graph_conv_bn", "graph_frozen",
    "graph_integers", "graph_keras2_words", "graph_keras3_attention", "graph_keras3_recurrent",
    "graph_keras_tf2.15_conv", "graph_mapped", "graph_tables", "graph_texts", "graph_v1_loops",
    "graph_volumes",
) if "TFJS_CODEC_EXAM" not in os.environ else graph_fixtures.CASES  # fmt: skip
# What TensorFlow 2 has no default values for.
SCALE = {"scale": np.float32(2)}
DEFAULTS = {"graph_frozen": SCALE, "graph_frozen_tf2.19": SCALE}


@pytest.mark.parametrize("through", ["tfjs", "itself"])
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_go_back_to_tensorflow(name, through, runs, tmp_path):
    if through == "tfjs":
        source, reading = graph_fixtures.convert(name, tmp_path), {}
    else:
        source, reading = graph_fixtures.source(name, tmp_path)
    tfjs_codec.convert(source, tmp_path / "saved", to="savedmodel", **reading)
    tfjs_codec.convert(tmp_path / "saved", tmp_path / "again", to="graph")
    for number, (given, expected) in enumerate(graph_fixtures.runs(name)):
        for way, more in (("signature", DEFAULTS.get(name, {})), ("version_1", {})):
            io = tmp_path / f"{number}.{way}.npz"
            arrays = {f"in.{key}": array for key, array in {**given, **more}.items()}
            np.savez(io, **arrays, **{f"out.{key}": array for key, array in expected.items()})
            request = {"path": str(tmp_path / "saved"), "io": str(io), "inputs": []}
            found = runs.ask({**request, "ways": [way]})[way]
            assert isinstance(found, float), found
            assert found < 1e-5
        with tfjs_codec.load(tmp_path / "again") as model:
            values = model.predict(given)
        index = json.loads((tmp_path / "again" / "model.json").read_text())
        keys = list(index["signature"]["outputs"])  # in the order of what predict returns
        if keys[0].startswith("output_"):  # of a model with layers
            keys = list(expected)
        found = dict(zip(keys, values if len(keys) > 1 else [values], strict=True))
        assert found.keys() == expected.keys()
        assert_same({key: found[key] for key in expected}, expected)


@pytest.mark.parametrize("name", ["directions", "masked", "recurrent", "sequential"])
def test_models_trained_in_tfjs(name, runs, tmp_path):
    web = FIXTURES / "tfjs_trained" / name
    recorded = json.loads((web / "io.json").read_text())
    arrays = {
        f"{kind}{number}": np.array(one["values"], one["dtype"]).reshape(one["shape"])
        for kind, role in (("in", "inputs"), ("out", "outputs"))
        for number, one in enumerate(recorded[role])
    }
    np.savez(tmp_path / "recorded.npz", **arrays)
    source = web / "model.json"
    if name == "sequential":  # as Teachable Machine hands models out
        source = tmp_path / "model.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for file in ("model.json", "weights.bin"):
                archive.write(web / file, f"tm-my-image-model/{file}")
            archive.writestr("tm-my-image-model/metadata.json", "{}")
    ways = ("signature", "revive", "fit")
    found = exam(source, tmp_path / "recorded.npz", ways, runs, tmp_path / "saved")
    assert {way: gap for way, gap in found.items() if not isinstance(gap, float)} == {}
    assert max(found.values()) < 1e-5
