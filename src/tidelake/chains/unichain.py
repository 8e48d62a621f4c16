"""Unichain."""

from tidelake.chains.policies import op_stack
from tidelake.chains.spec import Chain, Multicall3, Rollup, Schedule, Source

CHAIN = Chain(
    name="unichain",
    title="Unichain",
    chain_id=130,
    native="ETH",
    defillama="unichain",
    block_ms=1_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 0),
    finality=(op_stack(),),
    header_hash_since=0,
    receipts_root_since=0,
    schedule=Schedule(
        0,
        1_730_748_359,
        1,
        Source(
            "ethereum-optimism/superchain-registry",
            "superchain/configs/mainnet/unichain.toml",
            "8336d2aedd19b87a57b01ae36ba4afef8ea377d0",
        ),
    ),
    rollup=Rollup(
        "op-stack",
        "ethereum",
        contracts={
            "batch_inbox": "0xFf00000000000000000000000000000000000130",
            "batcher_at_genesis": "0x2F60A5184c63ca94f82a27100643DbAbe4F3f7Fd",
            "optimism_portal": "0x0bd48f6B86a26D3a217d0Fa6FfE2B491B956A7a2",
            "l1_standard_bridge": "0x81014F44b0a345033bB2b3B21C7a1A308B35fEeA",
            "system_config": "0xc407398d063f942feBbcC6F80a156b47F3f1BDA6",
            "dispute_game_factory": "0x2F12d621a16e2d3285929C9996f478508951dFe4",
        },
        sources=(
            Source(
                "ethereum-optimism/superchain-registry",
                "superchain/configs/mainnet/unichain.toml",
                "8336d2aedd19b87a57b01ae36ba4afef8ea377d0",
            ),
            Source("wevm/viem", "src/chains/definitions/unichain.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        ),
    ),
    sources=(Source("wevm/viem", "src/chains/definitions/unichain.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
