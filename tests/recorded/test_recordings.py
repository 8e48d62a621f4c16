"""Every recording of the venues, imported with the venues' claims, comes back byte for byte."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from tests.recorded.independent_reader import CRYPTOFEED, HFTBACKTEST, all_trades, distinct
from tidelake.jobs.exports import export_recordings
from tidelake.jobs.imports import import_recordings
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store

pytestmark = pytest.mark.skipif(not CRYPTOFEED.is_dir(), reason="needs the recorded data in ../shared/data/captures")

KINDS = {
    "COINBASE.ws.28.0": {"open": 1, "sent": 3, "frame": 9946, "note": 2},
    "BINANCE.http.0.0": {"page": 4, "note": 1},
    "OKX.0": {"page": 25, "note": 1},
    "DERIBIT.0": {"page": 4, "note": 1},
    "btcusdt_20240808.gz": {"page": 1, "frame": 41248},
}
DISTINCT_TRADES = {
    ("bitfinex", "BFT-USD", "trade"): 30,
    ("bitfinex", "DOG-USD", "trade"): 30,
    ("bitfinex", "IOTA-ETH", "trade"): 30,
    ("bitfinex", "MANA-BTC", "trade"): 30,
    ("bitfinex", "ODE-USD", "trade"): 30,
    ("bitfinex", "SNG-USD", "trade"): 30,
    ("bitfinex", "TESTBTC-TESTUSD", "trade"): 30,
    ("bitmex", "ADA-USDT-PERP", "trade"): 1,
    ("bitmex", "BCH-USD-PERP", "trade"): 1,
    ("bitmex", "BTC-USD-PERP", "trade"): 16,
    ("bitmex", "EOS-USDT-PERP", "trade"): 1,
    ("bitmex", "MATIC-USDT-PERP", "trade"): 2,
    ("bitmex", "SOL-USDT-PERP", "trade"): 1,
    ("bitmex", "TRX-BTC-20210924", "trade"): 1,
    ("bitmex", "TRX-USDT-PERP", "trade"): 1,
    ("bitmex", "UNI-USDT-PERP", "trade"): 2,
    ("bitmex", "XRP-BTC-20210924", "trade"): 1,
    ("binance-coinm", "BTC-USD-PERP", "trade"): 5235,
    ("binance-coinm", "ETH-USD-PERP", "trade"): 3595,
    ("binance-spot", "BTC-USDT", "trade"): 19904,
    ("binance-spot", "ETH-USDT", "trade"): 14515,
    ("binance-spot", "LRC-BTC", "aggregate"): 1,
    ("binance-spot", "NKN-USDT", "aggregate"): 1,
    ("binance-usdm", "AKRO-USDT-PERP", "aggregate"): 8,
    ("binance-usdm", "BTC-USDT-PERP", "trade"): 21313,
    ("binance-usdm", "CTK-USDT-PERP", "aggregate"): 38,
    ("binance-usdm", "ETH-USDT-PERP", "trade"): 14076,
    ("binance-usdm", "KEEP-USDT-PERP", "aggregate"): 5,
    ("binance-usdm", "SUSHI-USDT-PERP", "aggregate"): 40,
    ("bybit", "ADA-USDT-PERP", "trade"): 10,
    ("bybit", "BCH-USDT-PERP", "trade"): 17,
    ("bybit", "BTC-USD-PERP", "trade"): 131,
    ("bybit", "DOT-USDT-PERP", "trade"): 1,
    ("bybit", "EOS-USD-PERP", "trade"): 19,
    ("bybit", "ETH-USDT-PERP", "trade"): 6,
    ("bybit", "LINK-USDT-PERP", "trade"): 4,
    ("bybit", "LTC-USDT-PERP", "trade"): 29,
    ("bybit", "UNI-USDT-PERP", "trade"): 5,
    ("bybit", "XTZ-USDT-PERP", "trade"): 29,
    ("coinbase", "BAND-BTC", "trade"): 9,
    ("coinbase", "BAND-GBP", "trade"): 5,
    ("coinbase", "CRV-EUR", "trade"): 1,
    ("coinbase", "DASH-BTC", "trade"): 16,
    ("coinbase", "NMR-EUR", "trade"): 9,
    ("coinbase", "NU-GBP", "trade"): 2,
    ("coinbase", "SKL-BTC", "trade"): 9,
    ("coinbase", "SKL-GBP", "trade"): 2,
    ("coinbase", "SKL-USD", "trade"): 53,
    ("coinbase", "YFI-BTC", "trade"): 1,
    ("kraken", "SC-EUR", "trade"): 6,
    ("kraken", "XMR-USD", "trade"): 4,
    ("okx", "BTC-USD-20220527", "trade"): 4,
    ("okx", "BTC-USDT", "trade"): 69,
    ("okx", "UNI-USD-PERP", "trade"): 1,
}


@pytest.fixture
def lake(recorded_folder: Path) -> Store:
    return Store.open(recorded_folder)


def test_export_gives_every_byte_back(lake: Store, tmp_path: Path):
    exported = {
        done.file: tmp_path / done.lane / done.file.removesuffix(".gz") for done in export_recordings(lake, tmp_path)
    }
    lanes = {done.lane: done for done in export_recordings(lake, tmp_path)}
    assert all(done.complete for done in lanes.values())
    originals = [path for path in CRYPTOFEED.iterdir() if path.name in exported]
    assert len(originals) == 23
    for path in originals:
        assert exported[path.name].read_bytes() == path.read_bytes(), path.name
    texts = Counter(gzip.decompress(path.read_bytes()) for path in HFTBACKTEST.glob("*/*.gz"))
    assert texts == Counter(path.read_bytes() for path in tmp_path.glob("*.hftbacktest.*/*"))


def test_second_import_changes_nothing(lake: Store):
    before = list(lake.list("raw")) + list(lake.list("ledger"))
    for folder, name in ((CRYPTOFEED, "cryptofeed"), (HFTBACKTEST, "hftbacktest")):
        report = import_recordings(lake, [folder], format=name)
        assert {file.state for file in report.files} <= {"already imported", "skipped"}
    assert list(lake.list("raw")) + list(lake.list("ledger")) == before


def test_lines_are_of_the_kinds_that_the_files_hold(lake: Store):
    ledger = Ledger(lake)
    found = {}
    for lane in ledger.lanes():
        entries = list(ledger.entries(lane))
        name = entries[0].meta["file"]
        if name in KINDS and not lane.startswith("import.binance-usdm"):
            found[name] = dict(Counter(frame.kind for entry in entries for frame in iter_frames(lake, entry.segment)))
    assert found == KINDS


def test_files_of_other_venues_are_skipped_by_name(lake: Store):
    report = import_recordings(lake, [CRYPTOFEED], format="cryptofeed")
    skipped = {file.file.split(".")[0] for file in report.files if file.state == "skipped"}
    assert skipped == {"KRAKEN_FUTURES"}


def test_independent_reading_finds_the_known_trades():
    trades = all_trades()
    assert len(trades) == len(distinct(trades)) == 79_410
    assert Counter(key[:3] for key in distinct(trades)) == DISTINCT_TRADES


def test_ids_count_on_by_one_wherever_a_venue_numbers_its_trades():
    numbers: dict[tuple[str, str, str], list[int]] = {}
    for trade in all_trades():
        if trade.trade_id is not None and trade.source not in ("bybit", "bitfinex", "bitmex"):
            numbers.setdefault(trade[:3], []).append(int(trade.trade_id))
    assert len(numbers) == 25
    for seen in numbers.values():
        assert seen == list(range(seen[0], seen[0] + len(seen)))
