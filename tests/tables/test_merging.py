"""Derive keeps few files and a short log by itself, and neither shows in what is read or in what it knows as done."""

import os
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.crash.derivers import derive_merging
from tests.tables import lakes
from tidelake.errors import TableMoved
from tidelake.raw.store import Store
from tidelake.tables import delta, maintain, quarantine
from tidelake.tables.delta import TableHandle, open_or_create, trim_log
from tidelake.tables.derive import derive_table
from tidelake.tables.maintain import drop_tables, merge_small
from tidelake.tables.read import conflicts, stored
from tidelake.tables.trades import TRADES


@pytest.fixture
def lanes() -> list[lakes.Lane]:
    return lakes.make_lanes(30, ("coinbase", "kraken"), trades=8)


@pytest.fixture
def expected(tmp_path, lanes) -> list[pl.DataFrame]:
    """Of a lake that was derived at once."""
    store = Store.open(tmp_path / "at-once")
    lakes.seal_all(store, lanes)
    derive_table(store, TRADES)
    return answers(store)


@pytest.fixture(params=["disk", "s3"])
def anywhere(request, tmp_path, lanes) -> Store:
    store = Store.open(request.getfixturevalue("s3_lake_url") if request.param == "s3" else tmp_path / "lake")
    lakes.seal_all(store, lanes)
    return store


@pytest.fixture
def store(tmp_path, lanes) -> Store:
    store = Store.open(tmp_path / "lake")
    lakes.seal_all(store, lanes)
    return store


def answers(store: Store) -> list[pl.DataFrame]:
    return [lakes.standing_rows(store), conflicts(store, TRADES)]


def assert_same(store: Store, expected: list[pl.DataFrame]) -> None:
    for found, wanted in zip(answers(store), expected, strict=True):
        assert_frame_equal(found, wanted)
    assert stored(store, TRADES).select("segment", "line", "item").collect().is_unique().all()


def opened(store: Store) -> TableHandle:
    return open_or_create(store, TRADES.name, TRADES.schema, TRADES.partition_by)


def log_of(store: Store) -> list[Path]:
    return sorted(Path(store.table_uri(TRADES.name), "_delta_log").glob("0*"))


def test_derive_merges_what_its_commits_left_and_says_how_much(anywhere, expected):
    done = derive_merging(anywhere.url, 1)
    assert done.commits > 8
    files = opened(anywhere).files().height
    if anywhere.is_local:
        assert done.merged > 4
        assert done.merge_ms > 0
        assert files < done.commits
    else:
        assert done.merged == 0
        assert files >= done.commits // 2
    assert_same(anywhere, expected)
    again = derive_merging(anywhere.url, 1)
    assert (again.entries, again.merged) == (0, 0)


def test_derive_merges_the_lists_beside_a_table_too(store, tmp_path, expected):
    rejected = [lakes.Lane("torn.capture.0", "coinbase", tuple(lakes.Received(n, b"{") for n in range(1, 40)), 1)]
    at_once = Store.open(tmp_path / "at-once")
    for each in (store, at_once):
        lakes.seal_all(each, rejected)
    derive_table(at_once, TRADES)
    derive_merging(store.url, 1)
    for name, partition_by in ((TRADES.contested, ()), (quarantine.NAME, quarantine.PARTITION_BY)):
        found = delta.open_table(store, name)
        assert found is not None
        merges = TableHandle(found, partition_by).done(delta.MERGE) + 1
        committed = sum("WRITE" in step["operation"] for step in found.history()) - merges
        assert (committed >= 8, merges >= 1) == (True, True), (name, committed, merges)
        assert TableHandle(found, partition_by).files().height < committed
    assert_same(store, expected)
    order = ["lane", "seq", "line", "item"]
    filed = [pl.read_delta(each.table_uri(quarantine.NAME)).sort(order) for each in (store, at_once)]
    assert filed[0].height > 30
    assert_frame_equal(*filed)


def test_folders_with_few_small_files_are_left_alone(store, monkeypatch):
    derive_table(store, TRADES, max_entries=2)
    files = set(opened(store).files()["path"])
    monkeypatch.setattr(maintain, "CROWD", 2)
    with monkeypatch.context() as patch:
        patch.setattr(maintain, "SMALL", 1)
        assert merge_small(store, TRADES) == 0
    with monkeypatch.context() as patch:
        patch.setattr(maintain, "CROWD", len(files) + 1)
        assert merge_small(store, TRADES) == 0
    assert set(opened(store).files()["path"]) == files
    beside = [delta.open_table(store, name) for name in (TRADES.contested, quarantine.NAME)]
    folders = [str(Path(uri).parent) for found in beside if found is not None for uri in found.file_uris()]
    assert merge_small(store, TRADES) == len(files) + sum(folders.count(folder) > 1 for folder in folders)
    assert merge_small(store, TRADES) == 0


def test_a_derive_goes_on_after_merges_of_others(store, expected, monkeypatch):
    monkeypatch.setattr(maintain, "CROWD", 2)
    real, merged = TableHandle.commit, []

    def merged_before(self, *args, **options):
        if self.name == TRADES.name:  # read by then, and not yet committed
            merged.append(merge_small(store, TRADES))
        real(self, *args, **options)

    monkeypatch.setattr(TableHandle, "commit", merged_before)
    derive_table(store, TRADES, max_entries=1)
    assert len([count for count in merged if count]) > 3
    assert_same(store, expected)


def test_rows_that_were_merged_since_are_not_replaced(store, expected, monkeypatch):
    derive_table(store, TRADES, max_entries=1)
    monkeypatch.setattr(maintain, "CROWD", 2)
    handle = opened(store)
    assert merge_small(store, TRADES) > 0
    rows = pl.scan_delta(handle.table).filter(source="coinbase").select(TRADES.schema.names).collect()
    with pytest.raises(TableMoved):
        handle.commit(rows.to_arrow().cast(TRADES.schema), {}, replace=[{"source": "coinbase"}])
    assert_same(store, expected)


def test_a_table_that_was_dropped_is_not_merged_nor_its_handle_renewed(store, expected, monkeypatch):
    monkeypatch.setattr(maintain, "CROWD", 2)
    derive_table(store, TRADES, max_entries=1)
    handle = opened(store)
    drop_tables(store, [TRADES.name])
    assert merge_small(store, TRADES) == 0
    with pytest.raises(TableMoved, match="dropped"):
        handle.renewed()
    derive_table(store, TRADES)
    with pytest.raises(TableMoved):
        handle.renewed()
    assert_same(store, expected)


def test_a_commit_opens_the_table_no_second_time(anywhere, monkeypatch):
    handle = opened(anywhere)
    with monkeypatch.context() as patch:
        patch.setattr(delta, "open_table", None)
        for number in range(3):
            handle.commit(TRADES.schema.empty_table(), {"lane": number})
    assert opened(anywhere).done("lane") == 2


def test_a_handle_is_renewed_past_merges_and_not_past_commits_of_others(store, monkeypatch):
    derive_table(store, TRADES, max_entries=1)
    monkeypatch.setattr(maintain, "CROWD", 2)
    handle = opened(store)
    merge_small(store, TRADES)
    assert handle.renewed().table.version() > handle.table.version()
    opened(store).commit(TRADES.schema.empty_table(), {"other": 1})
    with pytest.raises(TableMoved, match="others"):
        handle.renewed()


def test_log_entries_that_checkpoints_replaced_go_and_who_stayed_behind_them_is_refused(store, expected, monkeypatch):
    behind = opened(store)
    derive_table(store, TRADES, max_entries=1)
    for number in range(25):
        opened(store).commit(TRADES.schema.empty_table(), {"lane": number})
    monkeypatch.setattr(delta, "LOG_KEPT", 3)
    handle = opened(store)
    before = log_of(store)
    trim_log(store, TRADES.name)
    assert log_of(store) == before  # too young
    for path in before:
        os.utime(path, (0, 0))
    trim_log(store, TRADES.name)
    left = log_of(store)
    newest = max(int(path.name[:20]) for path in left if "checkpoint" in path.name)
    assert [int(path.name[:20]) for path in left if "checkpoint" not in path.name] == list(
        range(newest - 3, handle.table.version() + 1)
    )
    with pytest.raises(TableMoved, match="no longer reaches back"):
        behind.commit(TRADES.schema.empty_table(), {"lane": 99})
    handle.commit(TRADES.schema.empty_table(), {"lane": 25})
    assert opened(store).done("lane") == 25
    assert_same(store, expected)
