"""Command lines of tensorflowjs_converter 4.22: what became of them there becomes of them here.

``fixtures/official_invocations.zip`` (``fixtures/make/official_invocations.py``) holds the inputs,
what Keras predicts, and for each line the exit status and what was written.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tfjs_codec
from tfjs_codec.cli import compat

FIXTURE = Path(__file__).parents[2] / "fixtures" / "official_invocations.zip"
with zipfile.ZipFile(FIXTURE) as _archive:
    RESULTS = json.loads(_archive.read("results.json"))

# What fails there and works here: bugs of the converter, and files of another format than is said.
BETTER = {
    "--input_format=keras_keras {d}/m.keras {out}",
    "--input_format=keras_keras {d}/m.keras {out} --quantize_float16",
    "--input_format=keras_keras --output_format=tfjs_graph_model {d}/m.keras {out}",
    "--input_format=keras_saved_model --output_format=tfjs_graph_model {d}/ksm {out}",
    "--input_format=tfjs_layers_model --output_format=keras_keras {d}/web/model.json {out}.keras",
    "--input_format=tfjs_layers_model {d}/web {out}.h5",
    "--input_format=keras {d}/web {out}",
}
QUANTISED_ERROR = 0.02


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    with zipfile.ZipFile(FIXTURE) as archive:
        archive.extractall(folder)
    return folder


def run(arguments):
    try:
        return compat.main(arguments)
    except SystemExit as end:  # --help
        return end.code or 0


def describe(index):
    content = json.loads(index.read_text())
    return {
        "format": content["format"],
        "metadata": content.get("userDefinedMetadata"),
        "shards": [len(group["paths"]) for group in content["weightsManifest"]],
        "weights": {
            weight["name"]: [weight["shape"], weight.get("quantization", weight)["dtype"]]
            for group in content["weightsManifest"]
            for weight in group["weights"]
        },
    }


@pytest.mark.parametrize("official", RESULTS, ids=lambda result: result["line"])
def test_a_command_line(inputs, tmp_path, official, capsys):
    line = official["line"].replace("{d}", str(inputs)).replace("{out}", str(tmp_path / "out"))
    status = run(line.split())
    assert bool(status) == (bool(official["status"]) and official["line"] not in BETTER), (
        capsys.readouterr().err
    )
    if status or not official["files"]:
        assert status == 0 or not list(tmp_path.iterdir())
        return
    if "format" not in official:  # a Keras file or SavedModel
        name = Path(next(iter(official["files"]))).parts[0]
        check_predictions(inputs, tmp_path / name, 1e-5)
        return
    ours = describe(tmp_path / "out" / "model.json")
    is_graph = ours["format"] == "graph-model"
    wrong = any(name.startswith("layers/") for name in official["weights"])  # names tfjs refuses
    if (
        not is_graph and not wrong
    ):  # graphs are folded in another way, and say their structure in other words
        assert ours["weights"] == official["weights"]
        assert ours["shards"] == official["shards"]
        assert ours["metadata"] == official["metadata"]
    dtypes = {dtype for _, dtype in ours["weights"].values()}
    assert ours["format"] == official["format"] or "weights.h5" in line
    assert dtypes & {"uint8", "uint16", "float16"} == {
        dtype for _, dtype in official["weights"].values() if dtype not in ("float32", "int32")
    }
    is_quantised = bool(dtypes - {"float32", "int32"})
    if "weights.h5" not in line:
        check_predictions(inputs, tmp_path / "out", QUANTISED_ERROR if is_quantised else 1e-5)


def check_predictions(inputs, model, tolerance):
    with np.load(inputs / "io.npz") as recorded, tfjs_codec.load(model) as loaded:
        predicted = loaded.predict(recorded["in0"])
        if isinstance(predicted, dict):
            found = [value for key, value in predicted.items() if not key.startswith("z")]
        else:
            found = predicted if isinstance(predicted, list) else [predicted]
        np.testing.assert_allclose(found[0], recorded["out0"], atol=tolerance)


def test_the_table_is_long_enough():
    assert len(RESULTS) >= 70
    assert {result["line"] for result in RESULTS} >= BETTER
