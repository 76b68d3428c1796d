"""A web server on loopback that stands in for the public weights, and misbehaves as it is told."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from workbench.zoo.catalogue import Published


class WeightsServer:
    """Sends one content under every path; fields may be changed between requests."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.headers: dict[str, str] = {"ETag": '"first"'}
        self.has_ranges = True
        self.ignores_if_range = False
        self.breaks_after: list[int] = []
        """Bytes that the next answers send before they break off; whole ones after that."""
        self.status = 200
        self.redirects: dict[str, str] = {}
        self.before_content: Callable[[], None] = lambda: None
        self.asked: list[tuple[str, str | None]] = []
        """Path and Range of every request."""
        self.sent = 0
        """Bytes of content."""
        self.address = ""

    @contextmanager
    def running(self) -> Iterator["WeightsServer"]:
        """Answer requests."""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.address = f"http://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        wanted = request.headers.get("Range")
        self.asked.append((request.path, wanted))
        if request.path in self.redirects:
            request.send_response(302)
            request.send_header("Location", self.redirects[request.path])
            request.end_headers()
            return
        if self.status != 200:
            request.send_error(self.status)
            return
        condition = request.headers.get("If-Range")
        is_same = self.ignores_if_range or condition in self.headers.values()
        start = 0
        if wanted and self.has_ranges and is_same:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(self.content):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        for name, value in self.headers.items():
            request.send_header(name, value)
        last = len(self.content) - 1
        if start:
            request.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        request.send_header("Content-Length", str(len(self.content) - start))
        request.end_headers()
        self.before_content()
        part = self.content[start:]
        if self.breaks_after:
            part = part[: self.breaks_after.pop(0)]
        request.wfile.write(part)
        self.sent += len(part)


def zipped(**members: bytes) -> bytes:
    """An archive of members by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def published(weights: bytes, name: str = "shufflenet_tiny") -> Published:
    """A network whose published file has this content."""
    sha1 = hashlib.sha1(weights).hexdigest()
    return Published(name, 1, 0.25, 60.0, 35.0, max(len(weights) // 4, 1), 12.0, "v1", sha1)
