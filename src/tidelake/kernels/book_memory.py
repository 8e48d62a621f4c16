"""What is kept of books between messages: one row of words per slot, kept updates, tops and quotes that wait.

A slot holds a book, the last page of a symbol, or (slot 0) a scratch book. All memory is bounded: `keep_update` forgets
the older half of what it holds when full, tops and quotes are rings.
"""

from typing import NamedTuple

import numpy as np

from tidelake.kernels.book_codes import NO_SNAPSHOT, NONE
from tidelake.kernels.book_sides import (
    COUNT,
    FIRST,
    KEY,
    SCALE,
    SENT_PRICE,
    SENT_PRICE_EXPONENT,
    SENT_SIDE,
    SENT_SIZE,
    SENT_SIZE_EXPONENT,
    SENT_WORDS,
    SIZE,
    SIZE_EXPONENT,
    same_value,
)
from tidelake.kernels.compiling import inner

MOST_UPDATES = 4_096
MOST_LEVELS = 32_768
RING = 512  # tops, and quotes that wait, per book

# Words of a slot. LAST_EVENT is the latest time of all messages, TAKEN_EVENT that of the last one that was no old one.
# Times and ids NONE where unknown; a page or book knows its prices down to its KNOWN levels.
(
    PHASE,
    REASON,
    RULE,
    GROUP,
    NEXT,
    LAST_ID,
    LAST_EVENT,
    JOINING,
    STANDING,
    PROVES,
    CROSSED,
    QUOTE_BAD,
    LOST,
    TRIED,
    KNOWN_BID,
    KNOWN_BID_EXPONENT,
    KNOWN_ASK,
    KNOWN_ASK_EXPONENT,
    QUOTE_ROW,
    TOPS,
    WAITING_FROM,
    WAITING_TO,
    KEPT_BEGIN,
    KEPT_CAPACITY,
    KEPT,
    LEVELS_BEGIN,
    LEVELS_CAPACITY,
    LEVELS,
    LAST_SUM,
    LAST_SUM_KIND,
    TAKEN_EVENT,
) = range(31)
FIRST_COUNTER = 31
UNBORN, WAITING, LIVE = range(3)
SCRATCH = 0  # the slot of the scratch book

# Words of a group: the books and the last page of one symbol.
HEAD, PAGE_SLOT, PAGE_ID, PAGE_SERIAL = range(4)

COUNTERS = (
    "frames",
    "updates",
    "snapshots",
    "out_of_order",
    "breaks",
    "falls",
    "checksums_right",
    "checksums_wrong",
    "quotes_compared",
    "quotes_equal",
    "audits_compared",
    "audits_equal",
    "crossed",
    "late_events",
    "refused",
)
(
    C_FRAMES,
    C_UPDATES,
    C_SNAPSHOTS,
    C_OUT_OF_ORDER,
    C_BREAKS,
    C_FALLS,
    C_SUMS_RIGHT,
    C_SUMS_WRONG,
    C_QUOTES_COMPARED,
    C_QUOTES_EQUAL,
    C_AUDITS_COMPARED,
    C_AUDITS_EQUAL,
    C_CROSSED,
    C_LATE_EVENTS,
    C_REFUSED,
) = range(FIRST_COUNTER, FIRST_COUNTER + len(COUNTERS))
SLOT_WORDS = FIRST_COUNTER + len(COUNTERS)

# Columns of a kept update, and of a top or waiting quote (its id, then mantissa and exponent of four values).
K_FIRST, K_LAST, K_PREV, K_FROM, K_TO = range(5)
T_ID = 0
TOP_WORDS = 9


# Columns of a message: what `BookFrames` says, the place of its time among the dates of the rules, its levels.
MESSAGE = ("kind", "stream", "item", "era", "event_ns", "first_id", "last_id", "prev_id", "conn_seq", "checksum")
(
    M_KIND,
    M_STREAM,
    M_ITEM,
    M_ERA,
    M_EVENT,
    M_FIRST_ID,
    M_LAST_ID,
    M_PREV_ID,
    M_CONN_SEQ,
    M_CHECKSUM,
    M_FROM,
    M_TO,
) = range(len(MESSAGE) + 2)


class Books(NamedTuple):
    """All memory of one engine: few arrays, for each one more makes kernels slow to compile.

    Attributes:
        words: int64[slots, SLOT_WORDS].
        groups: int64[groups, 4].
        levels, sides: The arena of `book_sides`.
        kept: int64[places, 5], kept updates; kept_levels: int64[places, SENT_WORDS], their levels.
        quotes: int64[rows, 2, RING, TOP_WORDS], tops and waiting quotes.
        text: uint8[n], room for a checksum's text.
    """

    words: np.ndarray
    groups: np.ndarray
    levels: np.ndarray
    sides: np.ndarray
    kept: np.ndarray
    kept_levels: np.ndarray
    quotes: np.ndarray
    text: np.ndarray


class Messages(NamedTuple):
    """Messages: row is int64[n, 12], columns M_..; sent is int64[m, SENT_WORDS], their levels."""

    row: np.ndarray
    sent: np.ndarray


def fresh_words() -> np.ndarray:
    """The words of a slot that has seen nothing."""
    words = np.zeros(SLOT_WORDS, np.int64)
    words[REASON] = NO_SNAPSHOT
    words[[LAST_ID, LAST_EVENT, TAKEN_EVENT, JOINING]] = NONE
    words[[NEXT, QUOTE_ROW]] = -1
    words[[KNOWN_BID, KNOWN_ASK]] = NONE
    return words


@inner
def forget_updates(books, slot):
    """Drops the kept updates."""
    books.words[slot, KEPT] = 0
    books.words[slot, LEVELS] = 0


@inner
def room_for_update(books, slot, levels):
    """Whether an update of so many levels can be kept: 0 yes, 1 more updates must fit, 2 more levels must."""
    word = books.words[slot]
    if word[KEPT] + 1 > word[KEPT_CAPACITY] and word[KEPT_CAPACITY] < MOST_UPDATES:
        return 1
    if word[LEVELS] + levels > word[LEVELS_CAPACITY] and word[LEVELS_CAPACITY] < max(MOST_LEVELS, 2 * levels):
        return 2
    return 0


@inner
def _forget_half(books, slot):
    word = books.words[slot]
    drop = (word[KEPT] + 1) // 2
    begin = word[KEPT_BEGIN]
    moved = books.kept[begin + drop - 1, K_TO] if drop else 0
    for i in range(begin, begin + word[KEPT] - drop):
        for column in range(K_FROM):
            books.kept[i, column] = books.kept[i + drop, column]
        books.kept[i, K_FROM] = books.kept[i + drop, K_FROM] - moved
        books.kept[i, K_TO] = books.kept[i + drop, K_TO] - moved
    at = word[LEVELS_BEGIN]
    for i in range(at, at + word[LEVELS] - moved):
        for column in range(SENT_WORDS):
            books.kept_levels[i, column] = books.kept_levels[i + moved, column]
    word[KEPT] -= drop
    word[LEVELS] -= moved


@inner
def keep_update(books, slot, messages, i):
    """Keeps message i; `room_for_update` must have said yes."""
    word = books.words[slot]
    start, end = messages.row[i, M_FROM], messages.row[i, M_TO]
    while word[KEPT] == word[KEPT_CAPACITY] or word[LEVELS] + end - start > word[LEVELS_CAPACITY]:
        _forget_half(books, slot)
    row = books.kept[word[KEPT_BEGIN] + word[KEPT]]
    row[K_FIRST] = messages.row[i, M_FIRST_ID]
    row[K_LAST] = messages.row[i, M_LAST_ID]
    row[K_PREV] = messages.row[i, M_PREV_ID]
    row[K_FROM] = word[LEVELS]
    to = word[LEVELS_BEGIN] + word[LEVELS]
    for j in range(start, end):
        for column in range(SENT_WORDS):
            books.kept_levels[to, column] = messages.sent[j, column]
        to += 1
    word[LEVELS] += end - start
    row[K_TO] = word[LEVELS]
    word[KEPT] += 1


@inner
def forget_quotes(books, slot):
    """Drops the tops and the quotes that wait."""
    word = books.words[slot]
    word[TOPS] = 0
    word[WAITING_FROM] = word[WAITING_TO]


@inner
def write_top(books, slot, row):
    """The best levels of a slot into a row: price NONE where a side is empty."""
    for side in range(2):
        place = 2 * slot + side
        at = 1 + 4 * side
        row[at] = NONE
        if books.sides[place, COUNT]:
            best = books.sides[place, FIRST] + books.sides[place, COUNT] - 1
            row[at] = abs(books.levels[best, KEY])
            row[at + 1] = books.sides[2 * slot, SCALE]
            row[at + 2] = books.levels[best, SIZE]
            row[at + 3] = books.levels[best, SIZE_EXPONENT]


@inner
def write_quote(messages, i, row):
    """Quote i into a row; a side of size 0 or left out is empty."""
    row[T_ID] = messages.row[i, M_LAST_ID]
    row[1] = NONE
    row[5] = NONE
    for j in range(messages.row[i, M_FROM], messages.row[i, M_TO]):
        if messages.sent[j, SENT_SIZE] != 0:
            at = 1 + 4 * messages.sent[j, SENT_SIDE]
            row[at] = messages.sent[j, SENT_PRICE]
            row[at + 1] = messages.sent[j, SENT_PRICE_EXPONENT]
            row[at + 2] = messages.sent[j, SENT_SIZE]
            row[at + 3] = messages.sent[j, SENT_SIZE_EXPONENT]


@inner
def same_top(top, quote):
    """Whether two rows say the same prices and sizes."""
    for at in (1, 5):
        if top[at] == NONE or quote[at] == NONE:
            if top[at] != quote[at]:
                return False
        elif not (
            same_value(top[at], top[at + 1], quote[at], quote[at + 1])
            and same_value(top[at + 2], top[at + 3], quote[at + 2], quote[at + 3])
        ):
            return False
    return True
