"""Files that are written anew hold the rows that they should, once, and what the log says of them hides none."""

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path

import deltalake
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings, strategies as st
from polars.testing import assert_frame_equal

from tests.processes import process, run_at_once
from tests.tables.test_data_files import (
    BATCHES,
    COMPARED,
    FOLDERS,
    ROW,
    SCHEMA,
    VALUES,
    adds,
    as_tables,
    asked,
    frame,
    opened,
    written,
)
from tidelake.errors import TableMoved
from tidelake.raw.store import Store
from tidelake.tables import data_files, delta
from tidelake.tables.delta import MERGE, TURN, TableHandle, open_or_create

NAME = "made"
WAYS = st.sampled_from(["merged", "turned", "replaced"])
ASKED_OF = ("folder", "day", "text", "exact", "whole", "date", "flag")
Row = dict[str, object]


@pytest.fixture(params=["disk", "s3"])
def store(request, tmp_path) -> Store:
    return Store.open(request.getfixturevalue("s3_lake_url") if request.param == "s3" else tmp_path / "lake")


def handle_of(store: Store) -> TableHandle:
    return open_or_create(store, NAME, SCHEMA, FOLDERS)


def rows_of(store: Store) -> list[int]:
    return sorted(pl.read_delta(store.table_uri(NAME), storage_options=store.storage_options())["row"])


def one(number: int, folder: str = "a", day: dt.date | None = None) -> pa.Table:
    return pa.Table.from_pylist([{"row": number, "folder": folder, "day": day, "whole": number}], schema=SCHEMA)


def filled(store: Store) -> None:
    """Rows 0 and 1 in folder a, in a file each; row 2 in folder b."""
    for number, folder in enumerate("aab"):
        handle_of(store).commit(one(number, folder), {"lane": number})


def turned(handle: TableHandle, folder: str | None, day: dt.date | None) -> None:
    """Put the rows of a folder in the opposite order."""
    rows = pl.scan_delta(handle.table).filter(pl.col("folder").eq_missing(pl.lit(folder)))
    rows = rows.filter(pl.col("day").eq_missing(pl.lit(day))).sort("row", descending=True).select(SCHEMA.names)
    parts = (part.to_arrow().cast(SCHEMA) for part in rows.collect().iter_slices(2))
    handle.rearrange({"folder": folder, "day": day}, parts)


def folders_of(rows: list[Row]) -> list[Row]:
    return [{"folder": folder, "day": day} for folder, day in dict.fromkeys((r["folder"], r["day"]) for r in rows)]


def is_wanted(row: Row, wanted: list[Row]) -> bool:
    return any(all(row[name] == value for name, value in each.items()) for each in wanted)


def changed(handle: TableHandle, rows: list[Row], how: str, data: st.DataObject, numbers: Iterator[int]) -> list[Row]:
    """Write files anew in one of the ways; the rows that must be there after it."""
    if how == "merged":
        handle.merge(folders_of(rows), below=1 << 20)
        return rows
    if how == "turned":
        for folder in folders_of(rows):
            turned(handle, folder["folder"], folder["day"])  # type: ignore[arg-type]
        return rows
    wanted = []
    for names in data.draw(st.lists(st.sets(st.sampled_from(ASKED_OF), max_size=2), max_size=2)):
        like = data.draw(st.sampled_from(rows)) if rows else {}
        wanted.append({name: like.get(name) if data.draw(st.booleans()) else data.draw(VALUES[name]) for name in names})
    new = [{"row": next(numbers), **row} for row in data.draw(st.lists(ROW, max_size=3))]
    handle.commit(pa.Table.from_pylist(new, schema=SCHEMA), {"new": 1}, replace=wanted)
    return [row for row in rows if not is_wanted(row, wanted)] + new


def found_by_all(table: deltalake.DeltaTable, name: str, value: object) -> Iterator[tuple[pl.Expr, list[int]]]:
    """Conditions on a column, and the rows that each reader finds by them."""
    lazy = pl.scan_delta(table)
    for wanted in asked(name, value):
        yield wanted, lazy.filter(wanted).collect()["row"].to_list()
    if value is None:
        return
    typed, column = pa.scalar(value, SCHEMA.field(name).type), pl.col(name)
    literal = pl.lit(value, frame(SCHEMA.empty_table()).schema[name])
    for compare, wanted in ((pc.equal, column == literal), (pc.less_equal, column <= literal)):
        yield wanted, table.to_pyarrow_dataset().to_table(filter=compare(pc.field(name), typed))["row"].to_pylist()
    if name in ("exact", "whole", "text"):
        with duckdb.connect() as connection:
            connection.register("rows", lazy)
            kind = {"exact": "DECIMAL(38, 18)", "whole": "BIGINT", "text": "VARCHAR"}[name]
            query = f'SELECT "row" FROM rows WHERE "{name}" >= ?::{kind}'
            yield column >= literal, [row for (row,) in connection.execute(query, [value]).fetchall()]


@settings(deadline=None, max_examples=15)
@given(batches=BATCHES, ways=st.lists(WAYS, min_size=1, max_size=3), data=st.data())
def test_files_written_anew_hold_every_row_once_and_every_reader_finds_it(tmp_path_factory, batches, ways, data):
    tables = as_tables(batches)
    folder = tmp_path_factory.mktemp("lake")
    handle = written(folder, tables)
    rows = [row for table in tables for row in table.to_pylist()]
    numbers = count(1000)
    for way in ways:
        rows = changed(handle, rows, way, data, numbers)
    every = frame(pa.Table.from_pylist(rows, schema=SCHEMA)).sort("row")
    table = opened(handle.store, NAME)
    assert_frame_equal(pl.read_delta(table).sort("row").select(every.columns), every)
    assert_frame_equal(pl.read_delta(handle.table).sort("row").select(every.columns), every)
    assert sum(TableHandle(table, FOLDERS).files()["num_records"]) == len(rows)
    assert handle.done("lane") == len(tables) - 1
    for add in adds(folder):
        stats = json.loads(add["stats"])
        told = stats.get("nullCount", {})
        held = {name for name, nulls in told.items() if nulls < stats["numRecords"]}
        assert held == set(stats.get("minValues", {})) == set(stats.get("maxValues", {}))
    for name in data.draw(st.lists(st.sampled_from(COMPARED), min_size=2, max_size=2, unique=True)):
        value = data.draw(st.sampled_from([row[name] for row in rows] or [None]) | VALUES[name])
        for wanted, found in found_by_all(table, name, value):
            assert sorted(found) == every.filter(wanted)["row"].to_list(), (name, value, wanted)


def test_rows_of_an_exact_size_are_found_in_what_stays_beside_replaced_rows(tmp_path):
    sizes = [Decimal("54159.62"), Decimal("0.1"), Decimal("54159.62")]
    rows = [{"row": i, "folder": "a", "exact": size, "text": "xyz"[i]} for i, size in enumerate(sizes)]
    store = Store.open(tmp_path)
    handle = handle_of(store)
    handle.commit(pa.Table.from_pylist(rows, schema=SCHEMA), {})
    handle.commit(one(9), {}, replace=[{"text": "y"}])
    table = opened(store, NAME)
    for wanted, found in found_by_all(table, "exact", Decimal("54159.62")):
        assert sorted(found) == ([0, 2] if ">=" in str(wanted) or "<=" in str(wanted) or "==" in str(wanted) else [])
    assert rows_of(store) == [0, 2, 9]


def test_files_that_deltalake_wrote_are_put_together_with_ours(tmp_path):
    store = Store.open(tmp_path)
    filled(store)
    for number in (3, 4):
        coded = one(number).set_column(3, "text", pa.array(["x"]).dictionary_encode())
        deltalake.write_deltalake(store.table_uri(NAME), coded, mode="append")
    assert handle_of(store).merge([{"folder": "a", "day": None}], below=1 << 20) == 4
    assert rows_of(store) == [0, 1, 2, 3, 4]
    assert handle_of(store).files().height == 2


def test_a_large_folder_becomes_files_of_bounded_size_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(data_files, "ROW_GROUP", 3)
    monkeypatch.setattr(data_files, "FILE_BYTES", 1)
    handle = handle_of(Store.open(tmp_path))
    for number in range(10):
        handle.commit(one(number), {})
    turned(handle, "a", None)
    files = handle.files().sort("min.row", descending=True)
    paths = [f"{tmp_path}/tables/{NAME}/{path}" for path in files["path"]]
    held = [pa.parquet.read_table(path, partitioning=None)["row"].to_pylist() for path in paths]
    assert held == [[9, 8, 7], [6, 5, 4], [3, 2, 1], [0]]
    assert files["num_records"].to_list() == [3, 3, 3, 1]


def test_only_files_with_such_rows_are_written_anew(tmp_path):
    store = Store.open(tmp_path)
    filled(store)
    before = set(handle_of(store).files()["path"])
    handle_of(store).commit(SCHEMA.empty_table(), {}, replace=[{"folder": "a", "whole": 1}, {"whole": 7}])
    after = set(handle_of(store).files()["path"])
    assert (len(before - after), after - before) == (1, set())
    assert rows_of(store) == [0, 2]


def test_moved_rows_are_no_changed_data(tmp_path):
    store = Store.open(tmp_path)
    filled(store)
    handle = handle_of(store)
    turned(handle, "a", None)
    handle.merge([{"folder": "a", "day": None}], below=1 << 20)
    (entry,) = (tmp_path / f"tables/{NAME}/_delta_log").glob(f"{handle.version:020d}.json")
    told = [json.loads(line) for line in entry.read_text().splitlines()]
    moved = [action[kind]["dataChange"] for action in told for kind in ("add", "remove") if kind in action]
    assert moved == [False] * 3
    assert (handle.done("lane"), handle.done(TURN), handle.done(MERGE)) == (2, 3, 0)


def merges(handle: TableHandle) -> None:
    handle.merge([{"folder": "a", "day": None}], below=1 << 20)


def turns(handle: TableHandle) -> None:
    turned(handle, "a", None)


def replaces(handle: TableHandle) -> None:
    handle.commit(one(50), {}, replace=[{"folder": "a"}])


def empties(handle: TableHandle) -> None:
    handle.start_anew(SCHEMA)


@pytest.mark.parametrize("second", [merges, turns, replaces, empties])
@pytest.mark.parametrize("first", [merges, turns, replaces])
def test_of_two_that_take_out_the_same_files_one_fails(store, first, second):
    filled(store)
    stale = handle_of(store)
    first(handle_of(store))
    rows = rows_of(store)
    with pytest.raises(TableMoved):
        second(stale)
    assert rows_of(store) == rows == ([2, 50] if first is replaces else [0, 1, 2])


@pytest.mark.parametrize("second", [merges, turns, replaces, empties])
def test_files_that_another_engine_merged_meanwhile_are_not_taken_out_again(store, second):
    filled(store)
    stale = handle_of(store)
    opened(store, NAME).optimize.compact()
    with pytest.raises(TableMoved):
        second(stale)
    assert rows_of(store) == [0, 1, 2]


@pytest.mark.parametrize(("act", "left"), [(merges, [0, 1, 2, 5]), (turns, [0, 1, 2, 5])])
@pytest.mark.parametrize("folder", ["a", "b"])
def test_rows_appended_out_of_turn_before_a_merge_stand_once(store, act, left, folder):
    filled(store)
    stale = handle_of(store)
    handle_of(store).commit(one(5, folder), {"other": 1}, in_turn=False)
    act(stale)
    assert rows_of(store) == left
    assert rows_of(stale.store) == sorted(pl.read_delta(stale.table)["row"])  # type: ignore[arg-type]
    assert handle_of(store).done("other") == 1


@pytest.mark.parametrize("act", [merges, turns])
def test_rows_appended_out_of_turn_after_a_merge_stand_once(store, act):
    filled(store)
    stale = handle_of(store)
    act(handle_of(store))
    stale.commit(one(5), {"other": 1}, in_turn=False)
    assert rows_of(store) == [0, 1, 2, 5]


@pytest.mark.parametrize(("act", "refused"), [(merges, False), (turns, True), (replaces, True), (empties, True)])
def test_rows_appended_in_turn_before_another_commit_are_kept(store, act, refused):
    filled(store)
    stale = handle_of(store)
    handle_of(store).commit(one(5, "b"), {"other": 1})
    if refused:
        with pytest.raises(TableMoved):
            act(stale)
    else:
        act(stale)
    assert rows_of(store) == [0, 1, 2, 5]


@pytest.mark.parametrize(("folder", "left"), [("a", [0, 1, 2, 5]), ("b", [2, 5, 50])])
def test_rows_are_not_replaced_past_such_rows_that_came_since(store, folder, left):
    filled(store)
    stale = handle_of(store)
    handle_of(store).commit(one(5, folder), {"other": 1}, in_turn=False)
    if folder == "a":
        with pytest.raises(TableMoved, match="others committed"):
            replaces(stale)
    else:
        replaces(stale)
    assert rows_of(store) == left


def test_a_table_is_not_emptied_past_rows_that_came_since(store):
    filled(store)
    stale = handle_of(store)
    handle_of(store).commit(one(5), {"other": 1}, in_turn=False)
    with pytest.raises(TableMoved, match="others committed"):
        empties(stale)
    assert rows_of(store) == [0, 1, 2, 5]
    empties(handle_of(store))
    assert rows_of(store) == []
    assert handle_of(store).done("other") == -1


class Killed(BaseException):
    """As a kill: nothing after it runs."""


@pytest.mark.parametrize("act", [merges, turns, replaces, empties])
@pytest.mark.parametrize("point", ["before-table-commit", "data-files-written", "after-table-commit"])
def test_killed_around_its_commit_it_is_done_or_not_and_can_be_done_again(store, monkeypatch, act, point):
    filled(store)

    def kill(reached: str) -> None:
        if reached == point:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(delta, "reach", kill)
        with pytest.raises(Killed):
            act(handle_of(store))
    after = {merges: [0, 1, 2], turns: [0, 1, 2], replaces: [2, 50], empties: []}[act]
    assert rows_of(store) == (after if point == "after-table-commit" else [0, 1, 2])
    act(handle_of(store))
    assert rows_of(store) == after


def append_some(url: str, first: int, many: int, *, in_turn: bool) -> None:
    store, number = Store.open(url), first
    while number < first + many:
        try:
            handle_of(store).commit(one(number), {f"lane {first}": number}, in_turn=in_turn)
        except TableMoved:
            continue
        number += 1


def rewrite_some(url: str, many: int) -> None:
    store = Store.open(url)
    done = number = 0
    while done < many:
        number += 1
        try:
            (turns, merges)[number % 2](handle_of(store))
            handle_of(store).commit(SCHEMA.empty_table(), {}, replace=[{"row": -1}])
        except TableMoved:
            continue
        done += 1


@pytest.mark.slow
def test_processes_that_append_and_write_anew_at_once_lose_and_double_nothing(store):
    handle_of(store)
    children = [
        process(append_some, store.url, 0, 6, in_turn=True),
        process(append_some, store.url, 100, 6, in_turn=False),
        *(process(rewrite_some, store.url, 3) for _ in range(2)),
    ]
    assert run_at_once(*children) == [0] * 4
    assert rows_of(store) == [*range(6), *range(100, 106)]
    assert (handle_of(store).done("lane 0"), handle_of(store).done("lane 100")) == (5, 105)


def test_data_files_of_a_folder_keep_names_that_must_be_quoted(tmp_path):
    store = Store.open(tmp_path)
    for number in range(2):
        handle_of(store).commit(one(number, "é/%41 =:?*#+", dt.date(2024, 1, 1)), {})
    handle_of(store).merge([{"folder": "é/%41 =:?*#+", "day": dt.date(2024, 1, 1)}], below=1 << 20)
    assert rows_of(store) == [0, 1]
    (path,) = [Path(uri).parent.name for uri in opened(store, NAME).file_uris()]
    assert path.startswith("day=")
