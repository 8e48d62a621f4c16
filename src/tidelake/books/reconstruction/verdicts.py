"""What the first pass found of the book, as the second one reads it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidelake.books.reconstruction.batch import Codes, Integers
from tidelake.books.reconstruction.judging import FINDINGS, NO_SNAPSHOT, Intervals

STATE_OF = np.array([state for state, _ in FINDINGS], np.uint8)
RULES = tuple(rule for _, rule in FINDINGS)


@dataclass(frozen=True)
class Verdicts:
    """What is known of the book at n + 1 places: before the first event of a batch, and after each.

    Attributes:
        state: uint8[n + 1], codes of `books.states`.
        rule: uint8[n + 1], places in `rules`.
        known_ns: int64[n + 1], receive clock of the snapshot by which it was judged; 0 where there is none.
        rules: By code, what proved it, or the reason.
    """

    state: Codes
    rule: Codes
    known_ns: Integers
    rules: Sequence[str]


def verdicts_of(intervals: Intervals, place: int, count: int) -> Verdicts:
    """Before the event with this place in the day, and after each of `count` events from there."""
    finding = np.full(count + 1, NO_SNAPSHOT, np.uint8)
    known_ns = np.zeros(count + 1, np.int64)
    first = 0 if place else 1
    if first <= count and len(intervals.end):
        finding[first:], known_ns[first:] = intervals.of_events(np.arange(place - 1 + first, place + count))
    return Verdicts(STATE_OF[finding], finding, known_ns, RULES)
