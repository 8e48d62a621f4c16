"""A WebSocket server over plain asyncio that can do what venues should not: it answers bytes as a test says."""

import asyncio
import base64
import contextlib
import hashlib
import json
import ssl
import struct
from collections.abc import Awaitable, Callable

from tidelake.venues.spec import Answer, Rate, Sockets

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def packed(payload, opcode=TEXT, fin=True):
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        return head + bytes([size]) + payload
    return head + (struct.pack("!BH", 126, size) if size < 1 << 16 else struct.pack("!BQ", 127, size)) + payload


class Peer:
    """A client, as the server sees it."""

    def __init__(self, reader, writer, path, number):
        self.reader, self.writer, self.path, self.number = reader, writer, path, number
        self.pongs = 0
        self.closed_by_client = False

    async def read(self):
        """The next text message; None at the end. Pongs are counted, pings answered."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                first, second = await self.reader.readexactly(2)
                size = second & 0x7F
                if size == 126:
                    (size,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
                assert second & 0x80, "clients mask"
                mask = await self.reader.readexactly(4)
                data = bytes(b ^ mask[i % 4] for i, b in enumerate(await self.reader.readexactly(size)))
                if first & 0xF == PONG:
                    self.pongs += 1
                elif first & 0xF == PING:
                    await self.send(data, PONG)
                elif first & 0xF == CLOSE:
                    self.closed_by_client = True
                    return None
                else:
                    return data
        return None

    async def send(self, payload, opcode=TEXT, fin=True):
        self.writer.write(packed(payload, opcode, fin))
        await self.writer.drain()

    def drop(self):
        """Break the connection without a word."""
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class SocketServer:
    """Runs `script` for each client; an async context manager."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script, self.tls = script, tls
        self.peers: list[Peer] = []
        self.requests: list[bytes] = []
        self.serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls, limit=1 << 22)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'wss' if self.tls else 'ws'}://localhost:{self.port}/ws"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for peer in self.peers:
            peer.drop()
        for task in self.serving:
            task.cancel()
        await asyncio.gather(*self.serving, return_exceptions=True)
        await asyncio.sleep(0)  # transports end a turn after they were told to

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            await self._talk(reader, writer)
        finally:
            self.serving.discard(task)
            writer.close()

    async def _talk(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head)
            key = next(
                line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
            )
            accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
            writer.write(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
            peer = Peer(reader, writer, head.split()[1].decode(), len(self.peers))
            self.peers.append(peer)
            await self.script(peer)


def answer(payload: bytes) -> Answer | None:
    try:
        said = json.loads(payload)
    except ValueError:
        return None
    kind = said.get("answer")
    if kind is None:
        return None
    names = tuple(said.get("names", ()))
    reply = said.get("reply", "").encode()
    return Answer(kind, names, said.get("request", -1), said.get("whole", True), said.get("reason", ""), reply)


def said(op):
    return lambda names, request: json.dumps({"op": op, "names": list(names), "request": request}).encode()


def words(**changed) -> Sockets:
    """A venue's words with short times."""
    given = {
        "url": "wss://venue.test/ws",
        "channels": {"trades": lambda symbol: (f"{symbol}@trade",)},
        "subscribe": said("subscribe"),
        "unsubscribe": said("unsubscribe"),
        "answer": answer,
        "answer_tokens": (b'"answer"',),
        "names_per_message": 10,
        "rate": Rate(1_000, 1.0),
        "streams_per_connection": 100,
        "connects": Rate(1_000, 1.0),
        "ping_seconds": 20.0,
        "silence_seconds": 30.0,
    }
    return Sockets(**(given | changed))
