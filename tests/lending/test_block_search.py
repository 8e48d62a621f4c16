"""Blocks before moments, found from few clocks, against a look at every block."""

import pytest
from hypothesis import given, strategies as st

from tidelake.errors import SourceError
from tidelake.lending.block_search import BlockSearch

STEPS = st.lists(st.integers(0, 40), min_size=2, max_size=400)


def search(clocks, ends):
    found = BlockSearch(ends, {0: clocks[0], len(clocks) - 1: clocks[-1]})
    rounds = 0
    while wanted := found.wanted():
        rounds += 1
        assert rounds < 40
        found.learn({number: clocks[number] for number in wanted})
    return found


@given(STEPS, st.data())
def test_each_moment_has_the_last_block_before_it(steps, data):
    clocks = [1000 + sum(steps[:i]) for i in range(len(steps))]
    inside = st.integers(clocks[0] + 1, max(clocks[-1], clocks[0] + 1))
    ends = [end for end in data.draw(st.lists(inside, max_size=8)) if end <= clocks[-1]]
    found = search(clocks, ends)
    for end in ends:
        assert found.found(end) == max(number for number, clock in enumerate(clocks) if clock < end)


def test_a_year_of_days_on_even_clocks_takes_three_headers_a_day():
    asked, known = 0, {0: 0, 10**7: 12 * 10**7}
    ends = [50_000_000 + 86_400 * day for day in range(365)]
    found = BlockSearch(ends, known)
    while wanted := found.wanted():
        asked += len(wanted)
        found.learn({number: 12 * number for number in wanted})
    assert asked <= 3 * 365


@given(STEPS, st.data())
def test_blocks_whose_clocks_nobody_tells_hide_no_others(steps, data):
    clocks = [1000 + sum(steps[:i]) for i in range(len(steps))]
    first = data.draw(st.integers(1, max(1, len(clocks) - 2)))
    dark = set(range(first, min(first + data.draw(st.integers(1, 60)), len(clocks) - 1)))
    ends = sorted({end for end in clocks[1:] if end > clocks[0]})
    found = BlockSearch(ends, {0: clocks[0], len(clocks) - 1: clocks[-1]})
    rounds = 0
    while wanted := found.wanted():
        rounds += 1
        assert rounds < 200
        assert not dark & found._untold.keys() & set(wanted)
        found.learn({number: clocks[number] for number in wanted if number not in dark})
        found.untold({number: "failed" for number in wanted if number in dark})
    for end in ends:
        last = max(number for number, clock in enumerate(clocks) if clock < end)
        assert found.found(end) == last if not {last, last + 1} & dark else found.found(end) in (last, None)
        assert found.found(end) is not None or found.fault(end) == "failed"


def test_clocks_that_run_backwards_are_of_two_chains():
    found = BlockSearch([50], {0: 0, 100: 100})
    with pytest.raises(SourceError, match="not of one chain"):
        found.learn({50: 60, 51: 59})
