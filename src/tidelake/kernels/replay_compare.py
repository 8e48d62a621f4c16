"""A snapshot beside the book that was replayed up to it: where they differ, and what follows from that.

A key is a price that grows as it gets better: the tick of a bid, the negated tick of an ask. The known depth of a side
is the worst key down to which its levels are complete: WHOLE_SIDE where all are, NOTHING where none is known.

`book` is (sizes, bits, head, far, far_count) of `dense_book`; `state` int64[STATE]; `differences` int64[5, room]: side,
tick, size told, size held, and whether the book was known at this price. `state[COUNT]` of them are filled while a
snapshot waits for the next message.
"""

import numpy as np

from tidelake.kernels.compiling import inner
from tidelake.kernels.dense_book import BEST, NO_TICK, apply_levels, best_level, next_level, settle, size_at
from tidelake.kernels.replay_codes import AGREED, BEGAN, BEGUN, DRIFTED, NOT_BEGUN, WHOLE

WHOLE_SIDE, NOTHING = NO_TICK, (1 << 63) - 1

# Of `state`: known depth of both sides; NOT_BEGUN, BROKEN or BEGUN; place of the next event; of the snapshot that is
# compared: its place, kind, count of differences, levels compared, the depth it tells, best keys told and held.
KNOWN, STAND, PLACE, SNAPSHOT, KIND, COUNT, LEVELS, REACH, TOLD_BEST, HELD_BEST = 0, 2, 3, 4, 5, 6, 7, 8, 10, 12
STATE = 14

# Columns of what is said of a snapshot: number of the event of the batch at which it was judged, its place, BEGAN or
# AGREED or DRIFTED, the place before which it speaks of the book, levels compared, prices and sizes that differ.
AT, OF, VERDICT, UNTIL, COMPARED_LEVELS, PRICES, SIZES = range(7)
COMPARED = 7
SIDE, TICK, TOLD, HELD, IS_KNOWN = range(5)


def new_state():
    """The state before the first event, and room for differences."""
    state = np.zeros(STATE, np.int64)
    state[KNOWN], state[KNOWN + 1], state[STAND] = NOTHING, NOTHING, NOT_BEGUN
    return state, np.zeros((5, 64), np.int64)


@inner
def compare(book, state, differences, kind, side, tick, lots, start, end, depth):
    """Writes where the snapshot of levels `start` to `end` differs from the book, which stays as it is.

    Returns the differences, in more room where it was short, and how many are of prices that were known.
    """
    state[KIND], state[COUNT], state[LEVELS] = kind, 0, 0
    known_count = 0
    for which in range(2):
        keys, sizes = _told_levels(side, tick, lots, start, end, which)
        reach = keys[0] if len(keys) else NOTHING
        if len(keys) < (1 if kind == WHOLE else depth):
            reach = WHOLE_SIDE
        state[REACH + which] = reach
        lowest = WHOLE_SIDE if kind == WHOLE else reach
        differences, known = _compare_side(book, state, differences, which, keys, sizes, lowest)
        known_count += known
    return differences, known_count


@inner
def _told_levels(side, tick, lots, start, end, which):
    """Keys and sizes of a side of a snapshot, the best last; of equal prices the last told is the last."""
    keys, sizes = np.empty(end - start, np.int64), np.empty(end - start, np.int64)
    count, sorted_up, sorted_down = 0, True, True
    for level in range(start, end):
        if side[level] == which:
            key = -tick[level] if which else tick[level]
            if count:
                sorted_up &= key > keys[count - 1]
                sorted_down &= key < keys[count - 1]
            keys[count], sizes[count] = key, lots[level]
            count += 1
    keys, sizes = keys[:count], sizes[:count]
    if sorted_up:
        return keys, sizes
    if sorted_down:
        return keys[::-1].copy(), sizes[::-1].copy()
    order = np.argsort(keys, kind="mergesort")
    return keys[order], sizes[order]


@inner
def _compare_side(book, state, differences, which, keys, told_sizes, lowest):
    """Goes down a side of the book and of the snapshot together, to the key `lowest`."""
    sizes, bits, head, far, far_count = book
    limit = max(state[KNOWN + which], state[REACH + which])
    state[HELD_BEST + which] = known_best(book, state, which)
    state[TOLD_BEST + which] = NO_TICK
    known_count = 0
    at = len(keys) - 1
    key, held, place, far_at = next_level(sizes, bits, head, far, which, head[BEST + which], far_count[which] - 1)
    while True:
        told_key = keys[at] if at >= 0 else NO_TICK
        reached = max(key, told_key)
        if reached == NO_TICK or reached < lowest:
            return differences, known_count
        told = here = 0
        if told_key == reached:
            told = told_sizes[at]
            while at >= 0 and keys[at] == reached:
                at -= 1
        if key == reached:
            here = held
            key, held, place, far_at = next_level(sizes, bits, head, far, which, place, far_at)
        if told and state[TOLD_BEST + which] == NO_TICK:
            state[TOLD_BEST + which] = reached
        is_known = reached >= limit
        state[LEVELS] += is_known and (told or here) > 0
        if told != here:
            known_count += is_known
            differences = _with_room(differences, state[COUNT])
            column = state[COUNT]
            differences[SIDE, column], differences[TICK, column] = which, -reached if which else reached
            differences[TOLD, column], differences[HELD, column] = told, here
            differences[IS_KNOWN, column] = is_known
            state[COUNT] += 1


@inner
def _with_room(differences, count):
    """The differences, with room for one more than `count`."""
    if count < differences.shape[1]:
        return differences
    wider = np.zeros((5, 2 * count), np.int64)
    wider[:, :count] = differences
    return wider


@inner
def known_best(book, state, which):
    """The best key of a side; NO_TICK where the known depth holds none."""
    sizes, _, head, far, far_count = book
    key = best_level(sizes, head, far, far_count, which)[0]
    return key if key >= state[KNOWN + which] else NO_TICK


@inner
def judge(book, state, differences, at, waited, said):
    """Says what the snapshot is found to be, and writes it to the columns `said`; the book stays as it is.

    Returns the root mean square of the differences of best bid and best ask, in ticks; NaN where one has no known best.
    """
    said[AT], said[OF], said[COMPARED_LEVELS] = at, state[SNAPSHOT], state[LEVELS]
    said[PRICES], said[SIZES] = _count_differences(book, state, differences)
    said[VERDICT] = DRIFTED if said[PRICES] + said[SIZES] else AGREED
    if state[STAND] != BEGUN:
        said[VERDICT] = BEGAN
    if waited:
        said[UNTIL] = state[PLACE] + at
    else:
        said[UNTIL] = state[SNAPSHOT] + (said[VERDICT] == AGREED)
    return np.nan if said[VERDICT] == BEGAN else _best_distance(book, state)


@inner
def _count_differences(book, state, differences):
    """Prices and sizes that differ from what the book held and holds."""
    sizes, _, head, far, far_count = book
    prices = other_sizes = 0
    for i in range(state[COUNT]):
        told, held = differences[TOLD, i], differences[HELD, i]
        now = size_at(sizes, head, far, far_count, differences[SIDE, i], differences[TICK, i])
        if differences[IS_KNOWN, i] and told != now:
            if told == 0 or (held == 0 and now == 0):
                prices += 1
            else:
                other_sizes += 1
    return prices, other_sizes


@inner
def _best_distance(book, state):
    """Each side's distance is that to the nearer of the bests held at the snapshot and now."""
    squares = 0.0
    for which in range(2):
        told, held, now = state[TOLD_BEST + which], state[HELD_BEST + which], known_best(book, state, which)
        if told == NO_TICK:
            if held != NO_TICK and now != NO_TICK:
                return np.nan
            continue
        if held == NO_TICK and now == NO_TICK:
            return np.nan
        distance = NOTHING
        if held != NO_TICK:
            distance = abs(told - held)
        if now != NO_TICK:
            distance = min(distance, abs(told - now))
        squares += float(distance) ** 2
    return np.sqrt(squares / 2)


@inner
def resynchronise(book, state, differences, verdict):
    """Sets the book where the snapshot differs, and its known depth; False where it has too many far levels."""
    sizes, bits, head, far, far_count = book
    for which in range(2):
        reach = state[REACH + which]
        if verdict == AGREED and state[KIND] != WHOLE:
            reach = min(reach, state[KNOWN + which])
        state[KNOWN + which] = reach
    state[STAND] = BEGUN
    count, state[COUNT] = state[COUNT], 0
    sides, ticks, told = differences[SIDE], differences[TICK], differences[TOLD]
    return apply_levels(sizes, bits, head, far, far_count, sides, ticks, told, 0, count) and settle_both(
        sizes, bits, head, far, far_count
    )


@inner
def settle_both(sizes, bits, head, far, far_count):
    """Moves the window where far levels are the best; False where too many levels are far then."""
    if far_count[0] and not settle(sizes, bits, head, far, far_count, 0):
        return False
    return not far_count[1] or settle(sizes, bits, head, far, far_count, 1)
