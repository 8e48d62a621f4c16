"""The `trades` table: every public trade of every venue, exact.

One row per trade and grain. `side` is the taker's. `trade_seq` counts the trades of a symbol by one where the venue
numbers them so; it is what coverage is proved by.
"""

from tidelake.tables.schema import Column, Table, event_time, exact, text

TRADES = Table(
    name="trades",
    facts=(
        text("source"),
        text("symbol"),
        text("grain"),
        text("trade_id"),
        Column("trade_seq", "int64", nullable=True),
        event_time(),
        exact("price"),
        exact("size"),
        text("size_unit"),
        text("side"),
        text("transport"),
    ),
    key=("source", "symbol", "grain", "trade_id"),
    restatable=False,
    positive=("price", "size"),
    manner=("transport",),
    ids=("trade_id", "trade_seq"),
)
