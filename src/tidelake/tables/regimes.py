"""The `regimes` table: what kind of minute it was in a stream, judged by the minutes before it alone.

Built from `trades` and `quotes` (`jobs.regimes`). A measure that a minute does not have (no two trades, no quote) is
null, and so is its level, also while there are too few minutes before it to judge by.
"""

from tidelake.tables.schema import Column, Table, event_time, exact, text

REGIMES = Table(
    name="regimes",
    facts=(
        text("source"),
        text("symbol"),
        event_time(),
        text("regime"),
        Column("special_event", "text", nullable=True),
        Column("trades", "int64"),
        exact("volume", nullable=True),
        Column("volatility", "float64", nullable=True),
        Column("spread_bps", "float64", nullable=True),
        Column("trades_level", "text", nullable=True),
        Column("volume_level", "text", nullable=True),
        Column("volatility_level", "text", nullable=True),
        Column("spread_level", "text", nullable=True),
        text("settings"),
    ),
    key=("source", "symbol", "event_time"),
    restatable=True,
    filled_by="regimes",
)
