"""What is known of a book after a message: its state, the reason where it is not VALID, and what proved it.

The kernels write the codes; tables, reports and errors use the words.
"""

from tidelake.kernels.book_codes import INVALID, SUSPECT, UNPROVABLE, VALID

__all__ = ["INVALID", "REASONS", "RULES", "STATES", "SUSPECT", "UNPROVABLE", "VALID", "WORST_FIRST", "rule_words"]

STATES: tuple[str, ...] = ("VALID", "SUSPECT", "INVALID", "UNPROVABLE")
WORST_FIRST = (INVALID, SUSPECT, UNPROVABLE, VALID)

# By code, as `kernels.book_codes` numbers them.
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
)

# The bits of `Verdicts.proven`, lowest first: what proved the book as it stands after a message.
RULES: tuple[str, ...] = ("snapshot", "sequence", "checksum", "quote", "audit", "connection")


def rule_words(proven: int) -> str:
    """The names of the bits, such as "snapshot+sequence"; "" where none is set."""
    return "+".join(word for bit, word in enumerate(RULES) if proven >> bit & 1)
