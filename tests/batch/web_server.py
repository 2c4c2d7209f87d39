"""A web server of a directory that serves ranges, counts bytes, and can fail on purpose."""

from __future__ import annotations

import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

_PIECE_BYTES = 1 << 20


class WebServer:
    """Serves the files below *root* at :attr:`url` until :meth:`close`.

    Attributes:
        ranges: Whether it serves ranges.
        failures: Statuses of the next responses, before it works.
        sent: Bytes of bodies that were sent.
        asked: The targets of all requests.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ranges = True
        self.failures: list[int] = []
        self.sent = 0
        self.asked: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # header and body in one packet

            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                owner.answer(self, body=False)

            def do_GET(self) -> None:
                owner.answer(self, body=True)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        self.asked.append(request.path)
        path = self.root / unquote(urlsplit(request.path).path).lstrip("/")
        status = self.failures.pop(0) if self.failures else 200
        if status != 200 or not path.is_file():
            request.send_error(status if status != 200 else 404)
            return
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        start, stop = 0, size
        if asked and self.ranges:
            start, stop = int(asked[1]), min(int(asked[2]) + 1, size)
        request.send_response(206 if asked and self.ranges else 200)
        request.send_header("Content-Length", str(stop - start))
        request.send_header("ETag", f'"{size}-{path.stat().st_mtime_ns}"')
        if asked and self.ranges:
            request.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        request.end_headers()
        if not body:
            return
        with path.open("rb") as file:
            file.seek(start)
            while start < stop:
                piece = file.read(min(_PIECE_BYTES, stop - start))
                start += len(piece)
                self.sent += len(piece)
                try:
                    request.wfile.write(piece)
                except OSError:  # the client has what it wants
                    return

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def sparse_copy(source: Path, target: int, offset: int) -> None:
    """Copy what is stored of *source* to *offset* of the open file *target*; holes stay holes."""
    fd = os.open(source, os.O_RDONLY)
    size, at = os.fstat(fd).st_size, 0
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # only a hole is left
            break
        end = os.lseek(fd, at, os.SEEK_HOLE)
        os.pwrite(target, os.pread(fd, end - at, at), offset + at)
        at = end
    os.close(fd)
    os.truncate(target, max(os.fstat(target).st_size, offset + size))
