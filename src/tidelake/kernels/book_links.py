"""The step of a book rule: how a message's ids stand to what the book has seen.

`rule` is one row of the table of rules, int64[RULE_WORDS]; ids are int64, NONE where the message carries none.
"""

from tidelake.kernels.book_codes import (
    JOIN,
    JOIN_NAMES,
    JOIN_NEXT,
    JOIN_SPANS,
    LINK,
    LINK_COUNTS,
    LINK_NAMES,
    LINK_NONE,
    LINK_STEPS,
    NONE,
    RESET,
    RESET_NEVER,
    RESET_ONE,
)
from tidelake.kernels.compiling import inner


@inner
def carries_ids(rule, first_id, last_id, prev_id):
    """Whether the message holds the ids that the rule links by."""
    link = rule[LINK]
    if link == LINK_COUNTS:
        return first_id != NONE and last_id != NONE
    if link == LINK_NAMES:
        return prev_id != NONE and last_id != NONE
    return link == LINK_STEPS and last_id != NONE


@inner
def follows(rule, first_id, last_id, prev_id, seen):
    """Whether the message is the next one after the id `seen`."""
    link = rule[LINK]
    if link == LINK_COUNTS:
        return first_id == seen + 1 and last_id >= first_id
    if link == LINK_NAMES:
        return prev_id == seen
    return last_id == seen + 1


@inner
def joins(rule, first_id, last_id, prev_id, page):
    """Whether the message, whose last_id is above `page`, is the first one to apply to that page."""
    join = rule[JOIN]
    if join == JOIN_NEXT:
        return first_id <= page + 1 <= last_id
    if join == JOIN_SPANS:
        return first_id <= page <= last_id or prev_id == page
    return join == JOIN_NAMES and prev_id == page


@inner
def is_stale(rule, last_id, event_ns, seen, seen_event_ns, taken_event_ns):
    """Whether a message that does not follow is only an old one, come again or late, which changes nothing.

    A message with a later time than what was seen is never old, whatever its id. Where numbers may start anew a low id
    may also be what follows a lost reset: there only the same id again is old, or one from before the message that
    was taken last. (Where the venue's clock goes back in the reset, that is found out when it has caught up.)
    """
    if event_ns != 0 and seen_event_ns != NONE and event_ns > seen_event_ns:
        return False
    if rule[RESET] == RESET_NEVER or last_id == seen:
        return last_id <= seen
    return last_id < seen and _is_before(event_ns, taken_event_ns)


@inner
def is_old_snapshot(rule, last_id, event_ns, seen, taken_event_ns):
    """Whether a snapshot is older, by its number and by its time, than what a standing book has taken since.

    A venue that starts anew sends a later time, or 1 where that is its sign.
    """
    if rule[LINK] == LINK_NONE or last_id == NONE or seen == NONE or (rule[RESET] == RESET_ONE and last_id == 1):
        return False
    return last_id < seen and _is_before(event_ns, taken_event_ns)


@inner
def _is_before(event_ns, taken_event_ns):
    return event_ns != 0 and taken_event_ns != NONE and event_ns < taken_event_ns
