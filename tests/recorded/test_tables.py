"""The trades table over all recordings equals an independent reading of the frames, row for row."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tidelake
from tests.recorded.independent_reader import CRYPTOFEED, Trade, all_trades, distinct
from tidelake.raw.ledger import Ledger

pytestmark = [
    pytest.mark.skipif(not CRYPTOFEED.is_dir(), reason="needs the recorded data in ../shared/data/captures"),
    pytest.mark.slow,
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNNUMBERED = ["bybit", "kraken", "bitfinex", "bitmex"]  # Kraken v1, that is
KEY = ["source", "symbol", "grain", "trade_id"]


@pytest.fixture(scope="module")
def lake(derived_folder: Path) -> tidelake.Lake:
    return tidelake.open(derived_folder)


@pytest.fixture(scope="module")
def rows(lake: tidelake.Lake) -> pl.DataFrame:
    return lake.scan("trades").collect().sort(KEY)


@pytest.fixture(scope="module")
def expected() -> list[Trade]:
    return list(distinct(all_trades()).values())


def moment(ns: int) -> datetime:
    assert ns % 1000 == 0
    return EPOCH + timedelta(microseconds=ns // 1000)


def facts(rows: pl.DataFrame) -> Counter[tuple[object, ...]]:
    """What each row says; the id only where the venue gave it."""
    names = ("source", "symbol", "grain", "trade_id", "event_time", "price", "size", "side", "recv_ns")
    ids = pl.when(pl.col("source") != "kraken").then(pl.col("trade_id"))
    return Counter(rows.with_columns(trade_id=ids).select(names).iter_rows())


def test_every_trade_of_the_frames_is_in_the_table_once_and_nothing_else(rows: pl.DataFrame, expected: list[Trade]):
    wanted: Counter[tuple[object, ...]] = Counter(
        (*t[:4], moment(t.event_ns), t.price, t.size, t.side, t.recv_ns) for t in expected
    )
    found = facts(rows)
    assert not wanted - found
    assert not found - wanted
    assert len(rows) == len(expected)


def test_counts_per_venue_symbol_and_side_are_equal(rows: pl.DataFrame, expected: list[Trade]):
    found = rows.group_by("source", "symbol", "grain", "side").len()
    assert {row[:4]: row[4] for row in found.iter_rows()} == Counter((*t[:3], t.side) for t in expected)


def test_decimals_are_exact(rows: pl.DataFrame, expected: list[Trade]):
    assert rows.schema["price"] == rows.schema["size"] == pl.Decimal(38, 18)
    for name in ("price", "size"):
        total = sum((getattr(trade, name) for trade in expected), Decimal(0))
        assert sum(rows[name].to_list(), Decimal(0)) == total


def test_keys_are_unique_and_rows_have_both_clocks(rows: pl.DataFrame):
    assert rows.select(KEY).is_duplicated().sum() == 0
    assert rows["known_at"].null_count() == 0
    # What is known at a line is never earlier than its own receipt (to the microsecond).
    assert (rows["known_at"].dt.epoch("us") >= rows["recv_ns"] // 1000).all()


def test_numbered_venues_carry_the_sequence(rows: pl.DataFrame):
    numbered = rows.filter(~pl.col("source").is_in(UNNUMBERED))
    assert (numbered["trade_seq"].cast(pl.String) == numbered["trade_id"]).all()
    assert rows.filter(pl.col("source").is_in(UNNUMBERED))["trade_seq"].null_count() == 251 + 10 + 210 + 27


def test_units_of_size_are_named(rows: pl.DataFrame):
    found = {tuple(row) for row in rows.select("source", "symbol", "size_unit").unique().iter_rows()}
    units = {(source, symbol): unit for source, symbol, unit in found}
    assert len(units) == len(found)
    assert units["binance-spot", "BTC-USDT"] == "base"
    assert units["binance-coinm", "BTC-USD-PERP"] == "contracts"
    assert units["bybit", "BTC-USD-PERP"] == "quote"
    assert units["bybit", "LTC-USDT-PERP"] == "base"
    assert units["okx", "UNI-USD-PERP"] == "contracts"
    assert units["bitmex", "BTC-USD-PERP"] == "contracts"
    assert units["bitfinex", "IOTA-ETH"] == "base"


def test_deriving_again_changes_nothing(lake: tidelake.Lake, rows: pl.DataFrame):
    lake.derive()
    assert_frame_equal(lake.scan("trades").collect().sort(KEY), rows)


def test_nothing_of_the_recordings_is_quarantined(lake: tidelake.Lake):
    found = lake.sql("select * from quarantine")
    assert len(found) == 0


def test_coverage_proves_that_no_trade_is_missing(lake: tidelake.Lake):
    numbered = [stream for stream in lake.coverage() if stream.axis == "trade_seq"]
    assert len(numbered) == 25
    assert sum(stream.gaps for stream in numbered) == 0
    assert sum(stream.messages for stream in numbered) == 79_410 - 251 - 10 - 210 - 27  # less what UNNUMBERED say


def test_rebuilt_tables_are_equal(lake: tidelake.Lake, rows: pl.DataFrame):
    lake.rebuild(["trades"])
    assert_frame_equal(lake.scan("trades").collect().sort(KEY), rows)
    assert Ledger(lake.store).lanes()
