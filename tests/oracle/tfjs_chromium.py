"""Predict with real TensorFlow.js in a headless Chromium, on the backends that only pages have.

A page loads the model over HTTP, as any page does. Nothing else is fetched; WebGL and WebGPU run
in software, so no screen and no GPU are needed.
"""

from __future__ import annotations

import http.server
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from json_lines import decode, encode
from playwright.sync_api import Browser, Error, Page, Playwright
from tfjs_node import NODE_DIR, TfjsError

CHROMIUM = "/usr/bin/chromium"
BACKENDS = ("webgl", "webgpu")
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
WEBGPU_FLAGS = [
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
    "--use-vulkan=swiftshader",
]
_PACKAGES = NODE_DIR / "node_modules/@tensorflow"
SCRIPTS = {
    "/tf.min.js": _PACKAGES / "tfjs/dist/tf.min.js",
    "/tf-backend-webgpu.min.js": _PACKAGES / "tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js",
}
# Graph models get inputs and outputs by the keys of their signature, Layers models get lists.
_PREDICT = """async ({url, backend, inputs, outputs, shaders}) => {
  const arrays = {float32: Float32Array, int32: Int32Array, bool: Uint8Array};
  const given = ({dtype, shape, data}) => {
    if (dtype === 'string') return tf.tensor(data, shape, dtype);
    const bytes = Uint8Array.from(atob(data), each => each.charCodeAt(0));
    return tf.tensor(new arrays[dtype](bytes.buffer), shape, dtype);
  };
  const made = async tensor => {
    const values = await tensor.data(), {dtype, shape} = tensor;
    if (dtype === 'string') return {dtype, shape, data: values};
    // Some kernels keep their results in arrays of another type.
    const typed = arrays[dtype] ? arrays[dtype].from(values) : values;
    let text = '';
    for (const byte of new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength)) {
      text += String.fromCharCode(byte);
    }
    return {dtype, shape, data: btoa(text)};
  };
  let stage = 'load', model;
  tf.engine().startScope();
  try {
    if (backend.startsWith('webg')) {
      tf.env().set(`${backend.toUpperCase()}_CPU_FORWARD`, !shaders);
    }
    if (!await tf.setBackend(backend)) throw new Error(`no backend ${backend}`);
    const graph = Array.isArray(outputs);
    model = await (graph ? tf.loadGraphModel : tf.loadLayersModel)(url);
    stage = 'predict';
    let results;
    if (graph) {
      const fed = Object.fromEntries(
          Object.entries(inputs).map(([key, value]) => [key, given(value)]));
      try {
        results = model.execute(fed, outputs);
      } catch (error) {
        if (!/executeAsync/.test(error.message)) throw error;
        results = await model.executeAsync(fed, outputs);
      }
    } else {
      const fed = inputs.map(given);
      results = model.predict(fed.length === 1 ? fed[0] : fed, {batchSize: 1024});
    }
    return {outputs: await Promise.all([results].flat().map(made))};
  } catch (error) {
    return {stage, error: String(error?.message ?? error).slice(0, 2000)};
  } finally {
    if (model) model.dispose();
    tf.disposeVariables();
    tf.engine().endScope();
  }
}"""
_MOST_MODELS = 100  # of one page, whose GPU resources grow


class Site(http.server.ThreadingHTTPServer):
    """A site with an empty page that has tfjs, and with the files of models.

    *scripts* are the files of tfjs by their paths in URLs.
    """

    daemon_threads = True

    def __init__(self, scripts: Mapping[str, Path] = SCRIPTS) -> None:
        super().__init__(("127.0.0.1", 0), _Files)
        self._folders: list[Path] = []
        self._scripts = scripts
        listed = (name for name in scripts if name.endswith(".js"))
        tags = "".join(f"<script src={name}></script>" for name in listed)
        self.page = f"<!doctype html><title>a page</title>{tags}".encode()
        self.address = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def add(self, folder: Path) -> str:
        """Return the URL of the files in *folder*."""
        self._folders.append(folder)
        return f"{self.address}/models/{len(self._folders) - 1}"

    def file(self, path: str) -> Path | None:
        """Return the file behind *path* of a URL."""
        if path in self._scripts:
            return self._scripts[path]
        _, kind, number, *rest = [*unquote(path).split("/"), "", ""]
        file = self._folders[int(number)].joinpath(*rest[:1]) if kind == "models" else None
        return file if file is not None and file.is_file() else None


class _Files(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer with a file."""
        assert isinstance(self.server, Site)
        file = self.server.file(self.path)
        text = self.server.page if self.path == "/" else file and file.read_bytes()
        self.send_response(404 if text is None else 200)
        script = self.path.endswith(".js")
        self.send_header("Content-Type", "text/javascript" if script else "text/html")
        self.send_header("Content-Length", str(len(text or b"")))
        self.end_headers()
        self.wfile.write(text or b"")

    def log_message(self, *args: object) -> None:
        """Say nothing: pytest shows what a failing test needs."""


class TfjsChromium:
    """A Chromium that serves predictions until closed, with a new page after a crash.

    *scripts* are the files of tfjs by their paths in URLs.

    Attributes:
        shaders: Whether small tensors are computed by shaders, too, as large ones are.
    """

    def __init__(self, playwright: Playwright, scripts: Mapping[str, Path] = SCRIPTS) -> None:
        self.shaders = False
        self._playwright = playwright
        self._site = Site(scripts)
        self._browsers: dict[str, Browser] = {}
        self._pages: dict[str, Page] = {}
        self._served = 0

    def close(self) -> None:
        """End the browsers and the site."""
        for browser in self._browsers.values():
            browser.close()
        self._site.shutdown()

    def predict(
        self, model_dir: str | Path, inputs: Sequence[np.ndarray], backend: str
    ) -> list[np.ndarray]:
        """Load the Layers model in *model_dir*; return its outputs for *inputs*, by position.

        Raises:
            TfjsError: tfjs refused the model or the inputs, or the page crashed.
        """
        return self._predict(model_dir, backend, inputs=[encode(value) for value in inputs])

    def execute(
        self,
        model_dir: str | Path,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str],
        backend: str,
    ) -> list[np.ndarray]:
        """Load the graph model in *model_dir* and return *outputs*, by keys of its signature.

        Raises:
            TfjsError: as :meth:`predict`.
        """
        fed = {key: encode(value) for key, value in inputs.items()}
        return self._predict(model_dir, backend, inputs=fed, outputs=list(outputs))

    def evaluate(self, script: str) -> Any:
        """Return what *script*, a function in JavaScript, returns on a page with webgl."""
        return self._page("webgl").evaluate(script)

    def _predict(self, model_dir: str | Path, backend: str, **request: Any) -> list[np.ndarray]:
        request |= {"url": f"{self._site.add(Path(model_dir))}/model.json", "backend": backend}
        request["shaders"] = self.shaders
        page = self._page(backend)
        try:
            reply = page.evaluate(_PREDICT, request)
        except Error as error:
            self._pages.pop(backend).close()
            raise TfjsError("load", f"the page crashed: {error}") from None
        if "error" in reply:
            raise TfjsError(reply["stage"], reply["error"])
        return [decode(value) for value in reply["outputs"]]

    def _page(self, backend: str) -> Page:
        if backend not in self._browsers:
            flags = [*FLAGS, *(WEBGPU_FLAGS if backend == "webgpu" else ())]
            self._browsers[backend] = self._playwright.chromium.launch(
                executable_path=CHROMIUM, args=flags
            )
        self._served += 1
        if self._served % _MOST_MODELS == 0:
            for each in self._pages.values():
                each.close()
            self._pages.clear()
        if backend not in self._pages:
            page = self._pages[backend] = self._browsers[backend].new_page()
            page.goto(f"{self._site.address}/")
        return self._pages[backend]
