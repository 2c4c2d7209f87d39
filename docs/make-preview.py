"""Takes docs/preview.png, a picture of ``tfjs-codec preview``: python docs/make-preview.py.

Needs playwright, /usr/bin/chromium and the npm packages of tests/oracle/node.
"""

from __future__ import annotations

import re
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import sync_playwright

import tfjs_codec
from tfjs_codec.options import ConvertOptions
from tfjs_codec.preview.facts import collect
from tfjs_codec.preview.page import write_page
from tfjs_codec.preview.running import prepare_running
from tfjs_codec.preview.server import Server

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "fixtures" / "digits" / "digits.keras"

with ExitStack() as stack, sync_playwright() as playwright:
    web = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "digits"
    tfjs_codec.convert(SOURCE, web)
    options = ConvertOptions()
    facts = {**collect(web, options), "path": "digits/model.json"}
    prepared = prepare_running(web, options, stack, tfjs=str(ROOT / "tests" / "oracle" / "node"))
    assert prepared is not None
    server = stack.enter_context(Server(write_page(facts, prepared.running), prepared.files))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1240, "height": 800})
    page.goto(server.address)
    page.get_by_role("button", name=re.compile("^Conv2D, conv2d_1")).click()
    page.evaluate("document.activeElement.blur(); document.getElementById('sheet').scrollTo(0, 0)")
    page.screenshot(path=ROOT / "docs" / "preview.png")
    browser.close()
    server.shutdown()
