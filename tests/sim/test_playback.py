"""A playback gives back the recorded bytes, in order, at the recorded pace or faster."""

import asyncio
import time

import httpx
import pytest
import websockets

from tidelake.sim.playback import Item, Playback, target_of

SOCKET = "wss://ws.example.com/v5/public"
PAGE = "GET https://api.example.com/products?b=2&a=1"
FRAMES = [b'{"n":%d,"text":"\xc3\xa9 \\u00e9"}' % n for n in range(300)]
RECORDING = [
    Item(1_000_000_000, "open", b"", SOCKET),
    Item(1_000_000_000, "sent", b'{"op":"subscribe"}', SOCKET),
    *(Item(1_000_000_000 + n * 2_000_000, "frame", payload, SOCKET) for n, payload in enumerate(FRAMES)),
    Item(2_000_000_000, "page", b'[ {"first":1.50} ]\n', PAGE),
    Item(2_000_000_000, "page", b"second", PAGE),
    Item(2_000_000_000, "note", b"configuration", ""),
]


async def received(url: str, *, send: str | None = None) -> list[str | bytes]:
    async with websockets.connect(url) as socket:
        if send is not None:
            await socket.send(send)
        return [message async for message in socket]


def test_frames_come_back_in_order_with_the_same_bytes():
    with Playback(RECORDING, speed=0) as playback:
        got = asyncio.run(received(playback.ws_url + "/v5/public"))
        again = asyncio.run(received(playback.ws_url + "/v5/public"))
    assert [message.encode() for message in got if isinstance(message, str)] == FRAMES
    assert again == got


def test_bytes_that_are_not_text_come_as_binary_frames():
    with Playback([(1, "frame", b"\xff\x00", "")], speed=0) as playback:
        assert asyncio.run(received(playback.ws_url + "/any")) == [b"\xff\x00"]


def test_subscriptions_are_taken_and_can_start_the_frames():
    with Playback(RECORDING, speed=0, wait_for_message=True) as playback:
        got = asyncio.run(received(playback.ws_url + "/v5/public", send='{"op":"subscribe"}'))

        async def silent() -> None:
            async with websockets.connect(playback.ws_url + "/v5/public") as socket:
                await asyncio.wait_for(socket.recv(), 0.2)

        with pytest.raises(TimeoutError):
            asyncio.run(silent())
    assert len(got) == len(FRAMES)


def test_speed_divides_the_recorded_time():
    slow = [item._replace(recv_ns=200 * item.recv_ns) for item in RECORDING]
    with Playback(slow, speed=400.0) as playback:
        began = time.monotonic()
        asyncio.run(received(playback.ws_url + "/v5/public"))
        took = time.monotonic() - began
    assert 0.29 < took < 60  # undivided it lasts two minutes


def test_frames_of_two_sockets_are_kept_apart():
    other = [Item(5, "frame", b"other", "wss://ws.example.com/private")]
    with Playback([*RECORDING, *other], speed=0) as playback:
        assert asyncio.run(received(playback.ws_url + "/private")) == ["other"]
        assert len(asyncio.run(received(playback.ws_url + "/v5/public"))) == len(FRAMES)


def test_a_client_that_leaves_does_not_disturb_the_next():
    async def leave(url: str) -> str | bytes:
        async with websockets.connect(url) as socket:
            return await socket.recv()

    with Playback(RECORDING, speed=1.0) as playback:
        assert asyncio.run(leave(playback.ws_url + "/v5/public")) == FRAMES[0].decode()
        assert asyncio.run(leave(playback.ws_url + "/v5/public")) == FRAMES[0].decode()


def test_stay_open_keeps_the_connection_after_the_last_frame():
    async def all_and_wait(url: str) -> bool:
        async with websockets.connect(url) as socket:
            for _ in FRAMES:
                await socket.recv()
            try:
                await asyncio.wait_for(socket.recv(), 0.2)
            except TimeoutError:
                return True
        return False

    with Playback(RECORDING, speed=0, stay_open=True) as playback:
        assert asyncio.run(all_and_wait(playback.ws_url + "/v5/public"))


def test_pages_come_back_in_turn_with_the_same_bytes_whatever_the_order_of_the_query():
    with Playback(RECORDING) as playback, httpx.Client(base_url=playback.url) as client:
        assert client.get("/products?a=1&b=2").content == b'[ {"first":1.50} ]\n'
        assert client.get("/products?b=2&a=1").content == b"second"
        assert client.get("/products?b=2&a=1").content == b"second"
        assert client.get("/products?a=1").status_code == 404


def test_target_ignores_method_and_host():
    assert target_of("GET https://h/p?b=2&a=1") == target_of("/p?a=1&b=2") == ("/p", (("a", "1"), ("b", "2")))
    assert target_of("wss://h") == ("/", ())
