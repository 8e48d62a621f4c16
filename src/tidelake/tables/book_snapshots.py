"""The `book_snapshots` table: one row per level of a full book, as the venue sent it.

Prices and sizes are integer mantissas; the value is mantissa * 10**exponent, with one exponent per row and kind.
`level` counts from 0 at the best. `snapshot_id` is the venue's number of the state, or, where it numbers nothing,
"<event_us>-<first 16 hex digits of the payload's SHA-256>".
"""

from tidelake.tables.schema import Column, Table, event_time, price_and_size, text

BOOK_SNAPSHOTS = Table(
    name="book_snapshots",
    facts=(
        text("source"),
        text("symbol"),
        text("channel"),
        text("snapshot_id"),
        Column("update_id", "int64", nullable=True),
        event_time(),
        text("side"),
        Column("level", "int32"),
        Column("price_mantissa", "int64"),
        Column("price_exponent", "int8"),
        Column("size_mantissa", "int64"),
        Column("size_exponent", "int8"),
        text("validity"),
        Column("rule", "text", nullable=True),
    ),
    key=("source", "symbol", "channel", "snapshot_id", "side", "level"),
    restatable=False,
    manner=("validity", "rule"),
    ids=("snapshot_id", "update_id"),
    scaled=price_and_size(),
)
