"""The `book_snapshots` table: one row per level of a full book, as the venue sent it.

Prices and sizes are integer mantissas; the value is mantissa * 10**exponent, with one exponent per row and kind.
`level` counts from 0 at the best. `snapshot_id` is the venue's number of the state, or, where it numbers nothing,
"<event_us>-<first 16 hex digits of the payload's SHA-256>".
"""

import pyarrow as pa

from tidelake.tables.schema import Table, event_time, text

BOOK_SNAPSHOTS = Table(
    name="book_snapshots",
    facts=(
        text("source"),
        text("symbol"),
        text("channel"),
        text("snapshot_id"),
        pa.field("update_id", pa.int64()),
        event_time(),
        text("side"),
        pa.field("level", pa.int32(), nullable=False),
        pa.field("price_mantissa", pa.int64(), nullable=False),
        pa.field("price_exponent", pa.int8(), nullable=False),
        pa.field("size_mantissa", pa.int64(), nullable=False),
        pa.field("size_exponent", pa.int8(), nullable=False),
        text("validity"),
        pa.field("rule", pa.string()),
    ),
    key=("source", "symbol", "channel", "snapshot_id", "side", "level"),
    restatable=False,
    ids=("snapshot_id", "update_id"),
)
