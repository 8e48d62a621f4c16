"""Part files of a day: their order, files that overlap, messages that repeat, rows without a number."""

from types import SimpleNamespace

import pytest

from tests.books.reconstruction.ready_files import make_ready
from tests.books.reconstruction.true_days import SOURCE, SYMBOL, VENDOR, true_day
from tests.vendor_files import DAY, lake_deltas, write_parquet
from tidelake.books.ready import ready_files
from tidelake.books.reconstruction.merging import day_events
from tidelake.errors import FormatDrift
from tidelake.jobs.assess import assess_day
from tidelake.raw.store import Store
from tidelake.vendors.registry import vendor

TABLE = "book_delta_v2"


def events(folder, parts):
    """All events of a day whose deltas are in these files."""
    files = [
        SimpleNamespace(path=write_parquet(folder / f"{name}.parquet", rows), table=TABLE, sha256=name)
        for name, rows in parts.items()
    ]
    return day_events(files, vendor(VENDOR), clock="recv", with_deltas=True, scratch=folder, batch_levels=1 << 20)


def overlapping(made):
    """The deltas without numbers in two files: the first 55 % of the rows, and those from 50 % on."""
    rows = [{**row, "sequence_number": None} for row in made.deltas]
    return rows, {"1": rows[: len(rows) * 55 // 100], "2": rows[len(rows) // 2 :]}


def test_files_that_overlap_are_refused_where_no_numbers_order_them(tmp_path):
    rows, parts = overlapping(true_day(2400, step=7))
    with pytest.raises(FormatDrift, match=r"1\.parquet and 2\.parquet of book_delta_v2 overlap by .* No numbers order"):
        events(tmp_path, parts)
    [batch] = events(tmp_path, {"1": rows[:2000], "2": rows[2000:]})
    assert len(batch.tick) == len(rows)


def test_files_that_overlap_are_one_stream_where_numbers_order_them(tmp_path):
    made = true_day(2400, step=7)
    rows = made.deltas
    [batch] = events(tmp_path, {"1": rows[: len(rows) * 55 // 100], "2": rows[len(rows) // 2 :]})
    assert batch.sequence.tolist() == sorted(made.books)


def test_files_are_in_the_order_of_their_clocks_not_of_their_names(tmp_path):
    rows, _ = overlapping(true_day(100))
    parts = {"10": rows[200:], "2": rows[:200]}
    day = events(tmp_path, parts)
    [batch] = day
    assert day.files == ("2", "10")
    assert batch.recv_ns.tolist() == sorted({row["received_time"] for row in rows})
    assert len(batch.tick) == len(rows)


def test_an_assessment_says_that_such_a_day_is_not_replayed(tmp_path):
    made, store = true_day(400), Store.open(tmp_path / "lake")
    made.deltas, parts = overlapping(made)
    made.make_ready(store, tmp_path / "files", keep=lambda row: False)
    for name, rows in parts.items():
        path = write_parquet(tmp_path / "files" / f"{name}.parquet", rows)
        make_ready(store, path, vendor=VENDOR, table=TABLE, source=SOURCE, symbol=SYMBOL, day=DAY)
    found = assess_day(store, ready_files(store))
    [told] = [finding for finding in found.findings if finding.name == "agreement"]
    assert told.severity == "serious"
    assert "overlap by" in told.sentence
    assert found.choice.strategy == "snapshot_anchored"
    assert "overlap by" in found.choice.refused["full_event_replay"]


def test_a_size_that_comes_back_under_one_number_is_no_repeat(tmp_path):
    [first, *_] = lake_deltas(1)
    sizes = (5.0, 6.0, 5.0)
    rows = [{**first, "size": size, "received_time": first["received_time"] + at} for at, size in enumerate(sizes)]
    later = [*rows, {**first, "sequence_number": 2, "received_time": first["received_time"] + 9}]
    day = events(tmp_path, {"1": later})
    [batch] = day
    assert batch.sequence.tolist() == [1, 1, 1, 2]
    assert [lots * 10**day.size_exponent for lots in batch.lots[:3].tolist()] == [5, 6, 5]
    assert day.counts["deltas"].repeats == 0
    again = {**rows[1], "received_time": rows[1]["received_time"] + 5}
    day = events(tmp_path, {"1": [rows[0], rows[1], rows[0], again]})
    [batch] = day
    assert len(batch) == 2
    assert day.counts["deltas"].repeats == 2


@pytest.mark.parametrize("number", [None, -4])
def test_a_row_without_a_number_among_numbered_ones_is_refused(tmp_path, number):
    rows = true_day(400).deltas
    damaged = [{**row, "sequence_number": number} if at == 300 else row for at, row in enumerate(rows)]
    with pytest.raises(FormatDrift, match=r"1\.parquet: row 300: sequence expected, none found, nor in 1 of"):
        events(tmp_path, {"1": damaged})
