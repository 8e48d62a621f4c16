"""What recorded frames prove of their books, and what they do not: counted from the frames by other means."""

import gzip
import json
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import pytest

import tidelake
from tests.recorded.independent_reader import CRYPTOFEED, HFTBACKTEST
from tests.tables.lakes import Lane, Received, seal_lane
from tidelake.books.coverage import cover_books
from tidelake.books.proofs import proofs, prove_books
from tidelake.books.report import BookReport
from tidelake.raw.store import Store

pytestmark = [
    pytest.mark.skipif(not CRYPTOFEED.is_dir(), reason="needs the recorded data in ../shared/data/captures"),
    pytest.mark.slow,
]


def test_derive_proves_of_all_recordings_what_verify_finds(recorded_folder, tmp_path, reports):
    shutil.copytree(recorded_folder, tmp_path / "lake")
    store = Store.open(tmp_path / "lake")
    prove_books(store)
    proven = [report for proof in proofs(store) for report in proof.reports]
    assert len(proven) == len(reports) > 50
    assert {(report.source, report.symbol): report for report in proven} == reports
    covered = {(stream.source, stream.symbol): stream for stream in cover_books(store)}
    for name, report in reports.items():
        assert [(i.state, i.count) for i in covered[name].intervals] == [
            (i.state, i.messages) for i in report.intervals
        ]


MARKETS = {"spot": "binance-spot", "usdm": "binance-usdm", "cm": "binance-coinm"}


@pytest.fixture(scope="module")
def reports(recorded_folder: Path) -> dict[tuple[str, str], BookReport]:
    found = tidelake.open(recorded_folder).verify_books()
    return {(report.source, report.symbol): report for report in found}


def of_source(reports, source):
    return [report for report in reports.values() if report.source == source]


def test_all_4269_checksums_of_kraken_are_right(reports):
    books = of_source(reports, "kraken")
    assert sum(book.checksums_right for book in books) == 4_269
    assert sum(book.checksums_wrong for book in books) == 0
    assert {book.state for book in books} == {"VALID"}


def test_all_290_checksums_of_okx_are_right(reports):
    books = of_source(reports, "okx")
    assert sum(book.checksums_right for book in books) == 290
    assert {book.state for book in books} == {"VALID"}


@pytest.mark.parametrize("source", ["binance-spot", "binance-usdm", "binance-coinm", "deribit"])
def test_every_chain_holds_and_every_book_is_valid_from_its_snapshot_on(reports, source):
    for book in of_source(reports, source):
        assert (book.breaks, book.falls, book.out_of_order, book.refused, book.crossed) == (0, 0, 0, 0, 0)
        assert book.state == "VALID"
        assert [interval.state for interval in book.intervals if interval.reason != "no snapshot yet"] == ["VALID"]
        assert "sequence" in book.intervals[-1].rules or book.updates == 0


def test_every_quote_with_the_id_of_a_depth_update_is_equal(reports):
    for folder, source in MARKETS.items():
        for symbol, expected in quotes_at_depth_updates(HFTBACKTEST / folder).items():
            base, quote = symbol[:3], symbol[3:].removesuffix("_PERP")
            book = reports[source, f"{base}-{quote}" + ("" if folder == "spot" else "-PERP")]
            assert (book.quotes_compared, book.quotes_equal) == (expected, expected)


def quotes_at_depth_updates(folder):
    """Per symbol: bookTickers whose id a depth update after the snapshot has too, over both days."""
    counts = Counter()
    depths, quotes, pages = {}, {}, {}
    for path in sorted(folder.iterdir()):
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            message = json.loads(line.partition(" ")[2] or "{}")
            data = message.get("data", message)
            symbol = path.name.partition("_2024")[0].upper()
            if "lastUpdateId" in data:
                pages[symbol] = data["lastUpdateId"]
            elif data.get("e") == "depthUpdate":
                depths.setdefault(symbol, set()).add(data["u"])
            elif "B" in data:
                quotes.setdefault(symbol, []).append(data["u"])
    for symbol, page in pages.items():
        ids = {u for u in depths[symbol] if u >= page} | {page}
        counts[symbol] = sum(u in ids for u in quotes[symbol])
    return counts


def test_the_recorder_of_2024_ran_more_than_a_second_behind(reports):
    for symbol in ("BTC-USDT", "ETH-USDT"):
        book = reports["binance-spot", symbol]
        assert book.clock_least_ms is not None
        assert book.clock_least_ms < -1_000
        assert book.before_event == book.updates


def test_the_recorded_book_of_bybit_v5_is_valid_by_its_numbers(tmp_path):
    (path,) = (CRYPTOFEED.parent / "bybit-v5").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        frames = archive.read(archive.namelist()[0]).splitlines()
    clocks = [json.loads(frame)["ts"] * 1_000_000 for frame in frames]
    where = "wss://stream.bybit.com/v5/public/linear"
    received = tuple(Received(ns, frame, "frame", where) for ns, frame in zip(clocks, frames, strict=True))
    for name, kept in (("whole", received), ("holed", received[:20] + received[21:])):
        store = Store.open(tmp_path / name)
        seal_lane(store, Lane("capture.bybit.a", "bybit", kept, 16))
        (book,) = tidelake.open(tmp_path / name).verify_books()
        assert (book.symbol, book.channel, book.updates) == ("XRP-USDT-PERP", "orderbook.500", len(kept) - 1)
        if name == "whole":
            assert (book.state, book.breaks, book.crossed, book.out_of_order) == ("VALID", 0, 0, 0)
            assert [(each.state, each.rules) for each in book.intervals] == [("VALID", "snapshot+sequence")]
        else:
            assert (book.state, book.breaks) == ("INVALID", 1)
            assert book.intervals[1].first_ns == clocks[21]
