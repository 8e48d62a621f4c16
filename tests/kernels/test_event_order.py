"""Kernels that order events against lists and sorts."""

import numpy as np
from hypothesis import given, settings, strategies as st

from tidelake.kernels.event_order import furthest_back, mark_repeats, merge_order

SORTED = st.lists(st.integers(0, 6), max_size=8).map(sorted)
LEVELS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1)), max_size=6)
MESSAGES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), LEVELS), max_size=8)


@settings(deadline=None)  # the first call compiles
@given(SORTED, SORTED)
def test_merge_takes_what_is_sure_in_the_order_of_a_stable_sort(one, other):
    from_other = np.zeros(len(one) + len(other), np.bool_)
    i, j = merge_order(np.array(one, np.int64), np.array(other, np.int64), from_other)
    assert i == len(one) or j == len(other)
    whole = sorted([(key, False) for key in one] + [(key, True) for key in other])
    assert from_other[: i + j].tolist() == [second for _, second in whole[: i + j]]


def naive_repeats(messages, deltas):
    said, kept, lengths, repeats, last = [], [], [], [], None
    for unit, clock, levels in messages:
        length = len(levels)
        if deltas and levels:
            length = next(n for n in range(1, len(levels) + 1) if levels[:n] * (len(levels) // n) == levels)
        saying = (unit, clock, levels[:length])
        kept.append(saying not in said and not (deltas and last == (unit, levels[:length])))
        last = (unit, levels[:length]) if kept[-1] else last
        said.append(saying)
        lengths.append(length)
        repeats.append(len(levels) // length - 1 if length else 0)
    return kept, lengths, repeats


@settings(deadline=None, max_examples=300)
@given(MESSAGES, st.booleans())
def test_repeats_are_those_of_a_list_of_what_was_said(messages, deltas):
    messages = sorted(messages, key=lambda message: message[0])
    side, tick, lots = np.array([level for *_, held in messages for level in held], np.int64).reshape(-1, 3).T
    level_from = np.cumsum([0, *(len(held) for *_, held in messages)])
    units = np.array([unit for unit, *_ in messages], np.int64)
    clocks = np.array([[clock] for _, clock, _ in messages], np.int64).reshape(-1, 1)
    length, repeats = np.empty(len(messages), np.int64), np.empty(len(messages), np.int64)
    levels = side.astype(np.uint8), tick.copy(), lots.copy()
    kept = mark_repeats(units, clocks, level_from, *levels, deltas, length, repeats)
    assert (kept.tolist(), length.tolist(), repeats.tolist()) == naive_repeats(messages, deltas)


@settings(deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=12), st.integers(0, 20))
def test_furthest_back_is_the_largest_fall_below_what_came_before(clocks, latest):
    found = furthest_back(np.array(clocks, np.int64), latest)
    falls = [max([latest, *clocks[: at + 1]]) - clock for at, clock in enumerate(clocks)]
    assert tuple(found) == (max([latest, *clocks]), max(falls))
