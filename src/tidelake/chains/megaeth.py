"""MegaETH."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Rollup, Source

CHAIN = Chain(
    name="megaeth",
    title="MegaETH",
    chain_id=4_326,
    native="ETH",
    defillama="megaeth",
    block_ms=1_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 0),
    finality=(unread(),),
    rollup=Rollup(
        "op-stack",
        "ethereum",
        contracts={
            "dispute_game_factory": "0x8546840adF796875cD9AAcc5B3B048f6B2c9D563",
            "optimism_portal": "0x7f82f57F0Dd546519324392e408b01fcC7D709e8",
            "l1_standard_bridge": "0x0CA3A2FBC3D770b578223FBB6b062fa875a2eE75",
        },
        sources=(Source("wevm/viem", "src/chains/definitions/megaeth.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
    ),
    sources=(Source("wevm/viem", "src/chains/definitions/megaeth.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
