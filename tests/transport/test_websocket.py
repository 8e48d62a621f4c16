"""Links against a server that misbehaves: nothing that it sent is lost or changed, and a dead one is left."""

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import time

import pytest

from tests.transport.socket_server import BINARY, CLOSE, CONTINUATION, GUID, PING, SocketServer, words
from tidelake.errors import SourceError
from tidelake.transport.http import Patience
from tidelake.transport.link import Link
from tidelake.transport.rates import Rates
from tidelake.transport.websocket import Pulse, connect, proxy_of
from tidelake.venues.spec import Rate

QUICK = Patience(first_wait=0.02, longest_wait=0.1)


def ok(message):
    asked = json.loads(message)
    return json.dumps({"answer": "subscribed", "request": asked["request"]}).encode()


class Running:
    """A link that runs, and all that it heard."""

    def __init__(self, url, names=("a",), sockets=None, tls=None):
        self.link = Link(1, sockets or words(), url, names, Rates(), patience=QUICK, tls=tls, seed=1)
        self.heard = []

    async def __aenter__(self):
        self.task = asyncio.create_task(self.link.run())
        return self

    async def __aexit__(self, *_):
        await self.link.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self.heard += self.link.drain()

    async def until(self, done, seconds=60.0):
        async with asyncio.timeout(seconds):
            while True:
                self.heard += self.link.drain()
                if done():
                    return
                await asyncio.sleep(0.005)

    def payloads(self, kind="frame"):
        return [one.payload for one in self.heard if one.kind == kind]


def run(work):
    return asyncio.run(asyncio.wait_for(work, 120))


def test_frames_come_verbatim_in_order_with_both_clocks_of_their_receipt():
    big = b'{"pad":"' + b"x" * (1 << 20) + b'"}'
    sent = [b'{"n":1}', b"\xff\xfe binary", b"no json\n at all", big, '{"é":1}'.encode(), b""]

    async def script(peer):
        await peer.read()
        await peer.send(sent[0])
        await peer.send(sent[1], BINARY)
        await peer.send(sent[2][:4], fin=False)
        await peer.send(b"during", PING)
        await peer.send(sent[2][4:], CONTINUATION)
        for start in range(0, len(big), 1 << 18):
            last = start + (1 << 18) >= len(big)
            await peer.send(big[start : start + (1 << 18)], CONTINUATION if start else 1, last)
        await peer.send(sent[4])
        await peer.send(sent[5])
        await peer.read()

    async def work():
        async with SocketServer(script) as server, Running(server.url) as running:
            before, mono = time.time_ns(), time.monotonic_ns()
            await running.until(lambda: len(running.payloads()) == len(sent))
            assert running.payloads() == sent
            assert running.payloads("sent") == [b'{"op": "subscribe", "names": ["a"], "request": 1}']
            assert [one.kind for one in running.heard[:2]] == ["open", "sent"]
            walls, monos = [h.recv_ns for h in running.heard], [h.mono_ns for h in running.heard]
            assert monos == sorted(monos)
            assert before - 10**9 < walls[0] <= walls[-1] <= time.time_ns()
            assert mono - 10**9 < monos[0] <= monos[-1] <= time.monotonic_ns()
            assert running.link.bytes == sum(map(len, sent))

    run(work())


def test_pings_are_answered_and_their_bytes_are_returned():
    async def script(peer):
        await peer.read()
        await peer.send(b"123", PING)
        await peer.send(b"{}")
        await peer.read()

    async def work():
        async with SocketServer(script) as server, Running(server.url) as running:
            await running.until(lambda: running.payloads() == [b"{}"])
            await running.link.stop()
            await running.until(lambda: server.peers[0].closed_by_client)
            assert server.peers[0].pongs == 1

    run(work())


@pytest.mark.parametrize("ending", ["drop", "close", "half a frame", "nonsense"])
def test_a_lost_connection_is_made_again_and_subscribed_again(ending):
    async def script(peer):
        message = await peer.read()
        await peer.send(ok(message))
        await peer.send(b'{"n":%d}' % peer.number)
        if peer.number == 0:
            if ending == "close":
                await peer.send(b"\x03\xe9going away", CLOSE)
            elif ending == "half a frame":
                peer.writer.write(b"\x81\x7e\xff\xffhalf")
                await peer.writer.drain()
            elif ending == "nonsense":
                await peer.send(b"x", 0x7)
                await peer.read()
            if ending != "nonsense":
                await asyncio.sleep(0.02)
                peer.drop()
        else:
            await peer.read()

    async def work():
        async with SocketServer(script) as server, Running(server.url) as running:
            await running.until(lambda: b'{"n":1}' in running.payloads() and running.link.ready)
            assert [p for p in running.payloads() if p.startswith(b'{"n"')] == [b'{"n":0}', b'{"n":1}']
            assert len(running.payloads("open")) == 2
            assert len(running.link.losses) == 1
            if ending == "close":
                assert running.link.losses == ["closed by the venue: 1001 going away"]
            assert running.link.subscriptions.subscribed == {"a"}

    run(work())


def test_silence_ends_a_connection_that_still_stands():
    async def script(peer):
        await peer.read()
        if peer.number:
            while True:
                await peer.send(b"{}")
                await asyncio.sleep(0.05)
        await peer.reader.read(1)  # the network stands, nobody answers
        await asyncio.sleep(120)

    async def work():
        sockets = words(ping_seconds=10.0, silence_seconds=1.0)
        async with SocketServer(script) as server, Running(server.url, sockets=sockets) as running:
            await running.until(lambda: running.payloads().count(b"{}") > 10)
            assert [reason[:10] for reason in running.link.losses] == ["silent for"]

    run(work())


def test_heartbeats_keep_a_quiet_connection():
    async def script(peer):
        while (message := await peer.read()) is not None:
            await peer.send(b'{"answer":"pong"}' if message == b"ping" else ok(message))

    async def work():
        own = words(ping=b"ping", ping_seconds=0.15, silence_seconds=1.5)
        bare = words(ping_seconds=0.15, silence_seconds=1.5)
        async with (
            SocketServer(script) as server,
            Running(server.url, sockets=own) as one,
            Running(server.url, sockets=bare) as two,
        ):
            began = time.monotonic()
            await two.until(lambda: two.link.ready and time.monotonic() - began > 2)  # longer than silence may last
            await one.until(lambda: one.link.ready and one.payloads("sent").count(b"ping") >= 5)
            assert (one.link.losses, two.link.losses) == ([], [])
            assert two.payloads("sent") == [b'{"op": "subscribe", "names": ["a"], "request": 1}']

    run(work())


def test_a_ping_in_words_gets_the_reply_that_the_venue_wants():
    async def script(peer):
        await peer.read()
        await peer.send(b'{"answer":"ping","reply":"here"}')
        await peer.send(json.dumps({"got": (await peer.read()).decode()}).encode())
        await peer.read()

    async def work():
        async with SocketServer(script) as server, Running(server.url) as running:
            await running.until(lambda: b'{"got": "here"}' in running.payloads())

    run(work())


def refusing(bad, named):
    """Answers as a venue that refuses whole messages, or names the bad one."""

    async def script(peer):
        while (message := await peer.read()) is not None:
            asked = json.loads(message)
            wrong = [name for name in asked["names"] if name in bad]
            told = {"request": asked["request"]}
            told |= {"answer": "refused", "reason": "no such stream"} if wrong else {"answer": "subscribed"}
            if wrong and named:
                told |= {"names": wrong, "request": -1}
            await peer.send(json.dumps(told).encode())

    return script


@pytest.mark.parametrize("named", [True, False])
def test_a_refused_name_is_left_out_and_the_others_stay(named):
    names = [f"s{n}" for n in range(23)]

    async def work():
        async with SocketServer(refusing({"s7", "s20"}, named)) as server, Running(server.url, names) as running:
            await running.until(lambda: running.link.ready)
            found = running.link.subscriptions
            assert found.refused == {"s7": "no such stream", "s20": "no such stream"}
            assert found.subscribed == set(names) - {"s7", "s20"}
            assert running.link.losses == []

    run(work())


def test_a_name_upon_which_the_venue_hangs_up_is_left_out_in_the_end():
    names = [f"s{n}" for n in range(12)]

    async def script(peer):
        while (message := await peer.read()) is not None:
            if "s7" in json.loads(message)["names"]:
                peer.drop()
                return
            await peer.send(ok(message))

    async def work():
        async with SocketServer(script) as server, Running(server.url, names) as running:
            await running.until(lambda: running.link.ready and "s7" in running.link.subscriptions.refused)
            assert set(running.link.subscriptions.refused) == {"s7"}
            await running.until(lambda: running.link.subscriptions.subscribed == set(names) - {"s7"})

    run(work())


def test_messages_keep_to_the_rate_and_to_names_per_message():
    async def script(peer):
        while (message := await peer.read()) is not None:
            await peer.send(ok(message))

    async def work():
        sockets = words(rate=Rate(20, 1.0), names_per_message=2)
        async with (
            SocketServer(script) as server,
            Running(server.url, [f"s{n}" for n in range(20)], sockets) as running,
        ):
            await running.until(lambda: running.link.ready)
            sent = [one for one in running.heard if one.kind == "sent"]
            assert [len(json.loads(one.payload)["names"]) for one in sent] == [2] * 10
            assert (sent[-1].mono_ns - sent[0].mono_ns) / 1e9 >= 7 * 0.05

    run(work())


def test_resubscription_sends_both_messages_for_that_stream_alone():
    async def script(peer):
        while (message := await peer.read()) is not None:
            if json.loads(message)["op"] == "subscribe":
                await peer.send(ok(message))

    async def work():
        async with SocketServer(script) as server, Running(server.url, ["a", "b"]) as running:
            await running.until(lambda: running.link.ready)
            running.link.resubscribe(["b"])
            await running.until(lambda: len(running.payloads("sent")) == 3 and running.link.ready)
            told = [(m["op"], m["names"]) for m in map(json.loads, running.payloads("sent"))]
            assert told == [("subscribe", ["a", "b"]), ("unsubscribe", ["b"]), ("subscribe", ["b"])]

    run(work())


def test_a_connection_that_is_being_made_when_all_ends_is_not_left_open():
    asked, left = asyncio.Event(), asyncio.Event()

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await asyncio.sleep(0.2)  # it is ended meanwhile
        (key,) = re.findall(rb"(?i)sec-websocket-key: (\S+)", head)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: " + base64.b64encode(hashlib.sha1(key + GUID).digest()) + b"\r\n\r\n")
        await reader.read()
        writer.close()
        left.set()

    async def work():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            async with Running(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"):
                await asked.wait()
            await asyncio.wait_for(left.wait(), 10)  # not the 15 s that a handshake may last

    run(work())


def test_a_paused_connection_loses_nothing():
    async def script(peer):
        await peer.read()
        for n in range(20_000):
            await peer.send(b'{"n":%d,"pad":"%s"}' % (n, b"x" * 300))
        await peer.read()

    async def work():
        async with SocketServer(script) as server, Running(server.url) as running:
            await running.until(lambda: len(running.payloads()) > 100)
            running.link.pause()
            kept = -1
            while kept != len(running.payloads()):  # what was read before it was paused
                kept = len(running.payloads())
                await asyncio.sleep(0.1)
                running.heard += running.link.drain()
            assert kept < 20_000
            running.link.resume()
            await running.until(lambda: len(running.payloads()) == 20_000)
            assert [json.loads(p)["n"] for p in running.payloads()] == list(range(20_000))

    run(work())


def test_no_server_and_no_websocket_are_errors_that_say_where_and_hold_no_secret(monkeypatch):
    monkeypatch.setenv("VENUE_API_KEY", "hush-hush-hush")

    async def nothing(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def work():
        server = await asyncio.start_server(nothing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SourceError, match="no WebSocket") as caught:
            await connect(f"ws://127.0.0.1:{port}/ws?key=hush-hush-hush", [], Pulse())
        assert caught.value.retryable
        assert caught.value.status == 403
        assert "hush" not in str(caught.value)
        server.close()
        await server.wait_closed()
        with pytest.raises(SourceError, match=f"127.0.0.1:{port}"):
            await connect(f"ws://127.0.0.1:{port}/", [], Pulse())

    run(work())


def test_proxies_come_from_the_environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    assert proxy_of("wss://venue.test/ws") is None
    monkeypatch.setenv("https_proxy", "http://user:secret@proxy.test:3128")
    assert proxy_of("wss://venue.test/ws") == "http://user:secret@proxy.test:3128"
    assert proxy_of("ws://venue.test/ws") is None
    monkeypatch.setenv("all_proxy", "socks5://other.test:1080")
    assert proxy_of("ws://venue.test/ws") == "socks5://other.test:1080"
    monkeypatch.setenv("no_proxy", "venue.test")
    assert proxy_of("wss://venue.test/ws") is None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tls")
    pem = folder / "cert.pem"
    pem.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem


def test_tls_is_checked(certificate):
    import ssl

    async def script(peer):
        await peer.read()
        await peer.send(b'{"over":"tls"}')
        await peer.read()

    async def work():
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        async with SocketServer(script, tls) as server:
            with pytest.raises(SourceError, match="CERTIFICATE_VERIFY_FAILED"):
                await connect(server.url, [], Pulse())
            trusting = ssl.create_default_context(cafile=str(certificate))
            async with Running(server.url, tls=trusting) as running:
                await running.until(lambda: running.payloads() == [b'{"over":"tls"}'])

    run(work())
