"""The events of a day equal those of the slow way, for files of both vendors and batches of any size."""

import itertools
import random
from typing import Any

import numpy as np
import pytest

from tests.books.reconstruction.random_days import File, lake_day, tardis_day
from tests.books.reconstruction.slow_events import events_of, expected_of, in_order, slow_day
from tests.books.reconstruction.true_days import true_day
from tests.sampling import one_in
from tests.vendor_files import write_parquet
from tidelake.books.reconstruction.clock_order import AHEAD_NS
from tidelake.books.reconstruction.merging import day_events
from tidelake.errors import FormatDrift
from tidelake.kernels.replay_codes import DELTA, PART, TRADE, WHOLE
from tidelake.vendors.registry import vendor

DAYS = {"crypto-lake": lake_day, "tardis": tardis_day}
SEEDS = range(110)


@pytest.mark.parametrize("seed", one_in(6, SEEDS))
@pytest.mark.parametrize("name", DAYS)
def test_events_equal_the_slow_way(tmp_path, name, seed):
    rng = random.Random(seed)
    files = DAYS[name](tmp_path / "files", seed)
    how: Any = {"clock": rng.choice(("recv", "event")), "with_deltas": rng.random() < 0.8}
    slow = slow_day(files, vendor(name), **how)
    batch_levels = rng.choice((1, 7, 40, 5000))
    if slow is None:
        with pytest.raises(FormatDrift, match="overlap by"):
            day_events(files, vendor(name), **how, scratch=tmp_path, batch_levels=batch_levels)
        return
    day = day_events(files, vendor(name), **how, scratch=tmp_path, batch_levels=batch_levels)
    batches = list(day)
    assert (day.price_exponent, day.size_exponent) == (slow.price_exponent, slow.size_exponent)
    assert day.files == tuple(file.sha256 for file, _ in in_order(files, vendor(name)))
    assert events_of(batches) == expected_of(slow)
    for role, counts in slow.counts.items():
        found = day.counts[role]
        assert {name: getattr(found, name) for name in vars(counts)} == vars(counts)
    for batch in batches[:-1]:
        assert len(batch.tick) >= batch_levels
        assert batch.level_from[-2] < batch_levels
    start = rng.randint(0, len(slow.events) + 1)
    assert events_of(day.batches(start)) == expected_of(slow)[start:]


@pytest.mark.parametrize(("every", "least"), [(6, 1), pytest.param(1, 3, marks=pytest.mark.soak)])
def test_the_days_of_the_seeds_have_all_that_is_hard(tmp_path, every, least):
    """Each rule is met in some of the days; otherwise the test above would not show it."""
    kinds, met = set(), dict.fromkeys(("broken", "exact", "repeats", "left_out", "sorted", "anew", "refused"), 0)
    for name, seed in itertools.product(DAYS, SEEDS[::every]):
        files = DAYS[name](tmp_path / name / str(seed), seed)
        slow = slow_day(files, vendor(name), clock="recv", with_deltas=True)
        if slow is None:
            met["refused"] += 1
            continue
        day = day_events(files, vendor(name), clock="recv", with_deltas=True, scratch=tmp_path, batch_levels=1000)
        kinds |= {event.kind for event in slow.events}
        met["broken"] += any(event.broken for event in slow.events)
        met["exact"] += any(event.exact for event in slow.events)
        met["repeats"] += any(counts.repeats for counts in slow.counts.values())
        met["left_out"] += any(counts.left_out for counts in slow.counts.values())
        met["sorted"] += any(stream.ordered is not None for stream in day.streams.values())
        met["anew"] += any(stream.numbering.begins_anew for stream in day.streams.values())
    assert kinds == {TRADE, DELTA, PART, WHOLE}
    assert min(met.values()) >= least, met


def test_clocks_never_decrease(tmp_path):
    files = lake_day(tmp_path / "files", 3)
    day = day_events(files, vendor("crypto-lake"), clock="event", with_deltas=True, scratch=tmp_path, batch_levels=16)
    clocks = np.concatenate([batch.clock_ns for batch in day])
    assert len(clocks) > 10
    assert (np.diff(clocks) >= 0).all()


ROLES = {"deltas": "book_delta_v2", "snapshots": "book", "trades": "trades"}
CLOCKS = {"recv": "received_time", "event": "origin_time"}


def events_where_one_clock_runs_ahead(folder, role, clock, by_ns):
    """The events of a day where one message is told later by so much than the one after it."""
    made, word = true_day(60), CLOCKS[clock]
    beside = made.trades if role == "trades" else made.deltas + made.snapshots
    rows = getattr(made, role)
    chosen = {"deltas": lambda row: row["sequence_number"] == 1035, "trades": lambda row: row["trade_id"] == "9"}
    mine = next(row[word] for row in rows if chosen.get(role, lambda row: row["sequence_number"] == 1030)(row))
    after = min(row[word] for row in beside if row[word] > mine)
    for row in rows:
        row[word] += after - mine + by_ns if row[word] == mine else 0
    tables = {ROLES[each]: getattr(made, each) for each in ROLES}
    files = [File(write_parquet(folder / name / "0.parquet", tables[name]), name, name) for name in tables]
    how: Any = {"clock": clock, "with_deltas": True, "scratch": folder}
    return day_events(files, vendor("crypto-lake"), **how, batch_levels=16)


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("role", ROLES)
def test_a_clock_far_ahead_of_those_after_it_is_refused_by_row(tmp_path, role, clock):
    day = events_where_one_clock_runs_ahead(tmp_path / "far", role, clock, AHEAD_NS + 10**9)
    with pytest.raises(FormatDrift, match=r"0\.parquet row [\d,]+: clock .* 61 s ahead of .* row [\d,]+"):
        list(day)
    day = events_where_one_clock_runs_ahead(tmp_path / "near", role, clock, AHEAD_NS - 10**9)
    assert list(day)


def test_a_message_far_ahead_of_the_snapshots_after_it_is_refused(tmp_path):
    """The last message of a day holds none of its own back."""
    made = true_day(61)
    for row in made.deltas:
        row["received_time"] += 2 * AHEAD_NS if row["sequence_number"] == 1060 else 0
    tables = {"book_delta_v2": made.deltas, "book": made.snapshots}
    files = [File(write_parquet(tmp_path / name / "0.parquet", rows), name, name) for name, rows in tables.items()]
    how: Any = {"clock": "recv", "with_deltas": True, "scratch": tmp_path}
    with pytest.raises(FormatDrift, match="120 s ahead"):
        list(day_events(files, vendor("crypto-lake"), **how, batch_levels=16))
