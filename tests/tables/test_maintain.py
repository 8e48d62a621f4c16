"""Upkeep merges files and loses no version, also while others write."""

import datetime as dt
import os

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.tables import lakes
from tests.tables.test_derive import utc
from tidelake.errors import NotInLake
from tidelake.raw.store import Store
from tidelake.tables import maintain as maintain_module
from tidelake.tables.delta import TableHandle, open_table
from tidelake.tables.derive import derive_table
from tidelake.tables.maintain import maintain, table_sizes
from tidelake.tables.read import conflicts, stored
from tidelake.tables.trades import TRADES


@pytest.fixture
def lanes() -> list[lakes.Lane]:
    return lakes.make_lanes(30, ("coinbase", "kraken"), trades=8)


@pytest.fixture
def store(tmp_path, lanes) -> Store:
    store = Store.open(tmp_path)
    lakes.seal_all(store, lanes)
    derive_table(store, TRADES, max_entries=2)
    return store


def versions(store: Store) -> pl.DataFrame:
    return stored(store, TRADES).collect().sort("segment", "line", "item").select(TRADES.schema.names)


def test_compaction_and_vacuum_keep_every_version_and_every_answer(store, lanes):
    times = [utc(us) for us in sorted(us for lane in lanes for us in lane.known_us())[::6]]
    before = versions(store), [lakes.standing_rows(store, as_of=at) for at in times], conflicts(store, TRADES)
    report, contested = maintain(store, ["trades"])
    assert (contested.table, contested.files_after) == ("trades_contested", 1)
    assert (report.partitions, report.files_after, report.skipped) == (2, 2, 0)
    assert report.files_before > 4
    table = open_table(store, "trades")
    assert table is not None
    assert len(table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)) >= report.files_before
    after = versions(store), [lakes.standing_rows(store, as_of=at) for at in times], conflicts(store, TRADES)
    assert_frame_equal(after[0], before[0])
    assert_frame_equal(after[2], before[2])
    for found, expected in zip(after[1], before[1], strict=True):
        assert_frame_equal(found, expected)


def test_merged_files_are_sorted_by_symbol_and_time(store):
    maintain(store, ["trades"])
    for uri in open_table(store, "trades").file_uris():  # type: ignore[union-attr]
        rows = pl.read_parquet(uri, hive_partitioning=False).select("symbol", "event_time")
        assert rows.equals(rows.sort("symbol", "event_time"))


def test_upkeep_keeps_the_marks_of_derive(store):
    maintain(store)
    assert derive_table(store, TRADES).entries == 0
    assert maintain(store)[0].partitions == 0


def test_dry_run_says_what_would_be_done_and_touches_nothing(store):
    files = sorted(store.list("tables/"))
    report, _ = maintain(store, ["trades"], dry_run=True)
    assert report.partitions == 2
    assert report.files_after == report.files_before
    assert sorted(store.list("tables/")) == files


def test_a_folder_that_a_derive_wrote_to_meanwhile_is_left_alone(store, tmp_path, lanes, monkeypatch):
    late = lakes.Lane("coinbase.late.0", "coinbase", lanes[0].frames[:2], 9)
    real = TableHandle.rearrange
    raced = []

    def rearrange(self, folder, parts):
        if not raced:
            raced.append(True)
            lakes.seal_lane(store, late)
            body = lakes.trade("coinbase", 999, lakes.START_US, "5")
            lakes.seal_lane(
                store, lakes.Lane("coinbase.late.1", "coinbase", (lakes.Received(lakes.START_US * 1_000, body),), 9)
            )
            derive_table(store, TRADES)
        return real(self, folder, parts)

    monkeypatch.setattr(TableHandle, "rearrange", rearrange)
    report, _ = maintain(store, ["trades"])
    assert (report.skipped, report.partitions) == (1, 2)
    other = Store.open(tmp_path / "other")
    lakes.seal_all(other, [*lanes, late])
    derive_table(other, TRADES)
    found = lakes.standing_rows(store)
    assert found.filter(trade_id="999").height == 1
    assert_frame_equal(found.filter(pl.col("trade_id") != "999"), lakes.standing_rows(other))


def test_large_folders_are_merged_symbol_by_symbol(store, monkeypatch):
    before = versions(store)
    monkeypatch.setattr(maintain_module, "ROWS_AT_ONCE", 1)
    maintain(store, ["trades"])
    assert_frame_equal(versions(store), before)


def test_files_of_a_writer_at_work_are_never_due(store):
    with pytest.raises(ValueError, match="hour"):
        maintain(store, keep=dt.timedelta(minutes=59))
    with pytest.raises(NotInLake):
        maintain(store, ["trade"])


def test_sizes_count_what_lies_there(store):
    sizes = {row["table"]: row for row in table_sizes(store).to_dicts()}
    assert sizes["trades"]["rows"] == versions(store).height
    assert sizes["trades"]["files"] == len(list(store.list("tables/trades/source=coinbase"))) + len(
        list(store.list("tables/trades/source=kraken"))
    )
    assert sizes["trades"]["bytes"] > 1_000


def lists(store: Store) -> tuple[pl.DataFrame, pl.DataFrame]:
    keys = pl.read_delta(store.table_uri(TRADES.contested))
    bad = pl.read_delta(store.table_uri("quarantine"))
    return keys.sort(TRADES.key), bad.sort("lane", "seq", "line", "item").select(sorted(bad.columns))


def test_contested_keys_are_listed_once_and_rejects_kept(store):
    body = lakes.trade("coinbase", 1, lakes.START_US, "77")
    for place in range(3):  # the same key is contested again and again
        us = lakes.START_US + place
        frame = lakes.Received((us + 10**9 - 10 * place) * 1_000, body.replace(b'"77"', f'"{77 + place}"'.encode()))
        lakes.seal_lane(store, lakes.Lane(f"coinbase.again.{place}", "coinbase", (frame,), 9))
        derive_table(store, TRADES)
    before, rows = lists(store), lakes.standing_rows(store)
    assert before[0].height > before[0].n_unique()
    reports = {report.table: report for report in maintain(store)}
    assert reports["quarantine"].files_before > reports["quarantine"].files_after == 2
    after = lists(store)
    assert_frame_equal(after[0], before[0].unique().sort(TRADES.key))
    assert_frame_equal(after[1], before[1])
    assert_frame_equal(lakes.standing_rows(store), rows)
    derive_table(store, TRADES)
    assert_frame_equal(lists(store)[1], before[1])
    assert all(report.partitions == 0 for report in maintain(store))


def test_files_of_a_put_that_was_cut_short_go_after_a_day(store, tmp_path):
    folder = next((tmp_path / "ledger").iterdir())
    old, young, other = (folder / f".{digit * 32}#0" for digit in "abx")
    for path in (old, young, other):
        path.write_bytes(b"torn")
    for path in (old, other):
        os.utime(path, (0, 0))
    maintain(store, dry_run=True)
    assert old.exists()
    maintain(store)
    assert [path.exists() for path in (old, young, other)] == [False, True, True]


def test_files_of_a_commit_that_was_cut_short_go_when_they_are_old(store, tmp_path):
    derive_table(store, TRADES)
    folder = next((tmp_path / "tables" / "trades").glob("source=coinbase/date=*"))
    old, young = folder / "part-old.parquet", folder / "part-young.parquet"
    for path in (old, young):
        path.write_bytes(b"no table names it")
    os.utime(old, (0, 0))
    rows = versions(store)
    maintain(store)
    assert (old.exists(), young.exists()) == (False, True)
    assert_frame_equal(versions(store), rows)
