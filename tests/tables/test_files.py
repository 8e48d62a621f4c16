"""Reads that leave files out give what reads of all files give, and tables whose files are not plain are not listed."""

import datetime as dt
import itertools

import polars as pl
import pytest
from deltalake import DeltaTable, TableFeatures

import tidelake
from tests.tables.lakes import START_US, Lane, Received, seal_lane, trade
from tidelake.tables import files, sql
from tidelake.tables.trade_reads import ORDER

DAY_US = 86_400_000_000
TIMES = [None, *(f"2024-01-0{day}T{hour}:00:00Z" for day in (1, 2, 3) for hour in ("00", "12"))]


def heard(source, number, day, recv_s, price="5.00"):
    us = START_US + day * DAY_US + number
    return Received((START_US + 4 * DAY_US + recv_s * 1_000_000) * 1_000, trade(source, number, us, price))


@pytest.fixture
def lake(tmp_path):
    """Three days of two sources; trade 2 of each was corrected and moved to another day, out of order and in order."""
    lake = tidelake.open(tmp_path)
    for source in ("coinbase", "deribit"):
        first = [heard(source, number, day, 10 + day) for day, number in enumerate((1, 2, 3))]
        seal_lane(lake.store, Lane(f"{source}.first", source, tuple(first), 1))
        lake.derive(["trades"])
        moved = (heard(source, 2, 2, 5 if source == "coinbase" else 50, price="7.00"),)
        seal_lane(lake.store, Lane(f"{source}.moved", source, moved, 1))
        lake.derive(["trades"])
    return lake


@pytest.mark.parametrize("source", [None, "coinbase", ["deribit", "kraken"], []])
def test_trades_of_a_span_are_those_of_a_whole_scan(lake, source):
    whole = lake.scan("trades").sort(ORDER).collect()
    sources = [source] if isinstance(source, str) else source
    for start, end in itertools.product(TIMES, TIMES):
        wanted = whole if sources is None else whole.filter(pl.col("source").is_in(sources))
        if start is not None:
            wanted = wanted.filter(pl.col("event_time") >= dt.datetime.fromisoformat(start))
        if end is not None:
            wanted = wanted.filter(pl.col("event_time") < dt.datetime.fromisoformat(end))
        assert lake.trades(source=source, start=start, end=end).equals(wanted)


def test_a_symbol_that_no_file_holds_gives_no_row_and_all_columns(lake):
    none = lake.trades("AAA-USD")
    assert none.is_empty()
    assert none.schema == lake.trades().schema


def test_files_of_other_days_and_sources_are_left_out(lake):
    found = DeltaTable(lake.store.table_uri("trades"))
    day = dt.date(2024, 1, 1)
    paths = files.files_within(found, files.Within(("coinbase",), first=day, last=day))["path"].to_list()
    assert [path.rsplit("/", 1)[0] for path in paths] == ["source=coinbase/date=2024-01-01"]
    assert files.files_within(found, files.Within(grain="aggregate")).is_empty()


def test_only_is_told_by_statistics_that_all_files_have():
    log = pl.DataFrame({"min.grain": ["trade", "trade"], "max.grain": ["trade", "trade"]})
    assert files.only(log, "grain", "trade")
    assert not files.only(log, "grain", "aggregate")
    assert not files.only(log.with_columns(pl.Series("max.grain", ["trade", None])), "grain", "trade")
    assert not files.only(log.drop("min.grain"), "grain", "trade")


@pytest.mark.parametrize("as_of", [None, "2024-01-05T00:00:11.5Z", "2024-01-05T00:00:30Z", "2023-01-01T00:00:00Z"])
def test_view_of_files_and_scan_give_the_same_answer(lake, monkeypatch, as_of):
    question = "SELECT * FROM trades ORDER BY source, trade_id"
    of_files = lake.sql(question, as_of=as_of)
    monkeypatch.setattr(sql, "is_plain", lambda _: False)
    of_scan = lake.sql(question, as_of=as_of)
    assert of_files.schema == of_scan.schema
    assert of_files.equals(of_scan)
    assert of_files.height == (0 if as_of == "2023-01-01T00:00:00Z" else 4 if as_of and "11.5" in as_of else 6)


def test_a_table_that_may_have_deletion_vectors_is_read_as_a_scan(lake, monkeypatch):
    before, counted = lake.trades(start="2024-01-02T00:00:00Z"), lake.sql("SELECT count(*) FROM trades").item()
    table = DeltaTable(lake.store.table_uri("trades"))
    table.alter.add_feature(TableFeatures.DeletionVectors, allow_protocol_versions_increase=True)
    assert not files.is_plain(DeltaTable(lake.store.table_uri("trades")))
    monkeypatch.setattr(files, "paths_of", None)
    monkeypatch.setattr(sql, "paths_of", None)
    assert lake.trades(start="2024-01-02T00:00:00Z").equals(before)
    assert lake.sql("SELECT count(*) FROM trades").item() == counted


def test_a_lake_at_an_address_with_signs_of_sql_and_patterns_is_read(tmp_path):
    for name in ("it's", "a*b", "acb"):
        lake = tidelake.open(tmp_path / name)
        seal_lane(lake.store, Lane("lane", "coinbase", (heard("coinbase", 1, 0, 10),), 1))
        lake.derive(["trades"])
    for name in ("it's", "a*b"):
        assert tidelake.open(tmp_path / name).sql("SELECT count(*) FROM trades").item() == 1
        assert tidelake.open(tmp_path / name).trades().height == 1
