"""A simulated venue behind sockets: true books that change as time passes, and what follows from them, told to whoever
subscribed: trades, books, quotes, bars, and of perpetuals funding, open interest and liquidations.

    venue = SocketVenue("kraken", faults=FramePlan.parse("lost:0.01"))
    routes = venue.routes()          # WebSocket at every path, and what pages the venue has

The books begin to change with the first client, and stand still while there is none.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tidelake.sim.books.dialects import dialect
from tidelake.sim.books.faults import Happened
from tidelake.sim.books.figures import Figures, Told
from tidelake.sim.books.model import TrueBook
from tidelake.sim.books.wire import Asked, Tell, Wire
from tidelake.sim.sockets.client import Client, Sent
from tidelake.sim.sockets.plan import FramePlan

KEPT_VERSIONS = 64
DEPTH = 1000  # of Kraken's subscriptions
QUOTES, SILENCES = 3, 7  # of so many steps one is followed by a quote, by a word of silence
STEP_NS = 1_000  # the real clock makes the steps apart
BEAT_SECONDS = 1.0
GOING_AWAY = 1001
OLD_VERSIONS = 20  # versions between the snapshots of which a stale one is picked
JUMP_NS = 3600 * 10**9


class SocketVenue:
    """One venue.

    Args:
        source: Source id.
        seed: Of the books.
        rate: Steps per second of each product.
        faults: What goes wrong on the way to each client.
        clock: The venue's clock, ns since 1970 UTC.
        record: Whether clients keep what they were sent, and figures what they were: the truth that tests ask for.
        versions: How many versions each book keeps, the latest ones; 0: all.

    Attributes:
        wires, figures: By canonical symbol.
        clients: All that ever connected.
    """

    def __init__(
        self,
        source: str,
        *,
        seed: int = 1,
        rate: float = 10.0,
        faults: FramePlan | None = None,
        clock: Callable[[], int] = time.time_ns,
        record: bool = False,
        versions: int = KEPT_VERSIONS,
    ) -> None:
        self.dialect = dialect(source)
        self.plan = faults or FramePlan(seed=seed)
        self.rate = rate
        self.clock = clock
        self.record = record
        self.clients: list[Client] = []
        self.wires: dict[str, Wire] = {}
        self.figures: dict[str, Figures] = {}
        self._tells: dict[str, Mapping[str, Tell]] = {}
        for product in self.dialect.products:
            book = TrueBook(product, seed, clock(), STEP_NS, kept=versions)
            self.wires[product.symbol] = self.dialect.wire(book, seed, DEPTH if source == "kraken" else 0)
            self.figures[product.symbol] = Figures(book, seed, self.dialect.bar_seconds, record=record)
            self._tells[product.symbol] = self.wires[product.symbol].figures()
        self._old: dict[str, bytes] = {}
        self._open: dict[int, tuple[Client, asyncio.Event]] = {}
        self._ahead_ns = 0
        self._steps = self._beats = 0
        self._driver: asyncio.Task[None] | None = None

    @property
    def happened(self) -> list[Happened]:
        """All faults so far, client by client."""
        return [each for client in self.clients for each in client.happened]

    def routes(self, prefix: str = "") -> list[Route | WebSocketRoute]:
        """Starlette routes: pages of books and of open interest, and sockets at every path."""
        served = {self.dialect.page_path: self._page, self.dialect.interest_path: self._interest}
        pages = [Route(prefix + path, serve) for path, serve in served.items() if path]
        root = [WebSocketRoute(prefix, self._serve)] if prefix else []  # an address may have no path of its own
        return [*pages, *root, WebSocketRoute(prefix + "/{path:path}", self._serve)]

    def _asked_of(self, request: Request) -> Wire | None:
        name = self.dialect.page_symbol(request.query_params)
        return next((wire for wire in self.wires.values() if wire.product.name == name), None)

    async def _interest(self, request: Request) -> Response:
        wire = self._asked_of(request)
        state = self.figures[wire.product.symbol].state if wire is not None else None
        if wire is None or state is None:
            return Response(self.dialect.bad_page(), 400, media_type="application/json")
        return Response(wire.interest_page(state), media_type="application/json")

    async def _page(self, request: Request) -> Response:
        wire = self._asked_of(request)
        if wire is None:
            return Response(self.dialect.bad_page(), 400, media_type="application/json")
        body = wire.page()
        for client, _ in self._open.values():  # the page is for one of those that have the book
            if wire.names["book"] in client.names and client.draw("stale-snapshot"):
                body = self._stale(client, wire, body)
                break
        return Response(body, media_type="application/json")

    def _stale(self, client: Client, wire: Wire, fresh: bytes) -> bytes:
        client.note("stale-snapshot", Sent(b"", wire.product.symbol, "snapshot", wire.book.version))
        return self._old.get(wire.product.symbol, fresh)

    async def _serve(self, socket: WebSocket) -> None:
        await socket.accept()
        path = "/" + socket.path_params.get("path", "")
        client, ready = Client(len(self.clients) + 1, path, self.plan, self.record), asyncio.Event()
        self.clients.append(client)
        self._open[client.number] = client, ready
        if self._driver is None:
            self._driver = asyncio.create_task(self._drive())
        listening = asyncio.create_task(self._listen(socket, client, ready))
        try:
            while True:
                await ready.wait()
                ready.clear()
                frames, client.outbox = client.outbox, []
                for payload in frames:
                    await socket.send_text(payload.decode())
                if client.over and not client.outbox:
                    await socket.close(GOING_AWAY)
                    return
        except (WebSocketDisconnect, RuntimeError):
            pass  # the client left, which is its right
        finally:
            await self._leave(client, listening)

    async def _leave(self, client: Client, listening: asyncio.Task[None]) -> None:
        client.over = True
        self._open.pop(client.number, None)
        tasks = [listening]
        if not self._open and self._driver is not None:
            tasks.append(self._driver)
            self._driver = None
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _listen(self, socket: WebSocket, client: Client, ready: asyncio.Event) -> None:
        while True:
            try:
                message = await socket.receive()
            except RuntimeError:
                message = {"type": "websocket.disconnect"}
            if message["type"] != "websocket.receive":
                client.over = True
                ready.set()
                return
            said = message.get("text")
            self.hear(client, said.encode() if said is not None else message.get("bytes") or b"")
            ready.set()

    def hear(self, client: Client, message: bytes) -> None:
        """Does what a client's message wants; a message that is none of the venue's ends the connection."""
        try:
            asked = self.dialect.read(message)
        except (ValueError, KeyError, TypeError):
            client.over = True
            return
        if asked.verb in ("ping", "other"):
            if (answer := self.dialect.pong(message)) is not None:
                client.put(Sent(answer))
        elif asked.verb == "unsubscribe":
            for name in asked.names:
                client.names.pop(name, None)
            self._accept(client, asked)
        else:
            self._subscribe(client, asked)

    def _wire_of(self, client: Client, name: str) -> Wire | None:
        for wire in self.wires.values():
            known = name in wire.names.values() or name in self._tells[wire.product.symbol]
            if known and self.dialect.serves(client.path, wire.product):
                return wire
        return None

    def _subscribe(self, client: Client, asked: Asked) -> None:
        found = {name: self._wire_of(client, name) for name in asked.names}
        bad = [name for name, wire in found.items() if wire is None and self.dialect.beat(name, 0, 0) is None]
        if bad:
            for answer in self.dialect.refuse(asked, bad):
                client.put(Sent(answer))
        good = [] if bad and self.dialect.refuses_whole else [name for name in found if name not in bad]
        if not good:
            return
        client.names.update(dict.fromkeys(good))
        self._accept(client, Asked(asked.verb, tuple(good), asked.number))
        for name in good:
            wire = found[name]
            if wire is not None and name == wire.names["book"]:
                self._begin(client, wire)
            self._begin_figures(client, name)

    def _accept(self, client: Client, asked: Asked) -> None:
        wires = [(name, self._wire_of(client, name)) for name in asked.names]
        for answer in self.dialect.accept(asked, wires, list(client.names)):
            client.put(Sent(answer))

    def _begin(self, client: Client, wire: Wire) -> None:
        """The snapshot that begins a book, where the venue sends it by itself."""
        symbol, version = wire.product.symbol, wire.book.version
        if client.draw("sync-disconnect"):
            client.note("sync-disconnect", Sent(b"", symbol, "snapshot", version))
            client.over = True
        elif not self.dialect.pages:
            payload = wire.snapshot()
            if client.draw("stale-snapshot"):
                payload = self._stale(client, wire, payload)
            client.put(Sent(payload, symbol, "snapshot", version))

    def _begin_figures(self, client: Client, name: str) -> None:
        """What a subscription of figures is told at once, where the venue does so."""
        for symbol, tells in self._tells.items():
            if name in tells and self.dialect.serves(client.path, self.wires[symbol].product):
                for payload in tells[name](name, self.figures[symbol].now(self.clock() + self._ahead_ns)):
                    client.put(Sent(payload, symbol, name))

    async def _drive(self) -> None:
        """Steps all books, in turn, at their rate."""
        began, done, beats = time.monotonic(), 0, 1
        pause = 1 / (self.rate * len(self.wires))
        while True:
            for symbol in self.wires:
                self.step(symbol)
                done += 1
                wait = began + done * pause - time.monotonic()
                await asyncio.sleep(max(wait, 0))
            if time.monotonic() - began >= beats * BEAT_SECONDS:
                beats += 1
                self._beat()

    def step(self, symbol: str) -> None:
        """One step of a book, told to all who subscribed it."""
        wire = self.wires[symbol]
        if wire.book.version % OLD_VERSIONS == 0:
            self._old[symbol] = wire.page() if self.dialect.pages else wire.snapshot()
        wire.book.clock_ns = self.clock() + self._ahead_ns
        change = wire.book.step()
        payload = wire.change(change)
        trades = [wire.trade(trade) for trade in change.prints]
        told = self._told(symbol, self.figures[symbol].step(wire.book, change))
        self._steps += 1
        names = wire.names
        quote = wire.quote() if self._steps % QUOTES == 0 else None
        silence = wire.silence() if self._steps % SILENCES == 0 else None
        for client, ready in self._open.values():
            if client.draw("clock-jump"):
                client.note("clock-jump", Sent(b"", symbol, "update", change.version))
                self._ahead_ns = JUMP_NS - self._ahead_ns
            if not self.dialect.serves(client.path, wire.product):
                continue  # two products of Bybit may share their names
            if names["trades"] in client.names:
                for trade in trades:
                    client.put(Sent(trade, symbol, "trade"))
            if names["book"] in client.names:
                client.put_update(Sent(payload, symbol, "update", change.version), wire, change.levels)
                if silence is not None:
                    client.put(Sent(silence, symbol, "silence", change.version))
            if quote is not None and names["quotes"] in client.names:
                client.put(Sent(quote, symbol, "quote"))
            for name, payloads in told.items():
                if name in client.names:
                    for each in payloads:
                        client.put_figures(Sent(each, symbol, name))
            ready.set()

    def _told(self, symbol: str, news: Told) -> dict[str, list[bytes]]:
        """The messages of each stream of figures that somebody subscribed."""
        wanted = {name for client, _ in self._open.values() for name in client.names}
        return {name: tell(name, news) for name, tell in self._tells[symbol].items() if name in wanted}

    def _beat(self) -> None:
        self._beats += 1
        for client, ready in self._open.values():
            for name in client.names:
                if (said := self.dialect.beat(name, self.clock(), self._beats)) is not None:
                    client.put(Sent(said))
            ready.set()
