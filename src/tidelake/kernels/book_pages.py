"""Synchronising by snapshot pages: a book started from one and the updates kept meanwhile, or compared with one."""

from tidelake.kernels.book_codes import (
    AUDIT_DIFFERS,
    BY_AUDIT,
    BY_SEQUENCE,
    JOIN,
    JOIN_NEVER,
    NONE,
    PAGE_TOO_OLD,
    VALUE_TOO_LARGE,
)
from tidelake.kernels.book_links import joins
from tidelake.kernels.book_memory import (
    C_AUDITS_COMPARED,
    C_AUDITS_EQUAL,
    C_CROSSED,
    CROSSED,
    GROUP,
    JOINING,
    K_FIRST,
    K_FROM,
    K_LAST,
    K_PREV,
    K_TO,
    KEPT,
    KEPT_BEGIN,
    KNOWN_ASK,
    KNOWN_ASK_EXPONENT,
    KNOWN_BID,
    LAST_ID,
    LEVELS,
    LEVELS_BEGIN,
    LIVE,
    LOST,
    PAGE_ID,
    PAGE_SERIAL,
    PAGE_SLOT,
    PHASE,
    QUOTE_BAD,
    REASON,
    SCRATCH,
    STANDING,
    TRIED,
)
from tidelake.kernels.book_quotes import compare_waiting_quotes, note_top
from tidelake.kernels.book_sides import (
    COUNT,
    FIRST,
    KEY,
    MOST,
    SCALE,
    SIZE,
    SIZE_EXPONENT,
    copy_slot,
    is_crossed,
    rescale,
    same_value,
    scaled,
    set_level,
)
from tidelake.kernels.book_standing import fall, start_book
from tidelake.kernels.compiling import inner


@inner
def _page_usable(books, slot):
    group = books.groups[books.words[slot, GROUP]]
    return group[PAGE_SERIAL] > 0 and group[PAGE_ID] != NONE


@inner
def _first_after(books, slot, page):
    """Place among the kept updates of the first with last_id above a page's; their count where there is none."""
    word = books.words[slot]
    at = word[KEPT]
    while at > 0 and books.kept[word[KEPT_BEGIN] + at - 1, K_LAST] > page:
        at -= 1
    return at


@inner
def _joins_kept(books, rule, slot, at, page):
    row = books.kept[books.words[slot, KEPT_BEGIN] + at]
    return joins(rule, row[K_FIRST], row[K_LAST], row[K_PREV], page)


@inner
def _apply_kept(books, slot, target, at):
    """Applies one kept update of a book to a slot."""
    word = books.words[slot]
    row = books.kept[word[KEPT_BEGIN] + at]
    for j in range(word[LEVELS_BEGIN] + row[K_FROM], word[LEVELS_BEGIN] + row[K_TO]):
        if not set_level(books.levels, books.sides, target, books.kept_levels, j):
            return False
    return True


@inner
def try_page(books, rule, slot):
    """Starts a book from the last page of its symbol and the kept updates; whether that went well."""
    word = books.words[slot]
    group = books.groups[word[GROUP]]
    if rule[JOIN] == JOIN_NEVER or not _page_usable(books, slot) or word[TRIED] == group[PAGE_SERIAL]:
        return False
    word[TRIED] = group[PAGE_SERIAL]
    page = group[PAGE_ID]
    at = _first_after(books, slot, page)
    kept = word[KEPT]
    behind = at == kept and word[LAST_ID] != NONE and page < word[LAST_ID]  # what came since was not kept
    if behind or (at < kept and not _joins_kept(books, rule, slot, at, page)):
        word[REASON] = PAGE_TOO_OLD
        return False
    levels = word[LEVELS]
    copy_slot(books.levels, books.sides, group[PAGE_SLOT], slot)
    for known in range(KNOWN_BID, KNOWN_ASK_EXPONENT + 1):
        word[known] = books.words[group[PAGE_SLOT], known]
    start_book(books, rule, slot, page)
    word[KEPT] = kept  # what joins to the page stays, for the audits to come
    word[LEVELS] = levels
    if at == kept:
        word[JOINING] = page
    note_top(books, slot)
    compare_waiting_quotes(books, slot)
    for i in range(at, kept):
        if not _apply_kept(books, slot, slot, i):
            fall(books, slot, VALUE_TOO_LARGE)
            return False
        word[LAST_ID] = books.kept[word[KEPT_BEGIN] + i, K_LAST]
        word[STANDING] |= BY_SEQUENCE
        note_top(books, slot)
        compare_waiting_quotes(books, slot)
    word[CROSSED] = is_crossed(books.levels, books.sides, slot)
    books.words[slot, C_CROSSED] += word[CROSSED]
    return True


@inner
def audit(books, rule, slot):
    """Compares a book with the last page of its symbol, rolled forward by the kept updates, as soon as it can.

    A page that the book has not reached yet waits; one that the kept updates do not reach back to says nothing.
    """
    word = books.words[slot]
    group = books.groups[word[GROUP]]
    page = group[PAGE_ID]
    if rule[JOIN] == JOIN_NEVER or not _page_usable(books, slot) or word[TRIED] == group[PAGE_SERIAL]:
        return 0
    if word[PHASE] != LIVE or word[LOST] or word[LAST_ID] < page:
        return 0
    word[TRIED] = group[PAGE_SERIAL]
    if word[JOINING] != NONE:
        return 0
    at = _first_after(books, slot, page)
    if at == word[KEPT]:
        if word[LAST_ID] != page:
            return 0
    elif not _joins_kept(books, rule, slot, at, page):
        return 0
    copy_slot(books.levels, books.sides, group[PAGE_SLOT], SCRATCH)
    whole = True
    for i in range(at, word[KEPT]):
        whole = whole and _apply_kept(books, slot, SCRATCH, i)
    books.words[slot, C_AUDITS_COMPARED] += 1
    if whole and _same_book(books, slot, group[PAGE_SLOT]):
        books.words[slot, C_AUDITS_EQUAL] += 1
        word[QUOTE_BAD] = 0  # it was the quote that was wrong
        return BY_AUDIT
    fall(books, slot, AUDIT_DIFFERS)
    return 0


@inner
def _same_book(books, slot, page):
    """Whether a book equals the scratch slot, which holds the page rolled forward, wherever one of them is whole.

    A level that the book holds must stand in the page down to the page's worst price, and the other way round; below
    both worst prices nothing is known.
    """
    sides = books.sides
    scale = min(sides[2 * slot, SCALE], sides[2 * SCRATCH, SCALE])
    if not (rescale(books.levels, sides, slot, scale) and rescale(books.levels, sides, SCRATCH, scale)):
        return False
    for side in range(2):
        whole_ours, whole_theirs = _known(books, slot, side, scale), _known(books, page, side, scale)
        ours, theirs = 2 * slot + side, 2 * SCRATCH + side
        a = sides[ours, FIRST] + sides[ours, COUNT] - 1
        b = sides[theirs, FIRST] + sides[theirs, COUNT] - 1
        while a >= sides[ours, FIRST] or b >= sides[theirs, FIRST]:
            our_key = books.levels[a, KEY] if a >= sides[ours, FIRST] else -MOST
            their_key = books.levels[b, KEY] if b >= sides[theirs, FIRST] else -MOST
            if our_key == their_key:
                if not same_value(
                    books.levels[a, SIZE],
                    books.levels[a, SIZE_EXPONENT],
                    books.levels[b, SIZE],
                    books.levels[b, SIZE_EXPONENT],
                ):
                    return False
                a -= 1
                b -= 1
            elif our_key > their_key:
                if our_key >= whole_theirs:
                    return False
                a -= 1
            else:
                if their_key >= whole_ours:
                    return False
                b -= 1
    return True


@inner
def _known(books, slot, side, scale):
    """The lowest key of a side that a slot knows, in units of 10**scale; the least number where it knows all."""
    word = books.words[slot]
    at = KNOWN_ASK if side else KNOWN_BID
    if word[at] == NONE:
        return -MOST
    key = scaled(word[at], word[at + 1], scale)
    return -key if side else key
