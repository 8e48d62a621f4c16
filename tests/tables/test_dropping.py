"""A drop that is cut short, or met by another process, leaves a table whole or gone, and its rejects with it."""

import threading
from itertools import count

import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from tests.crash.derivers import derive_some
from tests.processes import PATIENT_SECONDS, process
from tests.sampling import one_in
from tests.tables import lakes
from tidelake.errors import TableMoved
from tidelake.raw.store import Store
from tidelake.tables import dropping, quarantine
from tidelake.tables.candle_building import build_candles
from tidelake.tables.delta import TableDropping, TableHandle, open_or_create, open_table, turn
from tidelake.tables.derive import derive_table
from tidelake.tables.maintain import drop_tables, maintain
from tidelake.tables.read import conflicts
from tidelake.tables.trades import TRADES


class Killed(Exception):
    pass


@pytest.fixture
def store(tmp_path) -> Store:
    return derived(Store.open(tmp_path))


@pytest.fixture
def on_s3(s3_lake_url) -> Store:
    return derived(Store.open(s3_lake_url))


@pytest.fixture(params=["store", "on_s3"])
def anywhere(request) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found


def derived(store: Store) -> Store:
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


def test_what_a_table_made_again_refuses_is_filed_again_once(anywhere):
    before = answers(anywhere)
    for _ in range(2):
        drop_tables(anywhere, ["trades"])
        derive_table(anywhere, TRADES)
        assert derive_table(anywhere, TRADES).entries == 0
    for found, expected in zip(answers(anywhere), before, strict=True):
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


def test_a_table_that_was_dropped_takes_no_commit_of_who_had_it_open(anywhere):
    handle = open_or_create(anywhere, TRADES.name, TRADES.schema, TRADES.partition_by)
    drop_tables(anywhere, ["trades"])
    with pytest.raises(TableMoved, match="dropped"):
        handle.commit(TRADES.schema.empty_table(), {"lane": 1})
    assert lakes.standing_rows(anywhere).is_empty()
    derive_table(anywhere, TRADES)
    with pytest.raises(TableMoved, match="dropped"):
        handle.commit(TRADES.schema.empty_table(), {"lane": 1})


def test_rejects_of_a_table_dropped_meanwhile_are_not_filed_twice(anywhere, monkeypatch):
    before = answers(anywhere)
    drop_tables(anywhere, ["trades"])
    real, dropped = open_or_create, []

    def open_late(store, name, *shape):
        handle = real(store, name, *shape)
        if name == quarantine.NAME and not dropped:
            dropped.append(True)
            drop_tables(store, ["trades"])
        return handle

    monkeypatch.setattr("tidelake.tables.derive.open_or_create", open_late)
    derive_table(anywhere, TRADES)
    assert dropped
    for found, expected in zip(answers(anywhere), before, strict=True):
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


def test_on_s3_a_drop_takes_the_rows_and_the_rejects_and_leaves_a_table_to_read(on_s3):
    before = answers(on_s3)
    drop_tables(on_s3)
    for found, expected in zip(answers(on_s3), before, strict=True):
        assert found.is_empty()
        assert found.schema == expected.schema
    assert pl.read_delta(on_s3.table_uri("trades_contested"), storage_options=on_s3.storage_options()).is_empty()
    derive_table(on_s3, TRADES)
    build_candles(on_s3)
    for found, expected in zip(answers(on_s3), before, strict=True):
        assert_frame_equal(found, expected)


def test_on_s3_a_table_made_again_takes_another_schema(on_s3):
    handle = open_or_create(on_s3, TRADES.name, TRADES.schema, TRADES.partition_by)
    wider = TRADES.schema.append(pa.field("note", pa.string()))
    handle.start_anew(wider)
    found = open_table(on_s3, TRADES.name)
    assert found is not None
    assert pl.scan_delta(found).collect_schema().names() == [*TRADES.schema.names, "note"]


@pytest.mark.parametrize("nth", [1, 3, 4])
def test_on_s3_a_drop_between_the_check_of_a_commit_and_its_write_wins(on_s3, monkeypatch, nth):
    before = answers(on_s3)
    drop_tables(on_s3, ["trades"])
    check, calls = TableHandle.check, count(1)

    def check_then_drop(self):
        check(self)
        if next(calls) == nth:
            drop_tables(on_s3, ["trades"])

    monkeypatch.setattr(TableHandle, "check", check_then_drop)
    derive_table(on_s3, TRADES, max_entries=4)
    assert next(calls) > nth
    for found, expected in zip(answers(on_s3), before, strict=True):
        assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    ("point", "nth"), one_in(4, [(point, nth) for point in ("before", "after") for nth in (1, 2, 3)])
)
def test_on_s3_a_drop_killed_around_any_of_its_commits_is_made_good_by_the_next_derive(on_s3, monkeypatch, nth, point):
    before = answers(on_s3)
    write, calls = TableHandle._take_out, count(1)

    def killed(*args):
        if point == "after":
            write(*args)
        if next(calls) == nth:
            raise Killed
        if point == "before":
            write(*args)

    with monkeypatch.context() as patch:
        patch.setattr(TableHandle, "_take_out", killed)
        with pytest.raises(Killed):
            drop_tables(on_s3, ["trades"])
    assert lakes.standing_rows(on_s3).height in (0, before[0].height)
    derive_table(on_s3, TRADES)
    for found, expected in zip(answers(on_s3), before, strict=True):
        assert_frame_equal(found, expected)


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_on_s3_a_derive_amid_a_drop_keeps_its_keys_and_rejects(on_s3, monkeypatch, nth):
    before = answers(on_s3)
    write, calls = TableHandle._take_out, count(1)

    def derive_before(*args):
        if next(calls) == nth:
            derive_table(on_s3, TRADES, max_entries=4)
        write(*args)

    with monkeypatch.context() as patch:
        patch.setattr(TableHandle, "_take_out", derive_before)
        drop_tables(on_s3, ["trades"])
    derive_table(on_s3, TRADES)
    for found, expected in zip(answers(on_s3), before, strict=True):
        assert_frame_equal(found, expected)


def test_on_s3_processes_that_derive_beside_one_that_drops_end_equal(on_s3):
    before = answers(on_s3)
    child = process(derive_some, on_s3.url, 1)
    drop_tables(on_s3, ["trades"])
    child.start()
    drops = 0
    while drops < 4 and child.is_alive():  # each makes the other begin again
        child.join(1.0)
        drop_tables(on_s3, ["trades"])
        drops += 1
    child.join(PATIENT_SECONDS)
    assert child.exitcode == 0
    derive_table(on_s3, TRADES)
    for found, expected in zip(answers(on_s3), before, strict=True):
        assert_frame_equal(found, expected)
