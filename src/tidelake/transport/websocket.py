"""One WebSocket connection: frames with the clocks of their receipt, heartbeats, and the end of it when it is silent.

The library is picows (https://picows.readthedocs.io, MIT), by measurement: see docs/scale.md. It calls at the socket,
in the read that brought the frame, so that the clocks are those of the receipt and not those of a task's turn.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from tidelake.errors import SourceError
from tidelake.logs import redact
from tidelake.raw.frame import Kind

LET_GO_SECONDS = 1.0
LARGEST_FRAME = 64 << 20  # bytes; the largest snapshot that we know of has 3 MB
TEXT, PING, CLOSE = WSMsgType.TEXT, WSMsgType.PING, WSMsgType.CLOSE
WHOLE = (TEXT, WSMsgType.BINARY)
PARTS = (*WHOLE, WSMsgType.CONTINUATION)


class Heard(NamedTuple):
    """What passed on a connection: received, sent or made, with wall and monotonic clock in ns."""

    recv_ns: int
    mono_ns: int
    kind: Kind
    payload: bytes


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a connection is kept and judged.

    Attributes:
        ping: Text message of the venue's own heartbeat; None for pings of the protocol.
        ping_seconds: Between two heartbeats.
        silence_seconds: Without any frame, pongs included, for so long, it is dead.
        connect_seconds: For the whole of TCP, TLS and upgrade.
    """

    ping: bytes | None = None
    ping_seconds: float = 20.0
    silence_seconds: float = 30.0
    connect_seconds: float = 15.0


class Connection(WSListener):
    """One connection; make it with `connect`.

    Attributes:
        closed: Done when it is over; the result says why.
        frames: Frames received, those of the protocol not counted.
    """

    def __init__(self, inbox: list[Heard], pulse: Pulse, clock: Callable[[], int]) -> None:
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.frames = 0
        self._keep = inbox.append
        self._pulse = pulse
        self._clock = clock
        self._heard_at = time.monotonic()
        self._pieces: list[bytes] = []
        self._reason = ""
        self._transport: WSTransport | None = None
        self._beat: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._keep(Heard(self._clock(), time.monotonic_ns(), "open", b""))
        self._beat = asyncio.get_running_loop().create_task(self._heartbeats())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        self._heard_at = time.monotonic()
        if kind in WHOLE and frame.fin:
            self._keep(Heard(self._clock(), time.monotonic_ns(), "frame", frame.get_payload_as_bytes()))
            self.frames += 1
        elif kind in PARTS:
            self._join(frame)
        elif kind == PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == CLOSE:
            said = frame.get_payload_as_bytes()
            self._reason = self._reason or f"closed by the venue: {_close_words(said)}"
            if not transport.is_close_frame_sent:
                transport.send_close()
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._beat is not None:
            self._beat.cancel()
        if not self.closed.done():
            self.closed.set_result(redact(self._reason.strip() or "the connection broke"))

    def send(self, message: bytes) -> None:
        """Send a text message, kept as what it is: sent."""
        if self._transport is not None and not self._transport.is_disconnected:
            self._keep(Heard(self._clock(), time.monotonic_ns(), "sent", message))
            self._transport.send(TEXT, message)

    def pause(self) -> None:
        """Read no more until `resume`: the venue's next bytes wait in the network."""
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.underlying_transport.resume_reading()
            self._heard_at = time.monotonic()

    async def close(self) -> None:
        """Say goodbye and end it; who does not answer that within a second is left all the same."""
        self.end("closed by us")
        if self._transport is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self.closed), 1.0)
            except TimeoutError:
                self._transport.disconnect(graceful=False)

    def end(self, reason: str) -> None:
        """Begin to end it, for this reason."""
        self._reason = self._reason or reason
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send_close()
            self._transport.disconnect()

    def _join(self, frame: WSFrame) -> None:
        self._pieces.append(frame.get_payload_as_bytes())
        if sum(map(len, self._pieces)) > LARGEST_FRAME:
            self._pieces = []
            self.end(f"a message of more than {LARGEST_FRAME} bytes")
        elif frame.fin:
            self._keep(Heard(self._clock(), time.monotonic_ns(), "frame", b"".join(self._pieces)))
            self._pieces = []
            self.frames += 1

    async def _heartbeats(self) -> None:
        pulse, beaten_at = self._pulse, time.monotonic()
        while True:
            now = time.monotonic()
            silent = now - self._heard_at
            if silent >= pulse.silence_seconds:
                self._reason = f"silent for {silent:.0f} s"
                assert self._transport is not None
                self._transport.disconnect(graceful=False)
                return
            if now - beaten_at >= pulse.ping_seconds:
                beaten_at = now
                self._ping()
            due = min(beaten_at + pulse.ping_seconds, self._heard_at + pulse.silence_seconds)
            await asyncio.sleep(max(0.01, due - time.monotonic()))

    def _ping(self) -> None:
        if self._pulse.ping is not None:
            self.send(self._pulse.ping)
        elif self._transport is not None:
            self._transport.send_ping()


async def connect(
    url: str,
    inbox: list[Heard],
    pulse: Pulse,
    *,
    clock: Callable[[], int] = time.time_ns,
    tls: ssl.SSLContext | None = None,
) -> Connection:
    """A connection to "ws://" or "wss://" that appends all it hears to `inbox`.

    A proxy is taken from the environment (HTTPS_PROXY for wss, HTTP_PROXY for ws, ALL_PROXY, NO_PROXY).

    Raises:
        SourceError: There is no connection, or no WebSocket behind it; `retryable` is True.
    """
    made = asyncio.ensure_future(
        ws_connect(
            lambda: Connection(inbox, pulse, clock),
            url,
            ssl_context=tls,
            websocket_handshake_timeout=pulse.connect_seconds,
            enable_auto_pong=False,
            max_frame_size=LARGEST_FRAME,
            proxy=proxy_of(url),
            extra_headers={"User-Agent": "tidelake"},
        )
    )
    try:
        async with asyncio.timeout(pulse.connect_seconds):
            _, connection = await asyncio.shield(made)
    except asyncio.CancelledError:
        await _let_go(made)
        raise
    except (OSError, TimeoutError, WSError, EOFError, ssl.SSLError, ValueError) as exc:
        told = redact(f"{redact(url)}: no WebSocket ({type(exc).__name__}: {exc})".split("\n")[0])
        raise SourceError(told, retryable=True, status=_status(exc)) from None
    finally:
        made.cancel()
    assert isinstance(connection, Connection)
    return connection


async def _let_go(made: "asyncio.Future[tuple[WSTransport, WSListener]]") -> None:
    """End a connection that nobody wants any more while it is made: cancelled in its handshake it would stay open."""
    await asyncio.wait([made], timeout=LET_GO_SECONDS)
    if made.done() and not made.cancelled() and made.exception() is None:
        made.result()[0].disconnect()


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for an address; None where there is none."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    found = getproxies()
    proxy = found.get("https" if parts.scheme == "wss" else "http") or found.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _close_words(payload: bytes) -> str:
    """Code and reason of a close frame."""
    code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
    return f"{code} {payload[2:].decode('utf-8', 'replace')}".strip()


def _status(exc: BaseException) -> int | None:
    response = getattr(exc, "response", None)
    status = getattr(response, "status", None)
    return int(status) if status is not None else None
