"""A converted model in a real browser: fetched over HTTP, fed from a canvas."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from compare import assert_close, difference
from graph_fixtures import CASES, convert, runs
from layer_fixtures import FILES, HALF_PRECISION, REFUSED, WEIGHTS_ONLY, unpack
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from tfjs_chromium import BACKENDS, CHROMIUM, FLAGS, TfjsChromium
from tfjs_node import NODE_DIR, TfjsError

import tfjs_codec

pytestmark = pytest.mark.chromium

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

# What webgpu has no kernel for.
LACKING = {
    "graph_texts": "StringToHashBucketFast",
    "graph_vocabulary": "StringToHashBucketFast",
}
NEWEST = {case: file for case, file in sorted(FILES) if not file.endswith(WEIGHTS_ONLY)}

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
def site(root, fixtures_dir) -> Iterator[str]:
    """The address of a site with the digits page, the converted model and tfjs."""
    (root / "fixtures").symlink_to(fixtures_dir)
    (root / "tf.min.js").symlink_to(TFJS)
    (root / "blank.html").write_text(BLANK)
    digits = fixtures_dir / "digits" / "digits.keras"
    tfjs_codec.convert(digits, root / "web_model")
    tfjs_codec.convert(digits, root / "sharded", shard_size_bytes=4096)
    handler = functools.partial(_Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def chromium(playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def tfjs(playwright) -> Iterator[TfjsChromium]:
    """Pages for many models: each keeps tfjs and the shaders it compiled."""
    with closing(TfjsChromium(playwright)) as server:
        yield server


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


@pytest.mark.parametrize("to", [None, "graph"])
def test_the_page_beside_a_model_runs_it(chromium, fixtures_dir, tmp_path, to):
    """``--with-page``: any server will do, the model and the page lie side by side."""
    source = fixtures_dir / "digits" / "digits.keras"
    labels = {"labels": [f"<b>digit {n}</b>" for n in range(10)]}
    tfjs_codec.convert(source, tmp_path / "web", to=to, with_page=True, metadata=labels)
    assert len((tmp_path / "web" / "index.html").read_text().splitlines()) <= 20
    tfjs_codec.convert(source, tmp_path / "web", to=to, with_page=True)  # over our own page
    tfjs_codec.convert(source, tmp_path / "web", to=to, with_page=True, metadata=labels)
    handler = functools.partial(_Quiet, directory=str(tmp_path))  # the page is below the root
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = chromium.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.route("https://**/tf.min.js", lambda route: route.fulfill(path=TFJS))
        page.goto(f"http://127.0.0.1:{server.server_port}/web/")
        page.wait_for_function("document.getElementById('out').textContent.includes('best')")
        assert "best: <b>digit" in page.text_content("#out")
        page.unroute("https://**/tf.min.js")
        page.route("https://**/tf.min.js", lambda route: route.abort())
        page.goto(f"http://127.0.0.1:{server.server_port}/web/")
        page.wait_for_function("document.getElementById('out').textContent.includes('did not')")
        page.unroute("https://**/tf.min.js")
        page.route("https://**/tf.min.js", lambda route: route.fulfill(path=TFJS))
        (tmp_path / "web" / "model.json").unlink()
        page.goto(f"http://127.0.0.1:{server.server_port}/web/")
        page.wait_for_function("document.getElementById('out').textContent.includes('404')")
        page.close()
        server.shutdown()
    assert len(errors) == 2  # the last two


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


@pytest.fixture(scope="module")
def converted(tmp_path_factory) -> Callable[[str], Path]:
    """Convert a fixture of graphs, once for all backends."""
    return functools.cache(lambda name: convert(name, tmp_path_factory.mktemp(name)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", sorted({*CASES} - LACKING.keys()))
def test_graphs_compute_what_tensorflow_computed(name, backend, converted, tfjs):
    for given, expected in runs(name):
        got = tfjs.execute(converted(name), given, list(expected), backend)
        assert not difference(got, list(expected.values()))


@pytest.mark.parametrize("name", LACKING)
def test_a_kernel_that_webgpu_lacks_is_named(name, converted, tfjs):
    given, expected = next(runs(name))
    with pytest.raises(TfjsError, match=f"Kernel '{LACKING[name]}' not registered"):
        tfjs.execute(converted(name), given, list(expected), "webgpu")
    got = tfjs.execute(converted(name), given, list(expected), "webgl")
    assert not difference(got, list(expected.values()))


@pytest.mark.parametrize("case", sorted(NEWEST.keys() - REFUSED.keys() - HALF_PRECISION))
def test_layers_compute_in_shaders_what_keras_computed(case, tfjs, tmp_path):
    """Shaders have other special cases than the kernels in C++ and JavaScript."""
    unpack(case, tmp_path)
    writer = NEWEST[case].rpartition(".")[0]
    recorded = np.load(tmp_path / "io.npz")
    tfjs_codec.convert(tmp_path / NEWEST[case], tmp_path / "web")
    inputs = [value for key, value in recorded.items() if key.startswith("in")]
    wanted = [recorded[key] for key in recorded if key.startswith(f"{writer}/")]
    for backend in BACKENDS:
        got = tfjs.predict(tmp_path / "web", inputs, backend)
        assert_close(got, wanted, atol=1e-4, rtol=1e-3)


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
