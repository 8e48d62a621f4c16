"""New heads by WebSocket: a node's `eth_subscribe("newHeads")`, as a bell and no more.

What a socket says is not taken as a fact: whoever hears the bell asks for the head as it would without, so that nothing
depends on what was missed while the socket was down.
"""

import asyncio
import random
import time
from collections.abc import Callable

import msgspec

from tidelake.errors import SourceError
from tidelake.logs import redact
from tidelake.transport.http import Patience
from tidelake.transport.logger import logger
from tidelake.transport.websocket import Connection, Heard, Pulse, connect

SUBSCRIBE = b'{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}'
STEADY_SECONDS = 60.0  # a connection that lived so long starts the back-off anew


class _Message(msgspec.Struct):
    id: object = None
    method: str = ""
    error: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()


class _Inbox(list[Heard]):
    """Frames, each handed on at once."""

    def __init__(self, hand_on: Callable[[Heard], None]) -> None:
        super().__init__()
        self._hand_on = hand_on

    def append(self, heard: Heard) -> None:
        self._hand_on(heard)


class HeadSocket:
    """A subscription to new heads that is made anew whenever it is lost.

    Args:
        url: "ws://" or "wss://"; a secret.
        ring: Called at each new head, and where the subscription begins and ends: heads may be missed around it.
        patience: Its back-off is that between two connections.
        seed: Seed of the jitter.

    Attributes:
        subscribed: Whether new heads are heard now.
        rung: How often it rang.
        losses: Why it was not subscribed, in order.
    """

    def __init__(
        self,
        url: str,
        ring: Callable[[], None],
        *,
        patience: Patience | None = None,
        seed: int | None = None,
    ) -> None:
        self.subscribed = False
        self.rung = 0
        self.losses: list[str] = []
        self._url = url
        self._ring = ring
        self._patience = patience or Patience()
        self._draw = random.Random(seed).random
        self._connection: Connection | None = None

    async def run(self) -> None:
        """Connect and subscribe, again and again, until it is cancelled."""
        attempt = 0
        while True:
            attempt, since = attempt + 1, time.monotonic()
            try:
                reason = await self._one_connection()
            except SourceError as exc:
                reason = str(exc)
            if time.monotonic() - since >= STEADY_SECONDS:
                attempt = 1
            self.losses.append(redact(reason))
            logger().warning("no heads by socket", url=redact(self._url), attempt=attempt, reason=redact(reason))
            await asyncio.sleep(self._patience.wait(attempt, None, self._draw()))

    async def _one_connection(self) -> str:
        self._connection = await connect(self._url, _Inbox(self._hear), Pulse())
        try:
            self._connection.send(SUBSCRIBE)
            return await asyncio.shield(self._connection.closed)
        finally:
            self.subscribed = False
            self._connection.end("closed by us")
            self._ring()

    def _hear(self, heard: Heard) -> None:
        if heard.kind != "frame":
            return
        try:
            message = msgspec.json.decode(heard.payload, type=_Message)
        except msgspec.MsgspecError:
            return
        if message.method == "eth_subscription":
            self.rung += 1
            self._ring()
        elif bytes(message.error) and self._connection is not None:
            self._connection.end(f"refused: {bytes(message.error).decode('utf-8', 'replace')}")
        elif message.id == 1 and bytes(message.result):
            self.subscribed = True
            self._ring()
