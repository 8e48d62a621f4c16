"""The `lending_positions` table: what each lending market holds of each asset, day by day.

The state of a grid time is told as a whole, by the last note of its collection (`told_with`): where a day is collected
again, the new telling stands, and an asset that it does not name stands no longer. A market that is not OK then, or
that holds nothing, has one row with its `state`, no asset and no amounts.

Amounts are told twice: the integer in the asset's smallest unit as text, and the same in whole assets, exactly; null
where that does not fit (more than 18 digits behind the point, or 20 before it).
"""

from tidelake.tables.schema import Column, Table, event_time, exact, text

LENDING_POSITIONS = Table(
    name="lending_positions",
    facts=(
        text("chain"),
        text("market"),
        text("grid"),
        text("granularity"),
        Column("grid_time", "time"),
        text("asset"),
        text("role"),
        text("part"),
        text("state"),
        Column("reason", "text", nullable=True),
        event_time(),
        Column("block_number", "int64", nullable=True),
        Column("block_hash", "text", nullable=True),
        text("protocol"),
        text("family"),
        Column("symbol", "text", nullable=True),
        Column("decimals", "int32", nullable=True),
        exact("supplied", nullable=True),
        Column("supplied_raw", "text", nullable=True),
        exact("borrowed", nullable=True),
        Column("borrowed_raw", "text", nullable=True),
        exact("available", nullable=True),
        Column("available_raw", "text", nullable=True),
        Column("shares_raw", "text", nullable=True),
        Column("active", "bool", nullable=True),
        Column("frozen", "bool", nullable=True),
        Column("paused", "bool", nullable=True),
    ),
    key=("chain", "market", "grid", "asset", "role", "part"),
    restatable=True,
    retractable=True,
    partition_by=("chain",),
    sort_by=("market", "grid_time"),
    told_with=("chain", "market", "grid"),
)
