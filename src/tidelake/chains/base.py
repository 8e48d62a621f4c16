"""Base."""

from tidelake.chains.policies import op_stack
from tidelake.chains.spec import Chain, Multicall3, Rollup, Schedule, Source

CHAIN = Chain(
    name="base",
    title="Base",
    chain_id=8_453,
    native="ETH",
    defillama="base",
    block_ms=2_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 5_022),
    finality=(op_stack(),),
    header_hash_since=0,
    receipts_root_since=0,
    wrapped_native="0x4200000000000000000000000000000000000006",
    schedule=Schedule(
        0,
        1_686_789_347,
        2,
        Source(
            "ethereum-optimism/superchain-registry",
            "superchain/configs/mainnet/base.toml",
            "720185c32b0599fa31b14f101cbc990ec39c0a36",
        ),
    ),
    rollup=Rollup(
        "op-stack",
        "ethereum",
        contracts={
            "batch_inbox": "0xFf00000000000000000000000000000000008453",
            "batcher_at_genesis": "0x5050F69a9786F081509234F1a7F4684b5E5b76C9",
            "optimism_portal": "0x49048044D57e1C92A77f79988d21Fa8fAF74E97e",
            "l1_standard_bridge": "0x3154Cf16ccdb4C6d922629664174b904d80F2C35",
            "system_config": "0x73a79Fab69143498Ed3712e519A88a918e1f4072",
            "dispute_game_factory": "0x43edB88C4B80fDD2AdFF2412A7BebF9dF42cB40e",
            "l2_output_oracle": "0x56315b90c40730925ec5485cf004d835058518A0",
        },
        sources=(
            Source(
                "ethereum-optimism/superchain-registry",
                "superchain/configs/mainnet/base.toml",
                "720185c32b0599fa31b14f101cbc990ec39c0a36",
            ),
            Source("wevm/viem", "src/chains/definitions/base.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        ),
    ),
    sources=(
        Source("wevm/viem", "src/chains/definitions/base.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        Source("wevm/viem", "src/op-stack/chainConfig.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        Source("Uniswap/default-token-list", "src/tokens/base.json", "49f39bd7e83fbf311c5ffa3e153d4ad146a60214"),
    ),
)
