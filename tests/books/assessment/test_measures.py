"""Each measure against a slow and obvious count of the same values, whatever the batches."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tidelake.books.assessment.clocks import find_jumps
from tidelake.books.assessment.coverage import CoverageMeasure
from tidelake.books.assessment.day_grid import CELL_NS, DayGrid, length_text
from tidelake.books.assessment.distinct_keys import RepeatedKeys
from tidelake.books.assessment.findings import percent
from tidelake.books.assessment.histograms import WIDTH, LogHistogram
from tidelake.books.assessment.rows import MessageStarts, Rows
from tidelake.books.assessment.sequences import SequenceMeasure
from tidelake.books.assessment.snapshots import unsorted_levels

VALUES = st.lists(st.one_of(st.integers(-5, 5), st.integers(-(10**15), 10**15)), min_size=1, max_size=60)
CUTS = st.lists(st.integers(0, 60), max_size=4)


def in_batches(values: Sequence[Any], cuts: list[int]) -> list[Sequence[Any]]:
    """The values in pieces, some of which may be empty."""
    places = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    return [values[a:b] for a, b in pairwise(places)]


def integers(values: Sequence[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@given(VALUES, CUTS, st.sampled_from([0.01, 0.5, 0.99, 1.0]))
def test_quantile_is_that_of_the_sorted_values_within_a_class(values, cuts, share):
    found = LogHistogram()
    for batch in in_batches(values, cuts):
        found.add(integers(batch))
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert found.quantile(share) == pytest.approx(exact, rel=WIDTH - 1, abs=1e-9)
    assert (found.count, found.least, found.most) == (len(values), min(values), max(values))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1000, 1000)), min_size=1, max_size=60), CUTS)
def test_cells_have_quantiles_of_their_own(pairs, cuts):
    found = LogHistogram()
    for batch in in_batches(pairs, cuts):
        found.add(integers([value for _, value in batch]), integers([cell for cell, _ in batch]))
    told = found.by_cell((0.5,))
    assert list(told) == sorted({cell for cell, _ in pairs})
    for cell, (median,) in told.items():
        mine = sorted(value for other, value in pairs if other == cell)
        assert median == pytest.approx(mine[math.ceil(len(mine) / 2) - 1], rel=WIDTH - 1, abs=1e-9)


@settings(max_examples=40)
@given(st.lists(st.integers(-1, 30), max_size=50), CUTS)
def test_sequences_are_counted_as_one_by_one(tmp_path_factory, numbers, cuts):
    measure = SequenceMeasure(RepeatedKeys(tmp_path_factory.mktemp("keys") / "keys"))
    for batch in in_batches(numbers, cuts):
        measure.add(integers(batch), integers(batch))
    found = measure.figures()
    told = [number for number in numbers if number >= 0]
    steps = [b - a for a, b in pairwise(told)]
    up = [step for step in steps if step > 0]
    assert found.numbered == len(told)
    assert found.repeated == len(told) - len(set(told))
    assert (found.steps, found.up, found.ones) == (len(steps), len(up), steps.count(1))
    assert (found.gaps, found.missing) == (len(up) - up.count(1), sum(up) - len(up))
    assert found.out_of_order == sum(step < 0 for step in steps)
    assert found.mean_step == (pytest.approx(sum(up) / len(up)) if up else None)
    assert found.longest_step == (max(up) if up else None)
    assert sum(count for _, count in found.distribution) == len(up)
    assert dict(found.distribution)[10] == sum(3 < step <= 10 for step in up)


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        (list(range(200)), "consecutive"),
        ([*range(100), *range(101, 200)], "consecutive"),
        (list(range(0, 2_000, 7)), "increasing"),
        ([i ^ 1 for i in range(200)], "unordered"),
        ([-1] * 5, "none"),
        ([], "none"),
    ],
)
def test_kind_of_numbers(tmp_path: Path, numbers: list[int], kind: str):
    measure = SequenceMeasure(RepeatedKeys(tmp_path / "keys"))
    measure.add(integers(numbers), integers(numbers))
    assert measure.figures().kind == kind


@settings(max_examples=30)
@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 20), max_size=80), CUTS)
def test_repeated_keys_are_all_but_the_different_ones(tmp_path_factory, keys, cuts):
    found = RepeatedKeys(tmp_path_factory.mktemp("keys") / "keys")
    for batch in in_batches(keys, cuts):
        found.add(np.array(batch, dtype=np.uint64))
    assert found.repeated() == len(keys) - len(set(keys))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=40), CUTS)
def test_messages_begin_where_a_word_changes_whatever_the_batches(pairs, cuts):
    starts = MessageStarts(("sequence", "recv_time"))
    found = []
    for batch in in_batches(pairs, cuts):
        recv, sequence = integers([a for a, _ in batch]), integers([b for _, b in batch])
        none = np.zeros(len(batch), dtype=np.bool_)
        found += starts.of(Rows(recv, none, recv, sequence=sequence)).tolist()
    assert found == [i == 0 or pairs[i] != pairs[i - 1] for i in range(len(pairs))]


def test_silences_are_those_far_beyond_the_usual_spacing():
    grid, second = DayGrid(0), 10**9
    clocks = [*range(3_600), *range(3_700, 7_200), *range(7_250, 9_000)]
    measure = CoverageMeasure(grid)
    for batch in in_batches(clocks, [100, 3_600, 5_000]):
        measure.add(integers(batch) * second)
    found = measure.figures()
    assert [(each.first_ns // second, each.last_ns // second) for each in found.silences] == [(3_599, 3_700)]
    assert found.limit_ns == 60 * second
    assert found.silent_ns == 101 * second
    assert found.spacing_longest_ms == 101_000
    assert found.minutes_with == len({clock // 60 for clock in clocks})
    assert sum(count for _, count in found.spacing) == len(clocks) - 1


def test_sparse_table_has_no_silences_of_its_usual_length():
    measure = CoverageMeasure(DayGrid(0))
    measure.add(integers(range(0, 86_400, 300)) * 10**9)
    assert measure.figures().silences == ()


def cells(count: int) -> np.ndarray:
    return integers(range(count)) * CELL_NS


def test_jump_is_found_where_it_is_with_its_size_and_bursts_are_none():
    noise = np.random.default_rng(5).normal(0, 2e6, 8_640)
    offsets = 20e6 + noise
    offsets[1_000:1_012] += 900e6  # two minutes of load
    offsets[5_000:] -= 2e9
    (jump,) = find_jumps(cells(8_640), offsets)
    assert jump.at_ns == 5_000 * CELL_NS
    assert jump.by_ns == pytest.approx(-2e9, rel=0.01)


def test_two_jumps_and_back_are_two():
    offsets = np.full(600, 20e6)
    offsets[200:400] += 1e9
    found = find_jumps(cells(600), offsets)
    assert [(jump.at_ns // CELL_NS, jump.by_ns) for jump in found] == [(200, 10**9), (400, -(10**9))]


@given(st.integers(0, 40), st.integers(0, 100))
def test_steady_offsets_have_no_jump(count, seed):
    offsets = np.random.default_rng(seed).normal(20e6, 1e6, count)
    assert find_jumps(cells(count), offsets) == []


def test_unsorted_levels_are_those_not_strictly_from_best_to_worst():
    nan = np.nan
    sides = {
        "good": ([3, 2, 1], [4, 5, 6]),
        "short": ([3, 2, nan], [4, nan, nan]),
        "bids rise": ([2, 3, 1], [4, 5, 6]),
        "asks fall": ([3, 2, 1], [4, 6, 5]),
        "equal": ([3, 3, 1], [4, 5, 6]),
        "hole": ([3, nan, 1], [4, 5, 6]),
    }
    found = unsorted_levels(np.array(list(sides.values()), dtype=np.float64))
    assert dict(zip(sides, found.tolist(), strict=True)) == {
        "good": False, "short": False, "bids rise": True, "asks fall": True, "equal": True, "hole": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ns", "text"),
    [(500, "0.5 µs"), (22_500_000, "22.5 ms"), (-1_200_000_000, "-1.2 s"), (3_600 * 10**9, "60 min"), (0, "0 µs"),
     (3 * 3_600 * 10**9, "3 h"), (400 * 86_400 * 10**9, "400 days")],
)  # fmt: skip
def test_lengths_as_people_say_them(ns: int, text: str):
    assert length_text(ns) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(1, 3, "33.3 %"), (0, 5, "0 %"), (5, 5, "100 %"), (99_999, 100_000, "over 99.99 %"), (1, 10**6, "under 0.01 %")],
)
def test_shares_never_round_to_none_or_all(part: int, whole: int, text: str):
    assert percent(part, whole) == text
