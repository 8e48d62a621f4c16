"""A venue in a process of its own that sends Binance frames: as fast as they are taken, or at a pace.

One connection is asked by its path, `/<frames>/<frames per second, 0: no pace>/stream`. Frames have 200 bytes; seven of
ten are book updates of one level, two are trades, one is a best quote. Update and trade ids go on without holes.
"""

import asyncio
import base64
import hashlib
import multiprocessing
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SIZE, BURST = 200, 500


def _wrapped(stream: bytes, data: bytes) -> bytes:
    bare = b'{"stream":"btcusdt@%s","data":{%s}}' % (stream, data)
    pad = b" " * max(0, SIZE - len(bare))  # white space inside: the frame stays one line of JSON
    frame = bare[:-1] + pad + b"}"
    return b"\x81\x7e" + struct.pack("!H", len(frame)) + frame


def frame(number: int, ms: int) -> bytes:
    """The frame of that number, ready to be sent."""
    kind, price = number % 10, 60_000 + number * 7 % 100
    if kind in (3, 8):
        text = b'"e":"trade","E":%d,"s":"BTCUSDT","t":%d,"p":"%d.10","q":"0.5","T":%d,"m":true,"M":true'
        return _wrapped(b"trade", text % (ms, number // 10 * 2 + (kind == 8), price, ms))
    if kind == 9:
        text = b'"u":%d,"s":"BTCUSDT","b":"59000.10","B":"1.5","a":"61000.20","A":"2.25"'
        return _wrapped(b"bookTicker", text % (number + 10_000_000_000))
    update = number // 10 * 7 + kind - (kind > 3) + 1
    side = b'"b":[["%d.10","0.50000000"]],"a":[]' if kind % 2 else b'"b":[],"a":[["%d.10","0.50000000"]]'
    level = side % (price - 1_000 if kind % 2 else price + 1_000)
    return _wrapped(
        b"depth@100ms", b'"e":"depthUpdate","E":%d,"s":"BTCUSDT","U":%d,"u":%d,%s' % (ms, update, update, level)
    )


PAGE = b'{"lastUpdateId":0,"bids":[["58000.10","1.00000000"]],"asks":[["62000.10","1.00000000"]]}'


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    path = head.split()[1].decode()
    if "/depth" in path:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(PAGE), PAGE))
        await writer.drain()
        writer.close()
        return
    count, pace = (int(part) for part in path.strip("/").split("/")[:2])
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
    writer.write(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    await reader.read(1)  # the subscription
    said = b'{"result":null,"id":1}'
    writer.write(bytes([0x81, len(said)]) + said)
    await asyncio.sleep(0.5)
    await _send(writer, count, pace)
    await reader.read()


async def _send(writer: asyncio.StreamWriter, count: int, pace: int) -> None:
    made = []
    if not pace:  # made before, so that the making does not slow the flood
        ms = time.time_ns() // 1_000_000
        made = [b"".join(frame(n, ms) for n in range(a, min(a + BURST, count))) for a in range(0, count, BURST)]
    for burst in made:
        writer.write(burst)
        await writer.drain()
    sent, began = 0, time.monotonic()
    while not made and sent < count:
        due, ms = min(count, int((time.monotonic() - began) * pace)), time.time_ns() // 1_000_000
        writer.write(b"".join(frame(n, ms) for n in range(sent, due)))
        sent = due
        await writer.drain()
        await asyncio.sleep(0.001)


def _run(port: "multiprocessing.Queue[int]") -> None:
    async def work() -> None:
        server = await asyncio.start_server(_serve, "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(work())


@contextmanager
def flooding() -> Iterator[str]:
    """The server's address, "http://..", while the block runs."""
    spawn = multiprocessing.get_context("spawn")
    port: multiprocessing.Queue[int] = spawn.Queue()
    child = spawn.Process(target=_run, args=(port,), daemon=True)
    child.start()
    try:
        yield f"http://127.0.0.1:{port.get(timeout=30)}"
    finally:
        child.terminate()
        child.join()
