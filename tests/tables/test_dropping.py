"""A drop that is cut short, or met by another process, leaves a table whole or gone, and its rejects with it."""

import threading
from itertools import count

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.tables import lakes
from tidelake.errors import TableMoved
from tidelake.raw.store import Store
from tidelake.tables import dropping, quarantine
from tidelake.tables.candle_building import build_candles
from tidelake.tables.delta import TableDropping, open_or_create, open_table, turn
from tidelake.tables.derive import derive_table
from tidelake.tables.maintain import drop_tables, maintain
from tidelake.tables.read import conflicts
from tidelake.tables.trades import TRADES


class Killed(Exception):
    pass


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store.open(tmp_path)
    lakes.seal_all(store, lakes.make_lanes(30, ("coinbase", "kraken"), trades=8))
    derive_table(store, TRADES, max_entries=4)
    build_candles(store)
    return store


def rejected(store: Store) -> pl.DataFrame:
    table = open_table(store, quarantine.NAME)
    assert table is not None
    return pl.read_delta(table).sort("lane", "seq", "line", "item").select(quarantine.SCHEMA.names)


def answers(store: Store) -> list[pl.DataFrame]:
    return [lakes.standing_rows(store), conflicts(store, TRADES), rejected(store)]


def test_dropping_takes_the_rejects_along_and_leaves_raw_and_other_tables_alone(store):
    raw = sorted(store.list("raw/")) + sorted(store.list("ledger/"))
    assert rejected(store).height > 0
    drop_tables(store, ["trades"])
    assert sorted(store.list("raw/")) + sorted(store.list("ledger/")) == raw
    assert not list(store.list("tables/trades"))
    assert not list(store.list("tables/trades_contested"))
    assert rejected(store).is_empty()
    assert list(store.list("tables/candles/"))
    drop_tables(store)
    assert {key.split("/")[1] for key in store.list("tables/")} == {"quarantine"}


def test_what_a_table_made_again_refuses_is_filed_again_once(store):
    before = answers(store)
    for _ in range(2):
        drop_tables(store, ["trades"])
        derive_table(store, TRADES)
    for found, expected in zip(answers(store), before, strict=True):
        assert_frame_equal(found, expected)


def test_a_drop_killed_at_any_deletion_is_finished_by_the_next_derive(store, monkeypatch):
    before = answers(store)
    real = Store.delete
    for most in count():
        left = iter(range(most))

        def delete(self, key, left=left):
            if next(left, None) is None:
                raise Killed
            real(self, key)

        monkeypatch.setattr(Store, "delete", delete)
        try:
            drop_tables(store, ["trades"])
        except Killed:
            monkeypatch.setattr(Store, "delete", real)
            with pytest.raises(TableDropping, match="tidelake derive"):
                lakes.standing_rows(store)
            with pytest.raises(TableDropping):
                conflicts(store, TRADES)
        else:
            break
        finally:
            monkeypatch.setattr(Store, "delete", real)
        derive_table(store, TRADES, max_entries=4)
        for found, expected in zip(answers(store), before, strict=True):
            assert_frame_equal(found, expected)
    assert most > 10


@pytest.mark.parametrize("finish", [build_candles, maintain])
def test_a_drop_cut_short_is_finished_by_other_writers_too(store, finish):
    store.put_new("tables/trades.dropping", b"")
    finish(store)
    assert not list(store.list("tables/trades"))


def test_a_table_that_was_dropped_takes_no_commit_of_who_had_it_open(store):
    handle = open_or_create(store, TRADES.name, TRADES.schema, TRADES.partition_by)
    drop_tables(store, ["trades"])
    with pytest.raises(TableMoved, match="dropped"):
        handle.commit(TRADES.schema.empty_table(), {"lane": 1})
    assert not list(store.list("tables/trades"))
    derive_table(store, TRADES)
    with pytest.raises(TableMoved, match="dropped"):
        handle.commit(TRADES.schema.empty_table(), {"lane": 1})


def test_rejects_of_a_table_dropped_meanwhile_are_not_filed_twice(store, monkeypatch):
    before = answers(store)
    drop_tables(store, ["trades"])
    real, dropped = open_or_create, []

    def open_late(store, name, *shape):
        handle = real(store, name, *shape)
        if name == quarantine.NAME and not dropped:
            dropped.append(True)
            drop_tables(store, ["trades"])
        return handle

    monkeypatch.setattr("tidelake.tables.derive.open_or_create", open_late)
    derive_table(store, TRADES)
    assert dropped
    for found, expected in zip(answers(store), before, strict=True):
        assert_frame_equal(found, expected)


def test_a_derive_waits_for_a_drop_and_starts_anew(store, monkeypatch):
    before = answers(store)
    real, others = dropping._clear_quarantine, []

    def clear(store, name):
        others.append(threading.Thread(target=derive_table, args=(store, TRADES)))
        others[0].start()
        others[0].join(0.5)
        assert others[0].is_alive()
        real(store, name)

    monkeypatch.setattr(dropping, "_clear_quarantine", clear)
    drop_tables(store, ["trades"])
    others[0].join()
    for found, expected in zip(answers(store), before, strict=True):
        assert_frame_equal(found, expected)


def test_a_drop_waits_for_a_commit_at_work(store):
    drop = threading.Thread(target=drop_tables, args=(store, ["trades"]))
    with turn(store):
        drop.start()
        drop.join(0.3)
        assert drop.is_alive()
        assert lakes.standing_rows(store).height > 0
    drop.join()
    assert lakes.standing_rows(store).is_empty()


def test_tables_of_a_lake_in_memory_are_dropped():
    store = Store.open("memory:///dropped")
    lakes.seal_all(store, lakes.make_lanes(5, ("coinbase",), trades=4))
    derive_table(store, TRADES)
    drop_tables(store, ["trades"])
    assert lakes.standing_rows(store).is_empty()
    assert derive_table(store, TRADES).rows_added > 0
