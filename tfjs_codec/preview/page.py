"""Writes the page: one document that holds its style, its scripts and its data.

The data are JSON in an element that no browser runs, with ``<`` escaped, so that no name of a
model can end it; the script makes text nodes of them. A Content-Security-Policy allows exactly the
scripts and the style of the page, by their digests, and Trusted Types forbid strings to become
markup.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path
from typing import NamedTuple

from tfjs_codec.files.source import PAGE_MARK
from tfjs_codec.ir.json_types import JsonObject, compact

START = f"<!doctype html>\n{PAGE_MARK}"  # of every page of ours, which may be replaced
_ASSETS = Path(__file__).with_name("assets")


class Running(NamedTuple):
    """What the page needs to run the model: where TensorFlow.js and the model come from.

    ``urls`` are the scripts of TensorFlow.js, ``fetched`` what they and the page fetch.
    """

    data: JsonObject
    urls: tuple[str, ...]
    fetched: tuple[str, ...]


class Page(NamedTuple):
    """A document, and the policy that its server must send with it."""

    html: str
    policy: str


def write_page(facts: JsonObject, running: Running | None = None) -> Page:
    """Return the page that shows *facts*; with *running* it can run the model, from a server."""
    layout = _read("dagre.min.js.LEGAL.txt") + _read("dagre.min.js")
    layout = layout.partition("//# sourceMappingURL")[0]
    drawing = _read("page.mjs") + (_read("run.mjs") if running else "")
    style = _read("page.css")
    policy = _policy(style, (layout, drawing), running)
    meta = "" if running else f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    data = facts | ({"run": running.data} if running else {})
    parts = {
        "mark": PAGE_MARK,
        "policy": meta,
        "title": escape(str(facts["title"])),
        "style": style,
        "data": compact(data).replace("<", "\\u003c"),
        "scripts": f'<script>{layout}</script>\n<script type="module">{drawing}</script>',
    }
    return Page(_read("page.html").format_map(parts), policy)


def _policy(style: str, scripts: tuple[str, ...], running: Running | None) -> str:
    rules = {
        "default-src": ["'none'"],
        "script-src": [*map(_digest, scripts)],
        "style-src": [_digest(style)],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["'none'"],
    }
    if running is not None:
        rules["script-src"] += ["'wasm-unsafe-eval'", *running.urls]
        rules["connect-src"] = [*running.fetched]
        rules["trusted-types"] = ["tfjs-codec"]
        rules["frame-ancestors"] = ["'none'"]  # has no effect in an element
    return "; ".join(" ".join((name, *values)) for name, values in rules.items())


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _read(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
