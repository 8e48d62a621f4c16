"""What is known of each event equals what is said event by event, by looking forward to the next snapshot."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings, strategies as st

from tests.books.reconstruction.event_columns import as_batch
from tests.books.reconstruction.slow_replay import DELTA, PART, TRADE, Event, SlowReplay
from tests.books.reconstruction.test_replay import streams
from tidelake.books.reconstruction.judging import FINDINGS, FirstPass, Intervals
from tidelake.books.reconstruction.replay import Replay
from tidelake.books.states import STATES

WORST = (
    ("not begun", ("INVALID", "no snapshot yet")),
    ("broken", ("INVALID", "sequence break")),
    ("past depth", ("INVALID", "past the known depth")),
    ("crossed", ("SUSPECT", "crossed or locked")),
)
BY_VERDICT = {
    "began": ("UNPROVABLE", "no later snapshot"),
    "agreed": ("VALID", "snapshot+snapshot"),
    "drifted": ("SUSPECT", "differs from the next snapshot"),
}


def said_slowly(events, depth, anchored):
    """Of each event the state, the rule or reason, and the receive clock at which it was known."""
    slow = SlowReplay(depth, 0, None)
    slow.run([Event(e.kind, e.levels, e.clock_ns, e.broken, exact=True) for e in events] if anchored else events)
    slow.finish()
    for place, after in enumerate(slow.after):
        now = next((found for word, found in WORST if word in after.words), None)
        by = next((judged for judged in slow.judged if judged.until > place), None)
        if now or anchored:
            yield *(now or ("UNPROVABLE", "the vendor's word")), 0
        elif by:
            yield *BY_VERDICT[by.verdict], 1000 + min(by.at, len(events) - 1)
        else:
            yield "UNPROVABLE", "no later snapshot", 1000 + len(events) - 1


def said_fast(parts, depth, anchored):
    replay, first = Replay(depth, levels=0, anchored=anchored), FirstPass(anchored=anchored)
    place = 0
    for part in parts:
        batch = as_batch(part, place)
        first.take(batch, replay.run(batch))
        place += len(part)
    intervals = Intervals.unpack(first.finish(replay.finish()).pack())
    for finding, known_ns in zip(*(found.tolist() for found in intervals.of_events(np.arange(place))), strict=True):
        state, words = FINDINGS[finding]
        yield STATES[state], words, known_ns


@settings(deadline=None, max_examples=200)
@given(streams(), st.integers(0, 3), st.lists(st.integers(0, 40), max_size=4), st.booleans())
def test_findings_equal_those_said_event_by_event(events, depth, cuts, anchored):
    ends = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    parts = [events[start:end] for start, end in pairwise(ends)]
    assert list(said_fast(parts, depth, anchored)) == list(said_slowly(events, depth, anchored))


BOOK = [(0, 10, 1), (1, 12, 1)]


def test_a_snapshot_that_agrees_proves_what_came_since_the_one_before():
    events = [
        Event(TRADE, []),
        Event(PART, BOOK),
        Event(DELTA, [(0, 11, 1)]),
        Event(PART, [(0, 11, 1), (1, 12, 1)]),
        Event(DELTA, [(0, 11, 0)]),
    ]
    assert list(said_fast([events], 1, anchored=False)) == [
        ("INVALID", "no snapshot yet", 0),
        *[("VALID", "snapshot+snapshot", 1003)] * 3,
        ("UNPROVABLE", "no later snapshot", 1004),
    ]


def test_intervals_do_not_grow_with_events():
    events = [Event(PART, BOOK), *[Event(DELTA, [(0, 9, i % 5)]) for i in range(5000)], Event(PART, BOOK)]
    replay, first = Replay(1, levels=0), FirstPass()
    for start in range(0, len(events), 100):
        batch = as_batch(events[start : start + 100], start)
        first.take(batch, replay.run(batch))
    assert len(first.finish(replay.finish())) == 1


def test_a_day_without_events_has_no_intervals():
    assert len(FirstPass().finish(Replay(1).finish())) == 0
