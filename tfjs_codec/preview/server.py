"""Serves the page, the files of its model and TensorFlow.js on the loopback interface.

What is served is a table of paths made beforehand: no path of a request is looked up on the disk.
The ``Host`` of a request must be this server, so that no other site can reach it by a name that it
lets resolve to 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import http.server
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from http import HTTPStatus
from io import SEEK_END
from typing import BinaryIO

from tfjs_codec.files.source import Source
from tfjs_codec.preview.page import Page

_TIMEOUT_S = 30.0  # of a connection that says nothing
_TYPES = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "js": "text/javascript; charset=utf-8",
    "wasm": "application/wasm",
}


class Server(http.server.ThreadingHTTPServer):
    """A server of a page, and of files by the paths of their URLs.

    Attributes:
        address: The URL of the page.
        hosts: What requests may call this server.
    """

    daemon_threads = True

    def __init__(self, page: Page, files: Mapping[str, Source], port: int = 0) -> None:
        """Listen on *port* of 127.0.0.1, a free one if it is 0.

        Raises:
            OSError: The port is taken.
        """
        super().__init__(("127.0.0.1", port), _Handler)
        self.page, self.files = page, files
        self.address = f"http://127.0.0.1:{self.server_port}/"
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}
        if self.server_port == 80:
            self.hosts |= {"127.0.0.1", "localhost"}

    def handle_error(self, *_: object) -> None:
        """Say nothing of connections that break off."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "tfjs-codec"
    sys_version = ""
    timeout = _TIMEOUT_S
    server: Server

    def do_GET(self) -> None:
        """Answer with a file of the table."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer without the content."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        if self.headers.get("Host", "").lower() not in self.server.hosts:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "not a name of this server")
            return
        if path == "/":
            self._send_page(self.server.page, with_body=with_body)
        elif (source := self.server.files.get(path)) is not None:
            self._send_file(path, source, with_body=with_body)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _send_page(self, page: Page, *, with_body: bool) -> None:
        data = page.html.encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _TYPES["html"])
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", page.policy)
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def _send_file(self, path: str, source: Source, *, with_body: bool) -> None:
        with ExitStack() as stack:
            try:
                file: BinaryIO = stack.enter_context(source.open())
                size = file.seek(0, SEEK_END)  # the model may have been written again
                file.seek(0)
            except (OSError, ValueError):
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            kind = _TYPES.get(path.rpartition(".")[2], "application/octet-stream")
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            if with_body:
                with suppress(ConnectionError):  # nobody waits for it any more
                    shutil.copyfileobj(file, self.wfile)

    def end_headers(self) -> None:
        """Add what every answer says."""
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Permissions-Policy", "camera=(self), geolocation=(), microphone=()")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal shows the address."""
