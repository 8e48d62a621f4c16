"""The `book_deltas` table: one row per level that an update sets; size 0 removes the level.

Prices and sizes are integer mantissas; the value is mantissa * 10**exponent. `first_update_id`, `last_update_id` and
`prev_update_id` are the venue's own numbers, kept as they are; `update_key` is the last of them, or, where the venue
numbers nothing, "<event_us>-<first 16 hex digits of the payload's SHA-256>". `place` counts the levels of a message
from 0: one message may set a price twice. `validity` is the state of the book after the update.
"""

from tidelake.tables.schema import Column, Table, event_time, price_and_size, text

BOOK_DELTAS = Table(
    name="book_deltas",
    facts=(
        text("source"),
        text("symbol"),
        text("channel"),
        text("update_key"),
        Column("place", "int32"),
        Column("first_update_id", "int64", nullable=True),
        Column("last_update_id", "int64", nullable=True),
        Column("prev_update_id", "int64", nullable=True),
        event_time(),
        text("side"),
        Column("price_mantissa", "int64"),
        Column("price_exponent", "int8"),
        Column("size_mantissa", "int64"),
        Column("size_exponent", "int8"),
        text("validity"),
        Column("rule", "text", nullable=True),
    ),
    key=("source", "symbol", "channel", "update_key", "place"),
    restatable=False,
    manner=("validity", "rule"),
    ids=("update_key", "last_update_id"),
    scaled=price_and_size(),
)
