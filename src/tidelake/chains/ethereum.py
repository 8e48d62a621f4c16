"""Ethereum."""

from tidelake.chains.policies import WAIT_S
from tidelake.chains.spec import Chain, FinalityPolicy, Multicall3, Source

CHAIN = Chain(
    name="ethereum",
    title="Ethereum",
    chain_id=1,
    native="ETH",
    defillama="ethereum",
    block_ms=12_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 14_353_601),
    finality=(
        FinalityPolicy(
            since_block=0,
            safe=None,
            final=None,
            wait_s=WAIT_S,
            meaning={"model": "proof of work: the chain with the most work"},
            doubt=None,
            sources=(
                Source("ethereum/EIPs", "EIPS/eip-6953.md", "62ce247f147a0e7faf6f58c125488edb42c137b7"),
                Source(
                    "ethereum/execution-specs",
                    "src/ethereum/paris/__init__.py",
                    "e7c5e3a9eab9ca3513b158ab351b8c6c3948e08e",
                ),
            ),
        ),
        FinalityPolicy(
            since_block=15_537_394,
            safe="safe",
            final="finalized",
            wait_s=WAIT_S,
            meaning={
                "model": "proof of stake, slots of 12 s, epochs of 32 slots",
                "latest": "may be re-orged",
                "safe": "safe under honest majority and synchrony",
                "finalized": "cannot be re-orged outside manual intervention; normally about 2 epochs (12.8 minutes)",
            },
            doubt=None,
            sources=(
                Source("ethereum/execution-apis", "src/schemas/block.yaml", "033ca6e69da000445840d2060ff47e5e56172a86"),
                Source("ethereum/consensus-specs", "configs/mainnet.yaml", "a08d8a6e2b45f0b8c0d379abc15583427c643689"),
                Source(
                    "ethereum/consensus-specs",
                    "presets/mainnet/phase0.yaml",
                    "a08d8a6e2b45f0b8c0d379abc15583427c643689",
                ),
                Source(
                    "ethereum-optimism/docs",
                    "op-stack/transactions/transaction-finality.mdx",
                    "bbe7f1e30354570dd7eb41881fe045d1392b41cf",
                ),
            ),
        ),
    ),
    header_hash_since=0,
    receipts_root_since=0,
    wrapped_native="0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
    sources=(
        Source("wevm/viem", "src/chains/definitions/mainnet.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        Source("Uniswap/default-token-list", "src/tokens/mainnet.json", "49f39bd7e83fbf311c5ffa3e153d4ad146a60214"),
    ),
)
