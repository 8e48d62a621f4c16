"""Killed, raced or deceived, derive ends with what an undisturbed run gives."""

import random
import shutil
import signal
from pathlib import Path

import deltalake
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.crash.derivers import derive_merging, derive_some
from tests.processes import process, run, run_at_once
from tests.tables import lakes
from tidelake.errors import TableMoved
from tidelake.raw.store import Store
from tidelake.tables.delta import open_or_create
from tidelake.tables.derive import derive_table
from tidelake.tables.read import conflicts, stored
from tidelake.tables.trades import TRADES

POINTS = ("before-table-commit", "data-files-written", "after-table-commit")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    tmp = tmp_path_factory.mktemp("undisturbed")
    store = Store.open(tmp / "lake")
    lakes.seal_all(store, lakes.make_lanes(3, ("coinbase", "kraken"), trades=6))
    shutil.copytree(tmp / "lake", tmp / "raw")
    derive_table(store, TRADES)
    return store


def fresh(undisturbed: Store, target: Path) -> Store:
    """The same raw log, nothing derived."""
    assert undisturbed.root is not None
    shutil.copytree(undisturbed.root.parent / "raw", target)
    return Store.open(target)


def quarantined(store: Store) -> pl.DataFrame:
    return pl.read_delta(store.table_uri("quarantine")).sort("lane", "seq", "line", "item")


def assert_equal_lakes(store: Store, other: Store) -> None:
    assert_frame_equal(lakes.standing_rows(store), lakes.standing_rows(other))
    assert_frame_equal(conflicts(store, TRADES), conflicts(other, TRADES))
    assert_frame_equal(quarantined(store), quarantined(other))
    where = ["segment", "line", "item"]
    assert stored(store, TRADES).select(where).collect().is_unique().all()


def kill_at_random(undisturbed: Store, target: Path, seed: int, kills: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    rng = random.Random(seed)
    store = fresh(undisturbed, target)
    killed = False
    for _ in range(kills):
        monkeypatch.setenv("TIDELAKE_CRASH", f"{rng.choice(POINTS)}:{rng.randint(1, 6)}")
        exitcode = run(derive_some, str(target), rng.choice([1, 2]))
        assert exitcode in (0, -signal.SIGKILL)
        killed |= exitcode == -signal.SIGKILL
    monkeypatch.delenv("TIDELAKE_CRASH")
    derive_table(store, TRADES, max_entries=rng.choice([None, 3]))
    assert_equal_lakes(store, undisturbed)
    assert derive_table(store, TRADES).entries == 0
    return killed


def test_killed_around_commits_and_resumed_equals_an_undisturbed_run(undisturbed, tmp_path, monkeypatch):
    killed = [kill_at_random(undisturbed, tmp_path / str(seed), seed, 1, monkeypatch) for seed in range(5)]
    assert sum(killed) >= 3


@pytest.mark.soak
def test_killed_two_hundred_times_equals_an_undisturbed_run(undisturbed, tmp_path, monkeypatch):
    for seed in range(100, 300):
        kill_at_random(undisturbed, tmp_path / str(seed), seed, 2, monkeypatch)
        shutil.rmtree(tmp_path / str(seed))


def test_two_processes_deriving_one_lake_at_once_end_equal_to_one(undisturbed, tmp_path):
    store = fresh(undisturbed, tmp_path / "lake")
    assert run_at_once(*(process(derive_some, store.url, 1) for _ in range(2))) == [0, 0]
    assert_equal_lakes(store, undisturbed)


@pytest.mark.parametrize("point", ["before-table-merge:2", "after-table-merge:1", "after-table-merge:2"])
def test_killed_around_a_merge_and_resumed_equals_an_undisturbed_run(undisturbed, tmp_path, monkeypatch, point):
    store = fresh(undisturbed, tmp_path / "lake")
    monkeypatch.setenv("TIDELAKE_CRASH", point)
    assert run(derive_merging, store.url, 1) == -signal.SIGKILL
    monkeypatch.delenv("TIDELAKE_CRASH")
    assert run(derive_merging, store.url, 1) == 0
    assert_equal_lakes(store, undisturbed)
    assert derive_table(store, TRADES).entries == 0


def test_two_processes_that_derive_and_merge_one_lake_at_once_end_equal_to_one(undisturbed, tmp_path):
    store = fresh(undisturbed, tmp_path / "lake")
    assert run_at_once(*(process(derive_merging, store.url, 1) for _ in range(2))) == [0, 0]
    assert_equal_lakes(store, undisturbed)


def test_commit_of_a_stale_handle_is_refused(undisturbed, tmp_path):
    store = fresh(undisturbed, tmp_path / "lake")
    stale = open_or_create(store, TRADES.name, TRADES.schema, TRADES.partition_by)
    derive_table(store, TRADES)
    before = stored(store, TRADES).collect()
    rows = before.head(3).to_arrow().cast(TRADES.schema)
    with pytest.raises(TableMoved):
        stale.commit(rows, {"coinbase.capture.0": 0})
    with pytest.raises(TableMoved):
        stale.commit(rows.slice(0, 0), {"another": 5})
    assert stored(store, TRADES).collect().height == before.height


@pytest.mark.parametrize("nth", [1, 2, 4])
def test_commit_whose_acknowledgement_was_lost_is_not_made_twice(undisturbed, tmp_path, monkeypatch, nth):
    store = fresh(undisturbed, tmp_path / "lake")
    real = deltalake.DeltaTable.create_write_transaction
    calls = 0

    def lossy(*args, **options):
        nonlocal calls
        calls += 1
        real(*args, **options)
        if calls == nth:
            raise OSError("connection reset")

    monkeypatch.setattr(deltalake.DeltaTable, "create_write_transaction", lossy)
    with pytest.raises(OSError, match="reset"):
        derive_table(store, TRADES, max_entries=4)
    derive_table(store, TRADES, max_entries=4)
    assert_equal_lakes(store, undisturbed)


def hand_over_to_s3(undisturbed: Store, url: str) -> Store:
    assert undisturbed.root is not None
    store = Store.open(url)
    for top in ("raw/", "ledger/"):
        for key in undisturbed.list(top):
            assert store.put_new(key, undisturbed.get(key))
    return store


@pytest.mark.parametrize("point", POINTS)
def test_killed_around_a_commit_on_s3_and_resumed_equals_an_undisturbed_run(
    undisturbed, s3_lake_url, monkeypatch, point
):
    store = hand_over_to_s3(undisturbed, s3_lake_url)
    monkeypatch.setenv("TIDELAKE_CRASH", f"{point}:4")
    assert run(derive_some, s3_lake_url, 2) == -signal.SIGKILL
    monkeypatch.delenv("TIDELAKE_CRASH")
    derive_table(store, TRADES, max_entries=3)
    assert derive_table(store, TRADES).entries == 0
    rows = lakes.standing_rows(store)
    assert_frame_equal(rows, lakes.standing_rows(undisturbed))
    assert_frame_equal(conflicts(store, TRADES), conflicts(undisturbed, TRADES))


def test_two_processes_deriving_one_lake_on_s3_end_equal_to_one(undisturbed, s3_lake_url):
    store = hand_over_to_s3(undisturbed, s3_lake_url)
    assert run_at_once(*(process(derive_some, s3_lake_url, 3) for _ in range(2))) == [0, 0]
    assert_frame_equal(lakes.standing_rows(store), lakes.standing_rows(undisturbed))
    assert stored(store, TRADES).select("segment", "line", "item").collect().is_unique().all()
