"""Finality policies that several chains share."""

from tidelake.chains.spec import FinalityPolicy, Source

WAIT_S = 3600  # our choice, where a node does not know the tag: longer than the slowest finality read in a source

_OP_DOCS = "bbe7f1e30354570dd7eb41881fe045d1392b41cf"


def op_stack(since_block: int = 0) -> FinalityPolicy:
    """What holds on rollups of the OP stack."""
    return FinalityPolicy(
        since_block=since_block,
        safe="safe",
        final="finalized",
        wait_s=WAIT_S,
        meaning={
            "model": "rollup of the OP stack",
            "latest": "in a sequencer's block, its data not yet on Ethereum",
            "safe": "data published to Ethereum in a block that is not final: typically 5 to 10 minutes",
            "finalized": "the block of Ethereum that holds the data is final: typically 15 to 30 minutes",
            "withdrawals": "their 7 days are no matter of finality",
        },
        doubt=None,
        sources=(
            Source("ethereum-optimism/docs", "op-stack/transactions/transaction-finality.mdx", _OP_DOCS),
            Source("ethereum-optimism/docs", "app-developers/guides/transactions/statuses.mdx", _OP_DOCS),
        ),
    )


def unread() -> FinalityPolicy:
    """What is assumed of a chain, or of its early blocks, whose finality was read in no source."""
    return FinalityPolicy(
        since_block=0,
        safe=None,
        final="finalized",
        wait_s=WAIT_S,
        meaning={},
        doubt="no source was read that says what its tags mean; the node's own `finalized` is taken where it tells one",
        sources=(),
    )
