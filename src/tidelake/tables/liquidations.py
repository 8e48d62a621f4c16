"""The `liquidations` table: orders by which venues closed positions of others.

`side` is that of the closing order, as taker: "sell" closes a long. `price` is of the kind that `price_kind` names:
"order", the limit of the order; "bankruptcy", at which the position was worth nothing; "trade", at which it traded.
`average_price` is what the order got, where the venue says it. `liquidation_id` is the venue's id of the trade, or
"<event_us>-<first 16 hex digits of the payload's SHA-256>", and ".<place>" after it from the second of a message on.
Venues do not tell all of them: Binance tells at most one a second for each symbol.
"""

from tidelake.tables.schema import Table, event_time, exact, text

LIQUIDATIONS = Table(
    name="liquidations",
    facts=(
        text("source"),
        text("symbol"),
        text("liquidation_id"),
        event_time(),
        text("side"),
        exact("price"),
        text("price_kind"),
        exact("average_price", nullable=True),
        exact("size"),
        exact("filled", nullable=True),
        text("size_unit"),
    ),
    key=("source", "symbol", "liquidation_id"),
    restatable=False,
    positive=("price", "size"),
    ids=("liquidation_id", ""),
)
