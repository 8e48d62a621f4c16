"""Ink."""

from tidelake.chains.policies import op_stack
from tidelake.chains.spec import Chain, Multicall3, Rollup, Source

CHAIN = Chain(
    name="ink",
    title="Ink",
    chain_id=57_073,
    native="ETH",
    defillama="ink",
    block_ms=2_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 0),
    finality=(op_stack(),),
    header_hash_since=0,
    receipts_root_since=0,
    rollup=Rollup(
        "op-stack",
        "ethereum",
        contracts={
            "dispute_game_factory": "0x10d7B35078d3baabB96Dd45a9143B94be65b12CD",
            "optimism_portal": "0x5d66C1782664115999C47c9fA5cd031f495D3e4F",
            "l1_standard_bridge": "0x88FF1e5b602916615391F55854588EFcBB7663f0",
        },
        sources=(Source("wevm/viem", "src/chains/definitions/ink.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
    ),
    sources=(
        Source("wevm/viem", "src/chains/definitions/ink.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        Source("wevm/viem", "src/op-stack/chainConfig.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
    ),
)
