"""The `quotes` table: best bid and ask, as the venue sent them.

`channel` is the venue's own word, because several channels of a venue tell quotes at different times. `update_id` is
the venue's number of the book state that the quote shows, where it gives one; a quote and a book update with the same
number must agree. `quote_id` is that number, or another one that the venue counts messages by; where there is none it
is "<event_us>-<first 16 hex digits of the payload's SHA-256>". A side that is empty is null. Where the venue tells no
time, `event_time` is our receipt: it says how a quote was told, not what. `validity` is UNPROVABLE until the book of
the same stream has judged the quote.
"""

from tidelake.tables.schema import Column, Table, event_time, exact, text

QUOTES = Table(
    name="quotes",
    facts=(
        text("source"),
        text("symbol"),
        text("channel"),
        text("quote_id"),
        Column("update_id", "int64", nullable=True),
        event_time(),
        exact("bid_price", nullable=True),
        exact("bid_size", nullable=True),
        exact("ask_price", nullable=True),
        exact("ask_size", nullable=True),
        text("size_unit"),
        text("validity"),
        Column("rule", "text", nullable=True),
    ),
    key=("source", "symbol", "channel", "quote_id"),
    restatable=False,
    manner=("event_time", "validity", "rule"),
    ids=("quote_id", "update_id"),
)
