"""``tfjs-codec bundle``: a tfjs with nothing but what one model needs, in a real browser."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import graph_fixtures
import numpy as np
import pytest
from compare import difference
from layer_fixtures import unpack
from playwright.sync_api import Playwright, sync_playwright
from tfjs_chromium import TfjsChromium
from tfjs_node import NODE_DIR, TfjsError

import tfjs_codec
from tfjs_codec.bundling.needs import find_needs
from tfjs_codec.errors import VerificationError
from tfjs_codec.verification import node

pytestmark = [pytest.mark.chromium, pytest.mark.node]

# (case, backend) and what its JavaScript may weigh, gzipped, in kB; tf.min.js has 366.
BUDGET = {
    ("mobilenet", "webgl"): 95,
    ("mobilenet", "wasm"): 90,
    ("mobilenet", "cpu"): 65,
    ("lstm", "webgl"): 113,
    ("lstm graph", "webgl"): 95,
    ("transformer", "webgl"): 120,
    ("transformer graph", "webgl"): 95,
    ("merging", "cpu"): 85,
    ("words", "webgl"): 86,
    ("words", "cpu"): 55,
}


class Case(NamedTuple):
    """A tfjs model, its inputs (of a graph model: by key) and what was recorded for them."""

    web: Path
    inputs: Any
    outputs: Mapping[str, np.ndarray]


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def cases(tmp_path_factory, keras_oracle):
    """Return a case by its name, converted once."""
    known: dict[str, Case] = {}

    def find(name: str) -> Case:
        if name not in known:
            known[name] = make(name, tmp_path_factory.mktemp("case"), keras_oracle)
        return known[name]

    return find


def make(name: str, folder: Path, keras) -> Case:
    if name == "words":
        given, expected = next(graph_fixtures.runs("graph_vocabulary"))
        return Case(graph_fixtures.convert("graph_vocabulary", folder), given, expected)
    if name == "mobilenet":
        config = {"classes": 5, "alpha": 0.35, "input_shape": [32, 32, 3]}
        image = np.random.default_rng(1).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
        program = {"application": "MobileNetV2", "config": config}
        inputs, outputs = [image], keras.make(program, [image], folder / "model.keras")
        source = folder / "model.keras"
    else:
        case = name.removesuffix(" graph").replace("transformer", "transformer_block")
        unpack(case, folder)
        recorded = np.load(folder / "io.npz")
        inputs = [recorded[key] for key in recorded if key.startswith("in")]
        outputs = [recorded[key] for key in recorded if key.startswith("keras-3.15/")]
        source = folder / "keras-3.15.keras"
    to = "layers" if name in ("lstm", "transformer", "merging") else "graph"
    tfjs_codec.convert(source, folder / "web", to=to)
    if to == "layers":
        return Case(folder / "web", inputs, dict(enumerate(outputs)))
    signature = json.loads((folder / "web" / "model.json").read_text())["signature"]
    fed, named = (dict(zip(signature[kind], values, strict=True))
                  for kind, values in (("inputs", inputs), ("outputs", outputs)))  # fmt: skip
    return Case(folder / "web", fed, named)


def build(web: Path, folder: Path, **options: Any) -> Mapping[str, Path]:
    """Bundle tfjs for the model *web*; return the files by their paths in URLs."""
    found = tfjs_codec.bundle(web, folder / "bundle", node_modules=NODE_DIR, **options)
    assert "predicts the same with nothing else" in found.checks[0]
    (folder / "bundle" / "node_modules").symlink_to(NODE_DIR / "node_modules")
    command = ["node", str(folder / "bundle" / "build.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    files = (folder / "bundle").glob("*.*")
    return {f"/{file.name}": file for file in files if file.suffix == ".wasm"} | {
        "/tf.min.js": folder / "bundle" / "tf.min.js"
    }


def predict(tfjs: TfjsChromium, case: Case, backend: str) -> list[np.ndarray]:
    if isinstance(case.inputs, list):
        return tfjs.predict(case.web, case.inputs, backend)
    return tfjs.execute(case.web, case.inputs, list(case.outputs), backend)


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "backend"), BUDGET)
def test_predicts_what_was_recorded(name, backend, cases, playwright, tmp_path):
    case = cases(name)
    scripts = build(case.web, tmp_path, backends=[backend])
    kilobytes = len(gzip.compress(scripts["/tf.min.js"].read_bytes(), mtime=0)) / 1000
    with closing(TfjsChromium(playwright, scripts)) as tfjs:
        got = predict(tfjs, case, backend)
    assert not difference(got, list(case.outputs.values()))
    assert kilobytes < BUDGET[name, backend]


def test_functions_of_the_page_run(cases, playwright, tmp_path):
    """``--also``: with their kernels, on a page that calls them."""
    also = ["argMax", "image.resizeBilinear", "sum"]
    scripts = build(cases("words").web, tmp_path, also=also)
    with closing(TfjsChromium(playwright, scripts)) as tfjs:
        got = tfjs.evaluate("""() => {
          const image = tf.image.resizeBilinear(tf.tensor([[[[1], [5]]]]), [1, 4], true);
          return [tf.argMax(tf.tensor([1, 3, 2])).dataSync()[0], tf.sum(image).dataSync()[0]];
        }""")
    assert got == [1, 12]


def test_a_training_configuration_is_compiled(fixtures_dir, playwright, tmp_path):
    """Tfjs makes the optimizer and looks up the loss when it loads the model."""
    recorded = np.load(fixtures_dir / "digits" / "io.npz")
    tfjs_codec.convert(fixtures_dir / "digits" / "digits.keras", tmp_path / "web",
                       training_config=True)  # fmt: skip
    assert "trainingConfig" in json.loads((tmp_path / "web" / "model.json").read_text())
    scripts = build(tmp_path / "web", tmp_path)
    with closing(TfjsChromium(playwright, scripts)) as tfjs:
        got = tfjs.predict(tmp_path / "web", [recorded["in0"]], "webgl")
    assert not difference(got, [recorded["out0"]])


def test_what_another_model_needs_is_told(cases, playwright, tmp_path):
    """A bundle for one model says what it lacks for another, and predicts nothing."""
    scripts = build(cases("words").web, tmp_path)
    lstm = cases("lstm graph")
    with (
        closing(TfjsChromium(playwright, scripts)) as tfjs,
        pytest.raises(TfjsError, match=r"does not need the operation|Unknown op|not registered"),
    ):
        predict(tfjs, lstm, "webgl")


@pytest.mark.parametrize("name", graph_fixtures.CASES)
def test_the_table_has_all_kernels_that_run(name, tmp_path):
    """The table is made from the code of tfjs; a run must find nothing that it lacks."""
    index = graph_fixtures.convert(name, tmp_path) / "model.json"
    needs = find_needs(json.loads(index.read_text()))
    shown = node.trace(index, None, node.Predicting(modules=NODE_DIR))
    assert isinstance(shown, node.Trace)
    assert shown.kernels <= needs.kernels


def test_recorded_inputs_are_those_of_the_run(cases, tmp_path):
    case = cases("lstm")
    recorded = {f"in{number}": value for number, value in enumerate(case.inputs)}
    recorded |= {f"out{number}": value for number, value in case.outputs.items()}
    np.savez(tmp_path / "io.npz", **recorded)
    inputs = tmp_path / "io.npz"
    found = tfjs_codec.bundle(case.web, tmp_path / "out", inputs=inputs, node_modules=NODE_DIR)
    assert "LSTM" in found.classes


def test_what_tfjs_cannot_run_is_no_bundle(cases, tmp_path):
    index = json.loads((cases("words").web / "model.json").read_text())
    index["modelTopology"]["node"][-1]["op"] = "Nonsense"
    (tmp_path / "model.json").write_text(json.dumps({**index, "weightsManifest": []}))
    with pytest.raises(VerificationError, match="tfjs fails to"):
        tfjs_codec.bundle(tmp_path / "model.json", tmp_path / "out", node_modules=NODE_DIR)
    assert not (tmp_path / "out").exists()
