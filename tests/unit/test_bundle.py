"""``bundle``: what is written, and what is refused. Real runs are in ``tests/oracle``."""

from __future__ import annotations

import json
import re

import graph_fixtures
import numpy as np
import pytest
from keras_files import dense_h5

import tfjs_codec
from tfjs_codec.bundling.texts import FILES
from tfjs_codec.cli import main
from tfjs_codec.errors import UnsupportedModelError, UsageError, VerificationError
from tfjs_codec.tfjs.graph_ops import _table, in_tfjs
from tfjs_codec.tfjs.kernels import find_kernel, functions, functions_of
from tfjs_codec.verification import node


@pytest.fixture
def graph(tmp_path):
    return graph_fixtures.convert("graph_conv_bn", tmp_path)


@pytest.fixture
def no_node(monkeypatch):
    monkeypatch.setenv("PATH", "")


def shown(monkeypatch, *kernels, version="4.22.0", proved=True):
    """Let a run show *kernels*, without Node."""
    reply = {"version": version, "backend": "cpu", "kernels": kernels, "classes": [],
             "proved": proved}  # fmt: skip
    monkeypatch.setattr(node, "_ask", lambda request: reply)


def test_without_node_a_graph_has_the_kernels_of_the_table(graph, tmp_path, no_node):
    found = tfjs_codec.bundle(graph, tmp_path / "out")
    assert {"FusedConv2D", "Identity", "Cast"} <= {*found.kernels}
    assert found.checks == ()
    assert "not proved by a run" in found.notes[0]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*found.files}
    assert {*found.files} < FILES
    config = json.loads((tmp_path / "out" / "custom_tfjs_config.json").read_text())
    assert config["kernels"] == [*found.kernels]
    assert config["backends"] == ["webgl"]
    assert (tmp_path / "out" / config["models"][0]).resolve() == graph / "model.json"
    text = (tmp_path / "out" / "custom_tfjs.js").read_text()
    assert re.findall(r"registerKernel\((\w+)_webgl\)", text) == [*found.kernels]


def test_without_node_layers_are_refused(tmp_path, no_node):
    tfjs_codec.convert(dense_h5(), tmp_path / "web")
    with pytest.raises(UsageError, match="only a run shows") as caught:
        tfjs_codec.bundle(tmp_path / "web", tmp_path / "out")
    assert "--to graph" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_a_run_adds_kernels_to_those_of_the_table(graph, tmp_path, monkeypatch):
    shown(monkeypatch, "TopK")
    found = tfjs_codec.bundle(graph, tmp_path / "out")
    assert {"TopK", "FusedConv2D"} <= {*found.kernels}
    assert found.checks == (
        "TensorFlow.js 4.22.0 predicts the same with nothing else (cpu backend)",
    )
    shown(monkeypatch, "TopK", version="4.20.0")
    assert "4.22.0" in tfjs_codec.bundle(graph, tmp_path / "out").notes[0]


def test_a_kernel_that_a_backend_lacks_is_refused(graph, tmp_path, monkeypatch):
    shown(monkeypatch, "StaticRegexReplace", "FFT")
    with pytest.raises(UnsupportedModelError) as caught:
        tfjs_codec.bundle(graph, tmp_path / "out", backends=["wasm", "webgl"])
    assert [problem.layer for problem in caught.value.problems] == ["FFT", "StaticRegexReplace"]
    assert "tfjs lacks it on the wasm backend" in str(caught.value)


def test_what_tfjs_cannot_run_is_told(graph, tmp_path, monkeypatch):
    shown(monkeypatch, proved=False)
    with pytest.raises(VerificationError, match="something else"):
        tfjs_codec.bundle(graph, tmp_path / "out")
    monkeypatch.setattr(node, "_ask", lambda request: {"stage": "predict", "error": "Oh\x1b[1m"})
    with pytest.raises(VerificationError, match=r"fails to predict the model: 'Oh\\x1b"):
        tfjs_codec.bundle(graph, tmp_path / "out")


def test_functions_of_the_page_come_with_their_kernels(graph, tmp_path, no_node):
    also = ["argMax", "image.resizeBilinear", "browser.fromPixels", "zeros"]
    found = tfjs_codec.bundle(graph, tmp_path / "out", also=also, backends=["cpu", "webgl"])
    assert found.backends == ("webgl", "cpu")
    assert {"ArgMax", "ResizeBilinear", "FromPixels"} <= {*found.kernels}
    assert "the cpu backend has no kernel FromPixels" in found.notes
    entry = (tmp_path / "out" / "entry.js").read_text()
    assert "export {argMax} from '@tensorflow/tfjs-core/dist/ops/arg_max';" in entry
    assert "export const image = {resizeBilinear: resizeBilinear_image};" in entry
    assert len(re.findall(r"\bzeros\b", entry)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"also": ["argmax"]}, "Did you mean 'argMax'"),
        ({"backends": ["webgpu"]}, "'webgpu' is not a backend that can be bundled"),
        ({"backends": []}, "no backend was named"),
    ],
)
def test_wrong_usage(graph, tmp_path, options, message):
    with pytest.raises(UsageError) as caught:
        tfjs_codec.bundle(graph, tmp_path / "out", **options)
    assert message in str(caught.value)


def test_only_bundles_are_replaced(graph, tmp_path, no_node):
    out = tmp_path / "out"
    out.mkdir()
    (out / "custom_tfjs_config.json").write_text("{}")
    with pytest.raises(UsageError, match="holds no bundle of tfjs"):
        tfjs_codec.bundle(graph, out)
    tfjs_codec.bundle(graph, out, force=True)
    (out / "tf.min.js").write_text("what was built")
    (out / "mine.html").write_text("mine")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    tfjs_codec.bundle(graph, out)
    del before["tf.min.js"]  # it is of the old bundle
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_what_is_no_tfjs_model_is_refused(tmp_path, fixtures_dir):
    with pytest.raises(UsageError, match="not the directory of a tfjs model"):
        tfjs_codec.bundle(fixtures_dir / "digits" / "digits.keras", tmp_path / "out")
    tfjs_codec.convert({"a": np.ones(1)}, tmp_path / "weights")
    with pytest.raises(UsageError, match="mere weights"):
        tfjs_codec.bundle(tmp_path / "weights", tmp_path / "out")


def test_the_command_line(graph, tmp_path, capsys, no_node):
    out = str(tmp_path / "out")
    assert main.main(["bundle", str(graph), "--out", out, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["backends"] == ["webgl"]
    assert main.main(["bundle", str(graph), "--out", out, "--backend", "wasm,cpu"]) == 0
    text = capsys.readouterr().out
    assert "backend: wasm, cpu" in text
    assert "npm run build" in text
    assert (
        '"@tensorflow/tfjs-backend-wasm": "4.22.0"' in (tmp_path / "out/package.json").read_text()
    )
    assert main.main(["bundle", str(graph), "--out", out, "--also", "nothing"]) == 2


def test_names_from_the_model_are_only_data(tmp_path, no_node):
    content = {
        "format": "graph-model",
        "modelTopology": {"node": [{"name": "x", "op": "';alert(1);//"}]},
        "weightsManifest": [],
    }
    (tmp_path / "model.json").write_text(json.dumps(content))
    found = tfjs_codec.bundle(tmp_path, tmp_path / "out")
    with_name = [
        name for name in found.files if "alert" in (tmp_path / "out" / name).read_text("utf-8")
    ]
    assert with_name == ["custom_tfjs_config.json"]


def test_the_table_has_every_operation_that_tfjs_executes():
    """Ragged operations are in the Python list of tfjs only."""
    for name in _table():
        assert not in_tfjs(name) or {*functions_of(name)} <= functions().keys()
    assert functions_of("LookupTableFindV2") == ["stack"]
    assert functions()["fused.conv2d"].kernels == {"FusedConv2D", "Reshape"}


def test_every_kernel_of_a_function_is_in_a_backend():
    for function in functions().values():
        for kernel in function.kernels - {"FromPixels", "Draw"}:
            assert find_kernel(kernel, "cpu"), kernel
