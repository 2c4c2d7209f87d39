"""A converted model in a real browser: fetched over HTTP, fed from a canvas."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from compare import assert_close
from graph_fixtures import CASES, convert, runs
from layer_fixtures import FILES, HALF_PRECISION, REFUSED, WEIGHTS_ONLY, unpack
from playwright.sync_api import Browser, Page, sync_playwright
from tfjs_node import NODE_DIR

import tfjs_codec

pytestmark = pytest.mark.chromium

CHROMIUM = "/usr/bin/chromium"
# No screen, no GPU (WebGL runs in software), and nothing fetched but what the test serves.
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
TFJS = NODE_DIR / "node_modules/@tensorflow/tfjs/dist/tf.min.js"
BLANK = "<!doctype html><title>a page</title><script src=/tf.min.js></script>"

# What a user writes, around images as they come from a canvas.
SNIPPET = """async ({url, backend, images, size}) => {
  if (!await tf.setBackend(backend)) throw new Error(`no backend ${backend}`);
  const model = await tf.loadLayersModel(url);
  const canvas = Object.assign(document.createElement('canvas'), {width: size, height: size});
  const context = canvas.getContext('2d');
  const predictions = [];
  for (const greys of images) {
    const pixels = greys.flatMap(grey => [grey, grey, grey, 255]);
    context.putImageData(new ImageData(new Uint8ClampedArray(pixels), size, size), 0, 0);
    const input = tf.browser.fromPixels(canvas, 1).toFloat().div(255).expandDims(0);
    predictions.push(Array.from(await model.predict(input).data()));
  }
  return predictions;
}"""

# A graph model with inputs and outputs by the keys of its signature.
EXECUTE = """async ({url, inputs, outputs}) => {
  await tf.setBackend('webgl');
  const model = await tf.loadGraphModel(url);
  const fed = {};
  for (const [key, {values, shape, dtype}] of Object.entries(inputs)) {
    fed[key] = tf.tensor(values, shape, dtype);
  }
  const results = [await model.executeAsync(fed, outputs)].flat();
  const found = results.map(each => [each.shape, Array.from(each.dataSync())]);
  tf.dispose([fed, results]);
  model.dispose();
  return found;
}"""
# A Layers model, from a list of inputs.
PREDICT = """async ({url, inputs}) => {
  await tf.setBackend('webgl');
  const model = await tf.loadLayersModel(url);
  const fed = inputs.map(({values, shape, dtype}) => tf.tensor(values, shape, dtype));
  const results = [model.predict(fed)].flat();
  const found = results.map(each => [each.shape, Array.from(each.dataSync())]);
  tf.dispose([fed, results]);
  model.dispose();
  return found;
}"""
# Strings go in and out as JavaScript has them, which this snippet does not do.
TEXTS = ("columns", "tables", "texts", "v1_variables", "v1_vocabulary", "vocabulary")
DTYPES = {"f": "float32", "i": "int32", "u": "int32", "b": "bool"}
NEWEST = {case: file for case, file in sorted(FILES) if not file.endswith(WEIGHTS_ONLY)}
GRAPHS = sorted(set(CASES) - {f"graph_{name}" for name in TEXTS})

# Paints a small image over the whole sheet of fixtures/digits/index.html and asks the page.
PAINT_AND_PREDICT = """greys => {
  const sheet = document.getElementById('paper'), ink = sheet.getContext('2d');
  greys.forEach((grey, at) => {
    ink.fillStyle = `rgb(${grey}, ${grey}, ${grey})`;
    ink.fillRect(at % 8 * 32, Math.floor(at / 8) * 32, 32, 32);
  });
  return Array.from(window.predict());
}"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Say nothing: pytest shows what a failing test needs."""


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """The directory that the site serves."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def site(root, tmp_path_factory, fixtures_dir) -> Iterator[str]:
    """The address of a site with the digits page, the converted model and tfjs."""
    (root / "fixtures").symlink_to(fixtures_dir)
    (root / "tf.min.js").symlink_to(TFJS)
    (root / "blank.html").write_text(BLANK)
    digits = fixtures_dir / "digits" / "digits.keras"
    tfjs_codec.convert(digits, root / "web_model")
    tfjs_codec.convert(digits, root / "sharded", shard_size_bytes=4096)
    for name in GRAPHS:
        (root / name).symlink_to(convert(name, tmp_path_factory.mktemp(name)))
    handler = functools.partial(_Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium) -> Iterator[Page]:
    """A new page that fails the test when its scripts do; the CDN's tfjs comes from npm's copy."""
    page = chromium.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route("https://**/tf.min.js", lambda route: route.fulfill(path=TFJS))
    yield page
    page.close()
    assert not errors


@pytest.fixture(scope="module")
def blank(chromium, site) -> Iterator[Page]:
    """One page for many models: it keeps tfjs and the shaders it compiled."""
    page = chromium.new_page()
    page.goto(f"{site}/blank.html")
    yield page
    page.close()


@pytest.fixture(scope="module")
def recorded(fixtures_dir: Path):
    with np.load(fixtures_dir / "digits" / "io.npz") as arrays:
        return {name: arrays[name] for name in arrays}


def greys(images: np.ndarray) -> list[list[int]]:
    return np.rint(images * 255).astype(int).reshape(len(images), -1).tolist()


@pytest.mark.parametrize("backend", ["cpu", "webgl"])
@pytest.mark.parametrize("model", ["web_model", "sharded"])
def test_predicts_from_a_canvas_what_keras_predicted(backend, model, site, page, recorded):
    page.goto(f"{site}/blank.html")
    argument = {
        "url": f"{site}/{model}/model.json",
        "backend": backend,
        "images": greys(recorded["in0"]),
        "size": 8,
    }
    predictions = page.evaluate(SNIPPET, argument)
    assert_close([np.array(predictions)], [recorded["out0"]])


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_compute_what_tensorflow_computed(name, site, blank):
    for given, expected in runs(name):
        inputs = {
            key: {
                "values": value.ravel().tolist(),
                "shape": value.shape,
                "dtype": value.dtype.name,
            }
            for key, value in given.items()
        }
        argument = {"url": f"{site}/{name}/model.json", "inputs": inputs, "outputs": [*expected]}
        got = blank.evaluate(EXECUTE, argument)
        results = [np.array(values).reshape(shape) for shape, values in got]
        wanted = [value.astype(float) for value in expected.values()]
        assert_close(results, wanted, atol=1e-4)  # sines of shaders are not exact


@pytest.mark.parametrize("case", sorted(NEWEST.keys() - REFUSED.keys() - HALF_PRECISION))
def test_layers_compute_in_webgl_what_keras_computed(case, site, root, blank, tmp_path):
    """Shaders have other special cases than the kernels in C++ and JavaScript."""
    unpack(case, tmp_path)
    writer = NEWEST[case].rpartition(".")[0]
    recorded = np.load(tmp_path / "io.npz")
    tfjs_codec.convert(tmp_path / NEWEST[case], root / case)
    inputs = [
        {"values": value.ravel().tolist(), "shape": value.shape, "dtype": DTYPES[value.dtype.kind]}
        for key, value in recorded.items()
        if key.startswith("in")
    ]
    got = blank.evaluate(PREDICT, {"url": f"{site}/{case}/model.json", "inputs": inputs})
    results = [np.array(values).reshape(shape) for shape, values in got]
    wanted = [recorded[key] for key in recorded if key.startswith(f"{writer}/")]
    assert_close(results, wanted, atol=1e-4, rtol=1e-3)


def test_the_readme_page_reads_digits(site, page, recorded):
    page.goto(f"{site}/fixtures/digits/")
    page.get_by_text("ready").wait_for()
    for image, expected in zip(greys(recorded["in0"]), recorded["out0"], strict=True):
        assert_close([np.array(page.evaluate(PAINT_AND_PREDICT, image))], [expected])


def test_the_readme_page_reads_what_is_drawn(site, page):
    page.goto(f"{site}/fixtures/digits/")
    page.get_by_text("ready").wait_for()
    box = page.locator("#paper").bounding_box()
    left, top = box["x"] + box["width"] / 2, box["y"]
    page.mouse.move(left, top + 30)
    page.mouse.down()
    page.mouse.move(left, top + 230, steps=20)
    page.mouse.up()
    assert page.locator("#digit").text_content() == "1"
