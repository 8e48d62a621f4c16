"""Rows made by column equal rows made one at a time, however the day is cut into batches, also after a resume."""

import datetime as dt

import pytest

from tests.books.reconstruction.random_days import lake_day, tardis_day
from tests.books.reconstruction.slow_rows import NAMES, SlowRows
from tests.sampling import one_in
from tidelake.books.reconstruction.judging import FirstPass
from tidelake.books.reconstruction.merging import day_events
from tidelake.books.reconstruction.replay import Replay, no_events
from tidelake.books.reconstruction.rows import RowMaker
from tidelake.books.reconstruction.task import DayTask
from tidelake.books.reconstruction.verdicts import verdicts_of
from tidelake.errors import FormatDrift, ReplayRefused
from tidelake.vendors.registry import vendor as find_vendor

LEVELS = 6


def made(day, every_ns, anchored):
    """Rows by both means, with the maker handed over to a new one after each batch."""
    replay, judging = Replay(3, 0, None, anchored=anchored), FirstPass(anchored=anchored)
    for batch in day.batches():
        judging.take(batch, replay.run(batch))
    judged = judging.finish(replay.finish())
    replay, slow, rows, expected = Replay(3, LEVELS, every_ns, anchored=anchored), SlowRows(LEVELS), [], []
    task = DayTask("", "v", "s", "X-Y", dt.date(2024, 8, 8), "full_event_replay", LEVELS)
    memory = None
    for batch in [*day.batches(), no_events()]:
        out = replay.run(batch) if len(batch) else replay.finish()
        maker = RowMaker(task, "plan", (0, 0), day.files)
        if memory:
            maker.recall(memory)
        rows += maker.rows(batch, out, verdicts_of(judged, out.place, len(batch))).to_pylist()
        expected += slow.rows(batch, out)
        memory = maker.memory()
    return rows, expected


@pytest.mark.parametrize("seed", one_in(4, range(25)))
@pytest.mark.parametrize("every_ns", [None, 7_000_000], ids=["every event", "grid"])
@pytest.mark.parametrize("vendor", ["crypto-lake", "tardis"])
def test_rows_by_column_equal_rows_one_at_a_time(tmp_path, vendor, every_ns, seed):
    files = (lake_day if vendor == "crypto-lake" else tardis_day)(tmp_path, seed)
    anchored = seed % 5 == 0
    (tmp_path / "scratch").mkdir()
    try:
        day = day_events(
            files,
            find_vendor(vendor),
            clock="recv",
            with_deltas=not anchored,
            scratch=tmp_path / "scratch",
            batch_levels=9,
        )
    except FormatDrift as exc:
        if "overlap by" not in str(exc):
            raise
        pytest.skip("files that overlap without numbers are refused")
    try:
        rows, expected = made(day, every_ns, anchored)
    except ReplayRefused:
        pytest.skip("no book can be replayed from this day")
    except FormatDrift as exc:
        if "ahead of" not in str(exc):
            raise
        pytest.skip("a clock that runs ahead is refused")
    assert [row["place"] for row in rows] == list(range(len(expected)))
    for row, slow in zip(rows, expected, strict=True):
        moment_ns = slow["event_ns"] if slow["event_ns"] > 0 else slow["recv_ns"]
        assert round(row["event_time"].timestamp() * 1e6) == moment_ns // 1_000
        assert round(row["known_at"].timestamp() * 1e6) * 1_000 >= slow["recv_ns"]
        for name in NAMES:
            if name != "event_ns":
                assert row[name] == slow[name], (name, row["place"])
