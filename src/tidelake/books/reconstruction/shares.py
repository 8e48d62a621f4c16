"""How many events, and how much time, a book was in each state."""

from collections import Counter

import numpy as np

from tidelake.books.reconstruction.batch import EventBatch
from tidelake.books.reconstruction.task import Shares, StateShare
from tidelake.books.reconstruction.verdicts import Verdicts
from tidelake.books.states import STATES, VALID


def add_shares(so_far: Shares, batch: EventBatch, verdicts: Verdicts) -> Shares:
    """With the events of one more batch; what is known after an event holds until the next."""
    if not len(batch):
        return so_far
    events, ns = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for share in so_far.shares:
        events[share.state, share.reason], ns[share.state, share.reason] = share.events, share.ns
    if so_far.state:
        ns[so_far.state, so_far.reason] += int(batch.clock_ns[0]) - so_far.clock_ns
    width = len(verdicts.rules) + 1
    codes = verdicts.state[1:].astype(np.int64) * width + verdicts.rule[1:]
    counts = np.bincount(codes)
    times = np.bincount(codes[:-1], np.diff(batch.clock_ns), len(counts))
    for code in np.flatnonzero(counts).tolist():
        key = _key(code, width, verdicts)
        events[key] += int(counts[code])
        ns[key] += int(times[code])
    state, reason = _key(int(codes[-1]), width, verdicts)
    shares = tuple(StateShare(*key, events[key], ns[key]) for key in sorted(events))
    return Shares(shares, state, reason, int(batch.clock_ns[-1]))


def _key(code: int, width: int, verdicts: Verdicts) -> tuple[str, str]:
    state, rule = divmod(code, width)
    return STATES[state], "" if state == VALID else verdicts.rules[rule]
