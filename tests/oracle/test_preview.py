"""``preview`` in a browser: what is drawn, run, reached by the keyboard, and never executed."""

from __future__ import annotations

import io
import json
import re
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from graph_fixtures import convert as convert_graph
from keras_files import dense_h5, entry, functional, h5_model, input_entry
from layer_fixtures import unpack
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tfjs_chromium import CHROMIUM, FLAGS
from tfjs_node import NODE_DIR

import tfjs_codec
from tfjs_codec.options import ConvertOptions
from tfjs_codec.preview.facts import collect
from tfjs_codec.preview.page import write_page
from tfjs_codec.preview.running import prepare_running
from tfjs_codec.preview.server import Server
from tfjs_codec.snippet import TFJS

pytestmark = pytest.mark.chromium

PACKAGES = NODE_DIR / "node_modules"
AXE = PACKAGES / "axe-core/axe.min.js"
ASSETS = Path(tfjs_codec.__file__).parent / "preview/assets"
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
MARKUP = "</script><img src=x onerror=alert(1)>"
LAYERS = 200
TIMEOUT_MS = 60_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *CAMERA])
        yield browser
        browser.close()


@contextmanager
def served(source: Path | str, **how) -> Iterator[str]:
    """Give the address of the page of *source*."""
    options = ConvertOptions(allow_approximate=True)
    against = how.pop("against", None)
    with ExitStack() as stack:
        facts = collect(str(source), options, against=against)
        how.setdefault("tfjs", str(PACKAGES))
        prepared = prepare_running(str(source), options.begin(), stack, **how)
        page = write_page(facts, prepared and prepared.running)
        server = stack.enter_context(Server(page, prepared.files if prepared else {}))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield server.address


@contextmanager
def opened(chromium: Browser, address: str, **context) -> Iterator[Page]:
    """Give the page at *address*; any error, dialog or complaint of the policy fails the test."""
    context.setdefault("viewport", {"width": 1280, "height": 900})
    page = chromium.new_context(**context).new_page()
    page.set_default_timeout(TIMEOUT_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.goto(address)
    expect(page.locator("html")).to_have_attribute("data-drawn", "yes", timeout=TIMEOUT_MS)
    yield page
    page.context.close()
    assert wrong == []


def run(page: Page, *backends: str) -> dict[str, float]:
    """Press *Run* for *backends*; return the difference of each from what is shown as reference."""
    for box in page.locator("#run input[type=checkbox]").all():
        box.set_checked(box.get_attribute("value") in backends)
    page.locator("#go").click()
    expect(page.locator("#status")).to_have_text(re.compile("^Ran on"), timeout=TIMEOUT_MS)
    rows = page.locator("#results tbody tr").all()
    assert len(rows) == len(backends)
    return {row.get_attribute("data-backend"): float(row.get_attribute("data-difference"))
            for row in rows}  # fmt: skip


# ------------------------------------------------------------------------------------- the models


def deep_h5() -> bytes:
    """A model of 200 layers with skips."""
    layers, weights, last = [input_entry("x", [None, 8])], {}, "x"
    for number in range(LAYERS // 4):
        rows = [
            entry("Dense", f"dense_{number}", [[[last, 0, 0, {}]]], units=8),
            entry(
                "BatchNormalization", f"norm_{number}", [[[f"dense_{number}", 0, 0, {}]]], axis=[1]
            ),
            entry(
                "Activation", f"act_{number}", [[[f"norm_{number}", 0, 0, {}]]], activation="relu"
            ),
            entry("Add", f"add_{number}", [[[last, 0, 0, {}], [f"act_{number}", 0, 0, {}]]]),
        ]
        last = f"add_{number}"
        layers += rows
        weights[f"dense_{number}"] = [
            (f"dense_{number}/kernel:0", np.eye(8, dtype=np.float32) * 0.01),
            (f"dense_{number}/bias:0", np.zeros(8, np.float32)),
        ]
        weights[f"norm_{number}"] = [
            (f"norm_{number}/{role}:0", np.ones(8, np.float32))
            for role in ("gamma", "beta", "moving_mean", "moving_variance")
        ]
    return h5_model(functional(layers, [["x", 0, 0]], [[last, 0, 0]]), weights)


def hostile(folder: Path) -> Path:
    """A model whose every name is markup."""
    labels = {"labels": [MARKUP] * 3, MARKUP: MARKUP}
    files = tfjs_codec.to_files(dense_h5("zzz"), metadata=labels)
    files["model.json"] = files["model.json"].replace(b"zzz", MARKUP.encode())
    web = folder / MARKUP.replace("/", "_")
    web.mkdir()
    for file, data in files.items():
        (web / file).write_bytes(data)
    return web


def loops(folder: Path) -> Path:
    return convert_graph("graph_control", folder)


class Shown(NamedTuple):
    """A model: how to make it in a folder, and how many boxes and rows the page has."""

    make: Callable[[Path, Path], Path]
    boxes: int
    box: str  # the label of one starts so


def layers_model(fixtures: Path, folder: Path) -> Path:
    tfjs_codec.convert(fixtures / "digits/digits.keras", folder / "web")
    return folder / "web"


def graph_model(fixtures: Path, folder: Path) -> Path:
    tfjs_codec.convert(fixtures / "digits/digits.keras", folder / "web", to="graph")
    return folder / "web"


def quantised(fixtures: Path, folder: Path) -> Path:
    tfjs_codec.convert(fixtures / "digits/digits.keras", folder / "web", quantize={"uint8": True})
    return folder / "web"


def deep(_: Path, folder: Path) -> Path:
    tfjs_codec.convert(deep_h5(), folder / "web")
    return folder / "web"


def recorded_case(case: str) -> Callable[[Path, Path], Path]:
    def make(_: Path, folder: Path) -> Path:
        unpack(case, folder / "source")
        source = max((folder / "source").glob("keras-*.keras"))
        tfjs_codec.convert(source, folder / "web")
        return folder / "web"

    return make


MODELS = {
    "Layers": Shown(layers_model, 10, "Conv2D, conv2d, output ? × 8 × 8 × 12, 120 parameters"),
    "graph": Shown(graph_model, 12, "_FusedConv2D, conv2d, output ? × 8 × 8 × 12"),
    "quantised": Shown(quantised, 10, "Dense, dense, output ? × 10, 970 parameters"),
    "200 layers": Shown(deep, LAYERS + 1, "Add, add_49, output ? × 8"),
    "hostile names": Shown(lambda _, folder: hostile(folder), 2, "Dense, <"),
    "nested": Shown(recorded_case("nested_two_levels"), 0, "Functional"),
    "several inputs": Shown(recorded_case("multi_input_output"), 0, "Dense, second"),
    ".keras": Shown(lambda fixtures, _: fixtures / "digits/digits.keras", 10, "RandomTranslation"),
    ".h5": Shown(lambda fixtures, _: fixtures / "digits/digits.h5", 10, "RandomTranslation"),
    "SavedModel": Shown(
        lambda fixtures, _: fixtures / "savedmodel_tf2.19_module/model", 3, "AddV2"
    ),
    "loops": Shown(lambda _, folder: loops(folder), 0, "Placeholder"),
}


@pytest.fixture(scope="module", params=MODELS, ids=str)
def shown(request, fixtures_dir, tmp_path_factory) -> Iterator[tuple[Shown, str]]:
    model = MODELS[request.param]
    source = model.make(fixtures_dir, tmp_path_factory.mktemp("model"))
    with served(source) as address:
        yield model, address


def test_it_draws_every_layer(chromium, shown):
    model, address = shown
    with opened(chromium, address) as page:
        data = json.loads(page.locator("#model").text_content())
        groups = {node["parent"] for node in data["nodes"]} - {None}
        boxes = len(data["nodes"])
        if boxes > 60 and groups:  # starts folded
            assert page.locator(".node").count() == sum(n["parent"] is None for n in data["nodes"])
            page.get_by_role("button", name="Unfold all").click()
        assert page.locator(".node").count() == (model.boxes or boxes) == boxes
        assert page.locator(".edge").count() == len({tuple(edge) for edge in data["edges"]}) > 0
        assert page.locator("#sizes tbody tr").count() == min(boxes, 200)
        label = re.compile(f"^{re.escape(model.box)}")
        page.locator("svg").get_by_role("button", name=label).first.press("Enter")
        expect(page.locator("#details h3")).to_be_visible()
        assert page.locator("#details dd").count() >= 2
        if tensors := page.locator("#weights .card").count():
            assert tensors == min(24, len(data["tensors"]))


def faults(page: Page) -> list[tuple[str, list[str]]]:
    """Return the serious and critical findings of axe-core, with the details of a box shown."""
    page.locator(".node").first.press("Enter")
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run()).violations")
    return [
        (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_nothing_hinders_people(chromium, shown):
    with opened(chromium, shown[1]) as page:
        assert faults(page) == []


def test_nothing_hinders_people_in_the_dark_or_after_a_run(chromium, fixtures_dir, tmp_path):
    with (
        served(quantised(fixtures_dir, tmp_path)) as address,
        opened(chromium, address, color_scheme="dark") as page,
    ):
        run(page, "cpu")
        assert faults(page) == []
        page.emulate_media(color_scheme="light")
        assert faults(page) == []


def test_it_fits_a_phone(chromium, shown):
    _, address = shown
    with opened(chromium, address, viewport={"width": 360, "height": 740}) as page:
        page.locator(".node").first.press("Enter")
        assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_folding(chromium, fixtures_dir, tmp_path):
    source = recorded_case("nested_two_levels")(fixtures_dir, tmp_path)
    with served(source) as address, opened(chromium, address) as page:
        all_boxes = page.locator(".node").count()
        group = page.locator('.node[aria-expanded="true"]').first
        number = group.get_attribute("data-id")
        group.press("Enter")
        folded = page.locator(f'.node[data-id="{number}"]')
        expect(folded).to_have_attribute("aria-expanded", "false")
        expect(folded).to_be_focused()
        assert page.locator(".node").count() < all_boxes
        folded.press("Enter")
        assert page.locator(".node").count() == all_boxes


def test_large_models_are_drawn_in_part_with_a_sentence(chromium, tmp_path):
    layers = [input_entry("x", [None, 8])]
    names = ["x", *(f"a{number}" for number in range(450))]
    layers += [
        entry("Activation", name, [[[before, 0, 0, {}]]], activation="relu")
        for before, name in pairwise(names)
    ]
    model = h5_model(functional(layers, [["x", 0, 0]], [["a449", 0, 0]]), {})
    tfjs_codec.convert(model, tmp_path / "web")
    with served(tmp_path / "web") as address, opened(chromium, address) as page:
        assert page.locator(".node").count() == 400
        expect(page.locator("#too-many")).to_have_text(
            "The first 400 of 451 layers are drawn; the table has all of them."
        )
        page.get_by_role("button", name="Show all 451 rows").click()
        assert page.locator("#sizes tbody tr").count() == 451


def test_a_graph_of_long_connections_is_drawn_at_once(chromium, tmp_path):
    """Half of all pairs of 200 layers: laid out in full, the page would be busy for minutes."""
    layers = [input_entry("x", [None, 8])]
    for number in range(200):
        calls = [[[f"a{other}" if other >= 0 else "x", 0, 0, {}] for other in range(-1, number, 2)]]
        layers.append(entry("Add" if len(calls[0]) > 1 else "Activation", f"a{number}", calls))
    layers[1]["config"]["activation"] = "relu"
    layers[2]["config"]["activation"] = "relu"
    model = h5_model(functional(layers, [["x", 0, 0]], [["a199", 0, 0]]), {})
    tfjs_codec.convert(model, tmp_path / "web")
    with served(tmp_path / "web") as address, opened(chromium, address) as page:
        assert page.locator(".edge").count() == 2000
        assert page.locator(".edge.loose").count() > 1000
        expect(page.locator("#too-many")).to_contain_text("connections are not drawn")


# ---------------------------------------------------------------------------------------- running


@pytest.mark.parametrize("make", [layers_model, graph_model])
def test_it_predicts_what_is_recorded(chromium, fixtures_dir, tmp_path, make):
    source, recorded = make(fixtures_dir, tmp_path), fixtures_dir / "digits/io.npz"
    with served(source, recorded=str(recorded)) as address, opened(chromium, address) as page:
        found = run(page, "wasm", "webgl", "cpu")
        assert max(found.values()) < 1e-5
        assert page.locator("#outputs h4").text_content() == "dense: float32, 24 × 10"
        times = page.locator("#results tbody td").all_text_contents()
        assert sum(text.endswith(("ms", "s")) for text in times) == 9


def test_it_tells_what_differs_from_the_record(chromium, fixtures_dir, tmp_path):
    with np.load(fixtures_dir / "digits/io.npz") as arrays:
        wrong = arrays["out0"].copy()
        wrong[3, wrong[3].argmin()] += 0.5
        np.savez(tmp_path / "io.npz", in0=arrays["in0"], out0=wrong)
    source = layers_model(fixtures_dir, tmp_path)
    recorded = str(tmp_path / "io.npz")
    with served(source, recorded=recorded) as address, opened(chromium, address) as page:
        assert run(page, "cpu")["cpu"] == pytest.approx(0.5, rel=1e-3)
        expect(page.locator("#results .bad")).to_contain_text("✗")


def test_what_rounding_does_gets_no_cross(chromium, fixtures_dir, tmp_path):
    source, recorded = quantised(fixtures_dir, tmp_path), str(fixtures_dir / "digits/io.npz")
    with served(source, recorded=recorded) as address, opened(chromium, address) as page:
        assert 1e-4 < run(page, "cpu")["cpu"] < 0.02
        expect(page.locator("#results tbody")).to_contain_text("≈")
        expect(page.locator("#results .bad")).to_have_count(0)
        expect(page.locator("#meaning")).to_contain_text("quantised: up to 0.05")


def npz_files() -> dict[str, Callable[[dict], bytes]]:
    def save(how, change=lambda array: array, names=("in0", "out0")):
        def write(arrays):
            file = io.BytesIO()
            how(
                file,
                **{
                    new: change(arrays[old])
                    for new, old in zip(names, ("in0", "out0"), strict=True)
                },
            )
            return file.getvalue()  # fmt: skip

        return write

    return {
        "compressed": save(np.savez_compressed),
        "fortran": save(np.savez, np.asfortranarray),
        "float64": save(np.savez, lambda array: array.astype(np.float64)),
        "float16": save(np.savez, lambda array: array.astype(np.float16)),
        "keys": save(np.savez, names=("in:input_layer", "out:dense")),
        "names": save(np.savez, names=("input_layer", "dense")),
    }


def test_it_reads_npz_files_of_every_kind(chromium, fixtures_dir, tmp_path):
    with np.load(fixtures_dir / "digits/io.npz") as arrays:
        loaded = dict(arrays)
    with (
        served(layers_model(fixtures_dir, tmp_path)) as address,
        opened(chromium, address) as page,
    ):
        page.get_by_role("radio", name="Recorded .npz").check()
        for kind, write in npz_files().items():
            file = {"name": "io.npz", "mimeType": "", "buffer": write(loaded)}
            page.get_by_label("A recorded .npz file").set_input_files(file)
            assert run(page, "cpu")["cpu"] < (5e-3 if kind == "float16" else 1e-5), kind
        for bad in (b"no zip", write(loaded)[:-40]):
            file = {"name": "io.npz", "mimeType": "", "buffer": bad}
            page.get_by_label("A recorded .npz file").set_input_files(file)
            page.locator("#go").click()
            expect(page.locator("#status")).to_contain_text("not an .npz")


def predictions(page: Page) -> list[float]:
    text = page.locator("#outputs .values").first.text_content()
    return [float(one) for one in text.partition(", …")[0].split(", ")]


def test_it_takes_json_csv_and_random_numbers_from_a_seed(chromium, tmp_path):
    tfjs_codec.convert(dense_h5(), tmp_path / "web")
    with tfjs_codec.load(tmp_path / "web") as model:
        wanted = model.predict(np.array([[1, 2, 3, 4]], np.float32)).ravel()
    with served(tmp_path / "web") as address, opened(chromium, address) as page:
        run(page, "cpu")
        first = predictions(page)
        run(page, "cpu")
        assert predictions(page) == first
        page.get_by_label("Seed").fill("7")
        run(page, "cpu")
        assert predictions(page) != first
        page.get_by_role("radio", name="JSON or CSV").check()
        box = page.get_by_role("textbox", name="JSON or CSV")
        for text in (
            "[[1, 2, 3, 4]]",
            "[1, 2, 3, 4]",
            "1,2,3,4",
            "a,b,c,d\n1,2,3,4\n",
            "1\t2\t3\t4",
        ):
            box.fill(text)
            run(page, "cpu")
            assert np.allclose(predictions(page), wanted, rtol=1e-4), text
        for text, said in (("[1, 2]", "the model takes"), ("[[1], [2, 3]]", "not of one length"),
                           ("[1,", "not valid JSON"), ("a,b,c,d", "not a number"),
                           ("", "Paste")):  # fmt: skip
            box.fill(text)
            page.locator("#go").click()
            expect(page.locator("#status")).to_contain_text(said)


def png(greys: np.ndarray) -> bytes:
    """Return a grey picture as PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *greys.shape[::-1], 8, 0, 0, 0, 0))
    rows = b"".join(b"\0" + row.tobytes() for row in greys.astype(np.uint8))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + head + pixels + chunk(b"IEND", b"")


def test_it_takes_images_and_the_camera(chromium, fixtures_dir, tmp_path):
    with np.load(fixtures_dir / "digits/io.npz") as arrays:
        image, wanted = arrays["in0"][0, :, :, 0], arrays["out0"][0]
    with (
        served(layers_model(fixtures_dir, tmp_path)) as address,
        opened(chromium, address) as page,
    ):
        page.get_by_role("radio", name="Image").check()
        file = {"name": "digit.png", "mimeType": "image/png", "buffer": png(np.rint(image * 255))}
        page.get_by_label("An image").set_input_files(file)
        expect(page.get_by_label("The picture as the model gets it")).to_be_visible()
        run(page, "cpu")
        assert np.allclose(predictions(page)[:10], wanted, atol=2e-2)
        page.get_by_role("radio", name="Camera").check()
        page.get_by_role("button", name="Start the camera").click()
        expect(page.get_by_role("button", name="Stop the camera")).to_be_visible()
        run(page, "cpu")
        assert sum(predictions(page)[:10]) == pytest.approx(1, abs=1e-3)
        page.get_by_role("button", name="Stop the camera").click()


def test_texts_and_loops_run(chromium, tmp_path):
    source = loops(tmp_path)
    with served(source) as address, opened(chromium, address) as page:
        assert run(page, "wasm", "cpu")["cpu"] < 1e-4


def test_it_says_that_the_network_is_down(chromium, fixtures_dir, tmp_path):
    source = layers_model(fixtures_dir, tmp_path)
    with served(source, tfjs=None) as address:
        page = chromium.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.route(re.compile("^https:"), lambda route: route.abort())
        page.goto(address)
        assert asked == [address]  # no network before Run
        page.locator("#go").click()
        expect(page.locator("#status")).to_contain_text("start the preview with --tfjs DIR")
        assert asked == [address, TFJS]
        page.close()


def test_it_runs_with_tensorflow_js_of_the_cdn(chromium, fixtures_dir, tmp_path):
    """The policy lets in what the CDN has, here played by the packages of the tests."""

    def answer(route):
        package, file = re.search(r"/npm/(.*)@[\d.]+/(dist/.*)", route.request.url).groups()
        headers = {"Access-Control-Allow-Origin": "*"}
        route.fulfill(path=PACKAGES / package / file, headers=headers)

    source, recorded = layers_model(fixtures_dir, tmp_path), fixtures_dir / "digits/io.npz"
    with served(source, tfjs=None, recorded=str(recorded)) as address:
        context = chromium.new_context()
        context.route(re.compile("^https:"), answer)
        page = context.new_page()
        page.goto(address)
        assert max(run(page, "wasm", "cpu").values()) < 1e-5
        context.close()


# ------------------------------------------------------------------------------------- the keyboard


def test_the_keyboard_alone(chromium, fixtures_dir, tmp_path):
    with (
        served(layers_model(fixtures_dir, tmp_path)) as address,
        opened(chromium, address) as page,
    ):
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        stops = []
        for _ in range(40):
            page.keyboard.press("Tab")
            stops.append(page.evaluate(
                "(e => e.closest('.node') ? 'box' : e.textContent)(document.activeElement)"
            ))  # fmt: skip
            if stops[-1] == "box":
                break
        assert stops[-4:] == ["−", "+", "Fit", "box"]
        boxes = page.locator(".node")
        expect(boxes.nth(0)).to_be_focused()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        expect(boxes.nth(2)).to_be_focused()
        outline = "getComputedStyle(document.activeElement.querySelector('.box')).strokeWidth"
        assert page.evaluate(outline) == "3px"
        page.keyboard.press("Enter")
        expect(page.locator("#details h3")).to_have_text("conv2d")
        page.keyboard.press("End")
        expect(boxes.last).to_be_focused()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowUp")
        expect(boxes.first).to_be_focused()
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "go":
                break
        page.keyboard.press("Enter")
        expect(page.locator("#status")).to_have_text(re.compile("^Ran on"), timeout=TIMEOUT_MS)


# --------------------------------------------------------------------------------------- the policy


def test_names_are_text_also_in_what_runs(chromium, tmp_path):
    labels = {"labels": [MARKUP] * 3}
    tfjs_codec.convert(dense_h5(), tmp_path / "web", metadata=labels)
    with served(tmp_path / "web") as address, opened(chromium, address) as page:
        run(page, "cpu")
        assert MARKUP in page.locator(".best").text_content()
        assert page.locator("script").count() == 3 + 3  # its own, and those of tfjs


def test_names_are_text_also_in_errors_of_tensorflow_js(chromium, tmp_path):
    with served(hostile(tmp_path)) as address, opened(chromium, address) as page:
        page.locator(".node").nth(1).press("Enter")
        assert MARKUP in page.locator("#details h3").text_content()
        page.locator("#go").click()
        expect(page.locator("#status")).to_have_text(re.compile("^Ran on 0"), timeout=TIMEOUT_MS)
        assert "valid" in page.locator("#results .bad").first.text_content()
        assert page.locator("img").count() == 0


def test_no_other_code_runs(chromium, fixtures_dir, tmp_path):
    """Trusted Types forbid markup, and the policy forbids handlers, scripts and requests."""
    with served(layers_model(fixtures_dir, tmp_path)) as address:
        page = chromium.new_page()
        page.goto(address)
        for code in ("document.body.innerHTML = '<b>x</b>'", "document.write('<b>x</b>')",
                     "document.body.insertAdjacentHTML('beforeend', '<img src=x>')",
                     "document.createElement('script').src = '/x.js'"):  # fmt: skip
            with pytest.raises(Exception, match="Trusted"):
                page.evaluate(f"() => {{ {code}; }}")
        assert page.evaluate("""async () => {
            const box = document.createElement('div');
            box.setAttribute('title', 'x');
            window.done = 0;
            try { box.setAttribute('onclick', 'window.done = 1'); box.click(); } catch {}
            return window.done;
        }""") == 0  # fmt: skip
        for url in ("https://evil.example/", "data:text/plain,x"):
            assert page.evaluate("url => fetch(url).then(() => 1, () => 0)", url) == 0
        page.close()


def test_the_page_in_a_file_needs_nothing(chromium, fixtures_dir, tmp_path):
    source = layers_model(fixtures_dir, tmp_path)
    file = tmp_path / "report.html"
    against = fixtures_dir / "digits/digits.keras"
    file.write_text(tfjs_codec.preview_html(source, against=against), encoding="utf-8")
    with opened(chromium, file.as_uri(), offline=True) as page:
        assert page.locator(".node").count() == 10
        assert page.locator("#run").count() == 0
        expect(page.locator("#conversion")).to_contain_text("RandomTranslation")
        expect(page.locator("#weights")).to_contain_text("equal to the source")


@pytest.mark.node
def test_the_layout_is_that_of_the_package():
    package = PACKAGES / "@dagrejs/dagre/dist"
    for name in ("dagre.min.js", "dagre.min.js.LEGAL.txt"):
        assert (ASSETS / name).read_bytes() == (package / name).read_bytes()
