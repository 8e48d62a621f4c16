"""The `market_events` table: books and trades of a vendor's files, replayed into one stream of events.

One row per event, in the order of `place`: a trade; a level that a message set ("delta"; `item` counts the levels of a
message from 0, and all of them show the book after the whole message); a snapshot that the replayed book was compared
with; a moment of the grid ("book"). Prices and sizes are integer mantissas: the value is mantissa * 10**exponent, with
the exponents of the row. Trades never change the book. docs/semantics.md defines each column.
"""

from tidelake.tables.schema import Column, Scaled, Table, event_time, price_and_size, text

MARKET_EVENTS = Table(
    name="market_events",
    facts=(
        text("source"),
        text("symbol"),
        text("vendor"),
        text("strategy"),
        Column("day", "date"),
        Column("place", "int64"),
        text("plan"),
        text("event_type"),
        event_time(),
        Column("update_id", "int64", nullable=True),
        Column("side", "text", nullable=True),
        Column("price_exponent", "int8"),
        Column("size_exponent", "int8"),
        Column("price_mantissa", "int64", nullable=True),
        Column("size_mantissa", "int64", nullable=True),
        Column("trade_id", "text", nullable=True),
        Column("best_bid_price", "int64", nullable=True),
        Column("best_bid_size", "int64", nullable=True),
        Column("best_ask_price", "int64", nullable=True),
        Column("best_ask_size", "int64", nullable=True),
        Column("bid_prices", "int64s", nullable=True),
        Column("bid_sizes", "int64s", nullable=True),
        Column("ask_prices", "int64s", nullable=True),
        Column("ask_sizes", "int64s", nullable=True),
        Column("bids_known", "int32", nullable=True),
        Column("asks_known", "int32", nullable=True),
        Column("imbalance", "float64", nullable=True),
        text("validity"),
        Column("rule", "text", nullable=True),
        Column("drift_levels", "int32", nullable=True),
        Column("drift_prices", "int32", nullable=True),
        Column("drift_sizes", "int32", nullable=True),
        Column("drift_best_rms", "float64", nullable=True),
        Column("model_size_left", "int64", nullable=True),
    ),
    key=("source", "symbol", "vendor", "strategy", "day", "place"),
    restatable=False,
    sort_by=("symbol", "vendor", "strategy", "place"),
    counters=("place", "update_id", "price_mantissa", "best_bid_price", "best_ask_price", "item"),
    scattered=("size_mantissa", "best_bid_size", "best_ask_size"),
    scaled=(
        *price_and_size(),
        Scaled("best_bid", "best_bid_price", "price_exponent"),
        Scaled("best_ask", "best_ask_price", "price_exponent"),
        Scaled("bid_size", "best_bid_size", "size_exponent"),
        Scaled("ask_size", "best_ask_size", "size_exponent"),
        Scaled("size_left", "model_size_left", "size_exponent"),
    ),
    filled_by="books reconstruct",
)
