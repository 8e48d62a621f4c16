"""Rows of the book tables: levels as sent, the state of the book beside each, the same however a lane is cut."""

import json
import shutil
from decimal import Decimal

import polars as pl
import pytest

import tidelake
from tests.tables.lakes import Lane, Received, seal_lane
from tidelake.books.rows import BOOK_TABLES, BookReader
from tidelake.raw.store import Store
from tidelake.tables.derive import derive_table
from tidelake.tables.mapping import load_mappings

START_MS = 1_723_161_253_937
WHERE = "wss://stream.binance.com:9443/stream"
FACTS = ["update_key", "place", "side", "price_mantissa", "price_exponent", "size_mantissa", "validity", "rule"]


def depth(first: int, last: int, bids, asks, at: int = 0) -> bytes:
    data = {"e": "depthUpdate", "E": START_MS + at, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": data}, separators=(",", ":")).encode()


def quote(number: int, bid: str, bid_size: str, ask: str, ask_size: str) -> bytes:
    data = {"u": number, "s": "BTCUSDT", "b": bid, "B": bid_size, "a": ask, "A": ask_size}
    return json.dumps({"stream": "btcusdt@bookTicker", "data": data}, separators=(",", ":")).encode()


def page(number: int, bids, asks) -> bytes:
    return json.dumps({"lastUpdateId": number, "bids": bids, "asks": asks}, separators=(",", ":")).encode()


def received(payloads) -> tuple[Received, ...]:
    frames = []
    for i, payload in enumerate(payloads):
        recv_ns = (START_MS + 100 * i) * 1_000_000
        if b"lastUpdateId" in payload:
            url = "GET https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"
            frames.append(Received(recv_ns, payload, "page", url, "BTC-USDT"))
        else:
            frames.append(Received(recv_ns, payload, "frame", WHERE))
    return tuple(frames)


STREAM = (
    depth(101, 103, [["100.10", "1.000"]], [], 0),
    page(104, [["100.00", "2.0"], ["100.10", "1.000"]], [["100.30", "3.00"], ["100.20", "0.50"]]),
    depth(104, 106, [["100.05", "0.25"]], [["100.20", "0.000"]], 200),
    quote(106, "100.10", "1.000", "100.30", "3.00"),
    depth(107, 107, [], [["100.25", "0.75"], ["100.25", "0.80"]], 400),
    depth(109, 110, [["99.00", "1"]], [], 500),  # 108 is missing
    quote(110, "100.10", "1.000", "100.25", "0.80"),
    page(111, [["100.10", "1.000"]], [["100.25", "0.80"]]),
    depth(112, 112, [["100.11", "1"]], [], 800),
)


def lake_of(folder, per_entry: int = 100, stream=STREAM) -> tidelake.Lake:
    seal_lane(Store.open(folder), Lane("capture.binance-spot.a.0", "binance-spot", received(stream), per_entry))
    return tidelake.open(folder)


def stored(lake: tidelake.Lake, table: str) -> pl.DataFrame:
    keys = {"book_deltas": ["update_key", "place"], "book_snapshots": ["snapshot_id", "side", "level"]}
    return lake.scan(table).sort(keys.get(table, ["quote_id"])).collect()


def test_each_level_is_a_row_with_its_digits_and_the_state_that_its_message_left(tmp_path):
    lake = lake_of(tmp_path)
    lake.derive()
    assert stored(lake, "book_deltas").select(FACTS).rows() == [
        ("103", 0, "bid", 10010, -2, 1000, "INVALID", "no snapshot yet"),
        ("106", 0, "bid", 10005, -2, 25, "VALID", "snapshot+sequence"),
        ("106", 1, "ask", 10020, -2, 0, "VALID", "snapshot+sequence"),
        ("107", 0, "ask", 10025, -2, 75, "VALID", "snapshot+sequence"),
        ("107", 1, "ask", 10025, -2, 80, "VALID", "snapshot+sequence"),
        ("110", 0, "bid", 9900, -2, 1, "INVALID", "sequence break"),
        ("112", 0, "bid", 10011, -2, 1, "VALID", "snapshot+sequence"),
    ]


def test_a_snapshot_is_ranked_from_its_best_level_on_whatever_its_order(tmp_path):
    lake = lake_of(tmp_path)
    lake.derive()
    rows = stored(lake, "book_snapshots").filter(snapshot_id="104")
    assert rows.select("side", "level", "price_mantissa", "update_id", "channel").rows() == [
        ("ask", 0, 10020, 104, "page"),
        ("ask", 1, 10030, 104, "page"),
        ("bid", 0, 10010, 104, "page"),
        ("bid", 1, 10000, 104, "page"),
    ]


def test_a_quote_has_the_state_of_the_book_that_judged_it(tmp_path):
    lake = lake_of(tmp_path)
    lake.derive()
    rows = stored(lake, "quotes").sort("update_id").select("update_id", "bid_price", "validity", "rule").rows()
    assert rows == [
        (106, Decimal("100.10"), "VALID", "snapshot+sequence+quote"),
        (110, Decimal("100.10"), "INVALID", "sequence break"),
    ]


@pytest.mark.parametrize("table", BOOK_TABLES, ids=lambda table: table.name)
def test_rows_do_not_depend_on_how_a_lane_is_cut_nor_on_when_it_is_derived(tmp_path, table):
    whole = lake_of(tmp_path / "whole")
    whole.derive()
    folder = tmp_path / "cut"
    for count in range(1, len(STREAM) + 1):  # one entry more, another process, another commit
        frames = received(STREAM)[count - 1 : count]
        seal_lane(Store.open(folder), Lane("capture.binance-spot.a.0", "binance-spot", frames, 1))
        tidelake.open(folder).derive([table.name])
    names = [c for c in stored(whole, table.name).columns if c not in ("segment", "line")]
    assert stored(tidelake.open(folder), table.name).select(names).equals(stored(whole, table.name).select(names))


def test_deriving_again_adds_nothing_and_a_rebuild_gives_the_same_rows(tmp_path):
    lake = lake_of(tmp_path, per_entry=2)
    lake.derive()
    before = {table.name: stored(lake, table.name) for table in BOOK_TABLES}
    for table in BOOK_TABLES:
        assert derive_table(lake.store, table, reader=BookReader(lake.store, table, lake.mappings, None)).entries == 0
    shutil.rmtree(tmp_path / "tables")
    lake.derive()
    assert all(stored(lake, name).equals(rows) for name, rows in before.items())


def test_a_reader_that_is_given_an_entry_out_of_turn_reads_those_before_it(tmp_path):
    lake = lake_of(tmp_path, per_entry=2)
    for table in BOOK_TABLES:
        for most in (1, 3):
            shutil.rmtree(tmp_path / "tables", ignore_errors=True)
            reader = BookReader(lake.store, table, load_mappings(), None)
            derive_table(lake.store, table, reader=reader, max_entries=most)
        whole = lake_of(tmp_path / table.name)
        whole.derive([table.name])
        assert stored(lake, table.name)["validity"].to_list() == stored(whole, table.name)["validity"].to_list()


def test_a_level_that_cannot_be_read_is_filed_once_and_its_neighbours_are_kept(tmp_path):
    torn = depth(113, 113, [["1e", "1"]], [], 900)
    lake = lake_of(tmp_path, stream=(*STREAM, torn, depth(114, 114, [["100.12", "1"]], [], 1000)))
    lake.derive(["book_deltas", "book_snapshots"])
    filed = lake.sql('select "table", line from quarantine').rows()
    assert filed == [("book_deltas", len(STREAM))]
    last = stored(lake, "book_deltas").row(-1, named=True)
    assert (last["update_key"], last["validity"]) == ("114", "INVALID")


def test_ids_that_a_venue_counts_anew_after_a_restart_lose_no_update(tmp_path):
    def frame(number: int, at: int, kind: str, size: str) -> bytes:
        data = {"s": "BTCUSDT", "b": [["100.1", size]], "a": [["100.2", "1"]], "u": number, "seq": number + 7}
        text = {"topic": "orderbook.50.BTCUSDT", "type": kind, "ts": START_MS + at, "data": data, "cts": START_MS + at}
        return json.dumps(text, separators=(",", ":")).encode()

    kinds = ["snapshot", "delta", "delta", "snapshot", "delta", "delta"]
    frames = [frame(1 + i % 3, 100 * i, kind, str(i + 1)) for i, kind in enumerate(kinds)]
    lane = Lane(
        "capture.bybit.a.0",
        "bybit",
        tuple(
            Received((START_MS + 100 * i) * 1_000_000, f, "frame", "wss://stream.bybit.com/v5/public/spot")
            for i, f in enumerate(frames)
        ),
        10,
    )
    seal_lane(Store.open(tmp_path), lane)
    lake = tidelake.open(tmp_path)
    lake.derive()
    assert lake.scan("book_deltas").collect().height == 2 * 4
    assert lake.scan("book_snapshots").collect().height == 2 * 2
    assert lake.conflicts("book_deltas").is_empty()


def test_an_update_with_an_impossible_time_is_filed_with_its_reason(tmp_path):
    lake = lake_of(tmp_path, stream=(*STREAM, depth(113, 113, [["100.13", "1"]], [], -START_MS + 1_000)))
    lake.derive(["book_deltas"])
    ((line, reason),) = lake.sql("select line, reason from quarantine").rows()
    assert line == len(STREAM)
    assert reason.startswith("event time 1000000 us lies before 2009-01-03")
    assert "113" not in stored(lake, "book_deltas")["update_key"].to_list()
