"""The `instruments` table: each venue's products as dated facts.

One version per time that a venue was asked and said something new; `event_time` is the time of the statement.
"""

from tidelake.tables.schema import Column, Table, event_time, exact, text

INSTRUMENTS = Table(
    name="instruments",
    facts=(
        text("source"),
        text("venue_symbol"),
        text("symbol"),
        text("kind"),
        text("base"),
        text("quote"),
        Column("settle", "text", nullable=True),
        exact("tick_size", nullable=True),
        exact("lot_size", nullable=True),
        exact("min_size", nullable=True),
        exact("contract_size", nullable=True),
        Column("contract_unit", "text", nullable=True),
        text("trading_status"),
        Column("listed_at", "time", nullable=True),
        Column("expires_at", "time", nullable=True),
        exact("strike", nullable=True),
        Column("option_type", "text", nullable=True),
        event_time(),
    ),
    key=("source", "venue_symbol"),
    restatable=True,
    manner=("event_time",),
)
