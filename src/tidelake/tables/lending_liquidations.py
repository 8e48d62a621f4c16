"""The `lending_liquidations` table: liquidations as logs tell them, one row for each collateral that was taken.

Which log tells what differs between protocols: a debt and a collateral in one log (Aave, Compound v2, Morpho), a debt
in one and each collateral in another (Compound v3), unpaid debt in a log of its own (Aave from v3.3 on). `event_time`
is the block's clock. A log of an orphaned block is retracted.
"""

from tidelake.tables.schema import Column, Table, event_time, exact, text

LENDING_LIQUIDATIONS = Table(
    name="lending_liquidations",
    facts=(
        text("chain"),
        text("block_hash"),
        text("tx_hash"),
        Column("log_index", "int64"),
        text("collateral_asset"),
        text("market"),
        text("protocol"),
        text("family"),
        event_time(),
        Column("block_number", "int64"),
        text("event"),
        text("borrower"),
        text("liquidator"),
        text("part"),
        Column("debt_asset", "text", nullable=True),
        Column("debt_decimals", "int32", nullable=True),
        exact("debt_repaid", nullable=True),
        Column("debt_repaid_raw", "text", nullable=True),
        Column("collateral_decimals", "int32", nullable=True),
        exact("collateral_seized", nullable=True),
        Column("collateral_seized_raw", "text", nullable=True),
        exact("bad_debt", nullable=True),
        Column("bad_debt_raw", "text", nullable=True),
        text("proof"),
    ),
    key=("chain", "block_hash", "tx_hash", "log_index", "collateral_asset"),
    restatable=True,
    retractable=True,
    partition_by=("chain",),
    sort_by=("market", "event_time"),
    manner=("proof",),
)
