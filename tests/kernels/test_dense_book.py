"""The book indexed by tick equals two dicts, also where levels lie far away and the window moves."""

import numpy as np
from hypothesis import given, settings, strategies as st

from tidelake.kernels.dense_book import NO_TICK, WINDOW, apply_messages, empty_book

NEAR = st.integers(1_000_000, 1_000_010)
FAR_AWAY = st.sampled_from([0, 5, 1_000_000 - WINDOW, 1_000_000 + WINDOW, 1_000_000 + 3 * WINDOW])
LEVELS = st.lists(st.tuples(st.integers(0, 1), NEAR | FAR_AWAY, st.sampled_from([0, 0, 1, 7])), max_size=5)


def tops_of_dicts(messages):
    book = {}, {}
    for levels in messages:
        for side, tick, size in levels:
            book[side].pop(tick, None)
            if size:
                book[side][tick] = size
        yield max(book[0], default=NO_TICK), min(book[1], default=NO_TICK)


@settings(deadline=None)  # the first call compiles
@given(st.lists(LEVELS, min_size=1, max_size=40))
def test_best_ticks_equal_those_of_dicts(messages):
    levels = np.array([level for held in messages for level in held], np.int64).reshape(-1, 3)
    ends = np.cumsum([len(held) for held in messages]).astype(np.int64)
    tops = np.empty((len(messages), 2), np.int64)
    side, tick, size = levels[:, 0].astype(np.uint8), levels[:, 1].copy(), levels[:, 2].copy()
    sizes, bits, head, far, far_count = empty_book()
    assert apply_messages(sizes, bits, head, far, far_count, side, tick, size, ends, tops)
    assert [tuple(row) for row in tops.tolist()] == list(tops_of_dicts(messages))


def test_too_many_far_levels_are_refused():
    far = np.arange(0, 70_000, dtype=np.int64) * 10 + 10 * WINDOW
    tick = np.concatenate([[np.int64(0)], far])
    size = np.ones(len(tick), np.int64)
    ends, tops = np.array([len(tick)], np.int64), np.empty((1, 2), np.int64)
    sizes, bits, head, far, far_count = empty_book()
    asks = np.ones(len(tick), np.uint8)
    assert not apply_messages(sizes, bits, head, far, far_count, asks, tick, size, ends, tops)


def test_a_book_takes_less_than_16_mb():
    assert sum(array.nbytes for array in empty_book()) < 16 << 20
