"""Serves a recording again: pages over HTTP, frames over WebSocket, with the bytes as recorded.

A recording is any iterable of `Item` or (recv_ns, kind, payload, request) tuples, so no file format is known here.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tidelake.sim.server import BackgroundServer

ENDED = 1000  # WebSocket close code: normal


class Item(NamedTuple):
    """One line of a recording.

    Attributes:
        recv_ns: When it was received, ns since 1970 UTC.
        kind: "frame" and "page" are served; "sent", "open" and "note" are not.
        payload: The bytes.
        request: Of a page "GET https://host/path?query" (the method may be missing); of a frame the socket's address,
            or "" where the recording does not say.
    """

    recv_ns: int
    kind: str
    payload: bytes
    request: str = ""


Recording = Iterable["Item | tuple[int, str, bytes, str]"]


def target_of(request: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Path and sorted query of "GET https://host/path?query", with or without method and host."""
    parts = urlsplit(request.split(" ")[-1])
    return parts.path or "/", tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))


class Playback(BackgroundServer):
    """Serves a recording; a context manager with `.url` (HTTP) and `.ws_url`.

    Pages: the same path and query get the recorded answers in turn, and the last one again when they run out; a path
    asked with another query gets 404. Frames: every client gets all frames of its path from the first one, in order;
    frames without an address go to every path. What clients send (subscriptions, pings) is read and ignored. When the
    frames are over, the connection is closed, unless `stay_open`.

    Args:
        recording: The items, read once and kept.
        speed: 1.0 is real time, 10.0 ten times faster, 0 as fast as possible.
        wait_for_message: Frames start when the client has sent something, as venues do after a subscription.
        stay_open: Keep the connection after the last frame.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        speed: float = 1.0,
        wait_for_message: bool = False,
        stay_open: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.speed = speed
        self.wait_for_message = wait_for_message
        self.stay_open = stay_open
        self.frames: list[Item] = []
        self.pages: dict[tuple[str, tuple[tuple[str, str], ...]], list[bytes]] = {}
        self._turn: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        for line in recording:
            self._keep(Item(*line))
        routes = [
            Route("/{path:path}", self._page, methods=["GET", "POST"]),
            WebSocketRoute("/{path:path}", self._socket_opened),
        ]
        super().__init__(Starlette(routes=routes), host=host, port=port)

    def _keep(self, item: Item) -> None:
        if item.kind == "frame":
            self.frames.append(item)
        elif item.kind == "page":
            self.pages.setdefault(target_of(item.request), []).append(item.payload)

    @property
    def ws_url(self) -> str:
        """Address for WebSocket clients, without a slash at the end; append the venue's path."""
        return f"ws://{self.host}:{self.port}"

    def page(self, target: str) -> bytes | None:
        """The next recorded answer to "/path?query", None where there is none."""
        key = target_of(target)
        answers = self.pages.get(key)
        if answers is None:
            return None
        turn = self._turn.get(key, 0)
        self._turn[key] = turn + 1
        return answers[min(turn, len(answers) - 1)]

    def frames_of(self, path: str) -> Sequence[Item]:
        """Frames for a client that connects to this path; all of them where none was recorded for it."""
        mine = [item for item in self.frames if not item.request or target_of(item.request)[0] == path]
        return mine or self.frames

    async def _page(self, request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        body = self.page(request.url.path + query)
        if body is None:
            return Response(b'{"message":"not in the recording"}', 404, media_type="application/json")
        return Response(body, headers={"content-type": "application/json"})

    async def _socket_opened(self, socket: WebSocket) -> None:
        await socket.accept()
        spoken = asyncio.Event()
        listening = asyncio.create_task(_listen(socket, spoken))
        try:
            if self.wait_for_message:
                await spoken.wait()
            async for payload in self._timed(self.frames_of(socket.url.path)):
                await _send(socket, payload)
            if self.stay_open:
                await listening
            else:
                await socket.close(ENDED)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the client left, which is its right
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    async def _timed(self, frames: Sequence[Item]) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for place, item in enumerate(frames):
            if self.speed > 0:
                due = began + (item.recv_ns - frames[0].recv_ns) / 1e9 / self.speed
                if (wait := due - loop.time()) > 0:
                    await asyncio.sleep(wait)
            elif place % 256 == 0:
                await asyncio.sleep(0)
            yield item.payload


async def _listen(socket: WebSocket, spoken: asyncio.Event) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (await socket.receive())["type"] == "websocket.receive":
            spoken.set()
    spoken.set()


async def _send(socket: WebSocket, payload: bytes) -> None:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        await socket.send_bytes(payload)
    else:
        await socket.send_text(text)
