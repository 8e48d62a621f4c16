"""What each message changed in the books of a connection, written down as they are judged: for those who replay them.

A change is a message that was applied to a book which stands: proven, or of a venue that offers nothing to prove it by.
It is whole where what came before it does not lead to it: the first one of a book, of a day, and after all that was not
told or that replaced the book. A whole change holds all levels after the message; any other one is told by the levels
in the message itself, and holds those that were cut away because the book is kept to a depth.
"""

import numpy as np

from tidelake.kernels.book_codes import PAGE, UNPROVABLE, VALID
from tidelake.kernels.book_engine import DONE, J_APPLIED, S_DEPTH, S_GROUP, S_SLOT, run_messages
from tidelake.kernels.book_memory import (
    C_FALLS,
    C_SNAPSHOTS,
    HEAD,
    LAST_ID,
    LEVELS,
    M_FROM,
    M_KIND,
    M_STREAM,
    M_TO,
    NEXT,
    PAGE_SLOT,
    Messages,
)
from tidelake.kernels.book_sides import (
    COUNT,
    FIRST,
    KEY,
    SCALE,
    SENT_PRICE,
    SENT_PRICE_EXPONENT,
    SENT_SIDE,
    SENT_SIZE,
    SIZE,
    SIZE_EXPONENT,
    scaled,
)
from tidelake.kernels.book_standing import book_state
from tidelake.kernels.compiling import inner, kernel

CHANGES_FULL = 110  # beside the codes of `book_engine`
# Columns of a change: the message, the slot, state and reason after it, whether it is told (0: the message was applied,
# but the book does not stand), whether it is whole, the id of the last update in the book, its held levels, its scale.
MESSAGE, SLOT, STATE, REASON, TOLD, WHOLE, UPDATE_ID, LEVELS_FROM, LEVELS_TO, UNIT = range(10)
CHANGE_WORDS = 10
# Columns of a held level: the price in units of 10**scale, size 0 where it was cut away.
HELD_SIDE, HELD_PRICE, HELD_SIZE, HELD_SIZE_EXPONENT = range(4)
HELD_WORDS = 4
# What is kept of a slot between messages: whether its last change was told, its day, its counts of falls and snapshots,
# the receive clock up to which, inclusive, nothing is told of it, and whether it stood before a page.
TELLING, DAY, FALLS, SNAPSHOTS, SILENT_UNTIL, STOOD = range(6)
LAST_WORDS = 6


@inner
def _most_levels(books, streams, messages, i):
    """How many levels message i can leave in a book, and cut from it."""
    stream = messages.row[i, M_STREAM]
    sent = messages.row[i, M_TO] - messages.row[i, M_FROM]
    if stream < 0:
        return 0
    group = books.groups[streams[stream, S_GROUP]]
    page = 2 * group[PAGE_SLOT]
    paged = books.sides[page, COUNT] + books.sides[page + 1, COUNT]
    most = 0
    slot = group[HEAD]
    while slot >= 0:
        held = books.sides[2 * slot, COUNT] + books.sides[2 * slot + 1, COUNT]
        most += 2 * (held + books.words[slot, LEVELS] + paged + sent)
        slot = books.words[slot, NEXT]
    return most


@inner
def _keep_keys(books, slot, keys, before):
    """Copies the keys of both sides, worst first; `before` gets their numbers and the scale."""
    for side in range(2):
        first = books.sides[2 * slot + side, FIRST]
        before[side] = books.sides[2 * slot + side, COUNT]
        for n in range(before[side]):
            keys[side, n] = books.levels[first + n, KEY]
    before[2] = books.sides[2 * slot, SCALE]


@inner
def _write_cut(books, slot, depth, keys, before, messages, i, held, used):
    """Writes the levels that stood before message i, or came with it, and lie beyond the depth now."""
    scale = books.sides[2 * slot, SCALE]
    for side in range(2):
        place = 2 * slot + side
        if books.sides[place, COUNT] < depth:
            continue
        worst = books.levels[books.sides[place, FIRST], KEY]
        for n in range(before[side]):
            key = scaled(abs(keys[side, n]), before[2], scale)
            if (-key if side else key) >= worst:
                break
            used = _hold(held, used, side, key, 0, 0)
        for j in range(messages.row[i, M_FROM], messages.row[i, M_TO]):
            if messages.sent[j, SENT_SIDE] == side and messages.sent[j, SENT_SIZE] != 0:
                key = scaled(messages.sent[j, SENT_PRICE], messages.sent[j, SENT_PRICE_EXPONENT], scale)
                if (-key if side else key) < worst:
                    used = _hold(held, used, side, key, 0, 0)
    return used


@inner
def _hold(held, used, side, price, size, size_exponent):
    held[used, HELD_SIDE], held[used, HELD_PRICE] = side, price
    held[used, HELD_SIZE], held[used, HELD_SIZE_EXPONENT] = size, size_exponent
    return used + 1


@inner
def _write_whole(books, slot, held, used):
    """Writes all levels of a book, bids then asks, each side best first."""
    for side in range(2):
        first = books.sides[2 * slot + side, FIRST]
        for at in range(first + books.sides[2 * slot + side, COUNT] - 1, first - 1, -1):
            level = books.levels[at]
            used = _hold(held, used, side, abs(level[KEY]), level[SIZE], level[SIZE_EXPONENT])
    return used


@inner
def _write_top(books, slot, counts, top):
    for side in range(2):
        place = 2 * slot + side
        counts[side] = min(books.sides[place, COUNT], top.shape[1])
        best = books.sides[place, FIRST] + books.sides[place, COUNT] - 1
        for nth in range(counts[side]):
            level = books.levels[best - nth]
            top[side, nth, 0] = abs(level[KEY])
            top[side, nth, 1] = level[SIZE]
            top[side, nth, 2] = level[SIZE_EXPONENT]


@inner
def _stands(books, slot):
    state, _ = book_state(books.words, slot)
    return state == VALID or state == UNPROVABLE


@inner
def _note_standing(books, group, last):
    """Before a page: it may replace those books of its symbol that do not stand."""
    slot = books.groups[group, HEAD]
    while slot >= 0:
        last[slot, STOOD] = _stands(books, slot)
        slot = books.words[slot, NEXT]


@inner
def _note(books, slot, i, day, last, change):
    """Fills a change but for its levels."""
    state, reason = book_state(books.words, slot)
    word = books.words[slot]
    told = _stands(books, slot)
    leads = (
        last[slot, TELLING]
        and last[slot, DAY] == day
        and last[slot, FALLS] == word[C_FALLS]
        and last[slot, SNAPSHOTS] == word[C_SNAPSHOTS]
    )
    change[MESSAGE], change[SLOT], change[STATE], change[REASON] = i, slot, state, reason
    change[TOLD], change[WHOLE] = told, told and not leads
    change[UPDATE_ID] = word[LAST_ID]
    change[UNIT] = books.sides[2 * slot, SCALE]
    last[slot, TELLING], last[slot, DAY] = told, day
    last[slot, FALLS], last[slot, SNAPSHOTS] = word[C_FALLS], word[C_SNAPSHOTS]


@kernel
def run_and_note(
    books, rules, streams, messages, judged, start, recv_ns, day, last, keys, changes, used, counts, tops, held
):
    """Judges messages from start on as `run_messages` does, and notes what each changed.

    Args:
        books, rules, streams, messages, judged, start: As for `run_messages`.
        recv_ns: int64[n], receive clock of each message.
        day: int64[n], day of each message, which never decreases.
        last: int64[slots, LAST_WORDS], what was told last, zeros but for SILENT_UNTIL before; written.
        keys: int64[2, depth], room for the keys of a side of the deepest book that is kept to a depth.
        changes: int64[room, CHANGE_WORDS], written from used[0] on.
        used: int64[2], rows of `changes` and of `held` that are in use; written.
        counts, tops: int64[room, 2] and int64[room, 2, depth, 3], beside `changes`: how many of the best levels there
            are, and price in units of 10**scale, size and its exponent of each, best first.
        held: int64[room, HELD_WORDS], levels of changes.

    Returns (i, what, slot, needed): As `run_messages`; CHANGES_FULL where message i may need more changes or levels
    than there is room for: `needed` is how many levels. It has then changed nothing.

    Cost: that of `run_messages`, a copy of the best levels per message, and of the keys of books kept to a depth.
    """
    before = np.zeros(3, np.int64)
    for i in range(start, len(messages.row)):
        most = _most_levels(books, streams, messages, i)
        if used[0] + len(books.words) > len(changes) or used[1] + most > len(held):
            return i, CHANGES_FULL, -1, most
        stream = messages.row[i, M_STREAM]
        slot = streams[stream, S_SLOT] if stream >= 0 else -1
        depth = streams[stream, S_DEPTH] if slot >= 0 else 0
        paged = stream >= 0 and messages.row[i, M_KIND] == PAGE
        if depth > 0:
            _keep_keys(books, slot, keys, before)
        if paged:
            _note_standing(books, streams[stream, S_GROUP], last)
        one = Messages(messages.row[i : i + 1], messages.sent)
        _, what, full, needed = run_messages(books, rules, streams, one, judged[i : i + 1], 0)
        if what != DONE:
            return i, what, full, needed
        if stream < 0 or judged[i, J_APPLIED] == 0:
            continue
        slot = books.groups[streams[stream, S_GROUP], HEAD] if paged else slot
        while slot >= 0:
            wanted = recv_ns[i] > last[slot, SILENT_UNTIL]
            if paged:  # it begins those books of its symbol that did not stand, and now do
                wanted = wanted and not last[slot, STOOD] and _stands(books, slot)
                last[slot, TELLING] = last[slot, TELLING] and not wanted
            if wanted:
                change = changes[used[0]]
                _note(books, slot, i, day[i], last, change)
                change[LEVELS_FROM] = used[1]
                if change[WHOLE]:
                    used[1] = _write_whole(books, slot, held, used[1])
                elif change[TOLD] and depth > 0:
                    used[1] = _write_cut(books, slot, depth, keys, before, messages, i, held, used[1])
                change[LEVELS_TO] = used[1]
                _write_top(books, slot, counts[used[0]], tops[used[0]])
                used[0] += 1
            slot = books.words[slot, NEXT] if paged else -1
    return len(messages.row), DONE, -1, 0
