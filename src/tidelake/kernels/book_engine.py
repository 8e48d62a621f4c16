"""The loop over messages of all books of a connection: applies what the rules allow, and judges each message.

Oracle: the engine of dicts and Decimals under tests/books. Nothing here depends on how messages are cut into calls.
"""

from tidelake.kernels.book_codes import (
    BY_CHECKSUM,
    BY_CONNECTION,
    BY_SEQUENCE,
    CHECKSUM_WRONG,
    CONNECTION,
    CONNECTION_GAP,
    CONNECTION_LOST,
    CONTINUES,
    HEARTBEAT,
    INVALID,
    JOIN,
    JOIN_NEVER,
    NONE,
    NOTHING_OFFERED,
    OPEN,
    PAGE,
    QUOTE,
    REFUSED,
    REFUSED_MESSAGE,
    RESET,
    RESET_ONE,
    SEQUENCE_BREAK,
    SNAPSHOT,
    SUM,
    SUM_KRAKEN,
    SUM_NONE,
    SUSPECT,
    UNPROVABLE,
    UPDATE,
    VALUE_TOO_LARGE,
    ZERO_IS_ABSENT,
)
from tidelake.kernels.book_links import carries_ids, follows, is_old_snapshot, is_stale, joins
from tidelake.kernels.book_memory import (
    C_BREAKS,
    C_CROSSED,
    C_FRAMES,
    C_LATE_EVENTS,
    C_OUT_OF_ORDER,
    C_REFUSED,
    C_SNAPSHOTS,
    C_SUMS_RIGHT,
    C_SUMS_WRONG,
    C_UPDATES,
    CROSSED,
    HEAD,
    JOINING,
    LAST_EVENT,
    LAST_ID,
    LAST_SUM,
    LAST_SUM_KIND,
    LEVELS,
    LIVE,
    LOST,
    M_CHECKSUM,
    M_CONN_SEQ,
    M_ERA,
    M_EVENT,
    M_FIRST_ID,
    M_FROM,
    M_ITEM,
    M_KIND,
    M_LAST_ID,
    M_PREV_ID,
    M_STREAM,
    M_TO,
    NEXT,
    PAGE_ID,
    PAGE_SERIAL,
    PAGE_SLOT,
    PHASE,
    PROVES,
    QUOTE_ROW,
    RULE,
    SCRATCH,
    STANDING,
    TAKEN_EVENT,
    TRIED,
    UNBORN,
    WAITING,
    forget_updates,
    keep_update,
    room_for_update,
)
from tidelake.kernels.book_pages import audit, try_page
from tidelake.kernels.book_quotes import compare_waiting_quotes, meet_quote, note_top
from tidelake.kernels.book_sides import (
    COUNT,
    MOST,
    NEAREST,
    clear_slot,
    cut_to_depth,
    fits,
    is_crossed,
    load_levels,
    set_level,
)
from tidelake.kernels.book_standing import book_state, fall, note_known, start_book
from tidelake.kernels.checksums import KRAKEN_LEVELS, OKX_LEVELS, kraken_checksum, okx_checksum
from tidelake.kernels.compiling import inner, kernel

DONE, SIDES_FULL, UPDATES_FULL, LEVELS_FULL = range(4)


# Columns of a stream: where its book is, how it is cut and printed, and from S_RULE on its rule in each era.
S_SLOT, S_GROUP, S_DEPTH, S_PRICE_PLACES, S_SIZE_PLACES, S_RULE = range(6)

# Columns of a verdict.
J_STATE, J_REASON, J_PROVEN, J_APPLIED = range(4)
JUDGED = 4


@kernel
def run_messages(books, rules, streams, messages, judged, start):
    """Judges messages from start on.

    Args: books is `Books`, rules int64[rules, RULE_WORDS], streams int64[streams, S_RULE + eras], messages `Messages`,
    judged int64[n, JUDGED], written.

    Returns (i, what, slot, needed): DONE and the count of messages, or the message that waits for more room, what is
    full, in which slot, and how many levels or updates more must fit. Message i has then changed nothing.
    """
    for i in range(start, len(messages.row)):
        kind = messages.row[i, M_KIND]
        stream = messages.row[i, M_STREAM]
        if kind != PAGE and kind != QUOTE:
            full, slot, needed = _check_room(books, rules, streams, messages, i)
            if full != DONE:
                return i, full, slot, needed
        elif kind == PAGE and stream >= 0:
            full, slot, needed = _check_room_of_page(books, streams, messages, i)
            if full != DONE:
                return i, full, slot, needed
        old = messages.row[i, M_CONN_SEQ] != NONE and _check_connection(books, rules, messages, i)
        slot = streams[stream, S_SLOT] if stream >= 0 else -1
        if kind == OPEN:
            _lose_connection(books, rules)
            _judge_none(judged, i)
        elif kind == PAGE and stream >= 0:
            _take_page(books, rules, streams, messages, judged, i)
        elif kind == QUOTE and stream >= 0:
            _take_quote(books, streams, messages, judged, i)
        elif kind == REFUSED:
            _take_refused(books, rules, slot, streams, messages, judged, i)
        elif slot >= 0 and (kind == UPDATE or kind == SNAPSHOT or kind == HEARTBEAT):
            _take_book_message(books, rules, streams, messages, judged, i, slot, old)
        else:
            _judge_none(judged, i)
    return len(messages.row), DONE, -1, 0


@inner
def _room_of_side(books, slot, levels, most):
    """DONE, or that a side of the slot must take `most` levels in all."""
    for side in range(2 * slot, 2 * slot + 2):
        if not fits(books.sides, side, most - books.sides[side, COUNT]):
            return SIDES_FULL, slot, most
    return DONE, -1, levels


@inner
def _check_room(books, rules, streams, messages, i):
    stream = messages.row[i, M_STREAM]
    slot = streams[stream, S_SLOT] if stream >= 0 else -1
    levels = messages.row[i, M_TO] - messages.row[i, M_FROM]
    if slot < 0:
        return DONE, -1, 0
    for side in range(2 * slot, 2 * slot + 2):
        if not fits(books.sides, side, levels):
            return SIDES_FULL, slot, books.sides[side, COUNT] + levels
    if rules[streams[stream, S_RULE + messages.row[i, M_ERA]], JOIN] == JOIN_NEVER:
        return DONE, -1, 0
    full = room_for_update(books, slot, levels)
    if full:
        return (UPDATES_FULL if full == 1 else LEVELS_FULL), slot, levels
    group = books.groups[streams[stream, S_GROUP]]
    word = books.words[slot]
    if group[PAGE_SERIAL] > word[TRIED]:
        return _room_to_roll(books, slot, group, levels)
    return DONE, -1, 0


@inner
def _room_to_roll(books, slot, group, levels):
    """Room in the book and in the scratch slot for the page and all kept updates on top of it."""
    page = 2 * group[PAGE_SLOT]
    most = max(books.sides[page, COUNT], books.sides[page + 1, COUNT]) + books.words[slot, LEVELS] + levels
    full, where, needed = _room_of_side(books, slot, levels, most)
    if full != DONE:
        return full, where, needed
    return _room_of_side(books, SCRATCH, levels, most)


@inner
def _check_room_of_page(books, streams, messages, i):
    group = books.groups[streams[messages.row[i, M_STREAM], S_GROUP]]
    levels = messages.row[i, M_TO] - messages.row[i, M_FROM]
    full, where, needed = _room_of_side(books, group[PAGE_SLOT], levels, levels)
    if full != DONE:
        return full, where, needed
    slot = group[HEAD]
    while slot >= 0:
        for each in (slot, SCRATCH):
            full, where, needed = _room_of_side(books, each, levels, levels + books.words[slot, LEVELS])
            if full != DONE:
                return full, where, needed
        slot = books.words[slot, NEXT]
    return DONE, -1, 0


@inner
def _judge_none(judged, i):
    """A message of no book."""
    judged[i, J_STATE] = UNPROVABLE
    judged[i, J_REASON] = NOTHING_OFFERED
    judged[i, J_PROVEN] = 0
    judged[i, J_APPLIED] = False


@inner
def _judge(books, slot, judged, i, proven, applied):
    state, reason = book_state(books.words, slot)
    judged[i, J_STATE] = state
    judged[i, J_REASON] = reason
    shown = state != INVALID and state != UNPROVABLE
    judged[i, J_PROVEN] = (books.words[slot, STANDING] | proven) if shown else 0
    judged[i, J_APPLIED] = applied


@inner
def _rank(state):
    if state == INVALID:
        return 3
    if state == SUSPECT:
        return 2
    return 1 if state == UNPROVABLE else 0


@inner
def _lose_connection(books, rules):
    """A new connection: where ids go on over it the next update decides, else the books are lost."""
    books.words[SCRATCH, LAST_ID] = NONE
    for slot in range(len(books.words)):
        word = books.words[slot]
        if word[PHASE] == UNBORN:
            continue
        if rules[word[RULE], CONTINUES]:
            word[LOST] = word[PHASE] == LIVE
        else:
            if word[PHASE] == LIVE:
                fall(books, slot, CONNECTION_LOST)
            forget_updates(books, slot)
            word[LAST_ID] = NONE
            word[LAST_EVENT] = NONE
            word[TAKEN_EVENT] = NONE


@inner
def _check_connection(books, rules, messages, i):
    """Moves the connection's number on; True for a message that came before."""
    number, seen = messages.row[i, M_CONN_SEQ], books.words[SCRATCH, LAST_ID]
    if seen == NONE or number == seen + 1:
        books.words[SCRATCH, LAST_ID] = number
        return False
    if number == seen:
        return messages.row[i, M_ITEM] == 0  # a further item of one frame has its number
    if number < seen:
        return True
    books.words[SCRATCH, LAST_ID] = number
    for slot in range(len(books.words)):
        if books.words[slot, PHASE] != UNBORN and rules[books.words[slot, RULE], CONNECTION]:
            books.words[slot, C_BREAKS] += 1
            fall(books, slot, CONNECTION_GAP)
    return False


@inner
def _take_refused(books, rules, slot, streams, messages, judged, i):
    """A message that could not be read is a lost one: of its book, or of any book of the connection."""
    if slot >= 0:
        if books.words[slot, PHASE] == UNBORN:
            _bear(books, slot, streams, messages, i)
        books.words[slot, C_FRAMES] += 1
        books.words[slot, C_REFUSED] += 1
        fall(books, slot, REFUSED_MESSAGE)
        _judge(books, slot, judged, i, 0, False)
        return
    for each in range(len(books.words)):
        if books.words[each, PHASE] != UNBORN:
            books.words[each, C_REFUSED] += 1
            fall(books, each, REFUSED_MESSAGE)
    _judge_none(judged, i)
    judged[i, J_STATE] = INVALID
    judged[i, J_REASON] = REFUSED_MESSAGE


@inner
def _bear(books, slot, streams, messages, i):
    word = books.words[slot]
    word[PHASE] = WAITING
    word[RULE] = streams[messages.row[i, M_STREAM], S_RULE + messages.row[i, M_ERA]]


@inner
def _take_book_message(books, rules, streams, messages, judged, i, slot, old):
    stream = messages.row[i, M_STREAM]
    word = books.words[slot]
    if word[PHASE] == UNBORN:
        _bear(books, slot, streams, messages, i)
    word[RULE] = streams[stream, S_RULE + messages.row[i, M_ERA]]
    rule = rules[word[RULE]]
    kind = messages.row[i, M_KIND]
    books.words[slot, C_FRAMES] += 1
    books.words[slot, C_UPDATES] += kind == UPDATE
    if old:
        books.words[slot, C_OUT_OF_ORDER] += 1
        _judge(books, slot, judged, i, 0, False)
        return
    if (
        kind == SNAPSHOT
        and word[PHASE] == LIVE
        and is_old_snapshot(
            rule, messages.row[i, M_LAST_ID], messages.row[i, M_EVENT], word[LAST_ID], word[TAKEN_EVENT]
        )
    ):
        books.words[slot, C_OUT_OF_ORDER] += 1
        _judge(books, slot, judged, i, 0, False)
        return
    if kind == SNAPSHOT or (rule[RESET] == RESET_ONE and kind == UPDATE and messages.row[i, M_LAST_ID] == 1):
        proven, applied = _take_snapshot(books, rule, streams, messages, i, slot)
    else:
        proven, applied = _take_update(books, rule, streams, messages, i, slot)
    _judge(books, slot, judged, i, proven, applied)


@inner
def _note_event(books, slot, event_ns):
    word = books.words[slot]
    word[TAKEN_EVENT] = event_ns if event_ns != 0 else NONE
    if event_ns != 0:
        if event_ns < word[LAST_EVENT]:
            books.words[slot, C_LATE_EVENTS] += 1
        else:
            word[LAST_EVENT] = event_ns


@inner
def _take_snapshot(books, rule, streams, messages, i, slot):
    start, end = messages.row[i, M_FROM], messages.row[i, M_TO]
    books.words[slot, C_SNAPSHOTS] += 1
    word = books.words[slot]
    word[LAST_EVENT] = NONE  # a venue may start its numbers and clocks anew
    _note_event(books, slot, messages.row[i, M_EVENT])
    loaded = load_levels(books.levels, books.sides, slot, messages.sent, start, end)
    if not loaded:
        fall(books, slot, VALUE_TOO_LARGE)
        clear_slot(books.sides, slot)
        return 0, False
    start_book(books, rule, slot, messages.row[i, M_LAST_ID])
    cut_to_depth(books.sides, slot, streams[messages.row[i, M_STREAM], S_DEPTH])
    note_known(books, slot)
    return _check_book(books, rule, streams, messages, i, slot), True


@inner
def _check_book(books, rule, streams, messages, i, slot):
    """What the message proves of the book it leaves; a wrong checksum loses the book."""
    word = books.words[slot]
    proven = 0
    checksum = messages.row[i, M_CHECKSUM]
    if rule[SUM] != SUM_NONE and checksum != NONE and not (rule[ZERO_IS_ABSENT] and checksum == 0):
        if _checksum(books, rule, streams, messages.row[i, M_STREAM], slot) != checksum:
            books.words[slot, C_SUMS_WRONG] += 1
            fall(books, slot, CHECKSUM_WRONG)
            return 0
        books.words[slot, C_SUMS_RIGHT] += 1
        proven = BY_CHECKSUM
        word[PROVES] = 1
    word[CROSSED] = is_crossed(books.levels, books.sides, slot)
    books.words[slot, C_CROSSED] += word[CROSSED]
    return proven | compare_waiting_quotes(books, slot)


@inner
def _checksum(books, rule, streams, stream, slot):
    """The checksum of the book; the last one where none of the levels that it is taken of changed since."""
    word = books.words[slot]
    of_kraken = rule[SUM] == SUM_KRAKEN
    price_places, size_places = streams[stream, S_PRICE_PLACES], streams[stream, S_SIZE_PLACES]
    kind = (price_places + 1) << 16 | (size_places + 1) << 8 | rule[SUM]
    nearest = min(books.sides[2 * slot, NEAREST], books.sides[2 * slot + 1, NEAREST])
    if word[LAST_SUM_KIND] == kind and nearest > (KRAKEN_LEVELS if of_kraken else OKX_LEVELS):
        return word[LAST_SUM]
    if of_kraken:
        word[LAST_SUM] = kraken_checksum(books.levels, books.sides, slot, price_places, size_places, books.text)
    else:
        word[LAST_SUM] = okx_checksum(books.levels, books.sides, slot, books.text)
    word[LAST_SUM_KIND] = kind
    books.sides[2 * slot, NEAREST] = MOST
    books.sides[2 * slot + 1, NEAREST] = MOST
    return word[LAST_SUM]


@inner
def _take_update(books, rule, streams, messages, i, slot):
    """An update or a heartbeat: what it proves, and whether it was applied."""
    word = books.words[slot]
    first_id, last_id, prev_id = messages.row[i, M_FIRST_ID], messages.row[i, M_LAST_ID], messages.row[i, M_PREV_ID]
    linked = carries_ids(rule, first_id, last_id, prev_id)
    if linked and word[PHASE] == LIVE and word[JOINING] != NONE:
        if last_id <= word[JOINING]:
            return 0, False
        if not joins(rule, first_id, last_id, prev_id, word[JOINING]):
            return _break(books, messages, rule, i, slot)
    elif linked and word[LAST_ID] != NONE:
        if not follows(rule, first_id, last_id, prev_id, word[LAST_ID]):
            event_ns = messages.row[i, M_EVENT]
            if is_stale(rule, last_id, event_ns, word[LAST_ID], word[LAST_EVENT], word[TAKEN_EVENT]):
                books.words[slot, C_OUT_OF_ORDER] += 1
                return 0, False
            return _break(books, messages, rule, i, slot)
    elif linked and word[PHASE] == LIVE:
        return _break(books, messages, rule, i, slot)
    _note_event(books, slot, messages.row[i, M_EVENT])
    word[LAST_ID] = last_id if linked or messages.row[i, M_KIND] != HEARTBEAT else word[LAST_ID]
    if rule[JOIN] != JOIN_NEVER:
        if linked:
            keep_update(books, slot, messages, i)
        else:
            forget_updates(books, slot)
    if word[PHASE] != LIVE:
        return 0, try_page(books, rule, slot)
    if not linked and messages.row[i, M_KIND] == HEARTBEAT:
        return 0, False
    return _apply_update(books, rule, streams, messages, i, slot, linked)


@inner
def _break(books, messages, rule, i, slot):
    """A message is missing before this one; this one is the first of what a page may be joined to."""
    word = books.words[slot]
    books.words[slot, C_BREAKS] += 1
    if word[PHASE] == LIVE:
        fall(books, slot, SEQUENCE_BREAK)
    forget_updates(books, slot)
    _note_event(books, slot, messages.row[i, M_EVENT])
    word[LAST_ID] = messages.row[i, M_LAST_ID]
    if rule[JOIN] == JOIN_NEVER:
        return 0, False
    keep_update(books, slot, messages, i)
    return 0, try_page(books, rule, slot)


@inner
def _apply_update(books, rule, streams, messages, i, slot, linked):
    word = books.words[slot]
    by_connection = rule[CONNECTION] != 0 and messages.row[i, M_CONN_SEQ] != NONE
    word[LOST] = 0 if linked else word[LOST]
    word[JOINING] = NONE
    word[PROVES] = linked or by_connection
    if linked:
        word[STANDING] |= BY_SEQUENCE
    if by_connection:
        word[STANDING] |= BY_CONNECTION
    start, end = messages.row[i, M_FROM], messages.row[i, M_TO]
    for j in range(start, end):
        if not set_level(books.levels, books.sides, slot, messages.sent, j):
            fall(books, slot, VALUE_TOO_LARGE)
            return 0, False
    cut_to_depth(books.sides, slot, streams[messages.row[i, M_STREAM], S_DEPTH])
    note_top(books, slot)
    proven = _check_book(books, rule, streams, messages, i, slot)
    return proven | audit(books, rule, slot), True


@inner
def _take_page(books, rules, streams, messages, judged, i):
    group = books.groups[streams[messages.row[i, M_STREAM], S_GROUP]]
    page = group[PAGE_SLOT]
    start, end = messages.row[i, M_FROM], messages.row[i, M_TO]
    loaded = load_levels(books.levels, books.sides, page, messages.sent, start, end)
    note_known(books, page)
    group[PAGE_SERIAL] += 1
    group[PAGE_ID] = messages.row[i, M_LAST_ID] if loaded else NONE
    _judge_none(judged, i)
    worst = -1
    applied = False
    slot = group[HEAD]
    while slot >= 0:
        word = books.words[slot]
        if word[PHASE] != UNBORN:
            rule = rules[word[RULE]]
            proven = 0
            if rule[JOIN] != JOIN_NEVER:
                if word[PHASE] != LIVE or (word[LOST] and group[PAGE_ID] >= word[LAST_ID]):
                    applied = try_page(books, rule, slot) or applied
                else:
                    proven = audit(books, rule, slot)
            if (
                _rank(book_state(books.words, slot)[0]) >= worst
            ):  # of equals the one met first, which is last in the chain
                worst = _rank(book_state(books.words, slot)[0])
                _judge(books, slot, judged, i, proven, applied)
        slot = word[NEXT]
    judged[i, J_APPLIED] = applied


@inner
def _take_quote(books, streams, messages, judged, i):
    """A quote is as good as the worst book of its symbol."""
    _judge_none(judged, i)
    worst = -1
    slot = books.groups[streams[messages.row[i, M_STREAM], S_GROUP], HEAD]
    while slot >= 0:
        word = books.words[slot]
        if word[PHASE] != UNBORN:
            proven = 0
            if word[QUOTE_ROW] >= 0 and messages.row[i, M_LAST_ID] != NONE:
                proven = meet_quote(books, slot, messages, i)
            if (
                _rank(book_state(books.words, slot)[0]) >= worst
            ):  # of equals the one met first, which is last in the chain
                worst = _rank(book_state(books.words, slot)[0])
                _judge(books, slot, judged, i, proven, False)
        slot = word[NEXT]
