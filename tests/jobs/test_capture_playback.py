"""Capture of a playback and import of the same recording give the same rows, apart from when they were heard."""

import pytest
from polars.testing import assert_frame_equal

import tidelake
from tests.jobs.ended_capture import captured_until
from tidelake.jobs.capture import capture
from tidelake.jobs.imports import import_recordings
from tidelake.jobs.session import Settings
from tidelake.raw.frame import Frame
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.raw.verify import verify
from tidelake.sim.books.session import session
from tidelake.sim.market import Market
from tidelake.sim.playback import Item, Playback
from tidelake.sim.recordings import STREAMS, items, write_cryptofeed
from tidelake.venues.registry import venue

START_NS = 1_660_000_000 * 10**9
SECONDS = 120
FACTS = ["source", "symbol", "event_time", "price", "size", "side", "trade_id", "trade_seq", "grain", "transport"]


def connected(stream):
    return [
        sockets for sockets in venue(stream.source).sockets if sockets.url.split("?")[0] == stream.url.split("?")[0]
    ]


def cases():
    """Recorded connections to addresses that are captured today."""
    return [pytest.param(stream, id=stream.file) for stream in STREAMS if connected(stream)]


def payloads(store, prefix) -> list[bytes]:
    ledger = Ledger(store)
    lanes = [lane for lane in ledger.lanes() if lane.startswith(prefix)]
    frames: list[Frame] = [f for n in lanes for e in ledger.entries(n) for f in iter_frames(store, e.segment)]
    return [frame.payload for frame in frames if frame.kind == "frame"]


def rows(root):
    lake = tidelake.open(root)
    lake.derive()
    return lake.scan("trades").select(FACTS).collect().sort("source", "symbol", "grain", "trade_id")


@pytest.mark.parametrize("stream", cases())
def test_capture_of_a_playback_equals_import_of_its_file(stream, tmp_path):
    market = Market(3, start_ns=START_NS, rate=2.0)
    end_ns = START_NS + SECONDS * 10**9
    write_cryptofeed(tmp_path / "files", market, START_NS, end_ns, [stream])
    imported = Store.open(tmp_path / "imported")
    import_recordings(imported, [tmp_path / "files" / stream.file], format="cryptofeed", source=stream.source)

    captured = Store.open(tmp_path / "captured")
    recording = items(market, stream, START_NS, end_ns)
    with Playback(recording, speed=0, wait_for_message=True, stay_open=True) as server:
        symbols, frames = {stream.source: stream.symbols}, sum(item.kind == "frame" for item in recording)
        settings = Settings(url=server.url)
        captured_until(lambda heard: heard >= frames, captured, symbols, channels=["trades"], settings=settings)

    assert payloads(captured, "capture.") == payloads(imported, "import.")
    before, after = rows(imported.root), rows(captured.root)
    assert before.height > 50
    assert after.equals(before)


def captured_tables(url, source, symbols, recording):
    """Every table that a capture of a playback fills, without what says when and in which file it was heard."""
    with Playback(recording, speed=0, wait_for_message=True, stay_open=True) as server:
        report = capture(Store.open(url), {source: symbols}, seconds=2, settings=Settings(url=server.url))
    assert verify(Store.open(url)).problems == []
    lake = tidelake.open(url)
    lake.derive()
    own = ["segment", "line", "known_at", "recv_ns"]
    found = {
        name: lake.scan(name).drop(own).collect() for name in ("trades", "quotes", "book_deltas", "book_snapshots")
    }
    return {name: table.sort(table.columns) for name, table in found.items()}, report


@pytest.mark.slow
def test_a_capture_onto_an_object_store_gives_the_rows_of_one_onto_a_disk(s3_lake_url, tmp_path, monkeypatch):
    monkeypatch.setenv("TIDELAKE_SPOOL", str(tmp_path / "spool"))
    heard = session("okx", 5, "lost")
    recording = [Item(line.recv_ns, line.kind, line.payload, line.request) for line in heard.lines]
    symbols = sorted({line.symbol for line in heard.lines if line.symbol})
    disk, report = captured_tables(str(tmp_path / "lake"), "okx", symbols, recording)
    there, there_report = captured_tables(s3_lake_url, "okx", symbols, recording)
    assert disk["book_deltas"].height > 50
    assert disk["book_snapshots"].height > 50
    assert {"VALID", "INVALID"} <= set(disk["book_deltas"]["validity"])
    for name, table in disk.items():
        assert_frame_equal(there[name], table)
    assert [row.book for row in report.rows] == [row.book for row in there_report.rows]
