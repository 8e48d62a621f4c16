"""The `instruments` table: each venue's products as dated facts.

One version per time that a venue was asked and said something new; `event_time` is the time of the statement.
"""

import pyarrow as pa

from tidelake.tables.schema import TIME, Table, event_time, exact, text

INSTRUMENTS = Table(
    name="instruments",
    facts=(
        text("source"),
        text("venue_symbol"),
        text("symbol"),
        text("kind"),
        text("base"),
        text("quote"),
        pa.field("settle", pa.string()),
        exact("tick_size", nullable=True),
        exact("lot_size", nullable=True),
        exact("min_size", nullable=True),
        exact("contract_size", nullable=True),
        pa.field("contract_unit", pa.string()),
        text("trading_status"),
        pa.field("listed_at", TIME),
        pa.field("expires_at", TIME),
        exact("strike", nullable=True),
        pa.field("option_type", pa.string()),
        event_time(),
    ),
    key=("source", "venue_symbol"),
    restatable=True,
    manner=("event_time",),
)
