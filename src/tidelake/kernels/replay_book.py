"""The replay of one symbol's events: the book after each of them, and what its snapshots say about it.

The book is set by DELTA messages, each read at its end alone. A snapshot is compared with it and then sets it, as
`replay_compare` says. A PART that is not `exact` and differs waits for the next DELTA, for it may show some of it: each
of its prices must then have the size from before that message or after it. Where another snapshot comes first, or a
break, or the end, it is compared with the book as it stands. Trades change nothing.
"""

from tidelake.kernels.compiling import inner, kernel
from tidelake.kernels.dense_book import BEST, NO_TICK, apply_levels, best_level, next_level
from tidelake.kernels.replay_codes import (
    BEGUN,
    BROKEN,
    DELTA,
    FLAG_BEGAN,
    FLAG_BROKEN,
    FLAG_CROSSED,
    FLAG_NOT_BEGUN,
    FLAG_PAST_DEPTH,
    NOT_BEGUN,
    TRADE,
    WHOLE,
)
from tidelake.kernels.replay_compare import (
    COUNT,
    KNOWN,
    NOTHING,
    PLACE,
    SNAPSHOT,
    STAND,
    VERDICT,
    compare,
    judge,
    resynchronise,
    settle_both,
)

FITS = -1


@kernel
def replay(book, state, differences, events, depth, is_end, shown_after, told, compared, distance, shown):
    """Replays n events with m levels.

    Args:
        book, state: As `replay_compare` says; changed.
        differences: As there; what is returned takes its place.
        events: (kind uint8[n], broken uint8[n], exact uint8[n], level_from int64[n + 1], side uint8[m], tick int64[m],
            lots int64[m]), as `books.reconstruction.batch` says.
        depth: Levels of a side that a PART tells where there are as many.
        is_end: Whether a snapshot that waits after the last event is judged now.
        shown_after: int64[r], sorted: after how many of the events levels are shown.
        told: Written, (best_tick int64[n, 2], best_lots int64[n, 2], known uint8[n, 2], flags uint8[n]): the best bid
            and ask after each event (NO_TICK and 0 where there is none), whether it lies in the known depth.
        compared, distance: Written, int64[s + 1, COMPARED] and float64[s + 1], where s is the count of snapshots.
        shown: Written, (tick int64[r, 2, k], lots int64[r, 2, k], known int32[r, 2]): the best k levels of both sides,
            the best first, NO_TICK and 0 where there are fewer, and how many of them lie in the known depth.

    Returns the number of the event at which too many levels are far, FITS where none is; how many rows of `compared`
    are written; the differences. Where it does not fit, the book is to be thrown away.

    Trusts: shapes, order, sides of 0 and 1 but for trades, ticks > 0, lots >= 0. Cost: O(1) per level near the best,
    O(levels in its range) per snapshot (benchmarks/reconstruct.py). Oracle: slow_replay.py, under tests.
    """
    sizes, bits, head, far, far_count = book
    kind, broken, exact, level_from, side, tick, lots = events
    best_tick, best_lots, known, flags = told
    said = row = 0
    for i in range(len(kind)):
        while row < len(shown_after) and shown_after[row] == i:
            _show(book, state, shown, row)
            row += 1
        flags[i] = 0
        start, end = level_from[i], level_from[i + 1]
        if kind[i] != TRADE and state[COUNT] and (broken[i] or kind[i] != DELTA):
            if not _conclude(book, state, differences, i, True, flags, compared[said], distance[said : said + 1]):
                return i, said, differences
            said += 1
        if kind[i] != TRADE and broken[i]:
            state[KNOWN], state[KNOWN + 1], state[STAND] = NOTHING, NOTHING, BROKEN
        if kind[i] == DELTA:
            fits = _set_levels(sizes, bits, head, far, far_count, side, tick, lots, start, end)
            if fits and state[COUNT]:
                fits = _conclude(book, state, differences, i, True, flags, compared[said], distance[said : said + 1])
                fits = fits and _set_levels(sizes, bits, head, far, far_count, side, tick, lots, start, end)
                said += 1
            if not fits:
                return i, said, differences
        elif kind[i] != TRADE:
            state[SNAPSHOT] = state[PLACE] + i
            differences, known_count = compare(book, state, differences, kind[i], side, tick, lots, start, end, depth)
            if exact[i] or kind[i] == WHOLE or not known_count:
                if not _conclude(book, state, differences, i, False, flags, compared[said], distance[said : said + 1]):
                    return i, said, differences
                said += 1
        _tell(sizes, head, far, far_count, state, best_tick, best_lots, known, flags, i)
    while row < len(shown_after):
        _show(book, state, shown, row)
        row += 1
    if is_end and state[COUNT]:
        n = len(kind)
        if not _conclude(book, state, differences, n, True, flags, compared[said], distance[said : said + 1]):
            return n, said, differences
        said += 1
    state[PLACE] += len(kind)
    return FITS, said, differences


@inner(inline="always")
def _set_levels(sizes, bits, head, far, far_count, side, tick, lots, start, end):
    """Sets the levels of a message; False where the book then has too many far ones."""
    if not apply_levels(sizes, bits, head, far, far_count, side, tick, lots, start, end):
        return False
    return settle_both(sizes, bits, head, far, far_count)


@inner
def _conclude(book, state, differences, at, waited, flags, said, distance):
    """Judges the snapshot that was compared, and sets the book by it; False where it then has too many far levels."""
    distance[0] = judge(book, state, differences, at, waited, said)
    if at < len(flags):
        flags[at] |= FLAG_BEGAN << said[VERDICT]
    return resynchronise(book, state, differences, said[VERDICT])


@inner(inline="always")
def _tell(sizes, head, far, far_count, state, best_tick, best_lots, known, flags, i):
    """Writes the best levels after an event, and adds to its flags how the book stands."""
    bid, bid_lots = best_level(sizes, head, far, far_count, 0)
    ask, ask_lots = best_level(sizes, head, far, far_count, 1)
    best_tick[i, 0], best_tick[i, 1] = bid, NO_TICK if ask == NO_TICK else -ask
    best_lots[i, 0], best_lots[i, 1] = bid_lots, ask_lots
    known[i, 0] = bid != NO_TICK and bid >= state[KNOWN]
    known[i, 1] = ask != NO_TICK and ask >= state[KNOWN + 1]
    if bid != NO_TICK and ask != NO_TICK and bid >= -ask:
        flags[i] |= FLAG_CROSSED
    if not (known[i, 0] and known[i, 1]):
        flags[i] |= FLAG_PAST_DEPTH
    if state[STAND] != BEGUN:
        flags[i] |= FLAG_NOT_BEGUN if state[STAND] == NOT_BEGUN else FLAG_BROKEN


@inner
def _show(book, state, shown, row):
    """Writes the best levels of both sides."""
    sizes, bits, head, far, far_count = book
    ticks, lots, known = shown
    for which in range(2):
        known[row, which] = 0
        place, far_at = head[BEST + which], far_count[which] - 1
        for k in range(ticks.shape[2]):
            key, size, place, far_at = next_level(sizes, bits, head, far, which, place, far_at)
            ticks[row, which, k] = -key if which and key != NO_TICK else key
            lots[row, which, k] = size
            known[row, which] += key != NO_TICK and key >= state[KNOWN + which]


@kernel
def write_levels(book, which, ticks, lots):
    """Writes the best levels of a side, as many as the arrays, int64[n], hold; returns how many there are."""
    sizes, bits, head, far, far_count = book
    place, far_at = head[BEST + which], far_count[which] - 1
    count = 0
    while True:
        key, size, place, far_at = next_level(sizes, bits, head, far, which, place, far_at)
        if key == NO_TICK:
            return count
        if count < len(ticks):
            ticks[count], lots[count] = -key if which else key, size
        count += 1
