"""The `chain_blocks` table: blocks as headers tell them, by hash.

Two blocks of one number stand beside each other until one is retracted: that is a reorg. `event_time` is the block's
own clock. `hash_proof` says what recomputing the hash said ("proven", "unprovable"; a header that differs is refused).
`finality` is the level at which the block was last seen ("soft", "safe", "final"), `confirmations` the blocks above it
then: evidence, never finality. A later look makes a later version of the row.
"""

from tidelake.tables.schema import Column, Table, event_time, text

CHAIN_BLOCKS = Table(
    name="chain_blocks",
    facts=(
        text("chain"),
        text("block_hash"),
        Column("block_number", "int64"),
        text("parent_hash"),
        event_time(),
        text("receipts_root"),
        text("hash_proof"),
        text("finality"),
        Column("confirmations", "int64", nullable=True),
    ),
    key=("chain", "block_hash"),
    restatable=True,
    retractable=True,
    partition_by=("chain",),
    sort_by=("block_number",),
    manner=("confirmations",),
)
