"""The `quotes` table: best bid and ask, as the venue sent them.

`update_id` is the venue's number of the book state that the quote shows, where it gives one; a quote and a book update
with the same number must agree. A side that is empty is null.
"""

import pyarrow as pa

from tidelake.tables.schema import Table, event_time, exact, text

QUOTES = Table(
    name="quotes",
    facts=(
        text("source"),
        text("symbol"),
        text("quote_id"),
        pa.field("update_id", pa.int64()),
        event_time(),
        exact("bid_price", nullable=True),
        exact("bid_size", nullable=True),
        exact("ask_price", nullable=True),
        exact("ask_size", nullable=True),
        text("validity"),
        pa.field("rule", pa.string()),
    ),
    key=("source", "symbol", "quote_id"),
    restatable=False,
)
