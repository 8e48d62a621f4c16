"""Files over HTTP: by their address, or listed by the links of a folder's page."""

import base64
import binascii
import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin, urlsplit

from tidelake.errors import SourceError
from tidelake.logs import redact
from tidelake.transport.files.spec import ObjectChanged, Piece, RemoteFile
from tidelake.transport.http import BUSY
from tidelake.transport.retry_after import retry_after_seconds

if TYPE_CHECKING:
    import httpx

TIMEOUT = 60.0  # seconds without a byte
IDENTITY = {"Accept-Encoding": "identity"}  # files are kept as they are
NO_HEAD = (403, 405, 501)  # what servers answer that give a file and not its headers alone
GONE = (404, 410)


class WebFiles:
    """The files below an address.

    Args:
        url: The address that keys are joined to.
        secret: Sent as a bearer token with each request to its host, never elsewhere; "" for none.
    """

    def __init__(self, url: str, secret: str = "") -> None:
        import httpx

        self.url = redact(url)
        self._base = url.rstrip("/") + "/"
        headers = {"User-Agent": "tidelake", **IDENTITY, **({"Authorization": f"Bearer {secret}"} if secret else {})}
        self._client = httpx.Client(timeout=TIMEOUT, headers=headers, follow_redirects=True)  # drops it on other hosts

    def find(self, key: str) -> list[RemoteFile]:
        if key.endswith("/"):
            names = self._names(key)
            return [file for name in sorted(names) for file in self.find(key + name)]
        for method in ("HEAD", "GET"):
            with self._answer(method, key, {}) as answer:
                if answer.status_code in GONE:
                    return []
                if method == "HEAD" and answer.status_code in NO_HEAD:
                    continue
                self._check(answer, key)
                return [_file(key, answer.headers)]
        raise AssertionError("not reached")

    @contextmanager
    def read(self, file: RemoteFile, start: int) -> Iterator[Piece]:
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and file.tag.startswith('"'):
            headers["If-Range"] = file.tag
        with self._answer("GET", file.key, headers) as answer:
            if answer.status_code == 416:
                raise ObjectChanged(file.key)
            self._check(answer, file.key)
            told = _file(file.key, answer.headers)
            if told.tag != file.tag or (None not in (told.bytes, file.bytes) and told.bytes != file.bytes):
                raise ObjectChanged(file.key)
            yield Piece(_start(answer.headers) if answer.status_code == 206 else 0, self._blocks(answer, file.key))

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _answer(self, method: str, key: str, headers: Mapping[str, str]) -> "Iterator[httpx.Response]":
        import httpx

        try:
            with self._client.stream(method, self._base + quote(key, safe="/=[]"), headers=dict(headers)) as answer:
                yield answer
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise self._cut(key, exc) from exc

    def _blocks(self, answer: "httpx.Response", key: str) -> Iterator[bytes]:
        import httpx

        try:
            yield from answer.iter_raw()  # as they come, so that what came before a cut is kept
        except httpx.HTTPError as exc:
            raise self._cut(key, exc) from exc

    def _names(self, key: str) -> set[str]:
        with self._answer("GET", key, {}) as answer:
            if answer.status_code in GONE:
                return set()
            self._check(answer, key)
            page = _Links(str(answer.url))
            page.feed(b"".join(self._blocks(answer, key)).decode("utf-8", "replace"))
            return page.names

    def _check(self, answer: "httpx.Response", key: str) -> None:
        status = answer.status_code
        if status in (200, 206):
            return
        asked = retry_after_seconds(answer.headers.get("retry-after"), dt.datetime.now(dt.UTC))
        again = status in BUSY or status >= 500
        raise SourceError(f"{self.url}/{key}: status {status}", retryable=again, retry_after=asked, status=status)

    def _cut(self, key: str, exc: Exception) -> SourceError:
        import httpx

        for_good = isinstance(exc, httpx.UnsupportedProtocol | httpx.InvalidURL | httpx.TooManyRedirects)
        text = f"{self.url}/{key}: no whole answer ({type(exc).__name__} {redact(str(exc))})"
        return SourceError(text, retryable=not for_good)


class _Links(HTMLParser):
    """Names of the files that a folder's page links to, of those directly below it."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self._url = url
        self._path = unquote(urlsplit(url).path)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a" or not (link := dict(attrs).get("href")):
            return
        path = unquote(urlsplit(urljoin(self._url, link)).path)
        name = path.removeprefix(self._path)
        if path.startswith(self._path) and name and "/" not in name:
            self.names.add(name)


def _file(key: str, headers: "httpx.Headers") -> RemoteFile:
    whole = headers.get("content-range", "").rpartition("/")[2] or headers.get("content-length", "")
    md5 = _hex(headers.get("content-md5", ""))
    tag = headers.get("etag") or headers.get("last-modified") or ""
    return RemoteFile(key, int(whole) if whole.isdecimal() else None, tag, md5, "Content-MD5" if md5 else "")


def _hex(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).hex()
    except (binascii.Error, ValueError):
        return ""


def _start(headers: "httpx.Headers") -> int:
    first = headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdecimal() else 0
