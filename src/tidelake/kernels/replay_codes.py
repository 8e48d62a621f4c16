"""Numbers by which the kernels of a replay, and those who call them, name kinds of events and what became of them."""

# Kind of event: a trade; a message that sets levels; the best levels of a book; a whole book, which replaces all.
TRADE, DELTA, PART, WHOLE = range(4)

NO_SEQUENCE = -1

# Where the book stands: no snapshot came yet; messages are missing and no snapshot came since; a snapshot began it.
NOT_BEGUN, BROKEN, BEGUN = range(3)

# What a snapshot was found to be: the first of the book, or the first after a break; equal to the book; not equal.
BEGAN, AGREED, DRIFTED = range(3)

# Flags of an event: the book has no snapshot yet; has none since a break; the best level of a side, or all of it, lies
# beyond the known depth; best bid at or above best ask; a snapshot was judged here, and found to be this.
FLAG_NOT_BEGUN, FLAG_BROKEN, FLAG_PAST_DEPTH, FLAG_CROSSED, FLAG_BEGAN, FLAG_AGREED, FLAG_DRIFTED = (
    1 << bit for bit in range(7)
)
