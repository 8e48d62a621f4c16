"""A local HTTP server of files for tests: ranges, ETags, cut connections, errors, a key, folders as pages of links."""

import base64
import hashlib
import http.server
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileServer(http.server.ThreadingHTTPServer):
    """Serves a folder.

    Attributes:
        cut_after: Bytes of a body after which the connection is cut, by path; each entry is used once for each count.
        errors: Statuses that the next requests of a path are answered with.
        key: Bearer token that is wanted; "" for none.
        ranges: Whether ranges are served.
        md5: Content-MD5 to tell instead of the true one, by path.
        has_head: Whether HEAD is answered.
        asked: How often each (method, path) was asked for.
        sent: Bytes of bodies that were sent.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.cut_after: dict[str, list[int]] = {}
        self.errors: dict[str, list[int]] = {}
        self.key = ""
        self.ranges = True
        self.md5: dict[str, str] = {}
        self.has_head = True
        self.asked: Counter[tuple[str, str]] = Counter()
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FileServer

    def log_message(self, format, *args):
        pass

    def do_HEAD(self):
        self._serve(body=False)

    def do_GET(self):
        self._serve(body=True)

    def _serve(self, *, body: bool) -> None:
        server, path = self.server, self.path.lstrip("/")
        server.asked[self.command, path] += 1
        file = server.root / path
        if server.errors.get(path):
            self._answer(server.errors[path].pop(0))
        elif server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
            self._answer(401)
        elif not body and not server.has_head:
            self._answer(405)
        elif file.is_dir():
            links = "".join(f'<a href="{each.name}">{each.name}</a>' for each in sorted(file.iterdir()))
            self._send(200, f"<html><a href='../'>up</a>{links}</html>".encode(), {}, None)
        elif file.is_file():
            self._file(path, file.read_bytes(), body=body)
        else:
            self._answer(404)

    def _file(self, path: str, data: bytes, *, body: bool) -> None:
        server = self.server
        tag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'
        headers = {
            "ETag": tag,
            "Content-MD5": server.md5.get(path, base64.b64encode(hashlib.md5(data).digest()).decode()),
        }
        start, status = 0, 200
        asked = self.headers.get("Range")
        if asked and server.ranges and self.headers.get("If-Range", tag) == tag:
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        cuts = server.cut_after.get(path, []) if body else []
        self._send(status, data[start:], headers, cuts.pop(0) if cuts else None, body=body)

    def _answer(self, status: int) -> None:
        self._send(status, b"", {}, None)

    def _send(self, status: int, data: bytes, headers: dict[str, str], cut: int | None, *, body: bool = True) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data[:cut])
            self.server.sent += len(data[:cut])


@contextmanager
def serving(root: Path) -> Iterator[FileServer]:
    """A server of the folder while the block runs."""
    with FileServer(root) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
