"""What is known of a book after a message: its state, the reason where it is not VALID, and what proved it.

The kernels write the codes; tables, reports and errors use the words.
"""

VALID, SUSPECT, INVALID, UNPROVABLE = range(4)
STATES: tuple[str, ...] = ("VALID", "SUSPECT", "INVALID", "UNPROVABLE")
WORST_FIRST = (INVALID, SUSPECT, UNPROVABLE, VALID)

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
    VENUE_RESET,
) = range(14)
REASONS: tuple[str, ...] = (
    "",
    "no snapshot yet",
    "sequence break",
    "wrong checksum",
    "connection lost",
    "gap in the connection's numbers",
    "a message could not be read",
    "a level does not fit the book's scale",
    "snapshot page older than the kept updates",
    "differs from an audit page",
    "crossed or locked",
    "differs from the quote with the same update id",
    "the venue offers nothing to prove it by",
    "reset by the venue",
)

# Bits of `Verdicts.proven`: what proved the book as it stands after a message.
BY_SNAPSHOT, BY_SEQUENCE, BY_CHECKSUM, BY_QUOTE, BY_AUDIT, BY_CONNECTION = 1, 2, 4, 8, 16, 32
RULES: tuple[str, ...] = ("snapshot", "sequence", "checksum", "quote", "audit", "connection")


def rule_words(proven: int) -> str:
    """The names of the bits, such as "sequence+checksum"; "" where none is set."""
    return "+".join(word for bit, word in enumerate(RULES) if proven >> bit & 1)
