"""Serves simulated venues over HTTP, in a background thread or blocking; the same answers come without a socket too."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from tidelake.sim.answer import Answer, SimVenue
from tidelake.sim.books.dialects import MODULES as SOCKETS
from tidelake.sim.faults import FaultPlan, Injected
from tidelake.sim.injector import Injector
from tidelake.sim.limiter import Limiter
from tidelake.sim.market import Market
from tidelake.sim.sockets.plan import FramePlan
from tidelake.sim.sockets.venue import KEPT_VERSIONS, SocketVenue
from tidelake.sim.venues import MODULES as REST, simulated

METHODS = ["GET", "POST", "PUT", "DELETE"]


class SimApi:
    """One simulated venue with its faults and limits, without a socket.

    Args:
        venue: Source id, such as "coinbase".
        market: Where the trades come from.
        faults: What goes wrong; by default nothing.
        limits: Whether the venue's documented rate limit is enforced (per client, by the real clock).
    """

    def __init__(self, venue: str, market: Market, faults: FaultPlan | None = None, *, limits: bool = False) -> None:
        self.venue: SimVenue = simulated(venue)
        self.market = market
        self.injector = Injector(faults or FaultPlan(), self.venue, market)
        self.limiter = Limiter(self.venue, enforce=limits)

    def respond(self, path: str, query: Mapping[str, str], *, method: str = "GET", client: str = "") -> Answer:
        """The answer to one request, faults included."""
        refused, headers = self.limiter.check(path, query, client)
        if refused is not None:
            return refused
        answer = self.injector.answer(method, path, query, self.market.clock())
        return Answer(answer.status, {**headers, **answer.headers}, answer.body, answer.delay_s, answer.cut_at)

    def get(self, target: str) -> Answer:
        """The answer to "/path?query"."""
        parts = urlsplit(target)
        return self.respond(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)))

    def routes(self, prefix: str = "") -> list[Route]:
        """Starlette routes for every path under the prefix."""

        async def handle(request: Request) -> Response:
            path = request.url.path.removeprefix(prefix)
            client = request.client.host if request.client else ""
            query = dict(request.query_params)
            answer = await asyncio.to_thread(self.respond, path, query, method=request.method, client=client)
            if answer.delay_s:
                await asyncio.sleep(answer.delay_s)
            return http_response(answer)

        return [Route(prefix + "/{path:path}", handle, methods=METHODS)]


class TornResponse(Response):
    """Promises the whole body and sends only the first `cut_at` bytes; the server then closes the connection."""

    cut_at = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the head and part of the body."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": bytes(self.body)[: self.cut_at], "more_body": True})


def http_response(answer: Answer) -> Response:
    """The answer as Starlette sends it; a cut answer ends the connection before the promised length."""
    if answer.cut_at is None:
        return Response(answer.body, answer.status, dict(answer.headers))
    torn = TornResponse(answer.body, answer.status, dict(answer.headers))
    torn.cut_at = answer.cut_at
    return torn


class BackgroundServer:
    """Runs an ASGI application in a thread: a context manager with the address in `url`."""

    def __init__(self, app: Starlette, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.app = app
        self.host = host
        self.port = port
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None

    @property
    def url(self) -> str:
        """Address of the server, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def _bind(self) -> socket.socket:
        # asyncio sends without delay where the socket says that it is of TCP; else each answer waits 40 ms for an ACK
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((self.host, self.port))
        self.port = bound.getsockname()[1]
        return bound

    def _make(self) -> uvicorn.Server:
        config = uvicorn.Config(
            self.app,
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        return uvicorn.Server(config)

    def start(self) -> None:
        """Starts serving and returns when the port answers."""
        self._socket, self._server = self._bind(), self._make()
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the simulated server did not start")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stops serving; open connections are closed."""
        if self._server is not None and self._thread is not None and self._socket is not None:
            self._server.should_exit = True
            self._thread.join(timeout=10)
            self._socket.close()

    def serve(self, ready: Callable[[str], None] | None = None) -> None:
        """Serves until interrupted (Ctrl-C raises KeyboardInterrupt); `ready` is called with the address."""
        self.start()
        try:
            if ready is not None:
                ready(self.url)
            while self._thread is not None and self._thread.is_alive():
                self._thread.join(timeout=0.5)
        finally:
            self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class SimServer(BackgroundServer):
    """Serves one or several simulated venues: REST and, where they have them, sockets on the same port.

    Args:
        venue: One source id (paths begin at the root, as at the venue), or several (each under "/<source id>").
        market: Where the trades come from; a new `Market()` by default.
        faults: One plan for all, or one per source id.
        limits: Whether documented rate limits are enforced.
        frame_faults: What goes wrong on the way to each client of the sockets.
        updates: Book updates per second of each product, over the sockets.
        record: Whether the sockets keep what they sent.
        versions: How many versions of each book they keep, the latest ones; 0: all. By default all of what they record.
        host, port: Where to listen; port 0 takes a free one.

    Attributes:
        apis, sockets: By source id; a venue may have one of the two alone.
    """

    def __init__(
        self,
        venue: str | Sequence[str],
        market: Market | None = None,
        faults: FaultPlan | Mapping[str, FaultPlan] | None = None,
        *,
        limits: bool = False,
        frame_faults: FramePlan | None = None,
        updates: float = 10.0,
        record: bool = False,
        versions: int | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.market = market or Market()
        names = [venue] if isinstance(venue, str) else list(venue)
        plans = faults if isinstance(faults, Mapping) else dict.fromkeys(names, faults)
        rest = [name for name in names if name in REST or name not in SOCKETS]  # who is neither is refused there
        self.apis = {name: SimApi(name, self.market, plans.get(name), limits=limits) for name in rest}
        kept = versions if versions is not None else 0 if record else KEPT_VERSIONS
        self.sockets = {
            name: SocketVenue(
                name,
                seed=self.market.seed,
                rate=updates,
                faults=frame_faults,
                clock=self.market.clock,
                record=record,
                versions=kept,
            )
            for name in names
            if name in SOCKETS
        }
        single = isinstance(venue, str)
        routes: list[Route | WebSocketRoute] = []
        for name in names:
            prefix = "" if single else f"/{name}"
            for served in (self.sockets.get(name), self.apis.get(name)):
                routes += served.routes(prefix) if served is not None else []
        super().__init__(Starlette(routes=routes), host=host, port=port)
        self._single = single

    def url_of(self, source: str) -> str:
        """Base address of one venue, in place of its `rest_url`."""
        return self.url if self._single else f"{self.url}/{source}"

    @property
    def injected(self) -> list[Injected]:
        """What has gone wrong by plan so far, over all venues, in order."""
        found = [record for api in self.apis.values() for record in api.injector.injected]
        return sorted(found, key=lambda record: record.at)
