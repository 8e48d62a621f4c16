import datetime as dt
import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from pyarrow import parquet

from tests.vendor_files import (
    DAY,
    Row,
    day_start_ns,
    lake_book,
    lake_deltas,
    lake_trades,
    renamed,
    tardis_book,
    tardis_deltas,
    tardis_trades,
    write_csv,
    write_parquet,
)
from tidelake.books import vendor_columns, vendor_tally
from tidelake.books.vendor_checks import check_against, check_content
from tidelake.books.vendor_tally import Clock, RepeatedRows, Wanted
from tidelake.vendors import registry


@dataclass(frozen=True)
class Kind:
    vendor: str
    table: str
    exchange: str
    symbol: str
    rows: Callable[..., list[Row]]
    write: Callable[..., Path]
    ending: str


KINDS = {
    "lake trades": Kind("crypto-lake", "trades", "BINANCE", "BTC-USDT", lake_trades, write_parquet, ".parquet"),
    "lake book": Kind("crypto-lake", "book", "BINANCE", "BTC-USDT", lake_book, write_parquet, ".parquet"),
    "lake deltas": Kind("crypto-lake", "book_delta_v2", "BINANCE", "BTC-USDT", lake_deltas, write_parquet, ".parquet"),
    "tardis trades": Kind("tardis", "trades", "binance", "BTCUSDT", tardis_trades, write_csv, ".csv.gz"),
    "tardis book": Kind("tardis", "book_snapshot_25", "binance", "BTCUSDT", tardis_book, write_csv, ".csv.gz"),
    "tardis deltas": Kind("tardis", "incremental_book_L2", "binance", "BTCUSDT", tardis_deltas, write_csv, ".csv.gz"),
}
EACH = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
LAKE = pytest.mark.parametrize("kind", [k for k in KINDS.values() if k.vendor == "crypto-lake"], ids=lambda k: k.table)


def price_columns(kind):
    return ("price", "amount" if kind.vendor == "tardis" else "size" if "delta" in kind.table else "quantity")


def checked(path, kind, day=DAY):
    vendor = registry.vendor(kind.vendor)
    return check_content(path, vendor, Wanted(vendor.table(kind.table), kind.exchange, kind.symbol, day))


def check_rows(tmp_path, kind, rows, day=DAY):
    return checked(kind.write(tmp_path / f"a{kind.ending}", rows), kind, day)


def failures(found):
    return [check.name for check in found.failed]


@EACH
def test_good_file_passes_with_its_figures(tmp_path, kind):
    rows = kind.rows()
    found = check_rows(tmp_path, kind, rows)
    assert found.failed == []
    assert found.rows == len(rows)
    unit = 1000 if kind.vendor == "tardis" else 1
    received = [row["local_timestamp" if kind.vendor == "tardis" else "received_time"] * unit for row in rows]
    assert (found.first_ns, found.last_ns) == (min(received), max(received))
    assert 59_000 < found.median_price < 61_000
    figures = {check.name: check.found for check in found.checks}
    assert figures["received outside the day"] == 0
    assert figures["receive clock steps back share"] == 0


@LAKE
def test_files_of_other_years_and_types_pass_and_hold_equal_rows(tmp_path, kind):
    rows = kind.rows()
    plain = check_rows(tmp_path, kind, rows)
    assert check_rows(tmp_path, kind, renamed(rows)).rows_sha256 == plain.rows_sha256
    table = pa.Table.from_pylist(rows)
    for name in ("origin_time", "received_time"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table[name].cast(pa.timestamp("ns", "UTC")))
    for name in ("exchange", "symbol"):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].dictionary_encode())
    parquet.write_table(table.append_column("__index_level_0__", pa.array(range(len(rows)))), tmp_path / "b.parquet")
    other = checked(tmp_path / "b.parquet", kind)
    assert other.failed == []
    assert other.rows_sha256 == plain.rows_sha256
    without = [{n: v for n, v in row.items() if n not in ("exchange", "symbol", "origin_time")} for row in rows]
    assert check_rows(tmp_path, kind, without).failed == []


def test_levels_that_are_not_there_are_no_fault_and_holes_are(tmp_path):
    assert check_rows(tmp_path, KINDS["tardis book"], tardis_book(depth=7)).failed == []
    rows = lake_book(depth=20)
    for row in rows:
        row["bid_19_price"] = row["bid_19_size"] = None
        row["ask_19_price"] = row["ask_19_size"] = float("nan")
    assert check_rows(tmp_path, KINDS["lake book"], rows).failed == []
    rows[5]["bid_7_price"] = rows[5]["bid_7_size"] = None
    assert failures(check_rows(tmp_path, KINDS["lake book"], rows)) == ["snapshots not best first"]


@EACH
def test_damage_anywhere_in_the_file_is_found_or_changes_no_value(tmp_path, kind):
    path = kind.write(tmp_path / f"a{kind.ending}", kind.rows())
    data, good = path.read_bytes(), checked(path, kind)
    rng = random.Random(5)
    for length in [0, 1, len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:length])
        assert checked(path, kind).failed
    found = 0
    for _ in range(40):
        changed = bytearray(data)
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(changed))
        now = checked(path, kind)
        found += bool(now.failed)
        if kind.vendor == "tardis":  # gzip sums up every byte; Parquet sums up none, so that a value may change
            assert now.failed or now.rows_sha256 == good.rows_sha256
    assert found > 5


def test_flipped_bit_of_a_parquet_page_with_a_checksum_is_found(tmp_path):
    kind, path = KINDS["lake trades"], tmp_path / "a.parquet"
    parquet.write_table(
        pa.Table.from_pylist(lake_trades(5000)),
        path,
        write_page_checksum=True,
        compression="none",
        use_dictionary=False,
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(bytes(data))
    assert failures(checked(path, kind)) == ["readable"]


def test_swapped_columns_are_found(tmp_path):
    for kind in KINDS.values():
        rows = kind.rows(300)
        if "book_snapshot" in kind.table or kind.table == "book":
            pairs = [
                (n, n.replace("price", "amount" if kind.vendor == "tardis" else "size"))
                for n in rows[0]
                if "price" in n
            ]
        else:
            pairs = [price_columns(kind)]
        swapped = [{**row, **{a: row[b] for a, b in pairs}, **{b: row[a] for a, b in pairs}} for row in rows]
        assert check_rows(tmp_path, kind, swapped).failed, kind


@pytest.mark.parametrize("name", ["lake deltas", "tardis deltas", "lake book", "tardis book"])
def test_swapped_sides_are_found(tmp_path, name):
    kind = KINDS[name]
    if "deltas" in name:
        flip = {True: False, False: True, "bid": "ask", "ask": "bid"}
        column = "side" if kind.vendor == "tardis" else "side_is_bid"
        rows = [{**row, column: flip[row[column]]} for row in kind.rows()]
        assert failures(check_rows(tmp_path, kind, rows)) == ["bids above asks share"]
        return

    def other(column):
        return column.replace("bid", "BID").replace("ask", "bid").replace("BID", "ask")

    rows = [{n: row[other(n)] for n in row} for row in kind.rows()]
    assert failures(check_rows(tmp_path, kind, rows)) == ["snapshots not best first", "crossed snapshots share"]


def test_market_that_falls_by_half_while_bids_come_first_is_not_taken_for_swapped_sides(tmp_path):
    rows = lake_deltas(3000)
    for i, row in enumerate(rows):
        row["price"] = round(row["price"] * (1 - 0.5 * i / len(rows)), 2)
    rows = [row for i, row in enumerate(rows) if row["side_is_bid"] == (i < len(rows) / 2) or i % 10 == 0]
    bids = [row["price"] for row in rows if row["side_is_bid"]]
    asks = [row["price"] for row in rows if not row["side_is_bid"]]
    assert np.median(bids) > np.median(asks)  # over the whole day
    assert check_rows(tmp_path, KINDS["lake deltas"], rows).failed == []


@EACH
def test_negative_missing_and_endless_numbers_are_found(tmp_path, kind):
    rows = kind.rows()
    price, size = (
        next(n for n in rows[0] if "price" in n),
        next(n for n in rows[0] if n in ("amount", "size", "quantity") or n.endswith(("_size", ".amount"))),
    )
    text = kind.vendor == "tardis"
    for column, value, check in [
        (price, "-1.5" if text else -1.5, "bad prices"),
        (price, "0" if text else 0.0, "bad prices"),
        (size, "-0.1" if text else -0.1, "bad sizes"),
        (size, "inf" if text else float("inf"), "bad sizes"),
        (size, "nan" if text else float("nan"), "bad sizes"),
    ]:
        changed = [dict(row) for row in rows]
        changed[7][column] = value
        assert check in failures(check_rows(tmp_path, kind, changed)), (column, value)


def test_size_of_nothing_stands_in_deltas_alone(tmp_path):
    trades = lake_trades()
    trades[3]["quantity"] = 0.0
    assert failures(check_rows(tmp_path, KINDS["lake trades"], trades)) == ["bad sizes"]
    assert any(row["size"] == 0 for row in lake_deltas())


@EACH
def test_another_day_another_symbol_and_a_shifted_clock_are_found(tmp_path, kind):
    assert "received outside the day" in failures(check_rows(tmp_path, kind, kind.rows(day=DAY - dt.timedelta(days=1))))
    found = check_rows(tmp_path, kind, kind.rows(symbol="ETH-USDT"))
    assert failures(found) == ["rows of another exchange or symbol"]
    assert "'ETH-USDT'" in found.failed[0].reason
    assert failures(check_rows(tmp_path, kind, kind.rows(exchange="OTHER"))) == ["rows of another exchange or symbol"]
    columns = ("local_timestamp", "received_time")
    hours = 2 * 3600 * 10 ** (6 if kind.vendor == "tardis" else 9)
    shifted = [{n: v + hours if n in columns else v for n, v in row.items()} for row in kind.rows()]
    assert failures(check_rows(tmp_path, kind, shifted)) == ["received outside the day"]
    events = ("timestamp", "origin_time")
    shifted = [{n: v + 12 * hours if n in events else v for n, v in row.items()} for row in kind.rows()]
    assert failures(check_rows(tmp_path, kind, shifted)) == ["events outside the day share"]


@EACH
def test_clock_in_another_unit_is_found(tmp_path, kind):
    clocks = ("local_timestamp", "timestamp", "received_time", "origin_time")
    rows = [{n: v // 1000 if n in clocks else v for n, v in row.items()} for row in kind.rows()]
    assert "rows without receive time" in failures(check_rows(tmp_path, kind, rows))


def test_times_at_the_edges_of_the_day_pass_within_their_slack_and_not_beyond():
    clock = Clock(DAY, 1000)
    start, end = day_start_ns(DAY), day_start_ns(DAY + dt.timedelta(days=1))
    clock.add(np.array([start - 1000, start, end, end + 999]))
    assert clock.outside == 0
    clock.add(np.array([start - 1001, end + 1000]))
    assert (clock.outside, clock.back, clock.steps) == (2, 1, 6)


def test_events_without_a_time_are_only_told(tmp_path):
    rows = [{**row, "origin_time": -1} for row in lake_trades()]
    found = check_rows(tmp_path, KINDS["lake trades"], rows)
    assert found.failed == []
    assert {check.name: check.found for check in found.checks}["events with a time"] == 0
    assert (found.first_event_ns, found.last_event_ns) == (0, 0)


@EACH
def test_missing_column_and_wrong_type_are_found(tmp_path, kind):
    name = "local_timestamp" if kind.vendor == "tardis" else "received_time"
    found = check_rows(tmp_path, kind, [{n: v for n, v in row.items() if n != name} for row in kind.rows()])
    assert failures(found) == ["schema"]
    assert name in found.failed[0].reason
    found = check_rows(tmp_path, kind, [{**row, name: "noon"} for row in kind.rows()])
    assert failures(found) == (["readable"] if kind.vendor == "tardis" else ["schema"])


@pytest.mark.parametrize("name", ["lake trades", "lake deltas", "tardis trades", "tardis deltas"])
def test_unknown_side_is_found(tmp_path, name):
    kind = KINDS[name]
    rows = kind.rows()
    if kind.table == "book_delta_v2":
        rows = [{**row, "side_is_bid": "yes"} for row in rows]
    else:
        rows[4]["side"] = "offer"
    assert "rows of unknown side" in failures(check_rows(tmp_path, kind, rows))


def test_file_without_rows_is_found(tmp_path):
    table = pa.Table.from_pylist(lake_trades(1)).slice(0, 0)
    parquet.write_table(table, tmp_path / "a.parquet")
    assert failures(checked(tmp_path / "a.parquet", KINDS["lake trades"])) == ["rows"]
    header = ",".join(tardis_trades(1)[0])
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(f"{header}\n".encode()))
    assert failures(checked(tmp_path / "a.csv.gz", KINDS["tardis trades"])) == ["rows"]


@EACH
def test_file_that_holds_its_rows_twice_is_found(tmp_path, kind):
    rows = kind.rows()
    found = check_rows(tmp_path, kind, rows + rows)
    assert failures(found) == ["repeated rows share"]
    assert found.failed[0].found == pytest.approx(0.5, abs=0.01)


def test_decimals_and_whole_numbers_are_numbers(tmp_path):
    rows = [{**row, "price": Decimal(str(row["price"])), "quantity": 2} for row in lake_trades()]
    assert check_rows(tmp_path, KINDS["lake trades"], rows).failed == []


def test_rows_are_those_of_another_file_however_they_are_packed(tmp_path, monkeypatch):
    first = check_rows(tmp_path, KINDS["lake book"], lake_book(300))
    monkeypatch.setattr(vendor_columns, "BATCH_ROWS", 7)
    parquet.write_table(pa.Table.from_pylist(lake_book(300)), tmp_path / "b.parquet", compression="zstd")
    second = checked(tmp_path / "b.parquet", KINDS["lake book"])
    assert second.rows_sha256 == first.rows_sha256
    (twin,) = check_against(second, {}, {first.rows_sha256: "1.parquet"}, is_option=False)
    assert (twin.verdict, twin.found) == ("failed", "1.parquet")
    other = check_rows(tmp_path, KINDS["lake book"], lake_book(300, seed=2))
    assert check_against(other, {}, {first.rows_sha256: "1.parquet"}, is_option=False)[0].verdict == "passed"


def test_prices_far_from_those_of_the_same_day_fail_but_for_options(tmp_path):
    found = check_rows(tmp_path, KINDS["lake trades"], lake_trades())
    assert [c.verdict for c in check_against(found, {"book": 60_500.0}, {}, is_option=False)] == ["passed", "told"]
    far = check_against(found, {"book": 1.9}, {}, is_option=False)[-1]
    assert (far.verdict, "swapped" in far.reason) == ("failed", True)
    assert check_against(found, {"book": 4.0e9}, {}, is_option=False)[-1].verdict == "failed"
    assert check_against(found, {"book": 1.9}, {}, is_option=True)[-1].verdict == "told"


@settings(deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=200), st.integers(1, 50))
def test_share_of_repeated_rows_equals_that_of_a_set(numbers, per_batch):
    repeated = RepeatedRows()
    for start in range(0, len(numbers), per_batch):
        repeated.add(pa.RecordBatch.from_pydict({"n": pa.array(numbers[start : start + per_batch])}))
    assert repeated.share() == pytest.approx(1 - len(set(numbers)) / len(numbers))


def test_share_of_repeated_rows_of_many_is_that_of_a_sample(monkeypatch):
    monkeypatch.setattr(vendor_tally, "HASHES_KEPT", 2_000)
    repeated, numbers = RepeatedRows(), np.arange(50_000) // 2 * 2
    for start in range(0, len(numbers), 5_000):
        repeated.add(pa.RecordBatch.from_pydict({"n": pa.array(numbers[start : start + 5_000])}))
    assert repeated.share() == pytest.approx(0.5)  # every copy of a row is in the sample, or none
