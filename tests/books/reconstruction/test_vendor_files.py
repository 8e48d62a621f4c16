"""What is wrong with a vendor's file is told with its name and row; what is unusual but plain is read."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv as pacsv, parquet

from tests.vendor_files import (
    lake_book,
    lake_deltas,
    lake_trades,
    tardis_book,
    tardis_deltas,
    tardis_trades,
    write_csv,
    write_parquet,
)
from tidelake.books.reconstruction.merging import day_events
from tidelake.books.reconstruction.vendor_reading import read_columns
from tidelake.errors import FormatDrift
from tidelake.kernels.replay_codes import DELTA, PART, WHOLE
from tidelake.vendors.registry import vendor

MADE: dict[str, Any] = {
    "trades": lake_trades,
    "book_delta_v2": lake_deltas,
    "book": lake_book,
    "incremental_book_L2": tardis_deltas,
    "book_snapshot_25": tardis_book,
}


def events(folder, table, rows, *, batch_levels=64, name="crypto-lake"):
    """All batches of a day that has one file of these rows."""
    write, ending = (write_csv, "csv.gz") if name == "tardis" else (write_parquet, "parquet")
    path = write(folder / f"{table}.{ending}", rows)
    return events_of(path, table, name=name, batch_levels=batch_levels)


def events_of(path, table, *, name="crypto-lake", batch_levels=64):
    file = SimpleNamespace(path=path, table=table, sha256="")
    scratch = path.parent
    return list(
        day_events([file], vendor(name), clock="recv", with_deltas=True, scratch=scratch, batch_levels=batch_levels)
    )


def changed(rows, place, **values):
    return [{**row, **values} if at == place else row for at, row in enumerate(rows)]


LAKE_DAMAGE = [
    ("book_delta_v2", {"price": None}, "price expected, none found"),
    ("book_delta_v2", {"price": float("nan")}, "price expected, none found"),
    ("book_delta_v2", {"price": float("inf")}, "inf is no number"),
    ("book_delta_v2", {"size": -0.001}, "a negative one found"),
    ("book_delta_v2", {"received_time": None}, "recv_time expected, none found"),
    ("book_delta_v2", {"received_time": 0}, "recv_time expected, none found"),
    ("book_delta_v2", {"side_is_bid": None}, "side: one of true, false"),
    ("book", {"bid_0_size": -1.0}, "a negative one found"),
    ("trades", {"side": "long"}, "side: one of buy, sell"),
    ("trades", {"quantity": None}, "size expected, none found"),
]


@pytest.mark.parametrize(("table", "damage", "told"), LAKE_DAMAGE)
def test_a_bad_row_of_parquet_is_named(tmp_path, table, damage, told):
    rows = changed(MADE[table](90), 77, **damage)
    with pytest.raises(FormatDrift, match=rf"{table}\.parquet: row 77: .*{told}") as refused:
        events(tmp_path, table, rows)
    assert refused.value.line == 77


TARDIS_DAMAGE = [
    ("incremental_book_L2", {"price": "1O.5"}, "'1O.5' is no number"),
    ("incremental_book_L2", {"price": ""}, "price expected, none found"),
    ("incremental_book_L2", {"amount": "-3"}, "a negative one found"),
    ("incremental_book_L2", {"amount": "1.0000000000000000001"}, "more than 18 digits"),
    ("incremental_book_L2", {"side": "buy"}, "side: one of bid, ask"),
    ("incremental_book_L2", {"is_snapshot": ""}, "is_snapshot expected, none found"),
    ("incremental_book_L2", {"local_timestamp": ""}, "recv_time expected, none found"),
    ("book_snapshot_25", {"asks[3].amount": "x"}, "'x' is no number"),
]


@pytest.mark.parametrize(("table", "damage", "told"), TARDIS_DAMAGE)
def test_a_bad_row_of_csv_is_named(tmp_path, table, damage, told):
    rows = changed(MADE[table](90), 77, **damage)
    with pytest.raises(FormatDrift, match=rf"{table}\.csv\.gz: row 77: .*{told}") as refused:
        events(tmp_path, table, rows, name="tardis")
    assert refused.value.line == 77


@pytest.mark.parametrize("damage", [{"is_snapshot": "perhaps"}, {"local_timestamp": "noon"}, {"timestamp": "1.5"}])
def test_csv_that_does_not_fit_its_columns_is_refused_by_name(tmp_path, damage):
    rows = changed(tardis_deltas(30), 20, **damage)
    with pytest.raises(FormatDrift, match=r"incremental_book_L2\.csv\.gz cannot be read"):
        events(tmp_path, "incremental_book_L2", rows, name="tardis")


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path):
    rows = [{name: value for name, value in row.items() if name != "price"} for row in lake_deltas(5)]
    with pytest.raises(FormatDrift, match="no column price among origin_time, received_time"):
        events(tmp_path, "book_delta_v2", rows)
    rows = [{name: value for name, value in row.items() if name != "ask_7_size"} for row in lake_book(5)]
    with pytest.raises(FormatDrift, match="no column ask_7_size"):
        events(tmp_path, "book", rows)


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = write_csv(tmp_path / "x.csv.gz", tardis_deltas(3000))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(FormatDrift, match=r"x\.csv\.gz cannot be read"):
        events_of(path, "incremental_book_L2", name="tardis")
    path = write_parquet(tmp_path / "x.parquet", lake_deltas(300))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(FormatDrift, match=r"x\.parquet cannot be read"):
        events_of(path, "book_delta_v2")


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"no gzip at all"])
def test_files_that_are_no_gzip_are_refused(tmp_path, content):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(content)
    with pytest.raises(FormatDrift, match=r"x\.csv\.gz"):
        events_of(path, "trades", name="tardis")


def test_a_csv_of_a_header_alone_has_no_events(tmp_path):
    path = tmp_path / "x.csv.gz"
    row = tardis_trades(1)[0]
    with pa.CompressedOutputStream(str(path), "gzip") as out:
        out.write((",".join(row) + "\n").encode())
    assert events_of(path, "trades", name="tardis") == []


def test_a_quoted_csv_is_read(tmp_path):
    rows, path = tardis_trades(20), tmp_path / "x.csv.gz"
    with pa.CompressedOutputStream(str(path), "gzip") as out:
        pacsv.write_csv(pa.Table.from_pylist(rows), out)
    [batch] = events_of(path, "trades", name="tardis")
    assert batch.trade_id.to_pylist() == [row["id"] for row in rows]


def test_sequences_as_doubles_are_read_while_they_are_whole(tmp_path):
    rows = [{**row, "sequence_number": float(row["sequence_number"])} for row in lake_deltas(9)]
    [batch] = events(tmp_path, "book_delta_v2", rows)
    assert batch.sequence.tolist() == list(range(1, 10))
    rows = changed(rows, 5, sequence_number=2.5)
    with pytest.raises(FormatDrift, match="row 5: whole number expected"):
        events(tmp_path, "book_delta_v2", rows)


def test_sequences_past_int64_are_refused(tmp_path):
    rows = lake_deltas(5)
    path = write_parquet(tmp_path / "x.parquet", rows)
    table = parquet.read_table(path)
    place = table.schema.get_field_index("sequence_number")
    numbers = pa.array([2**64 - 1] * len(rows), pa.uint64())
    parquet.write_table(table.set_column(place, "sequence_number", numbers), path)
    with pytest.raises(FormatDrift, match=r"x\.parquet: in the rows from 0 on"):
        events_of(path, "book_delta_v2")


@pytest.mark.parametrize(("column", "value"), [("sequence_number", "7"), ("received_time", "noon")])
def test_columns_of_another_type_are_refused(tmp_path, column, value):
    rows = [{**row, column: value} for row in lake_deltas(5)]
    with pytest.raises(FormatDrift, match="expected whole numbers"):
        events(tmp_path, "book_delta_v2", rows)


def test_only_columns_that_are_asked_for_are_read(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", lake_book(5))
    [batch] = read_columns(path, vendor("crypto-lake").table("book"), ("recv_time", "sequence"), 100)
    assert sorted(batch.schema.names) == ["recv_time", "sequence"]


def test_a_whole_book_told_in_several_batches_and_clocks_is_one_event(tmp_path):
    rows = tardis_deltas(3, depth=40)
    rows = [{**row, "local_timestamp": row["local_timestamp"] + at // 16} for at, row in enumerate(rows[:80])] + rows[
        80:
    ]
    rows = [{**rows[80], "is_snapshot": "false"}, *rows]  # one message before the book
    batches = events(tmp_path, "incremental_book_L2", rows, name="tardis", batch_levels=8)
    assert batches[0].kind.tolist() == [WHOLE]
    assert batches[0].level_from.tolist() == [0, 80]
    assert batches[0].row.tolist() == [1]
    assert batches[0].recv_ns.tolist() == [rows[80]["local_timestamp"] * 1000]
    assert {kind for batch in batches[1:] for kind in batch.kind.tolist()} == {DELTA}


def test_a_snapshot_without_levels_is_an_event_without_levels(tmp_path):
    rows = lake_book(3)
    rows = changed(rows, 1, **{name: None for name in rows[1] if name.startswith(("bid_", "ask_"))})
    [batch] = events(tmp_path, "book", rows, batch_levels=1000)
    assert batch.kind.tolist() == [PART] * 3
    assert batch.level_from.tolist() == [0, 40, 40, 80]


@pytest.mark.parametrize(("told_again", "sizes"), [(True, [80, 80]), (False, [160])])
def test_whole_books_that_follow_one_another_are_parted_where_a_price_is_told_again(tmp_path, told_again, sizes):
    first = [row for row in tardis_deltas(1) if row["is_snapshot"] == "true"]
    later = [{**row, "local_timestamp": row["local_timestamp"] + 1_000_000} for row in first]
    if not told_again:
        for row in later:
            row["price"] = f"{float(row['price']) + (1_000 if row['side'] == 'ask' else -1_000):.2f}"
    batches = events(tmp_path, "incremental_book_L2", [*first, *later], name="tardis")
    told = [int(count) for batch in batches for count in np.diff(batch.level_from)[batch.kind == WHOLE]]
    assert told == sizes
