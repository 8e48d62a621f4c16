"""One book indexed by tick: a size per tick of a window around the best prices, and a bit per tick to find the next.

Both sides stand so that a higher place is better: bid at tick - base, ask at the same place counted from the other end.
What lies outside the window is far: it stands in `far`, sorted, and comes in when the window is moved.

`sizes` is int64[2 * WINDOW], bids then asks; `bits` uint64[2 * WORDS]; `head` int64[3]: base, and the best place of
bids and asks, -1 where the window holds none; `far` int64[2, FAR, 2]: tick (negated for asks) and size, the best at the
end, 0 where a level was removed; `far_count` int64[2]. Together they are 11 MB.

What is done for each level or event is inlined, for a call with so many arrays costs more than its work.
"""

import numpy as np

from tidelake.kernels.compiling import inner, kernel

WINDOW = 1 << 19
MIRROR = WINDOW - 1  # place ^ MIRROR counts from the other end
WORDS = WINDOW >> 6
FAR = 1 << 16
BASE, BEST = 0, 1
NO_TICK = -(1 << 63)
ONE, SIX = np.uint64(1), np.uint64(6)


def empty_book():
    """The arrays of a book without levels: sizes, bits, head, far, far_count."""
    sizes, bits = np.zeros(2 * WINDOW, np.int64), np.zeros(2 * WORDS, np.uint64)
    return sizes, bits, np.array([NO_TICK, -1, -1], np.int64), np.zeros((2, FAR, 2), np.int64), np.zeros(2, np.int64)


@kernel
def apply_messages(sizes, bits, head, far, far_count, side, tick, size, message_end, tops):
    """Sets levels message by message, and writes the best ticks after each.

    Args:
        sizes, bits, head, far, far_count: The book, changed.
        side: uint8[m], 0 bid, 1 ask.
        tick: int64[m], price in ticks.
        size: int64[m] >= 0, what stands there; 0 removes.
        message_end: int64[n], end of each message's levels.
        tops: int64[n, 2], written: best bid and ask tick, NO_TICK where a side is empty.

    Returns False where more than FAR levels of a side lie outside the window; the book is then to be thrown away.

    Trusts: shapes and order. Cost: O(1) per level near the best (benchmarks/books.py). Oracle: dicts, under tests.
    """
    j = 0
    for message in range(len(message_end)):
        if not apply_levels(sizes, bits, head, far, far_count, side, tick, size, j, message_end[message]):
            return False
        j = message_end[message]
        for which in range(2):
            if far_count[which] and not settle(sizes, bits, head, far, far_count, which):
                return False
            best = head[BEST + which]
            tops[message, which] = head[BASE] + (best ^ (-which & MIRROR)) if best >= 0 else NO_TICK
    return True


@inner(inline="always")
def apply_levels(sizes, bits, head, far, far_count, side, tick, size, start, end):
    """Sets the levels `start` to `end`; False where a side then has too many far ones."""
    if head[BASE] == NO_TICK and start < end:
        head[BASE] = tick[start] - WINDOW // 2
    base, bid, ask = head[BASE], head[BEST], head[BEST + 1]  # held here: as calls these steps take twice as long
    for level in range(np.uint64(start), np.uint64(end)):  # of a signed place numba asks if it counts from the end
        is_ask = np.int64(side[level])
        place = tick[level] - base
        if place < 0 or place >= WINDOW:
            if not _set_far(far, far_count, is_ask, tick[level], size[level]):
                return False
            continue
        place ^= -is_ask & MIRROR
        at = np.uint64(is_ask * WINDOW + place)
        bit = ONE << np.uint64(place & 63)
        word, lots = bits[at >> SIX], size[level]
        sizes[at] = lots
        bits[at >> SIX] = word | bit if lots else word & ~bit
        best = ask if is_ask else bid
        if place >= best:
            if lots:
                best = place
            elif place == best:
                best = best_below(bits, is_ask, place)
            if is_ask:
                ask = best
            else:
                bid = best
    head[BEST], head[BEST + 1] = bid, ask
    return True


@inner(inline="always")
def best_level(sizes, head, far, far_count, which):
    """Key (the tick, negated for asks) and size of the best level of a side; NO_TICK and 0 where there is none."""
    key, lots = NO_TICK, 0
    place = head[BEST + which]
    if place >= 0:
        tick = head[BASE] + (place ^ (-which & MIRROR))
        key, lots = -tick if which else tick, sizes[which * WINDOW + place]
    far_at = far_count[which] - 1
    while far_at >= 0 and far[which, far_at, 1] == 0:
        far_at -= 1
    if far_at >= 0 and far[which, far_at, 0] > key:
        key, lots = far[which, far_at, 0], far[which, far_at, 1]
    return key, lots


@inner(inline="always")
def next_level(sizes, bits, head, far, which, place, far_at):
    """The best level of a side at or below a place of the window and a place of the far ones.

    Begin with the best place and far_count - 1. Gives key (the tick, negated for asks; NO_TICK where there is none),
    size, and both places from which to go on.
    """
    while far_at >= 0 and far[which, far_at, 1] == 0:
        far_at -= 1
    key = NO_TICK
    if place >= 0:
        tick = head[BASE] + (place ^ (-which & MIRROR))
        key = -tick if which else tick
    if far_at >= 0 and far[which, far_at, 0] > key:
        return far[which, far_at, 0], far[which, far_at, 1], place, far_at - 1
    if place < 0:
        return NO_TICK, 0, -1, -1
    lots = sizes[which * WINDOW + place]
    word = bits[which * WORDS + (place >> 6)] & ((ONE << np.uint64(place & 63)) - ONE)
    below = (place & ~63) + _highest(word) if word else best_below(bits, which, (place & ~63) - 1)
    return key, lots, below, far_at


@inner
def size_at(sizes, head, far, far_count, which, tick):
    """What stands at a tick; 0 where nothing does."""
    place = tick - head[BASE]
    if 0 <= place < WINDOW:
        return sizes[which * WINDOW + (place ^ (-which & MIRROR))]
    key = -tick if which else tick
    at = _far_place(far, far_count, which, key)
    return far[which, at, 1] if at < far_count[which] and far[which, at, 0] == key else 0


@kernel
def best_below(bits, is_ask, place):
    """The best place of a side at or below one; -1 where there is none."""
    low = is_ask * WORDS
    at = low + (place >> 6)
    while at >= low and bits[at] == 0:
        at -= 1
    return ((at - low) << 6) + _highest(bits[at]) if at >= low else -1


@kernel
def _highest(word):
    """Place of the highest set bit of a word that is not 0."""
    at = 0
    for step in (32, 16, 8, 4, 2, 1):
        if word >> np.uint64(step):
            word >>= np.uint64(step)
            at += step
    return at


@kernel
def _far_place(far, far_count, which, key):
    """Where a key stands among the far levels of a side, or would stand."""
    low, high = 0, far_count[which]
    while low < high:
        middle = (low + high) // 2
        if far[which, middle, 0] < key:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _set_far(far, far_count, is_ask, tick, size):
    """Sets a level outside the window; a removed one keeps its place while there is room, for far levels come again."""
    key = -tick if is_ask else tick
    at = _far_place(far, far_count, is_ask, key)
    if at < far_count[is_ask] and far[is_ask, at, 0] == key:
        far[is_ask, at, 1] = size
        return True
    if size == 0:
        return True
    if far_count[is_ask] == FAR:
        _drop_removed(far, far_count, is_ask)
        at = _far_place(far, far_count, is_ask, key)
    if far_count[is_ask] == FAR:
        return False
    for i in range(far_count[is_ask], at, -1):
        far[is_ask, i, 0], far[is_ask, i, 1] = far[is_ask, i - 1, 0], far[is_ask, i - 1, 1]
    far[is_ask, at, 0], far[is_ask, at, 1] = key, size
    far_count[is_ask] += 1
    return True


@kernel
def _drop_removed(far, far_count, which):
    """Closes the places of removed far levels."""
    kept = 0
    for i in range(far_count[which]):
        if far[which, i, 1]:
            far[which, kept, 0], far[which, kept, 1] = far[which, i, 0], far[which, i, 1]
            kept += 1
    far_count[which] = kept


@kernel
def settle(sizes, bits, head, far, far_count, which):
    """Moves the window where a far level of a side is its best; False where the far levels are then too many."""
    while far_count[which] and far[which, far_count[which] - 1, 1] == 0:
        far_count[which] -= 1
    if not far_count[which]:
        return True
    key = far[which, far_count[which] - 1, 0]
    tick = -key if which else key
    beyond = tick < head[BASE] if which else tick >= head[BASE] + WINDOW
    if head[BEST + which] >= 0 and not beyond:
        return True
    return _move(sizes, bits, head, far, far_count, tick - WINDOW // 2)


@kernel
def _move(sizes, bits, head, far, far_count, base):
    """Puts the window at another base; every level finds its place again."""
    held = [(0, np.int64(0), np.int64(0)) for _ in range(0)]
    for which in range(2):
        place = best_below(bits, which, WINDOW - 1)
        while place >= 0:
            at = which * WINDOW + place
            held.append((which, head[BASE] + (place ^ (-which & MIRROR)), sizes[at]))
            bits[at >> 6] &= ~(ONE << np.uint64(place & 63))
            sizes[at] = 0
            place = best_below(bits, which, place)
        for i in range(far_count[which]):
            if far[which, i, 1]:
                key = far[which, i, 0]
                held.append((which, -key if which else key, far[which, i, 1]))
        far_count[which] = 0
        head[BEST + which] = -1
    head[BASE] = base
    for which, tick, size in held:
        place = tick - base
        if place < 0 or place >= WINDOW:
            if not _set_far(far, far_count, which, tick, size):
                return False
        else:
            place ^= -which & MIRROR
            at = which * WINDOW + place
            sizes[at] = size
            bits[at >> 6] |= ONE << np.uint64(place & 63)
            head[BEST + which] = max(head[BEST + which], place)
    return True
