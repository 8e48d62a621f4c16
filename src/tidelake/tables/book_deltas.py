"""The `book_deltas` table: one row per level that an update sets; size 0 removes the level.

Prices and sizes are integer mantissas; the value is mantissa * 10**exponent. `first_update_id`, `last_update_id` and
`prev_update_id` are the venue's own numbers, kept as they are; `update_key` is the last of them, or, where the venue
numbers nothing, "<event_us>-<first 16 hex digits of the payload's SHA-256>". `place` counts the levels of a message
from 0: one message may set a price twice. `validity` is the state of the book after the update.
"""

import pyarrow as pa

from tidelake.tables.schema import Table, event_time, text

BOOK_DELTAS = Table(
    name="book_deltas",
    facts=(
        text("source"),
        text("symbol"),
        text("channel"),
        text("update_key"),
        pa.field("place", pa.int32(), nullable=False),
        pa.field("first_update_id", pa.int64()),
        pa.field("last_update_id", pa.int64()),
        pa.field("prev_update_id", pa.int64()),
        event_time(),
        text("side"),
        pa.field("price_mantissa", pa.int64(), nullable=False),
        pa.field("price_exponent", pa.int8(), nullable=False),
        pa.field("size_mantissa", pa.int64(), nullable=False),
        pa.field("size_exponent", pa.int8(), nullable=False),
        text("validity"),
        pa.field("rule", pa.string()),
    ),
    key=("source", "symbol", "channel", "update_key", "place"),
    restatable=False,
    ids=("update_key", "last_update_id"),
)
