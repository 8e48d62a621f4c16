"""Candles, funding, open interest and liquidations of each venue that streams them, from its socket to the bus."""

import asyncio
import json
import time

import pyarrow as pa
import pytest

import tidelake
from tests.jobs.ended_capture import capture_until, captured_until, count_lines
from tests.jobs.test_capture import QUICK, kept, lanes
from tests.transport.socket_server import SocketServer
from tests.venues.frames import EXAMPLES, RECV_NS
from tests.venues.test_frames import MAPPINGS, rows_of
from tidelake.jobs.capture import CaptureSettings
from tidelake.jobs.capture_plan import plan_links
from tidelake.jobs.session import Settings
from tidelake.raw.store import Store
from tidelake.sim.playback import Item, Playback
from tidelake.venues.registry import venue, venues

CHANNELS = ("candles", "funding", "open_interest", "liquidations")
IDS = {
    "candles": "event_time",
    "funding": "funding_id",
    "open_interest": "interest_id",
    "liquidations": "liquidation_id",
}


def offered(source):
    """The channels of the four that the venue streams."""
    found = {channel for sockets in venue(source).sockets for channel in sockets.channels}
    return [channel for channel in CHANNELS if channel in found]


SOURCES = [source for source in venues() if offered(source)]


def examples(source, channel):
    return [e for e in EXAMPLES if e.source == source and MAPPINGS[source, e.mapping].spec.table == channel and e.rows]


def captured(store, source, symbols, channels, script, enough):
    """The report, and the rows that were published of each channel, once enough frames were heard."""
    published = {}

    def publish(table, rows):
        published.setdefault(table, []).append(rows)

    async def work():
        async with SocketServer(script) as server:
            given = Settings(url=f"http://localhost:{server.port}", patience=QUICK, clock=lambda: RECV_NS)
            capturing = CaptureSettings(publish=publish)
            words = {"channels": channels, "settings": given, "capturing": capturing}
            return await capture_until(enough, store, {source: symbols}, **words)

    report = asyncio.run(work())
    return report, {table: pa.concat_tables(parts) for table, parts in published.items()}


@pytest.mark.parametrize("source", SOURCES)
def test_every_channel_of_a_venue_comes_from_its_socket_to_the_bus(source, tmp_path):
    channels = offered(source)
    told = {channel: examples(source, channel) for channel in channels}
    assert all(told.values()), "a channel without an example"
    wanted = {c: [row for e in told[c] for row in rows_of(e, c)] for c in channels}
    symbols = sorted({row["symbol"] for rows in wanted.values() for row in rows})

    links, _ = plan_links(venue(source), symbols, channels)
    to_ask = {
        word.encode()
        for link in links
        for stream in link.streams
        for word in words_in(json.loads(link.sockets.subscribe([stream.name], 1)))
    }
    asked, sent, told_all = [], 0, 0

    async def script(peer):
        nonlocal sent, told_all
        asked.append(await peer.read() or b"")
        for example in (example for found in told.values() for example in found):
            if example.request in ("", f"wss://stream.bybit.com{peer.path}"):
                await peer.send(example.payload.encode())
                sent += 1
        told_all += 1
        while (message := await peer.read()) is not None:
            asked.append(message)

    def enough(heard):
        said = b"\n".join(asked)
        return told_all == len(links) and heard >= sent and all(word in said for word in to_ask)

    store = Store.open(tmp_path / "lake")
    report, rows = captured(store, source, symbols, channels, script, enough)
    said = b"\n".join(frame.payload for lane in lanes(store) for frame in kept(store, lane) if frame.kind == "sent")
    assert [word for word in to_ask if word not in said] == []
    for channel in channels:
        ids = {(row["symbol"], str(row[IDS[channel]])) for row in wanted[channel]}
        found = rows[channel].set_column(0, "id", rows[channel][IDS[channel]].cast(key_type(channel)).cast(pa.string()))
        assert set(zip(found["symbol"].to_pylist(), found["id"].to_pylist(), strict=True)) == ids, channel
        assert sum(row.rows for row in report.rows if row.channel == channel) >= len(wanted[channel])
    assert {row.state for row in report.rows if row.rows} == {"captured"}


def words_in(message):
    """All texts in a message."""
    if isinstance(message, str):
        return [message]
    inside = message.values() if isinstance(message, dict) else message if isinstance(message, list) else ()
    return [word for each in inside for word in words_in(each)]


def key_type(channel):
    return pa.int64() if channel == "candles" else pa.string()


USDM, COINM = "https://fapi.binance.com/fapi/v1/openInterest", "https://dapi.binance.com/dapi/v1/openInterest"
POLLED = {
    "binance-usdm": ("BTC-USDT-PERP", f"{USDM}?symbol=BTCUSDT", "base", "10659.509"),
    "binance-coinm": ("BTC-USD-PERP", f"{COINM}?symbol=BTCUSD_PERP", "contracts", None),
}


@pytest.mark.parametrize("channels", [("open_interest",), ("open_interest", "liquidations")])
@pytest.mark.parametrize("source", POLLED)
def test_open_interest_that_no_stream_tells_is_asked_by_rest(source, channels, tmp_path, monkeypatch):
    symbol, address, unit, base = POLLED[source]
    at_ms = time.time_ns() // 1_000_000
    said = {"symbol": address.partition("=")[2], "openInterest": "10659.509", "time": at_ms}
    page = Item(at_ms * 1_000_000, "page", json.dumps(said).encode(), f"GET {address}")
    lake = tidelake.open(tmp_path / "lake")
    with Playback([page], speed=0, wait_for_message=True, stay_open=True) as server:
        settings = Settings(url=server.url, patience=QUICK)
        asked = {source: [symbol, "NO-SUCH-PERP"]}
        capturing = CaptureSettings(publish=lambda table, rows: None)
        pages = count_lines(monkeypatch, b'"kind":"page"')
        report = captured_until(
            lambda heard: pages() > 0,
            Store.open(tmp_path / "lake"),
            asked,
            channels=channels,
            settings=settings,
            capturing=capturing,
        )
    rows = {(row.symbol, row.channel): row for row in report.rows}
    told = rows[symbol, "open_interest"]
    assert (told.state, told.rows, told.gaps) == ("captured", 1, 0)
    assert rows["NO-SUCH-PERP", "open_interest"].rows == 0
    lake.derive()
    (row,) = lake.scan("open_interest").collect().to_dicts()
    assert (row["symbol"], row["size_unit"], row["channel"]) == (symbol, unit, "openInterest")
    assert f"{row['open_interest'].normalize():f}" == "10659.509"
    assert (row["open_interest_base"] and f"{row['open_interest_base'].normalize():f}") == base
    assert row["event_time"].timestamp() == pytest.approx(at_ms / 1000)


def test_a_plan_names_the_page_of_a_polled_channel():
    links, left = plan_links(venue("binance-usdm"), ["BTC-USDT-PERP"], ["open_interest", "funding"])
    assert left == []
    (link,) = links
    assert [(stream.name, stream.polled) for stream in link.streams] == [
        ("GET /fapi/v1/openInterest?symbol=BTCUSDT", True),
        ("btcusdt@markPrice@1s", False),
    ]


def test_a_test_request_of_deribit_is_answered_and_kept(tmp_path):
    heard = []

    async def script(peer):
        heard.append(json.loads(await peer.read()))
        request = {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}
        await peer.send(json.dumps(request).encode())
        while (message := await peer.read()) is not None:
            heard.append(json.loads(message))

    store = Store.open(tmp_path / "lake")

    def enough(frames):
        return frames > 0 and any(message["method"] == "public/test" for message in heard)

    captured(store, "deribit", ["BTC-USD-PERP"], ["trades"], script, enough)
    methods = [message["method"] for message in heard]
    assert methods[0] == "public/set_heartbeat"
    assert "public/test" in methods
    kinds = [(f.kind, json.loads(f.payload or b"{}").get("method")) for f in kept(store)]
    assert kinds.index(("frame", "heartbeat")) < kinds.index(("sent", "public/test"))


def test_a_polled_page_that_never_comes_is_a_failure(tmp_path):
    with Playback([], speed=0, wait_for_message=True, stay_open=True) as server:
        settings = Settings(url=server.url, patience=QUICK)
        report = captured_until(
            lambda heard: heard == 0,  # it has looked after its pages once
            Store.open(tmp_path / "lake"),
            {"binance-usdm": ["BTC-USDT-PERP"]},
            channels=["open_interest"],
            settings=settings,
        )
    (row,) = report.rows
    assert (row.state, row.reason, report.exit_code) == ("failed", "no page was answered", 1)
