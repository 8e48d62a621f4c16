"""The `token_prices` table: what price sources say of tokens, once for each token and day, for all markets.

`grid_time` is the beginning of the UTC day; the price asked for is that at its end, where the day's block stands.
`event_time` is the moment that the source gives its price; where it gives none, the moment asked for. A source that was
asked and has no price has a row with `state` NOT_PRICED. Asked again, another answer is a later version: a revision.
"""

from tidelake.tables.schema import Column, Table, event_time, exact, text

TOKEN_PRICES = Table(
    name="token_prices",
    facts=(
        text("chain"),
        text("token"),
        Column("grid_time", "time"),
        text("price_source"),
        text("state"),
        event_time(),
        exact("price_usd", nullable=True),
        Column("price_told", "text", nullable=True),
        exact("confidence", nullable=True),
        Column("symbol", "text", nullable=True),
        Column("decimals", "int32", nullable=True),
    ),
    key=("chain", "token", "grid_time", "price_source"),
    restatable=True,
    partition_by=("chain",),
    sort_by=("token", "grid_time"),
)
