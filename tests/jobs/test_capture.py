"""Captures over real sockets: what the venue sent is what the lake holds, in order, whatever happens in between."""

import asyncio
import json
import statistics
import threading
import time
from datetime import timedelta

import pyarrow as pa
import pytest

from tests.jobs.ended_capture import capture_until, captured_until, count_lines
from tests.transport.socket_server import SocketServer
from tidelake.errors import ConfigError, FormatDrift, NotInLake, StoreError
from tidelake.jobs import capture as job
from tidelake.jobs.capture import CaptureSettings, capture
from tidelake.jobs.capture_flow import Unverified
from tidelake.jobs.capture_lane import CaptureLane
from tidelake.jobs.session import Settings
from tidelake.raw.ledger import Ledger
from tidelake.raw.part_file import PartFile
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.raw.verify import verify
from tidelake.transport.http import Patience
from tidelake.transport.sntp import clock_offset
from tidelake.venues import registry
from tidelake.venues.spec import Rate

SOURCE = "binance-spot"
QUICK = Patience(first_wait=0.02, longest_wait=0.05)


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "lake")


def trade(symbol, number, at_ms=None):
    at = at_ms or time.time_ns() // 1_000_000
    data = {"e": "trade", "E": at, "s": symbol.upper(), "t": number, "p": "60000.10", "q": "0.5", "T": at, "m": False}
    return json.dumps({"stream": f"{symbol}@trade", "data": data | {"M": True}}, separators=(",", ":")).encode()


def ok(message):
    return b'{"result":null,"id":%d}' % json.loads(message)["id"]


def lanes(store):
    return [lane for lane in Ledger(store).lanes() if lane.startswith("capture.")]


def kept(store, lane=None, key=None):
    ledger = Ledger(store)
    return [
        frame
        for name in ([lane] if lane else lanes(store))
        for entry in ledger.entries(name)
        for frame in iter_frames(store, entry.segment, key)
    ]


def sealed(store):
    ledger = Ledger(store)
    return [entry for lane in lanes(store) for entry in ledger.entries(lane)]


def trade_ids(frames):
    found = [json.loads(frame.payload) for frame in frames if frame.kind == "frame"]
    return [one["data"]["t"] for one in found if one.get("data", {}).get("e") == "trade"]


def one_capture(
    store, script, frames=0, done=lambda: True, symbols=("BTC-USDT",), channels=("trades",), capturing=None, **settings
):
    """The report of a capture that ends once it has heard so many frames, and the rest is done too."""

    async def work():
        async with SocketServer(script) as server:
            given = Settings(url=f"http://localhost:{server.port}", patience=QUICK, **settings)
            return await capture_until(
                lambda heard: heard >= frames and done(),
                store,
                {SOURCE: symbols},
                channels=channels,
                settings=given,
                capturing=capturing,
            )

    return asyncio.run(work())


def stream_of(count, pause=0.0, per_burst=50, may_go_on=lambda sent: True):
    """Answers the subscription, then sends trades 0 .. count - 1 and waits: `count` + 1 frames.

    Between two bursts it rests for `pause` seconds, and until it may go on after so many trades.
    """

    async def script(peer):
        message = await peer.read()
        await peer.send(ok(message))
        for number in range(count):
            await peer.send(trade("btcusdt", number))
            if pause and number % per_burst == per_burst - 1:
                await asyncio.sleep(pause)
                while not may_go_on(number + 1):
                    await asyncio.sleep(pause)
        await peer.read()

    return script


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_all_that_passed_is_kept_in_order_and_sealed_at_the_end(store, codec):
    report = one_capture(store, stream_of(300), 301, codec=codec)
    frames = kept(store)
    assert [frame.kind for frame in frames[:3]] == ["open", "sent", "frame"]
    assert json.loads(frames[1].payload) == {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}
    assert frames[2].payload == b'{"result":null,"id":1}'
    assert trade_ids(frames) == list(range(300))
    assert {frame.request.rpartition(":")[0] for frame in frames} == {"ws://localhost"}
    assert frames[5].payload == trade("btcusdt", 2, json.loads(frames[5].payload)["data"]["T"])
    (lane,) = lanes(store)
    (entry,) = Ledger(store).entries(lane)
    assert entry.meta["job"] == "capture"
    assert (entry.meta["channels"], entry.meta["symbols"]) == ("trades", "BTC-USDT")
    assert entry.segment.key.endswith(".zst" if codec == "zstd" else ".gz")
    (row,) = report.rows
    assert (row.state, row.rows, row.gaps, report.exit_code) == ("captured", 300, 0, 0)
    assert (report.links[0].frames, report.links[0].opens) == (301, 1)
    assert verify(store).problems == []
    assert list(store.spool().iterdir()) == []


def test_a_capture_is_encrypted_where_the_environment_holds_a_key(store, monkeypatch):
    import base64

    key = bytes(range(32))
    monkeypatch.setenv("TIDELAKE_KEY", base64.b64encode(key).decode())
    seen = []
    real = PartFile.append

    def append(self, lines):
        real(self, lines)
        seen.append((b"btcusdt" in lines, b"btcusdt" in self.path.read_bytes()))

    monkeypatch.setattr(PartFile, "append", append)
    one_capture(store, stream_of(20), 21)
    assert (True, False) in seen
    assert all(not shown for _, shown in seen)
    (entry,) = Ledger(store).entries(lanes(store)[0])
    assert entry.segment.key.endswith(".enc")
    assert trade_ids(kept(store, key=key)) == list(range(20))


def test_a_part_that_was_changed_on_the_disk_stays_and_the_capture_goes_on(store, monkeypatch):
    real, refused = PartFile.read, []

    def read(self):
        if len(refused) < 2:
            refused.append(self.path)
            raise FormatDrift(f"part file {self.path} was changed on the disk")
        return real(self)

    monkeypatch.setattr(PartFile, "read", read)
    script = stream_of(3_000, pause=0.01, may_go_on=lambda sent: len(refused) >= min(2, sent // 1_000))
    one_capture(store, script, 3_001, capturing=CaptureSettings(rotate_bytes=40_000))
    assert len(refused) == 2
    assert trade_ids(kept(store)) == list(range(3_000))
    assert list(store.spool().iterdir()) == []


def test_parts_are_sealed_by_size_while_frames_come_in(store):
    capturing = CaptureSettings(rotate_bytes=40_000)
    script = stream_of(3_000, pause=0.01, may_go_on=lambda sent: len(sealed(store)) >= min(2, sent // 1_000))
    report = one_capture(store, script, 3_001, capturing=capturing)
    (lane,) = lanes(store)
    entries = list(Ledger(store).entries(lane))
    assert len(entries) >= 3
    assert report.links[0].segments == len(entries)
    assert trade_ids(kept(store)) == list(range(3_000))
    assert [frame.n for frame in kept(store)] == list(range(3_002 + 1))
    assert report.exit_code == 0


def test_a_lost_connection_leaves_a_gap_that_the_report_names(store):
    async def script(peer):
        await peer.send(ok(await peer.read()))
        first = 100 * peer.number
        for number in range(first, first + 50):
            await peer.send(trade("btcusdt", number))
        if peer.number == 0:
            await asyncio.sleep(0.1)
            peer.drop()
        else:
            await peer.read()

    report = one_capture(store, script, 102)
    assert trade_ids(kept(store)) == [*range(50), *range(100, 150)]
    assert len(lanes(store)) == 1
    assert [frame.kind for frame in kept(store)].count("open") == 2
    assert report.rows[0].gaps == 1
    assert report.exit_code == 3
    assert "1 gaps" in report.summary


def test_a_refused_symbol_is_named_and_the_others_are_captured(store, monkeypatch):
    sent, refused, answers = set(), [], 0

    async def script(peer):
        nonlocal answers
        while (message := await peer.read()) is not None:
            asked = json.loads(message)
            answers += 1
            if "nopeusdt@trade" in asked["params"]:
                refused.append(asked["params"])
                await peer.send(b'{"error":{"code":2,"msg":"Invalid request"},"id":%d}' % asked["id"])
                continue
            await peer.send(ok(message))
            for name in set(asked["params"]) - sent:
                sent.add(name)
                await peer.send(trade(name.partition("@")[0], 7))

    written = count_lines(monkeypatch, b'"kind":"frame"')
    report = one_capture(
        store,
        script,
        done=lambda: ["nopeusdt@trade"] in refused and len(sent) == 2 and written() >= answers + len(sent),
        symbols=("BTC-USDT", "NOPE-USDT", "ETH-USDT", "BTC-USD-PERP"),
    )
    states = {row.symbol: (row.state, row.rows) for row in report.rows}
    assert states["NOPE-USDT"] == ("refused", 0)
    assert states["BTC-USD-PERP"][0] == "refused"
    assert states["BTC-USDT"] == states["ETH-USDT"] == ("captured", 1)
    assert report.exit_code == 3
    assert "2 Invalid request" in report.summary


def with_sockets(monkeypatch, **changed):
    """Binance with other limits."""
    venue = registry.venue(SOURCE)
    import dataclasses

    sockets = dataclasses.replace(venue.sockets[0], **changed)
    found = dict(registry.venues()) | {SOURCE: dataclasses.replace(venue, sockets=(sockets,))}
    monkeypatch.setattr(job, "find_venue", lambda source: found[source])


def test_a_connection_is_renewed_before_its_end_and_nothing_is_lost(store, monkeypatch):
    with_sockets(monkeypatch, renew_after=timedelta(seconds=1), connects=Rate(1_000, 1.0))
    monkeypatch.setattr(job, "OVERLAP_SECONDS", 0.2)
    counter = {"next": 0}
    listeners = []

    async def script(peer):
        await peer.send(ok(await peer.read()))
        listeners.append(peer)
        await peer.read()
        listeners.remove(peer)

    async def tick():
        while True:
            for peer in listeners:
                await peer.send(trade("btcusdt", counter["next"]))
            counter["next"] += bool(listeners)
            await asyncio.sleep(0.002)

    async def work():
        async with SocketServer(script) as server:
            ticking = asyncio.create_task(tick())
            given = Settings(url=f"http://localhost:{server.port}", patience=QUICK)

            def renewed_twice(heard):
                return [peer.closed_by_client for peer in server.peers] == [True, True, False]

            report = await capture_until(
                renewed_twice, store, {SOURCE: ["BTC-USDT"]}, channels=["trades"], settings=given
            )
            ticking.cancel()
            return report

    report = asyncio.run(work())
    assert len(lanes(store)) == 3
    each = [trade_ids(kept(store, lane)) for lane in lanes(store)]
    heard = sorted(set().union(*each))
    assert heard == list(range(heard[-1] + 1))
    assert sum(map(len, each)) > len(heard)  # both were heard for a while
    assert report.rows[0].gaps == 0
    assert report.exit_code == 0


def test_a_capture_that_ends_while_a_connection_is_handed_over_seals_both(store, monkeypatch):
    with_sockets(monkeypatch, renew_after=timedelta(seconds=0.5), connects=Rate(1_000, 1.0))
    monkeypatch.setattr(job, "OVERLAP_SECONDS", 0.05)
    real_rotate, real_stop = CaptureLane.rotate_when_due, CaptureLane.stop
    pools, stopped = [], []

    def rotate(self, pool, seconds, size):
        pools.append(pool)
        real_rotate(self, pool, seconds, size)

    async def stop(self):
        await real_stop(self)
        if not stopped:
            pools[0].submit(time.sleep, 0.5)  # what is sealed now waits for its turn
        stopped.append(self.number)

    monkeypatch.setattr(CaptureLane, "rotate_when_due", rotate)
    monkeypatch.setattr(CaptureLane, "stop", stop)
    report = one_capture(store, stream_of(50), done=lambda: stopped)
    assert stopped[0] == 1
    assert [trade_ids(kept(store, lane)) for lane in lanes(store)] == [list(range(50))] * 2
    assert [link.segments for link in report.links] == [1, 1]
    assert list(store.spool().iterdir()) == []


def test_many_streams_are_shared_out_to_connections(store, monkeypatch):
    with_sockets(monkeypatch, streams_per_connection=3)

    async def script(peer):
        while (message := await peer.read()) is not None:
            await peer.send(ok(message))

    symbols = [f"{name}-USDT" for name in ("BTC", "ETH", "SOL", "ADA", "XRP")]
    report = one_capture(store, script, 2, symbols=symbols)
    assert len(report.links) == len(lanes(store)) == 2
    params = [json.loads(frame.payload)["params"] for frame in kept(store) if frame.kind == "sent"]
    assert sorted(len(names) for names in params) == [2, 3]


def test_rest_pages_stand_in_the_lane_where_they_came(store, monkeypatch):
    from tidelake.sim.playback import Item, Playback

    page = json.dumps({"lastUpdateId": 5, "bids": [["100.00", "2"]], "asks": [["101.00", "2"]]}).encode()
    frames = [Item(10**18 + n, "frame", trade("btcusdt", n)) for n in range(10)]
    answer = Item(10**18, "frame", b'{"result":null,"id":1}')
    path = "GET https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5000"
    updates = [Item(10**18 + n, "frame", depth(n, n)) for n in range(4, 9)]
    recording = [answer, *frames, *updates, Item(10**18, "page", page, path)]
    with Playback(recording, speed=0, wait_for_message=True, stay_open=True) as server:
        settings = Settings(url=server.url, patience=QUICK)
        pages = count_lines(monkeypatch, b'"kind":"page"')
        report = captured_until(
            lambda heard: pages() > 0 and heard == len(recording) - 1,
            store,
            {SOURCE: ["BTC-USDT"]},
            channels=["trades", "book"],
            settings=settings,
        )
    found = kept(store)
    (place,) = [n for n, frame in enumerate(found) if frame.kind == "page"]
    assert place > 2
    kept_page = found[place]
    assert (kept_page.payload, kept_page.feed, kept_page.symbol, kept_page.status) == (page, "book", "BTC-USDT", 200)
    assert kept_page.request.endswith("/api/v3/depth?symbol=BTCUSDT&limit=5000")
    assert (report.links[0].pages, report.rows[1].book, report.exit_code) == (1, "VALID", 0)
    assert trade_ids(found) == list(range(10))


def test_rows_are_published_and_equal_what_derive_reads(store):
    import tidelake

    published = []
    capturing = CaptureSettings(publish=lambda table, rows: published.append((table, rows)))
    report = one_capture(store, stream_of(200, pause=0.05), 201, capturing=capturing)
    assert {table for table, _ in published} == {"trades"}
    rows = pa.concat_tables([rows for _, rows in published])
    assert rows["trade_seq"].to_pylist() == list(range(200))
    lake = tidelake.open(store.root)
    lake.derive()
    derived = lake.scan("trades").collect().sort("trade_seq").to_arrow()
    for name in ("symbol", "event_time", "known_at", "price", "size", "side", "trade_id", "recv_ns"):
        assert rows[name].to_pylist() == derived[name].to_pylist(), name
    assert report.links[0].latency_p50_ms is not None
    assert 0 <= report.links[0].latency_p50_ms < 5_000


def test_a_slow_listener_sheds_and_the_raw_log_is_whole(store):
    over = threading.Event()

    def all_was_sent():
        over.set()
        return True

    def publish(table, rows):
        over.wait(60)

    capturing = CaptureSettings(publish=publish, queue_bytes=20_000)
    report = one_capture(store, stream_of(3_000, pause=0.001), 3_001, done=all_was_sent, capturing=capturing)
    assert trade_ids(kept(store)) == list(range(3_000))
    assert report.shed > 0
    assert report.exit_code == 3
    assert "kept and not published" in report.summary


def test_a_listener_that_fails_is_told_and_stops_nothing(store):
    def fail(table, rows):
        raise RuntimeError("listener broke")

    report = one_capture(store, stream_of(100), 101, capturing=CaptureSettings(publish=fail))
    assert trade_ids(kept(store)) == list(range(100))
    assert report.failed == "RuntimeError: listener broke"
    assert report.exit_code == 1


def test_a_disk_that_is_full_for_a_while_makes_the_socket_wait(store, monkeypatch):
    real, calls = PartFile.append, 0

    def append(self, lines):
        nonlocal calls
        calls += 1
        if 5 < calls <= 55:  # each attempt at the next turn, a hundredth of a second later
            raise OSError(28, "No space left on device")
        real(self, lines)

    monkeypatch.setattr(PartFile, "append", append)
    one_capture(store, stream_of(2_000, pause=0.02), 2_001, done=lambda: calls > 55)
    assert trade_ids(kept(store)) == list(range(2_000))


def test_a_disk_that_stays_full_ends_the_capture_with_the_count(store, monkeypatch):
    from tidelake.jobs import capture_lane

    def append(self, line):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(capture_lane, "STUCK_SECONDS", 0.2)
    monkeypatch.setattr(PartFile, "append", append)
    with pytest.raises(StoreError, match=r"lines that were received are lost"):
        one_capture(store, stream_of(10), done=lambda: False)


def test_the_clock_is_asked_and_noted(store, monkeypatch):
    from tests.transport.test_sntp import packet, serve

    port = serve(lambda question: packet(question, 5 * 10**9))
    monkeypatch.setattr(job, "clock_offset", lambda server: clock_offset(server, port=port))
    notes = count_lines(monkeypatch, b'"kind":"note"')
    report = one_capture(store, stream_of(50), 51, done=notes, capturing=CaptureSettings(ntp="127.0.0.1"))
    (note,) = [json.loads(frame.payload) for frame in kept(store) if frame.kind == "note"]
    assert (note["clock"], note["server"]) == ("ntp", "127.0.0.1")
    assert report.clock_offset_ms == pytest.approx(5_000, abs=note["delay_ns"] / 2e6 + 0.001)
    trades = [frame for frame in kept(store) if b'"trade"' in frame.payload]
    true_ms = statistics.median(frame.recv_ns / 1e6 - json.loads(frame.payload)["data"]["E"] for frame in trades)
    assert report.links[0].latency_p50_ms == pytest.approx(true_ms + report.clock_offset_ms, abs=2)


def test_an_unanswered_time_server_leaves_the_offset_unknown(store, monkeypatch):
    notes = count_lines(monkeypatch, b'"kind":"note"')
    report = one_capture(store, stream_of(5), 6, done=notes, capturing=CaptureSettings(ntp="localhost.invalid"))
    assert report.clock_offset_ms is None
    (note,) = [json.loads(frame.payload) for frame in kept(store) if frame.kind == "note"]
    assert note["clock"] == "unknown"


def test_no_connection_at_all_fails_and_says_so(store):
    report = capture(
        store, {SOURCE: ["BTC-USDT"]}, channels=["trades"], seconds=0.3, settings=Settings(url="http://127.0.0.1:9")
    )
    assert report.exit_code == 1
    assert "no connection was made" in report.summary


def test_a_plan_asks_nobody_and_writes_nothing(store):
    report = capture(store, {SOURCE: ["BTC-USDT", "BTC-USD-PERP"]}, channels=["trades", "quotes"], dry_run=True)
    assert [(row.symbol, row.channel, row.state, row.reason) for row in report.rows[:2]] == [
        ("BTC-USDT", "trades", "planned", "btcusdt@trade"),
        ("BTC-USDT", "quotes", "planned", "btcusdt@bookTicker"),
    ]
    assert [row.state for row in report.rows[2:]] == ["refused", "refused"]
    assert report.links[0].lane == "wss://stream.binance.com:9443/stream"
    assert lanes(store) == []


def test_wrong_words_are_refused_before_anything_begins(store):
    with pytest.raises(NotInLake, match="no venue"):
        capture(store, {"nowhere": ["BTC-USD"]}, dry_run=True)
    with pytest.raises(ConfigError, match="no channel liquidations"):
        capture(store, {SOURCE: ["BTC-USDT"]}, channels=["liquidations"], dry_run=True)
    with pytest.raises(ConfigError, match="nothing to capture"):
        capture(store, {SOURCE: ["BTC-USD-PERP"]}, channels=["trades"], seconds=1)


def test_unverified_books_want_one_page_after_each_opening():
    from tidelake.raw.frame import Frame, encode_line, encode_lines
    from tidelake.tables.segment_lines import split

    judge = Unverified(["BTC-USDT"], pages=True)
    assert judge.wanted() == []
    opened = encode_lines(0, [(10**18, 1, "open", b"")], "wss://x")
    page, other = (
        encode_line(Frame(0, 10**18, 1, "page", b"{}", feed=feed, symbol="BTC-USDT"))
        for feed in ("book", "open_interest")
    )
    for _ in range(2):
        judge.take(split(opened, first_n=0, known_before_ns=0))
        judge.take(split(other, first_n=0, known_before_ns=0))
        assert [want.symbol for want in judge.wanted()] == ["BTC-USDT"]
        judge.take(split(page, first_n=0, known_before_ns=0))
        assert judge.wanted() == []


def depth(first, last, bid="100.10"):
    data = {"e": "depthUpdate", "E": time.time_ns() // 1_000_000, "s": "BTCUSDT", "U": first, "u": last}
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": data | {"b": [[bid, "1.5"]], "a": []}}).encode()


class BookVenue:
    """Numbered book updates over the socket and pages over HTTP on the same port; one update is lost where asked."""

    def __init__(self, lose=()):
        self.lose, self.number, self.pages = set(lose), 0, 0
        self.sockets = SocketServer(self.script)

    async def serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if b"Upgrade" not in head and b"upgrade" not in head:
            self.pages += 1
            page = {"lastUpdateId": self.number, "bids": [["100.00", "1"]], "asks": [["101.00", "1"]]}
            body = json.dumps(page).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
            writer.close()
            return
        fresh = asyncio.StreamReader()
        fresh.feed_data(head)

        async def forward():
            while chunk := await reader.read(1 << 16):
                fresh.feed_data(chunk)
            fresh.feed_eof()

        forwarding = asyncio.create_task(forward())
        await self.sockets._serve(fresh, writer)
        forwarding.cancel()

    async def script(self, peer):
        await peer.send(ok(await peer.read()))
        while True:
            self.number += 1
            if self.number not in self.lose:
                await peer.send(depth(self.number, self.number))
            await asyncio.sleep(0.01)


def test_a_lost_update_makes_the_book_invalid_until_a_page_synchronises_it(store, monkeypatch):
    pages = count_lines(monkeypatch, b'"kind":"page"')
    before, mended = 0, []  # pages when the update was lost; updates and frames when the page after it was kept

    def done(venue, heard):
        nonlocal before
        if venue.number <= 250:
            before = pages()
        elif pages() > before and not mended:
            mended.extend((venue.number, heard))
        return bool(mended) and venue.number > mended[0] + 20 and heard > mended[1] + 20

    async def work():
        venue = BookVenue(lose=[250])
        server = await asyncio.start_server(venue.serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = Settings(url=url, patience=QUICK)
        asked = {SOURCE: ["BTC-USDT"]}
        report = await capture_until(
            lambda heard: done(venue, heard), store, asked, channels=["book"], settings=settings
        )
        server.close()
        return report, venue

    report, venue = asyncio.run(work())
    (row,) = report.rows
    assert venue.pages >= 2
    assert report.links[0].pages == venue.pages
    assert (row.state, row.book, row.gaps) == ("captured", "VALID", 1)
    assert report.exit_code == 3

    from tidelake.books.verify import verify_books

    found = [each for each in verify_books(store) if each.symbol == "BTC-USDT" and each.frames]
    (book,) = found
    states = [interval.state for interval in book.intervals]
    assert states == ["INVALID", "VALID", "INVALID", "VALID"]
    assert book.breaks == 1
