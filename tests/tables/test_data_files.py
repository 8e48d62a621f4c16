"""What the log says of a data file never hides a row of it, whoever reads."""

import datetime as dt
import json
import math
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import deltalake
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake.exceptions import CommitFailedError
from hypothesis import example, given, settings, strategies as st
from polars.testing import assert_frame_equal

from tidelake.errors import StoreError, TableMoved
from tidelake.raw.store import Store
from tidelake.tables.delta import TableHandle, open_or_create, open_table
from tidelake.tables.maintain import maintain
from tidelake.tables.trades import TRADES

SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("folder", pa.string()),
        pa.field("day", pa.date32()),
        pa.field("text", pa.string()),
        pa.field("exact", pa.decimal128(38, 18)),
        pa.field("whole", pa.int64()),
        pa.field("small", pa.int8()),
        pa.field("time", pa.timestamp("us", "UTC")),
        pa.field("date", pa.date32()),
        pa.field("real", pa.float64()),
        pa.field("flag", pa.bool_()),
        pa.field("list", pa.list_(pa.int64())),
    ]
)
FOLDERS = ("folder", "day")
COMPARED = ("folder", "day", "text", "exact", "whole", "small", "time", "date", "real")
LONG = "é" * 31 + "\U0010ffff" * 3
CHARACTERS = st.characters(exclude_categories=["Cs"])  # surrogates are no text
TEXTS = st.text(CHARACTERS, max_size=3) | st.builds("{}{}".format, st.just("é" * 31), st.text(CHARACTERS, max_size=4))
TIMES = st.datetimes(timezones=st.just(dt.UTC))
VALUES = {
    "folder": st.sampled_from(["plain", "a b", "é/%41=:?*#", "'\"\\", "."]),
    "day": st.dates(dt.date(2024, 1, 1), dt.date(2024, 1, 2)),
    "text": TEXTS | st.just(LONG),
    "exact": st.decimals(Decimal(-(10**19)), Decimal(10**19), places=18) | st.just(Decimal("54159.62")),
    "whole": st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1]),
    "small": st.integers(-128, 127),
    "time": TIMES,
    "date": st.dates(),
    "real": st.floats(),
    "flag": st.booleans(),
    "list": st.lists(st.integers(0, 5), max_size=2),
}
ROW = st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()})
BATCHES = st.lists(st.lists(ROW, max_size=4), min_size=1, max_size=3)


def as_tables(batches: list[list[dict[str, object]]]) -> list[pa.Table]:
    numbered = iter(range(100))
    return [pa.Table.from_pylist([{"row": next(numbered), **row} for row in rows], schema=SCHEMA) for rows in batches]


def written(folder: Path | str, tables: list[pa.Table], name: str = "made") -> TableHandle:
    store = Store.open(folder)
    handle = open_or_create(store, name, SCHEMA, FOLDERS)
    for number, rows in enumerate(tables):
        handle.commit(rows, {"lane": number})
    return handle


def opened(store: Store | None, name: str) -> deltalake.DeltaTable:
    assert store is not None
    found = open_table(store, name)
    assert found is not None
    return found


def frame(rows: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(rows))


def adds(folder: Path) -> list[dict[str, Any]]:
    log = sorted((folder / "tables/made/_delta_log").glob("*.json"))
    actions = [json.loads(line) for entry in log for line in entry.read_text().strip().split("\n")]
    return [action["add"] for action in actions if "add" in action]


def as_value(name: str, told: object) -> object:
    """A bound as a value of its column."""
    if name == "time":
        return dt.datetime.fromisoformat(str(told))
    if name == "date":
        return dt.date.fromisoformat(str(told))
    return float(str(told)) if name == "real" else told


def is_last(row: dict[str, object]) -> bool:
    """Whether no bound can be told of it: the last moment of the year 9999, or a text past all prefixes."""
    return str(row["time"]) >= "9999-12-31 23:59:59.999" or str(row["text"])[32:33] == "\U0010ffff"


@settings(deadline=None, max_examples=40)
@given(rows=st.lists(ROW, min_size=1, max_size=5))
@example(rows=[dict.fromkeys(VALUES) | {"text": LONG}])
def test_bounds_in_the_log_hold_every_value(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("lake")
    (table,) = as_tables([rows])
    written(folder, [table])
    for add in adds(folder):
        stats = json.loads(add["stats"], parse_float=Decimal)
        stored = pa.parquet.read_table(f"{folder}/tables/made/{add['path'].replace('%25', '%')}", partitioning=None)
        assert stats["numRecords"] == stored.num_rows
        if "minValues" not in stats:
            assert stats.keys() == {"numRecords"}
            told = [row for row in rows if row["text"] == LONG or not math.isfinite(row["real"] or 0) or is_last(row)]
            assert told
            continue
        for name, count in stats["nullCount"].items():
            assert count == stored[name].to_pylist().count(None)
        for name in stored.column_names:
            values = [value for value in stored[name].to_pylist() if value is not None]
            if values and name != "list":
                assert as_value(name, stats["minValues"][name]) <= min(values)
                assert as_value(name, stats["maxValues"][name]) >= max(values)


@settings(deadline=None, max_examples=15)
@given(batches=BATCHES, data=st.data())
def test_a_filter_finds_what_a_full_scan_finds(tmp_path_factory, batches, data):
    tables = as_tables(batches)
    handle = written(tmp_path_factory.mktemp("lake"), tables)
    if data.draw(st.booleans()):
        handle.table.create_checkpoint()
        handle = TableHandle(opened(handle.store, "made"), FOLDERS)
    every = frame(pa.concat_tables(tables))
    assert_frame_equal(pl.read_delta(handle.table).sort("row").select(every.columns), every)
    dataset = pa.concat_tables(tables)
    for name in data.draw(st.lists(st.sampled_from(COMPARED), min_size=2, max_size=2, unique=True)):
        value = data.draw(st.sampled_from([row[name] for rows in batches for row in rows] or [None]) | VALUES[name])
        for wanted in asked(name, value):
            found = pl.scan_delta(handle.table).filter(wanted).collect()["row"].sort()
            assert found.to_list() == every.filter(wanted)["row"].to_list(), (name, value)
        if value is None:
            continue
        typed = pa.scalar(value, SCHEMA.field(name).type)
        for compare in (pc.equal, pc.less_equal, pc.greater_equal):
            found = handle.table.to_pyarrow_dataset().to_table(filter=compare(pc.field(name), typed))
            assert sorted(found["row"].to_pylist()) == dataset.filter(compare(dataset[name], typed))["row"].to_pylist()


def asked(name: str, value: object) -> list[pl.Expr]:
    column = pl.col(name)
    if value is None:
        return [column.is_null(), column.is_not_null()]
    literal = pl.lit(value, frame(SCHEMA.empty_table()).schema[name])
    return [column == literal, column <= literal, column >= literal, column < literal, column > literal]


def test_file_without_a_wanted_row_is_left_out(tmp_path):
    rows = [{"whole": 5, "time": dt.datetime(2024, 1, 1, 0, 0, 0, 1, dt.UTC), "text": "b" * 40, "folder": "a b"}]
    written(tmp_path, as_tables([rows]))
    (add,) = adds(tmp_path)
    stats = json.loads(add["stats"])
    assert add["partitionValues"] == {"folder": "a b", "day": None}
    assert stats["minValues"] == {"row": 0, "whole": 5, "time": "2024-01-01T00:00:00.000Z", "text": "b" * 32}
    assert stats["maxValues"] == {
        "row": 0, "whole": 5, "time": "2024-01-01T00:00:00.001Z", "text": "b" * 32 + "\U0010ffff",
    }  # fmt: skip


def trade(size: str, number: int) -> dict[str, object]:
    at = dt.datetime(2024, 1, 1, 0, 0, number, tzinfo=dt.UTC)
    texts = {name: name for name in TRADES.schema.names if TRADES.schema.field(name).type == pa.string()}
    whole = dict.fromkeys(("trade_seq", "recv_ns", "line", "item", "parser_version"), number)
    exact = {"price": Decimal("0.3"), "size": Decimal(size)}
    times = {"event_time": at, "known_at": at, "date": at.date()}
    return {**texts, **whole, **exact, **times, "source": "coinbase", "trade_id": str(number)}


@pytest.mark.parametrize("how", ["derived", "maintained", "merged"])
def test_trade_of_a_size_that_no_double_holds_is_found_by_it(tmp_path, how):
    store = Store.open(tmp_path)
    handle = open_or_create(store, "trades", TRADES.schema, TRADES.partition_by)
    for number in range(2):
        handle.commit(pa.Table.from_pylist([trade("54159.62", number)], schema=TRADES.schema), {"lane": number})
    if how == "maintained":
        assert maintain(store, ["trades"])[0].files_after == 1
    if how == "merged":
        assert handle.merge([{"source": "coinbase", "date": dt.date(2024, 1, 1)}], below=1 << 20) == 2
    wanted = pl.col("size") == pl.lit(Decimal("54159.62"), pl.Decimal(38, 18))
    found = opened(store, "trades")
    assert pl.scan_delta(found).filter(wanted).collect().height == 2
    assert found.get_add_actions(flatten=True).num_rows == (2 if how == "derived" else 1)


def test_texts_given_as_dictionaries_of_many_parts_are_stored_as_texts(tmp_path):
    parts = []
    told: list[list[str | None]] = [["x", "y", "x"], ["z"], ["y", None]]
    for number, words in enumerate(told):
        rows = as_tables([[{"text": word, "whole": number} for word in words]])[0]
        parts.append(rows.set_column(3, "text", rows["text"].combine_chunks().dictionary_encode()))
    handle = written(tmp_path, [pa.concat_tables(parts)])
    stored = pl.read_delta(handle.table)
    assert stored["text"].to_list() == ["x", "y", "x", "z", "y", None]
    (add,) = adds(tmp_path)
    held = pa.parquet.ParquetFile(f"{tmp_path}/tables/made/{add['path']}")
    assert held.schema_arrow.field("text").type == pa.string()


@pytest.mark.parametrize(
    ("schema", "row", "match"),
    [
        (SCHEMA, {"row": None}, "1 rows have no row"),
        (SCHEMA, {"row": 1, "folder": ""}, "empty folder"),
        (SCHEMA.remove(3), {"row": 1}, "have the columns"),
        (SCHEMA.append(pa.field("more", pa.int8())), {"row": 1}, "have the columns"),
    ],
)
def test_rows_that_are_not_as_the_table_says_are_refused_whole(tmp_path, schema, row, match):
    handle = open_or_create(Store.open(tmp_path), "made", SCHEMA, FOLDERS)
    nullable = pa.schema([field.with_nullable(True) for field in schema])
    with pytest.raises(ValueError, match=match):
        handle.commit(pa.Table.from_pylist([row], schema=nullable), {"lane": 0})
    assert opened(handle.store, "made").version() == 0
    assert not list(tmp_path.rglob("*.parquet"))


def test_files_whose_commit_failed_hold_no_row_and_are_deleted_by_maintain(tmp_path, monkeypatch):
    store = Store.open(tmp_path)
    rows = pa.Table.from_pylist([trade("1", 0)], schema=TRADES.schema)
    handle = open_or_create(store, "trades", TRADES.schema, TRADES.partition_by)

    def lose(*_args, **_options):
        raise CommitFailedError("somebody was quicker")

    with monkeypatch.context() as patch:
        patch.setattr(deltalake.DeltaTable, "create_write_transaction", lose)
        with pytest.raises(TableMoved, match="quicker"):
            handle.commit(rows, {"lane": 0})
    (left,) = tmp_path.rglob("*.parquet")
    handle.commit(rows, {"lane": 0})
    assert pl.read_delta(handle.table).height == 1
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=8)
    os.utime(left, (old.timestamp(), old.timestamp()))
    assert maintain(store, ["trades"])[0].removed == 1
    assert not left.exists()
    assert pl.read_delta(store.table_uri("trades")).height == 1


def test_commit_to_a_folder_that_cannot_be_written_says_so(tmp_path):
    handle = open_or_create(Store.open(tmp_path), "made", SCHEMA, FOLDERS)
    (tmp_path / "tables/made/folder=x").write_text("a file where a folder must go")
    rows = as_tables([[{"folder": "x"}]])[0]
    with pytest.raises(StoreError, match="cannot write tables/made/folder=x"):
        handle.commit(rows, {"lane": 0})
    assert opened(handle.store, "made").version() == 0


def test_a_handle_stands_at_its_own_commit_wherever_others_committed(tmp_path):
    store = Store.open(tmp_path)
    rows = as_tables([[{"whole": n}] for n in range(4)])
    first, second = (open_or_create(store, "made", SCHEMA, FOLDERS) for _ in range(2))
    second.commit(rows[0], {"b": 1}, in_turn=False)
    first.commit(rows[1], {"a": 1}, in_turn=False)
    second.commit(rows[2], {"b": 2}, in_turn=False)
    assert (first.version, second.version) == (2, 3)
    assert sorted(pl.read_delta(first.table)["row"]) == [0, 1]
    assert (first.done("a"), first.done("b"), second.done("b")) == (1, 1, 2)
    assert first.table.version() == 2
    with pytest.raises(TableMoved):
        first.commit(rows[3], {"b": 2})
    assert sorted(pl.read_delta(store.table_uri("made"))["row"]) == [0, 1, 2]


def test_files_of_a_lake_on_s3_are_read_back(s3_lake_url):
    tables = as_tables([[{"folder": "binance-spot", "whole": n, "text": LONG}] for n in range(2)])
    handle = written(s3_lake_url, tables)
    wanted = pl.scan_delta(handle.table, storage_options=Store.open(s3_lake_url).storage_options()).filter(
        pl.col("whole") == 1
    )
    assert wanted.collect().select("row", "text", "folder").rows() == [(1, LONG, "binance-spot")]
    assert handle.version == 2
