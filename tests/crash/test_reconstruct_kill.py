"""Killed at any point and run again, a reconstruction ends with the rows of an undisturbed one."""

import shutil
import signal

import pytest
from polars.testing import assert_frame_equal

from tests.books.reconstruction.true_days import true_day
from tests.crash.reconstructors import reconstruct_small
from tests.processes import run
from tests.sampling import one_in
from tidelake.books.reconstruction import day as reconstruction
from tidelake.books.reconstruction.partitions import partitions
from tidelake.raw.crash_points import CRASH_VARIABLE
from tidelake.raw.store import Store
from tidelake.raw.verify import verify
from tidelake.tables.market_events import MARKET_EVENTS
from tidelake.tables.read import stored

EVERY_NS = 600 * 10**9
POINTS = (
    "day-begun",
    "segment-put:1",
    "segment-put:3",
    "before-ledger-put:2",
    "after-ledger-put:1",
    "after-ledger-put:3",
    "chunk-sealed:1",
    "before-table-commit:1",
    "before-table-commit:3",
    "data-files-written:2",
    "after-table-commit:1",
    "chunk-committed:2",
    "chunk-committed:4",
)


def rows(store):
    return stored(store, MARKET_EVENTS).collect().sort("place")


def child(url):
    reconstruction.BATCH_LEVELS = 300
    reconstruct_small(url, EVERY_NS)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    store = Store.open(folder / "lake")
    true_day().make_ready(store, folder / "files")
    shutil.copytree(folder / "lake", folder / "ready")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconstruction, "BATCH_LEVELS", 300)
        report = reconstruct_small(store.url, EVERY_NS)
    assert report.rows == report.new_rows == rows(store).height > 1000
    return store


@pytest.mark.slow
@pytest.mark.parametrize("point", one_in(3, POINTS))
def test_a_kill_anywhere_and_a_resume_give_the_same_rows(undisturbed, tmp_path, monkeypatch, point):
    monkeypatch.setattr(reconstruction, "BATCH_LEVELS", 300)
    shutil.copytree(undisturbed.root.parent / "ready", tmp_path / "lake")
    store = Store.open(tmp_path / "lake")
    monkeypatch.setenv(CRASH_VARIABLE, point)
    assert run(child, store.url) == -signal.SIGKILL
    monkeypatch.delenv(CRASH_VARIABLE)
    assert [p for p in partitions(store) if p.finished] == []
    report = reconstruct_small(store.url, EVERY_NS)
    assert_frame_equal(rows(store), rows(undisturbed))
    assert report.resumed_at + report.new_rows == report.rows == rows(store).height
    assert [p.finished for p in partitions(store)] == [True]
    assert list((store.spool() / "reconstruct").iterdir()) == []
    assert verify(store).problems == []


def test_a_table_that_was_dropped_is_made_again_with_the_same_rows(undisturbed, tmp_path, monkeypatch):
    from tidelake.tables.maintain import drop_tables

    monkeypatch.setattr(reconstruction, "BATCH_LEVELS", 300)
    shutil.copytree(undisturbed.root, tmp_path / "lake")
    store = Store.open(tmp_path / "lake")
    drop_tables(store, ["market_events"])
    assert reconstruct_small(store.url, EVERY_NS).new_rows == rows(undisturbed).height
    assert_frame_equal(rows(store), rows(undisturbed))
