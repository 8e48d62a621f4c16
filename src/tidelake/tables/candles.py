"""The `candles` table: bars of one interval, built from our trades or told by the venue, never mixed.

`event_time` is the start of the bar, inclusive; the bar ends just before the next start. A bar without a trade has no
row. `origin` is "trades" (built here, over grain "trade") or "venue". `volume` is in `size_unit`.
"""

from tidelake.tables.schema import Column, Table, event_time, exact, text

CANDLES = Table(
    name="candles",
    facts=(
        text("source"),
        text("symbol"),
        text("interval"),
        text("origin"),
        event_time(),
        exact("open"),
        exact("high"),
        exact("low"),
        exact("close"),
        exact("volume", nullable=True),
        Column("size_unit", "text", nullable=True),
        exact("volume_quote", nullable=True),
        Column("trades", "int64", nullable=True),
    ),
    key=("source", "symbol", "interval", "origin", "event_time"),
    restatable=True,
    positive=("open", "high", "low", "close"),
)
