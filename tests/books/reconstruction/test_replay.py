"""The replay of arrays equals the replay of dicts, however its events are cut and whenever it is written down."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings, strategies as st

from tests.books.reconstruction.event_columns import as_after, as_batch, as_judged, as_shown
from tests.books.reconstruction.slow_replay import DELTA, PART, TRADE, WHOLE, Event, SlowReplay
from tidelake.books.reconstruction.book_state import read_state, write_state
from tidelake.books.reconstruction.replay import Replay
from tidelake.errors import ReplayRefused
from tidelake.kernels.dense_book import FAR, NO_TICK, WINDOW

MIDDLE = 3 * WINDOW
NEAR = list(range(MIDDLE, MIDDLE + 8))
FAR_AWAY = [1, MIDDLE - 2 * WINDOW, MIDDLE - WINDOW, MIDDLE + WINDOW, MIDDLE + 2 * WINDOW]
LOTS = st.sampled_from([0, 0, 1, 2])


@st.composite
def streams(draw):
    """Events in which a snapshot often shows the book that deltas made, or some of the next delta: else none agrees."""
    ticks = draw(st.sampled_from([NEAR, NEAR + FAR_AWAY]))
    crosses = draw(st.booleans())
    offered = [[t for t in ticks if crosses or (t > MIDDLE + 4) == bool(which)] for which in (0, 1)]
    sides = [st.tuples(st.just(which), st.sampled_from(offered[which]), LOTS) for which in (0, 1)]
    messages = st.lists(st.one_of(sides), max_size=6)
    book: list[dict[int, int]] = [{}, {}]
    events: list[Event] = []
    clock = 0
    for _ in range(draw(st.integers(1, 20))):
        clock += draw(st.sampled_from([0, 0, 1, 4, 11]))
        levels, broken = draw(messages), draw(st.integers(0, 15)) == 0
        kind = draw(st.sampled_from([TRADE, DELTA, DELTA, DELTA, PART, PART, PART, WHOLE]))
        broken = broken and kind != TRADE  # trades have no part in a book's numbers
        if kind == DELTA:
            if draw(st.booleans()):
                ahead = after(book, draw(st.lists(st.sampled_from(levels)) if levels else st.just([])))
                events.append(Event(PART, draw(snapshots(ahead, WHOLE)), clock, exact=False))
            if draw(st.integers(0, 5)):
                book = after(book, levels)
        elif kind in (PART, WHOLE) and draw(st.integers(0, 4)):
            levels = draw(snapshots(book, kind))
        events.append(Event(kind, levels, clock, broken, exact=draw(st.booleans())))
    return events


def after(book, levels):
    book = [dict(side) for side in book]
    for side, tick, lots in levels:
        book[side][tick] = lots
    return book


@st.composite
def snapshots(draw, book, kind):
    held = [sorted(((t, q) for t, q in side.items() if q), reverse=not which) for which, side in enumerate(book)]
    depth = [len(side) if kind == WHOLE else draw(st.integers(0, 3)) for side in held]
    levels = [(which, *level) for which in (0, 1) for level in held[which][: depth[which]]]
    return draw(st.permutations(levels)) if draw(st.booleans()) else levels


def cut(draw, events):
    places = draw(st.lists(st.integers(0, len(events)), max_size=4))
    return list(pairwise([0, *sorted(places), len(events)]))


@settings(deadline=None, max_examples=400)
@given(st.data(), streams(), st.integers(0, 4), st.integers(0, 3), st.sampled_from([None, 1, 5]), st.booleans())
def test_replay_equals_the_replay_of_dicts(data, events, depth, levels, every_ns, is_written):
    slow = SlowReplay(depth, levels, every_ns)
    slow.run(events)
    slow.finish()
    fast = Replay(depth, levels, every_ns)
    outs = []
    for start, end in cut(data.draw, events):
        outs.append(fast.run(as_batch(events[start:end], start)))
        if is_written:
            written, fast = write_state(fast), Replay(depth, levels, every_ns)
            read_state(fast, written)
            assert write_state(fast) == written
    outs.append(fast.finish())
    assert [after for out in outs for after in as_after(out)] == slow.after
    np.testing.assert_equal(_rows(judged for out in outs for judged in as_judged(out)), _rows(slow.judged))
    if levels:
        assert [row for out in outs for row in as_shown(out)] == slow.shown


def _rows(judged):
    """As rows of which a NaN equals another."""
    return [dataclasses.astuple(row) for row in judged]


GOOD = [Event(WHOLE, [(0, 10, 1), (1, 12, 1)], 5), Event(DELTA, [(0, 11, 1)], 7)]


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([Event(DELTA, [(0, 10, 1), (1, 0, 1)], 8)], r"^Event 2 .*row 2\) has a price out of range: 0 in level 1"),
        ([Event(DELTA, [(0, -3, 1)], 8)], "a price out of range: -3 in level 0"),
        ([Event(TRADE, [(2, 3, 1)], 8), Event(PART, [(1, 12, -1)], 8)], "^Event 3 .*a negative size: -1"),
        ([Event(PART, [(2, 12, 1)], 8)], "neither bid nor ask: 2"),
        ([Event(TRADE, [(0, 12, 1)], 6)], "a clock that runs backwards: 6"),
    ],
)
def test_wrong_events_are_refused_by_their_place(events, said):
    replay = Replay(depth=5)
    replay.run(as_batch(GOOD))
    with pytest.raises(ReplayRefused, match=said):
        replay.run(as_batch(events, 2))
    with pytest.raises(ReplayRefused, match="refused before"):
        replay.run(as_batch([], 2))


def test_levels_that_do_not_belong_to_events_are_refused():
    batch = as_batch(GOOD)
    with pytest.raises(ReplayRefused, match="does not part 3 levels among 2 events"):
        Replay(depth=5).run(dataclasses.replace(batch, level_from=np.array([0, 2, 2])))


def test_more_far_levels_than_the_book_holds_are_refused():
    levels = [(1, 10 * WINDOW + 3 * i, 1) for i in range(FAR + 1)]
    with pytest.raises(ReplayRefused, match=r"^Event 2: more than 65,536 levels"):
        Replay(depth=5).run(as_batch([*GOOD, Event(DELTA, levels, 8)]))


def test_removed_far_levels_make_room_for_others():
    levels = [(1, 10 * WINDOW + 3 * i, 1) for i in range(FAR)]
    removed = [(side, tick, 0) for side, tick, _ in levels[1:]]
    events = [Event(DELTA, levels, 8), Event(DELTA, removed, 8), Event(DELTA, [(1, 20 * WINDOW, 3)], 8)]
    out = Replay(depth=5, levels=4).run(as_batch([*GOOD, *events]))
    assert out.shown.tick[-1, 1].tolist() == [12, 10 * WINDOW, 20 * WINDOW, NO_TICK]


@pytest.mark.parametrize("written", [b"", b"no zstd", zstandard.compress(b"no state")])
def test_bytes_that_are_no_state_are_refused(written):
    with pytest.raises(ReplayRefused, match="cannot be read"):
        read_state(Replay(depth=5), written)


def test_without_deltas_a_snapshot_is_taken_as_it_comes():
    events = [Event(PART, [(0, 10, 1), (1, 12, 1)], 1), Event(PART, [(0, 11, 1), (1, 12, 1)], 2, exact=False)]
    out = Replay(depth=1, anchored=True).run(as_batch(events))
    assert out.best_tick.tolist() == [[10, 12], [11, 12]]
    assert [judged.verdict for judged in as_judged(out)] == ["began", "drifted"]
