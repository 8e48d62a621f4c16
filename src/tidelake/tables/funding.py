"""The `funding` table: what a venue says of a contract's funding, mark price and index price.

One row per message that says any of it; what a message leaves out is null, which means "not said here", never zero.
`funding_rate` is the fraction of the position's value that longs pay shorts at `next_funding_at`, as expected when
told, per `interval_hours`; it is not per year. `funding_id` is "<event_us>-<16 hex digits of the payload's SHA-256>".
"""

from tidelake.tables.schema import Column, Table, event_time, exact, text

FUNDING = Table(
    name="funding",
    facts=(
        text("source"),
        text("symbol"),
        text("channel"),
        text("funding_id"),
        event_time(),
        exact("funding_rate", nullable=True),
        Column("interval_hours", "int32", nullable=True),
        Column("next_funding_at", "time", nullable=True),
        exact("mark_price", nullable=True),
        exact("index_price", nullable=True),
    ),
    key=("source", "symbol", "channel", "funding_id"),
    restatable=False,
    ids=("funding_id", ""),
)
