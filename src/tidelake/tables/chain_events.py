"""The `chain_events` table: logs of contracts as facts, by block hash, transaction hash and log index.

A log of an orphaned block is retracted, and the same transaction's log in the block that replaced it is another fact.
So the table is restatable, for that alone: a retraction is a later version.
Topics and data stand as they were logged, "0x.." in small letters: integers of 256 bits fit no number column.
`event_time` is the block's clock. `proof` says how the log was proven to be there and the others not to be: "receipts
root" (of each block its bloom or its receipts), "two providers", "one provider".
"""

from tidelake.tables.schema import Column, Table, event_time, text

CHAIN_EVENTS = Table(
    name="chain_events",
    facts=(
        text("chain"),
        text("block_hash"),
        text("tx_hash"),
        Column("log_index", "int64"),
        Column("block_number", "int64"),
        Column("tx_index", "int64"),
        event_time(),
        text("address"),
        Column("topic0", "text", nullable=True),
        Column("topic1", "text", nullable=True),
        Column("topic2", "text", nullable=True),
        Column("topic3", "text", nullable=True),
        text("data"),
        text("proof"),
    ),
    key=("chain", "block_hash", "tx_hash", "log_index"),
    restatable=True,
    retractable=True,
    partition_by=("chain",),
    sort_by=("block_number", "log_index"),
    manner=("proof",),
)
