"""The numbers by which messages, states and rules of books are told to and by kernels.

`books.messages`, `books.states` and `books.rules.spec` give each its meaning.
"""

NONE = -(1 << 63)

UPDATE, SNAPSHOT, PAGE, QUOTE, HEARTBEAT, OPEN, OTHER, REFUSED = range(8)

VALID, SUSPECT, INVALID, UNPROVABLE = range(4)

(
    NO_REASON,
    NO_SNAPSHOT,
    SEQUENCE_BREAK,
    CHECKSUM_WRONG,
    CONNECTION_LOST,
    CONNECTION_GAP,
    REFUSED_MESSAGE,
    VALUE_TOO_LARGE,
    PAGE_TOO_OLD,
    AUDIT_DIFFERS,
    CROSSED_BOOK,
    QUOTE_DIFFERS,
    NOTHING_OFFERED,
) = range(13)

BY_SNAPSHOT, BY_SEQUENCE, BY_CHECKSUM, BY_QUOTE, BY_AUDIT, BY_CONNECTION = 1, 2, 4, 8, 16, 32

LINK_NONE, LINK_COUNTS, LINK_NAMES, LINK_STEPS = range(4)
JOIN_NEVER, JOIN_NEXT, JOIN_SPANS, JOIN_NAMES = range(4)
RESET_NEVER, RESET_BACKWARDS, RESET_ONE = range(3)
SUM_NONE, SUM_KRAKEN, SUM_OKX = range(3)

# Columns of the table of rules.
LINK, JOIN, RESET, SUM, ZERO_IS_ABSENT, CONNECTION, CONTINUES, QUOTES = range(8)
RULE_WORDS = 8
