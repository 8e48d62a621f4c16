"""Files in the layouts of vendors against the recorded frames: every message, every level, every trade."""

import datetime as dt
import gzip
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.recorded.independent_reader import CRYPTOFEED, HFTBACKTEST, MARKETS, hftbacktest_frames, trades_of
from tests.recorded.slow_books import Message, SlowBook, binance_messages, coinbase_books, kraken_books
from tests.sampling import one_in
from tidelake.jobs.vendor_exports import VendorReport, export_to_vendor
from tidelake.raw.store import Store
from tidelake.vendors.registry import vendor as find_vendor

pytestmark = [
    pytest.mark.skipif(not HFTBACKTEST.is_dir(), reason="needs the recorded data in ../shared/data/captures"),
    pytest.mark.slow,
]

DAY_NS = 86_400 * 10**9
INTERVAL_NS = 100_000_000
CASES = [
    ("spot", "btcusdt", "BTC-USDT"),
    ("spot", "ethusdt", "ETH-USDT"),
    ("cm", "btcusd_perp", "BTC-USD-PERP"),
    ("usdm", "ethusdt", "ETH-USDT-PERP"),  # the rules of the one before, and trades that are none of the market's
]
each_recording = pytest.mark.parametrize(("folder", "name", "symbol"), one_in(3, CASES))


@cache
def told(folder: str, name: str) -> tuple[Message, ...]:
    paths = sorted((HFTBACKTEST / folder).glob(f"{name}_*"))
    return tuple(binance_messages(paths, futures=folder != "spot"))


class Exported:
    """Exports of one lake, each made once."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.reports: dict[tuple[str, str], VendorReport] = {}

    def file(self, vendor: str, table: str, source: str, symbol: str, day: int) -> Path:
        if (vendor, source) not in self.reports:
            self.reports[vendor, source] = export_to_vendor(self.store, self.folder / vendor, vendor, source=source)
        to = find_vendor(vendor)
        date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
        path = self.folder / vendor / to.key(table, to.exchange(source), to.vendor_symbol(source, symbol), date)
        return path / "1.snappy.parquet" if vendor == "crypto-lake" else path


@pytest.fixture(scope="module")
def exported(recorded_folder, tmp_path_factory) -> Exported:
    return Exported(Store.open(recorded_folder), tmp_path_factory.mktemp("exports"))


def by_day(messages: tuple[Message, ...]) -> list[tuple[int, list[Message]]]:
    return [(day, list(each)) for day, each in groupby(messages, lambda message: message.recv_ns // DAY_NS)]


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    table = pq.read_table(path)
    clocks = [name for name in table.schema.names if name.endswith("_time")]
    for name in clocks:
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast("int64"))
    yield from table.to_pylist()


def csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    names = lines[0].split(",")
    for line in lines[1:]:
        yield dict(zip(names, line.split(","), strict=True))


@each_recording
def test_lake_deltas_are_the_messages_and_lead_to_the_book(exported, folder, name, symbol):
    for day, messages in by_day(told(folder, name)):
        path = exported.file("crypto-lake", "book_delta_v2", MARKETS[folder], symbol, day)
        groups = groupby(rows_of(path), lambda row: (row["received_time"], row["sequence_number"], row["origin_time"]))
        replayed = SlowBook()
        for number, ((key, rows), message) in enumerate(zip(groups, messages, strict=True)):
            assert key == (message.recv_ns, message.update_id, message.event_ns or None)
            levels = [("bid" if r["side_is_bid"] else "ask", Decimal(repr(r["price"])), Decimal(repr(r["size"])))
                      for r in rows]  # fmt: skip
            if number:
                assert tuple(levels) == message.sent
            for level in levels:
                replayed.put(*level)
            assert (replayed.best("bid", 25), replayed.best("ask", 25)) == (message.bids, message.asks)


@each_recording
def test_lake_snapshots_are_the_last_state_of_each_tenth_of_a_second_that_changed_it(exported, folder, name, symbol):
    for day, messages in by_day(told(folder, name)):
        ends = [list(each)[-1] for _, each in groupby(messages, lambda m: -(-m.recv_ns // INTERVAL_NS))]
        shown, expected = ends[0], [ends[0]]
        for message in ends[1:]:
            if (message.bids[:20], message.asks[:20]) != (shown.bids[:20], shown.asks[:20]):
                expected.append(message)
            shown = message
        rows = rows_of(exported.file("crypto-lake", "book", MARKETS[folder], symbol, day))
        for row, message in zip(rows, expected, strict=True):
            assert (row["received_time"], row["sequence_number"]) == (message.recv_ns, message.update_id)
            for side, levels in (("bid", message.bids), ("ask", message.asks)):
                for level, (price, size) in enumerate(levels[:20]):
                    assert (row[f"{side}_{level}_price"], row[f"{side}_{level}_size"]) == (float(price), float(size))


@each_recording
def test_tardis_rows_are_the_messages_behind_a_whole_book_a_day(exported, folder, name, symbol):
    for day, messages in by_day(told(folder, name)):
        path = exported.file("tardis", "incremental_book_L2", MARKETS[folder], symbol, day)
        groups = groupby(csv_rows(path), lambda row: (row["local_timestamp"], row["timestamp"], row["is_snapshot"]))
        replayed = SlowBook()
        for number, ((key, rows), message) in enumerate(zip(groups, messages, strict=True)):
            recv_us = message.recv_ns // 1_000
            assert key == (str(recv_us), str(message.event_ns // 1_000 or recv_us), "false" if number else "true")
            levels = [(row["side"], Decimal(row["price"]), Decimal(row["amount"])) for row in rows]
            if number:
                assert tuple(levels) == message.sent
            for level in levels:
                replayed.put(*level)
            assert (replayed.best("bid", 25), replayed.best("ask", 25)) == (message.bids, message.asks)


@each_recording
def test_tardis_snapshots_follow_each_message_that_changed_the_best_25(exported, folder, name, symbol):
    for day, messages in by_day(told(folder, name)):
        before: Any = ()
        expected = []
        for message in messages:
            if (message.bids, message.asks) != before:
                expected.append(message)
            before = message.bids, message.asks
        rows = csv_rows(exported.file("tardis", "book_snapshot_25", MARKETS[folder], symbol, day))
        for row, message in zip(rows, expected, strict=True):
            assert row["local_timestamp"] == str(message.recv_ns // 1_000)
            for side, levels in (("bids", message.bids), ("asks", message.asks)):
                shown = [(row[f"{side}[{n}].price"], row[f"{side}[{n}].amount"]) for n in range(25)]
                assert [tuple(map(Decimal, level)) for level in shown] == list(levels)
                assert not any(text.endswith("0") for level in shown for text in level if "." in text)


@each_recording
def test_trades_are_those_of_the_frames_each_for_tardis_and_by_taker_order_for_lake(exported, folder, name, symbol):
    source = MARKETS[folder]
    frames = [pair for path in sorted((HFTBACKTEST / folder).glob(f"{name}_*")) for pair in hftbacktest_frames(path)]
    if folder == "usdm":
        frames = [pair for pair in frames if pair[1].get("data", {}).get("X", "MARKET") == "MARKET"]
    trades = [trade for trade in trades_of(source, iter(frames)) if trade.grain == "trade"]
    for day, of_day in groupby(trades, lambda trade: trade.recv_ns // DAY_NS):
        expected = list(of_day)
        rows = csv_rows(exported.file("tardis", "trades", source, symbol, day))
        for row, trade in zip(rows, expected, strict=True):
            shown = (row["id"], int(row["timestamp"]), row["side"], Decimal(row["price"]), Decimal(row["amount"]))
            assert shown == (trade.trade_id, trade.event_ns // 1_000, trade.side, trade.price, trade.size)
            assert int(row["local_timestamp"]) == trade.recv_ns // 1_000
        orders = [list(each) for _, each in groupby(expected, lambda t: (t.event_ns, t.side, t.price))]
        rows = rows_of(exported.file("crypto-lake", "trades", source, symbol, day))
        for row, order in zip(rows, orders, strict=True):
            last = order[-1]
            assert (row["origin_time"], row["received_time"]) == (last.event_ns, last.recv_ns)
            assert (row["trade_id"], row["side"]) == (last.trade_id, last.side)
            assert (row["price"], row["quantity"]) == (float(last.price), float(sum(t.size for t in order)))


@pytest.mark.parametrize(
    ("source", "file", "books", "proven"),
    [("kraken", "KRAKEN.ws.50.0", kraken_books, True), ("coinbase", "COINBASE.ws.28.0", coinbase_books, False)],
)
def test_books_without_numbers_are_those_of_the_frames_cut_to_their_depth(exported, source, file, books, proven):
    told: dict[str, list[Any]] = {}
    for pair, recv_ns, levels in books(CRYPTOFEED / file):
        symbol = pair.replace("XBT", "BTC").replace("XDG", "DOGE").replace("/", "-")
        told.setdefault(symbol, []).append((recv_ns, levels))
    assert sum(map(len, told.values())) > 4_000
    for symbol, expected in told.items():
        path = exported.file("tardis", "incremental_book_L2", source, symbol, expected[0][0] // DAY_NS)
        groups = groupby(csv_rows(path), lambda row: (row["local_timestamp"], row["is_snapshot"]))
        replayed = SlowBook()
        for ((clock, _), rows), (recv_ns, levels) in zip(groups, expected, strict=True):
            assert clock == str(recv_ns // 1_000)
            for row in rows:
                replayed.put(row["side"], Decimal(row["price"]), Decimal(row["amount"]))
            assert replayed.levels() == levels
    written = [row for row in exported.reports["tardis", source].rows if row.messages]
    assert all((row.unproven == 0) is proven for row in written)
