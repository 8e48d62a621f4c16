"""Polygon."""

from tidelake.chains.policies import WAIT_S
from tidelake.chains.spec import Chain, FinalityPolicy, Multicall3, Source

CHAIN = Chain(
    name="polygon",
    title="Polygon",
    chain_id=137,
    native="POL",
    defillama="polygon",
    block_ms=2_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 25_770_160),
    finality=(
        FinalityPolicy(
            since_block=0,
            safe=None,
            final="finalized",
            wait_s=WAIT_S,
            meaning={
                "model": "PoS with Heimdall milestones",
                "finalized": "deterministic by milestone, 2-5 s since Heimdall v2",
                "before": "before Heimdall v2 milestones were slower, before milestones probabilistic",
                "checkpoints": "to Ethereum, every 256 blocks or more",
            },
            doubt="no source read tells the first block with milestones, or with those of Heimdall v2",
            sources=(
                Source(
                    "0xPolygon/polygon-docs",
                    "docs/pos/concepts/finality/finality.md",
                    "0f9ab16456cb2f4febbb47e84dd6d3fd0fa4a093",
                ),
            ),
        ),
    ),
    header_hash_since=0,
    receipts_root_since=0,
    state_sync=True,
    wrapped_native="0x0d500B1d8E8eF31E21C99d1Db9A6444d3ADf1270",
    sources=(
        Source("wevm/viem", "src/chains/definitions/polygon.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        Source("Uniswap/default-token-list", "src/tokens/polygon.json", "49f39bd7e83fbf311c5ffa3e153d4ad146a60214"),
    ),
)
