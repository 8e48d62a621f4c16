"""Capture of a playback and import of the same recording give the same rows, apart from when they were heard."""

import pytest

import tidelake
from tidelake.jobs.capture import capture
from tidelake.jobs.imports import import_recordings
from tidelake.jobs.session import Settings
from tidelake.raw.frame import Frame
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.sim.market import Market
from tidelake.sim.playback import Playback
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
        symbols = {stream.source: stream.symbols}
        capture(captured, symbols, channels=["trades"], seconds=3, settings=Settings(url=server.url))

    assert payloads(captured, "capture.") == payloads(imported, "import.")
    before, after = rows(imported.root), rows(captured.root)
    assert before.height > 50
    assert after.equals(before)
