"""Sorted sides of many books in one arena: levels as they were sent, the best at the end of each side.

A level's key is its price in units of 10**scale of its book, negated for asks: both sides ascend to the best, and
changes near the top move little. Dropping the worst level moves nothing: the side's first place moves on.

`levels` is int64[places, LEVEL_WORDS], `sides` int64[2 * slots, SIDE_WORDS]: a slot holds one book, its sides are
2 * slot (bids) and 2 * slot + 1 (asks), of one scale.
"""

import numpy as np

from tidelake.kernels.compiling import inner

UNSET = 127  # scale of a book that never held a level
MOST = np.int64(2**63 - 1)
POWERS = np.array([10**i for i in range(19)], dtype=np.int64)
ROOM = 4  # a side is grown before it is fuller than its capacity by one part in so many


# Columns of a level, and of a side: where its places begin, how many there are, where its levels start, how many they
# are, its scale, and how near to the best a level changed since the last checksum (1: the best, 0: all are others).
KEY, SIZE, PRICE_EXPONENT, SIZE_EXPONENT = range(4)
LEVEL_WORDS = 4
# Columns of a level as it was sent.
SENT_SIDE, SENT_PRICE, SENT_PRICE_EXPONENT, SENT_SIZE, SENT_SIZE_EXPONENT = range(5)
SENT_WORDS = 5
BEGIN, CAPACITY, FIRST, COUNT, SCALE, NEAREST = range(6)
SIDE_WORDS = 6


@inner
def scaled(mantissa, exponent, scale):
    """Mantissa * 10**(exponent - scale) for mantissa >= 0 and exponent >= scale; -1 where it does not fit int64."""
    power = exponent - scale
    if power == 0 or mantissa == 0:
        return mantissa
    if power > 18 or mantissa > MOST // POWERS[power]:
        return np.int64(-1)
    return mantissa * POWERS[power]


@inner
def same_value(mantissa, exponent, other, other_exponent):
    """Whether two decimals are equal, whatever zeros stand at their ends."""
    if mantissa == 0 or other == 0:
        return mantissa == other
    if exponent == other_exponent:
        return mantissa == other
    if exponent > other_exponent:
        return scaled(mantissa, exponent, other_exponent) == other
    return scaled(other, other_exponent, exponent) == mantissa


@inner
def rescale(levels, sides, slot, scale):
    """Puts a slot's keys in finer units; False where one does not fit: the slot is then to be cleared."""
    power = sides[2 * slot, SCALE] - scale
    if sides[2 * slot, SCALE] != UNSET and power > 0:
        for side in range(2 * slot, 2 * slot + 2):
            for at in range(sides[side, FIRST], sides[side, FIRST] + sides[side, COUNT]):
                key = levels[at, KEY]
                moved = scaled(abs(key), power, 0)
                if moved < 0:
                    return False
                levels[at, KEY] = moved if key >= 0 else -moved
    sides[2 * slot, SCALE] = scale
    return True


@inner
def clear_slot(sides, slot):
    """Empties both sides."""
    for side in range(2 * slot, 2 * slot + 2):
        sides[side, FIRST] = sides[side, BEGIN]
        sides[side, COUNT] = 0
        sides[side, NEAREST] = 0
    sides[2 * slot, SCALE] = UNSET


@inner
def copy_slot(levels, sides, source, target):
    """Makes one slot equal to another; its capacity must suffice."""
    for side in range(2):
        src, dst = 2 * source + side, 2 * target + side
        start, to = sides[src, FIRST], sides[dst, BEGIN]
        for i in range(sides[src, COUNT]):
            levels[to + i, KEY] = levels[start + i, KEY]
            levels[to + i, SIZE] = levels[start + i, SIZE]
            levels[to + i, PRICE_EXPONENT] = levels[start + i, PRICE_EXPONENT]
            levels[to + i, SIZE_EXPONENT] = levels[start + i, SIZE_EXPONENT]
        sides[dst, FIRST] = to
        sides[dst, COUNT] = sides[src, COUNT]
        sides[dst, NEAREST] = 0
    sides[2 * target, SCALE] = sides[2 * source, SCALE]


@inner
def fits(sides, side, more):
    """Whether a side can take so many more levels, with room left so that it is seldom moved."""
    return sides[side, COUNT] + more <= sides[side, CAPACITY] - sides[side, CAPACITY] // ROOM


@inner
def find(levels, first, end, wanted):
    """First of the places first to end whose key is not below wanted: gallops from the end, then halves."""
    step = 1
    high = end
    low = end - 1
    while low >= first and levels[low, KEY] >= wanted:
        high = low
        low -= step
        step *= 2
    low = max(low, first - 1)  # its key is below, or low is before the side
    while high - low > 1:
        middle = (high + low) // 2
        if levels[middle, KEY] >= wanted:
            high = middle
        else:
            low = middle
    return high


@inner
def set_level(levels, sides, slot, sent, j):
    """Sets or, with size 0, removes level j of `sent`; False where its price does not fit.

    `fits` must have said yes.
    """
    is_ask, size = sent[j, SENT_SIDE], sent[j, SENT_SIZE]
    exponent = sent[j, SENT_PRICE_EXPONENT]
    if exponent < sides[2 * slot, SCALE] and not rescale(levels, sides, slot, exponent):
        return False
    wanted = scaled(sent[j, SENT_PRICE], exponent, sides[2 * slot, SCALE])
    if wanted < 0:
        return False
    if is_ask:
        wanted = -wanted
    side = 2 * slot + is_ask
    first = sides[side, FIRST]
    end = first + sides[side, COUNT]
    at = find(levels, first, end, wanted)
    if at < end and levels[at, KEY] == wanted:
        if size == 0:
            for i in range(at, end - 1):
                _move(levels, i + 1, i)
            sides[side, COUNT] -= 1
            sides[side, NEAREST] = min(sides[side, NEAREST], end - at)
            return True
    elif size == 0:
        return True
    else:
        if end == sides[side, BEGIN] + sides[side, CAPACITY]:
            begin = sides[side, BEGIN]
            for i in range(sides[side, COUNT]):
                _move(levels, first + i, begin + i)
            sides[side, FIRST] = begin
            at -= first - begin
            end -= first - begin
        for i in range(end, at, -1):
            _move(levels, i - 1, i)
        sides[side, COUNT] += 1
        levels[at, KEY] = wanted
        end += 1
    sides[side, NEAREST] = min(sides[side, NEAREST], end - at)
    levels[at, PRICE_EXPONENT] = exponent
    levels[at, SIZE] = size
    levels[at, SIZE_EXPONENT] = sent[j, SENT_SIZE_EXPONENT]
    return True


@inner
def _move(levels, source, target):
    levels[target, KEY] = levels[source, KEY]
    levels[target, SIZE] = levels[source, SIZE]
    levels[target, PRICE_EXPONENT] = levels[source, PRICE_EXPONENT]
    levels[target, SIZE_EXPONENT] = levels[source, SIZE_EXPONENT]


@inner
def cut_to_depth(sides, slot, depth):
    """Drops the worst levels of both sides beyond a depth; 0 keeps all."""
    if depth > 0:
        for side in range(2 * slot, 2 * slot + 2):
            beyond = sides[side, COUNT] - depth
            if beyond > 0:
                sides[side, FIRST] += beyond
                sides[side, COUNT] = depth


@inner
def load_levels(levels, sides, slot, sent, start, end):
    """Replaces a slot's book by levels start to end, in any order; False where a price does not fit.

    Of levels with one price the last counts; those of size 0 are left out.
    """
    clear_slot(sides, slot)
    scale = UNSET
    for i in range(start, end):
        scale = min(scale, sent[i, SENT_PRICE_EXPONENT])
    sides[2 * slot, SCALE] = scale
    bids = _load_side(levels, sides, slot, 0, sent, start, end)
    return _load_side(levels, sides, slot, 1, sent, start, end) and bids


@inner
def _load_side(levels, sides, slot, is_ask, sent, start, end):
    keys = np.empty(end - start, np.int64)
    places = np.empty(end - start, np.int64)
    count = 0
    ascends = True
    for i in range(end - 1, start - 1, -1):  # venues send the best first
        if sent[i, SENT_SIDE] == is_ask:
            key = scaled(sent[i, SENT_PRICE], sent[i, SENT_PRICE_EXPONENT], sides[2 * slot, SCALE])
            if key < 0:
                return False
            keys[count] = -key if is_ask else key
            places[count] = i
            ascends = ascends and (count == 0 or keys[count - 1] < keys[count])
            count += 1
    if not ascends:
        order = np.argsort(keys[:count], kind="mergesort")  # stable: of equal prices the last sent comes first
        keys[:count] = keys[order]
        places[:count] = places[order]
    at = sides[2 * slot + is_ask, BEGIN]
    for j in range(count):
        i = places[j]
        if sent[i, SENT_SIZE] != 0 and (j == 0 or keys[j - 1] != keys[j]):
            levels[at, KEY] = keys[j]
            levels[at, SIZE] = sent[i, SENT_SIZE]
            levels[at, PRICE_EXPONENT] = sent[i, SENT_PRICE_EXPONENT]
            levels[at, SIZE_EXPONENT] = sent[i, SENT_SIZE_EXPONENT]
            at += 1
    sides[2 * slot + is_ask, COUNT] = at - sides[2 * slot + is_ask, BEGIN]
    return True


@inner
def price_as_sent(levels, sides, slot, at):
    """Mantissa of the price at a place, at its own exponent."""
    power = levels[at, PRICE_EXPONENT] - sides[2 * slot, SCALE]
    key = abs(levels[at, KEY])
    return key // POWERS[power] if 0 < power <= 18 else key


@inner
def is_crossed(levels, sides, slot):
    """Whether the best bid is at or above the best ask."""
    bids, asks = 2 * slot, 2 * slot + 1
    if sides[bids, COUNT] == 0 or sides[asks, COUNT] == 0:
        return False
    bid = levels[sides[bids, FIRST] + sides[bids, COUNT] - 1, KEY]
    ask = -levels[sides[asks, FIRST] + sides[asks, COUNT] - 1, KEY]
    return bid >= ask
