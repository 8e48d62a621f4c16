"""OP Mainnet."""

from tidelake.chains.policies import op_stack, unread
from tidelake.chains.spec import Chain, Multicall3, Rollup, Schedule, Source

CHAIN = Chain(
    name="optimism",
    title="OP Mainnet",
    chain_id=10,
    native="ETH",
    defillama="optimism",
    block_ms=2_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 4_286_263),
    finality=(unread(), op_stack(since_block=105_235_063)),
    header_hash_since=105_235_063,
    receipts_root_since=105_235_063,
    schedule=Schedule(
        105_235_063,
        1_686_068_903,
        2,
        Source(
            "ethereum-optimism/superchain-registry",
            "superchain/configs/mainnet/op.toml",
            "8336d2aedd19b87a57b01ae36ba4afef8ea377d0",
        ),
    ),
    rollup=Rollup(
        "op-stack",
        "ethereum",
        contracts={
            "batch_inbox": "0xFF00000000000000000000000000000000000010",
            "batcher_at_genesis": "0x6887246668a3b87F54DeB3b94Ba47a6f63F32985",
            "optimism_portal": "0xbEb5Fc579115071764c7423A4f12eDde41f106Ed",
            "l1_standard_bridge": "0x99C9fc46f92E8a1c0deC1b1747d010903E884bE1",
            "system_config": "0x229047fed2591dbec1eF1118d64F7aF3dB9EB290",
            "dispute_game_factory": "0xe5965Ab5962eDc7477C8520243A95517CD252fA9",
            "l2_output_oracle": "0xdfe97868233d1aa22e815a266982f2cf17685a27",
        },
        history="Blocks before 105235063 (Bedrock) have irregular times; state calls at them want Legacy Geth",
        sources=(
            Source(
                "ethereum-optimism/superchain-registry",
                "superchain/configs/mainnet/op.toml",
                "8336d2aedd19b87a57b01ae36ba4afef8ea377d0",
            ),
            Source(
                "ethereum-optimism/docs",
                "node-operators/guides/base-config.mdx",
                "bbe7f1e30354570dd7eb41881fe045d1392b41cf",
            ),
            Source("wevm/viem", "src/chains/definitions/optimism.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        ),
    ),
    sources=(
        Source("wevm/viem", "src/chains/definitions/optimism.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        Source("wevm/viem", "src/op-stack/chainConfig.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
    ),
)
