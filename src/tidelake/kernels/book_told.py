"""What each message did to the books of a connection: their state and best levels, written down as they are judged."""

import numpy as np

from tidelake.kernels.book_codes import INVALID
from tidelake.kernels.book_engine import (
    DONE,
    J_APPLIED,
    S_GROUP,
    S_SLOT,
    run_messages,
)
from tidelake.kernels.book_memory import HEAD, M_KIND, M_STREAM, NEXT, PHASE, UNBORN, Messages
from tidelake.kernels.book_sides import COUNT, FIRST, KEY, SCALE, SIZE, SIZE_EXPONENT
from tidelake.kernels.book_standing import book_state
from tidelake.kernels.compiling import inner, kernel
from tidelake.kernels.json_values import POWERS, wide_product

TOLD_FULL, UNFIT = 100, 101  # beside the codes of `book_engine`
# Columns of what is told: the message, the slot of the book, its state, and the reason.
TOLD_MESSAGE, TOLD_SLOT, TOLD_STATE, TOLD_REASON = range(4)
TOLD_WORDS = 4
PLACES = 18  # behind the point


@inner
def _write_value(mantissa, exponent, out):
    """Mantissa * 10**exponent as Decimal(38, 18), low word first; False where it has more places or is too large."""
    power = PLACES + exponent
    out[0] = out[1] = 0
    if power < 0 or power >= len(POWERS):
        return mantissa == 0
    out[0], out[1] = wide_product(np.uint64(mantissa), POWERS[power])
    return out[1] >> np.uint64(63) == 0


@inner
def _write_levels(books, slot, counts, prices, sizes):
    """The best levels, best first; False where a value does not fit."""
    scale = books.sides[2 * slot, SCALE]
    fit = True
    for side in range(2):
        place = 2 * slot + side
        count = min(books.sides[place, COUNT], prices.shape[1])
        counts[side] = count
        best = books.sides[place, FIRST] + books.sides[place, COUNT] - 1
        for nth in range(count):
            level = books.levels[best - nth]
            fit &= _write_value(abs(level[KEY]), scale, prices[side, nth])
            fit &= _write_value(level[SIZE], level[SIZE_EXPONENT], sizes[side, nth])
    return fit


@kernel
def run_and_tell(books, rules, streams, messages, judged, start, changing, last, told, used, counts, prices, sizes):
    """Judges messages from start on as `run_messages` does, and notes every book that one changed.

    A book is noted when its state is another than when it was noted last, and when a message of a changing kind was
    applied to it, or to a book of its symbol where the message names no single one.

    Args:
        books, rules, streams, messages, judged, start: As for `run_messages`.
        changing: bool[kinds], which kinds of messages change levels.
        last: int64[slots], state and reason that were noted last, as 256 * state + reason, -1 before; written.
        told: int64[room, TOLD_WORDS], written from `used` on.
        counts: int64[room, 2], number of levels of bids and asks, none of a book that is INVALID.
        prices, sizes: uint64[room, 2, depth, 2], Decimal(38, 18), best first; what is past the count means nothing.

    Returns:
        (i, what, slot, needed, used): As `run_messages`, and how many rows of `told` are in use; TOLD_FULL where there
        may not be enough for message i, UNFIT where a level of the slot does not fit its type.

    Cost: that of `run_messages`, a look at each book per message, and two wide products per level.
    """
    for i in range(start, len(messages.row)):
        if used + len(books.words) > len(told):
            return i, TOLD_FULL, -1, 0, used
        one = Messages(messages.row[i : i + 1], messages.sent)
        _, what, slot, needed = run_messages(books, rules, streams, one, judged[i : i + 1], 0)
        if what != DONE:
            return i, what, slot, needed, used
        stream = messages.row[i, M_STREAM]
        applied = stream >= 0 and judged[i, J_APPLIED] != 0 and changing[messages.row[i, M_KIND]]
        for group in range(len(books.groups)):
            slot = books.groups[group, HEAD]
            while slot >= 0:
                mine = applied and streams[stream, S_GROUP] == group
                if mine and streams[stream, S_SLOT] >= 0:
                    mine = streams[stream, S_SLOT] == slot
                state, reason = book_state(books.words, slot)
                known = books.words[slot, PHASE] != UNBORN
                if known and (mine or last[slot] != 256 * state + reason):
                    last[slot] = 256 * state + reason
                    told[used, TOLD_MESSAGE], told[used, TOLD_SLOT] = i, slot
                    told[used, TOLD_STATE], told[used, TOLD_REASON] = state, reason
                    counts[used] = 0
                    if state != INVALID and not _write_levels(books, slot, counts[used], prices[used], sizes[used]):
                        return i, UNFIT, slot, 0, used
                    used += 1
                slot = books.words[slot, NEXT]
    return len(messages.row), DONE, -1, 0, used
