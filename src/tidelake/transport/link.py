"""A link: one connection and those that replace it, with its streams subscribed within the venue's limits.

    link = Link(1, sockets, url, ["btcusdt@trade"], rates)
    task = asyncio.create_task(link.run())
    for heard in link.drain(): ...

All that a link hears stands in the order of its receipt. Before the venue ends a connection for its age, a second link
with the same streams is opened by who owns the links, and the first is closed when the second is synchronised.
"""

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from tidelake.errors import SourceError
from tidelake.logs import redact
from tidelake.transport.http import Patience
from tidelake.transport.logger import logger
from tidelake.transport.rates import Pace, Rates
from tidelake.transport.subscribing import Subscriptions
from tidelake.transport.websocket import Connection, Heard, Pulse, connect
from tidelake.venues.spec import Answer, Sockets

ANSWER_SECONDS = 10.0
STEADY_SECONDS = 60.0  # a connection that lived so long starts the back-off anew
RENEW_AT = 0.95  # of the age at which the venue ends a connection, less a random part of the rest


class Link:
    """One logical connection.

    Attributes:
        number: Told apart by it.
        url: What it connects to.
        subscriptions: Its streams.
        opens: Connections that were made.
        losses: Why each of the connections before ended, in order; one that `stop` ended is not in it.
        heard: Frames received.
        bytes: Their payloads.
    """

    def __init__(
        self,
        number: int,
        sockets: Sockets,
        url: str,
        names: Sequence[str],
        rates: Rates,
        *,
        patience: Patience | None = None,
        clock: Callable[[], int] = time.time_ns,
        tls: ssl.SSLContext | None = None,
        seed: int | None = None,
    ) -> None:
        self.number = number
        self.sockets = sockets
        self.url = url
        self.subscriptions = Subscriptions(sockets, list(names))
        self.opens = 0
        self.losses: list[str] = []
        self.heard = 0
        self.bytes = 0
        self._inbox: list[Heard] = []
        self._rates = rates
        self._patience = patience or Patience()
        self._clock = clock
        self._tls = tls
        self._draw = random.Random(seed).random
        self._connection: Connection | None = None
        self._opened_at = 0.0
        self._renew_at = RENEW_AT
        self._sending = asyncio.Event()
        self._resubscribe: list[str] = []
        self._stopped = False
        self._task: asyncio.Task[None] | None = None
        self._host = urlsplit(url).netloc.rpartition("@")[2]
        self._log = logger().bind(url=redact(url), link=number)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection now."""
        return self._connection is not None

    @property
    def ready(self) -> bool:
        """Whether there is a connection and all its subscriptions are answered."""
        return self.is_open and self.subscriptions.settled and not self._inbox

    @property
    def age(self) -> float:
        """Seconds since the connection was made; 0 where there is none."""
        return time.monotonic() - self._opened_at if self.is_open else 0.0

    @property
    def renewal_due(self) -> bool:
        """Whether the venue will soon end the connection for its age."""
        limit = self.sockets.renew_after
        return limit is not None and self.is_open and self.age >= limit.total_seconds() * self._renew_at

    def drain(self) -> list[Heard]:
        """All that was heard, sent and opened since the last call, in order; its answers are acted upon."""
        heard = self._inbox[:]
        del self._inbox[: len(heard)]  # the same list: the connection appends to it
        self._act_on(heard)
        return heard

    def resubscribe(self, names: Sequence[str]) -> None:
        """Unsubscribe streams and subscribe them again, which brings their snapshot."""
        self._resubscribe += [name for name in names if name not in self._resubscribe]
        self._sending.set()

    def pause(self) -> None:
        """Read no more until `resume`."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Read again."""
        if self._connection is not None:
            self._connection.resume()

    async def stop(self) -> None:
        """End it for good; what was heard stays to be drained."""
        self._stopped = True
        if self._connection is not None:
            await self._connection.close()
        if self._task is not None:
            self._task.cancel()

    async def run(self) -> None:
        """Connect, subscribe, and connect again whenever the connection is lost, until `stop`."""
        self._task = asyncio.current_task()
        attempt = 0
        while not self._stopped and (self.subscriptions.names or self.opens == 0):
            attempt += 1
            try:
                lasted = await self._one_connection()
            except SourceError as exc:
                self._log.warning("no connection", attempt=attempt, reason=str(exc))
            else:
                attempt = 1 if lasted >= STEADY_SECONDS else attempt
            if not self._stopped:
                await asyncio.sleep(self._patience.wait(attempt, None, self._draw()))

    async def _one_connection(self) -> float:
        await self._rates.turn(self._host, self._pace("connects"))
        pulse = Pulse(self.sockets.ping, self.sockets.ping_seconds, self.sockets.silence_seconds)
        self._connection = connection = await connect(self.url, self._inbox, pulse, clock=self._clock, tls=self._tls)
        self._opened_at = time.monotonic()
        self._renew_at = RENEW_AT - 0.05 * self._draw()
        self.opens += 1
        self.subscriptions.opened()
        sending = asyncio.create_task(self._send_all(connection))
        try:
            reason = await asyncio.shield(connection.closed)
        finally:
            sending.cancel()
            self._connection = None
        lasted = time.monotonic() - self._opened_at
        if not self._stopped:
            self.losses.append(reason)
            self._log.warning("connection lost", reason=reason, lasted=round(lasted, 1))
        return lasted

    def _pace(self, word: str) -> Pace:
        rate = self.sockets.connects if word == "connects" else self.sockets.rate
        return Pace(rate.weight, rate.seconds)

    async def _send_all(self, connection: Connection) -> None:
        for message in self.sockets.hello:
            await self._send(connection, message)
        while True:
            self._sending.clear()
            if self._resubscribe:
                names, self._resubscribe = self._resubscribe, []
                for message in self.subscriptions.again(names):
                    await self._send(connection, message)
            while (asked := self.subscriptions.next()) is not None:
                await self._send(connection, self.subscriptions.message(asked))
                asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._expire, connection, asked.request)
            await self._sending.wait()

    async def _send(self, connection: Connection, message: bytes) -> None:
        await self._rates.turn(f"{self._host} link {self.number} open {self.opens}", self._pace("messages"))
        connection.send(message)

    def _expire(self, connection: Connection, request: int) -> None:
        if connection is self._connection:
            self.subscriptions.expire(request)
            self._sending.set()

    def _act_on(self, heard: Sequence[Heard]) -> None:
        frames = [one.payload for one in heard if one.kind == "frame"]
        self.heard += len(frames)
        joined = b"\n".join(frames)
        self.bytes += len(joined) - max(0, len(frames) - 1)
        tokens = [token for token in self.sockets.answer_tokens if token in joined]
        if not tokens:
            return
        for payload in frames:
            if any(token in payload for token in tokens) and (answer := self.sockets.answer(payload)) is not None:
                self._answered(answer)

    def _answered(self, answer: Answer) -> None:
        if answer.kind == "ping":
            if self._connection is not None:
                self._connection.send(answer.reply)
        elif answer.kind == "closing":
            self._log.info("the venue will close the connection", reason=answer.reason)
        elif answer.kind in ("subscribed", "refused"):
            for name in self.subscriptions.answered(answer):
                self._log.warning("stream refused", stream=name, reason=answer.reason)
            self._sending.set()
