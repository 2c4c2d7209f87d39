"""The page that runs us in Pyodide, as far as it goes without Pyodide's own packages."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest
from pages import ROOT
from playwright.sync_api import expect, sync_playwright
from tfjs_chromium import CHROMIUM, FLAGS
from tfjs_node import NODE_DIR

import tfjs_codec

pytestmark = pytest.mark.chromium


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a directory without a word."""

    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path):
    """The page, Pyodide and a wheel of the installed package on a server."""
    shutil.copy(ROOT / "docs" / "in-browser.html", tmp_path / "index.html")
    (tmp_path / "pyodide").symlink_to(NODE_DIR / "node_modules" / "pyodide")
    package = Path(tfjs_codec.__file__).parent
    shutil.make_archive(str(tmp_path / "wheel"), "zip", package.parent, package.name)
    handler = functools.partial(Handler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_tfjs_model_is_inspected_in_the_page(site, tmp_path):
    tfjs_codec.convert(ROOT / "fixtures" / "digits" / "digits.keras", tmp_path / "web")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.goto(f"{site}/?pyodide=/pyodide/&wheel=/wheel.zip")
        page.get_by_label("Model").set_input_files(tmp_path / "web" / "model.json")
        expect(page.get_by_role("status")).to_have_text("Done.", timeout=120_000)
        text = page.locator("#text").text_content()
        page.get_by_label("Model").set_input_files(
            {"name": "model.json", "mimeType": "application/json", "buffer": b"{"}
        )
        expect(page.get_by_role("status")).to_contain_text("model.json", timeout=60_000)
        refused = page.get_by_role("status").text_content()
        browser.close()
    assert text.startswith("/model.json: tfjs-layers")
    assert "conv2d/kernel" in text
    assert "CorruptFileError: /model.json: line 1" in refused
