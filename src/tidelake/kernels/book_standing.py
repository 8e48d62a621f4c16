"""Whether a book stands: its state, how it begins, how it is lost."""

from tidelake.kernels.book_codes import (
    BY_SNAPSHOT,
    CONNECTION,
    CONNECTION_LOST,
    CROSSED_BOOK,
    INVALID,
    LINK,
    LINK_NONE,
    NO_REASON,
    NONE,
    NOTHING_OFFERED,
    QUOTE_DIFFERS,
    SUM,
    SUM_NONE,
    SUSPECT,
    UNPROVABLE,
    VALID,
)
from tidelake.kernels.book_memory import (
    C_FALLS,
    CROSSED,
    JOINING,
    KNOWN_ASK,
    KNOWN_BID,
    LAST_ID,
    LIVE,
    LOST,
    PHASE,
    PROVES,
    QUOTE_BAD,
    REASON,
    STANDING,
    TOPS,
    WAITING,
    forget_quotes,
    forget_updates,
)
from tidelake.kernels.book_sides import COUNT, FIRST, KEY, SCALE
from tidelake.kernels.compiling import inner, kernel


@kernel
def book_state(words, slot):
    """State and reason of a book as it stands."""
    word = words[slot]
    if word[PHASE] != LIVE:
        return INVALID, word[REASON]
    if word[LOST]:
        return INVALID, CONNECTION_LOST
    if word[CROSSED]:
        return SUSPECT, CROSSED_BOOK
    if word[QUOTE_BAD]:
        return SUSPECT, QUOTE_DIFFERS
    if not word[PROVES]:
        return UNPROVABLE, NOTHING_OFFERED
    return VALID, NO_REASON


@inner
def fall(books, slot, reason):
    """The book is lost until it is synchronised again."""
    word = books.words[slot]
    if word[PHASE] == LIVE:
        books.words[slot, C_FALLS] += 1
    word[PHASE] = WAITING
    word[REASON] = reason
    word[LOST] = 0
    word[JOINING] = NONE
    word[STANDING] = 0
    forget_updates(books, slot)
    forget_quotes(books, slot)


@inner
def start_book(books, rule, slot, last_id):
    """A book that was just replaced as a whole."""
    word = books.words[slot]
    word[PHASE] = LIVE
    word[REASON] = NO_REASON
    word[LAST_ID] = last_id
    word[JOINING] = NONE
    word[LOST] = 0
    word[QUOTE_BAD] = 0
    word[CROSSED] = 0
    word[STANDING] = BY_SNAPSHOT
    word[PROVES] = rule[LINK] != LINK_NONE or rule[SUM] != SUM_NONE or rule[CONNECTION] != 0
    forget_updates(books, slot)
    word[TOPS] = 0


@inner
def note_known(books, slot):
    """The worst prices of a whole book: nothing is known beyond them."""
    word = books.words[slot]
    sides = books.sides
    for side, at in ((2 * slot, KNOWN_BID), (2 * slot + 1, KNOWN_ASK)):
        word[at] = NONE
        if sides[side, COUNT]:
            word[at] = abs(books.levels[sides[side, FIRST], KEY])
            word[at + 1] = sides[2 * slot, SCALE]
