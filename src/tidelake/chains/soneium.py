"""Soneium Mainnet."""

from tidelake.chains.policies import op_stack
from tidelake.chains.spec import Chain, Multicall3, Rollup, Schedule, Source

CHAIN = Chain(
    name="soneium",
    title="Soneium Mainnet",
    chain_id=1_868,
    native="ETH",
    defillama="soneium",
    block_ms=2_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 1),
    finality=(op_stack(),),
    header_hash_since=0,
    receipts_root_since=0,
    schedule=Schedule(
        0,
        1_733_134_751,
        2,
        Source(
            "ethereum-optimism/superchain-registry",
            "superchain/configs/mainnet/soneium.toml",
            "8336d2aedd19b87a57b01ae36ba4afef8ea377d0",
        ),
    ),
    rollup=Rollup(
        "op-stack",
        "ethereum",
        contracts={
            "batch_inbox": "0x008dC74CecC9dedA8595B2Fe210cE5979F0BfA8e",
            "batcher_at_genesis": "0x6776BE80dBAda6A02B5F2095cF13734ac303B8d1",
            "optimism_portal": "0x88e529A6ccd302c948689Cd5156C83D4614FAE92",
            "l1_standard_bridge": "0xeb9bf100225c214Efc3E7C651ebbaDcF85177607",
            "system_config": "0x7A8Ed66B319911A0F3E7288BDdAB30d9c0C875c3",
            "dispute_game_factory": "0x512A3d2c7a43BD9261d2B8E8C9c70D4bd4D503C0",
        },
        sources=(
            Source(
                "ethereum-optimism/superchain-registry",
                "superchain/configs/mainnet/soneium.toml",
                "8336d2aedd19b87a57b01ae36ba4afef8ea377d0",
            ),
            Source("wevm/viem", "src/chains/definitions/soneium.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        ),
    ),
    sources=(
        Source("wevm/viem", "src/chains/definitions/soneium.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        Source("wevm/viem", "src/op-stack/chainConfig.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
    ),
)
