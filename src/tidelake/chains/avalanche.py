"""Avalanche."""

from tidelake.chains.policies import WAIT_S
from tidelake.chains.spec import Chain, FinalityPolicy, Multicall3, Source

CHAIN = Chain(
    name="avalanche",
    title="Avalanche",
    chain_id=43_114,
    native="AVAX",
    defillama="avax",
    block_ms=1_700,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 11_907_934),
    finality=(
        FinalityPolicy(
            since_block=0,
            safe=None,
            final="latest",
            wait_s=WAIT_S,
            meaning={
                "model": "Avalanche consensus",
                "latest": "already final (about 1 s): latest returns the last accepted block, a query above it fails",
            },
            doubt=None,
            sources=(
                Source(
                    "ava-labs/builders-hub",
                    "content/docs/primary-network/exchange-integration.mdx",
                    "ad9bdb751de06f04bb87abd90a1b7c8a16603cc4",
                ),
            ),
        ),
    ),
    wrapped_native="0xB31f66AA3C1e785363F0875A1B74E27b85FD66c7",
    sources=(
        Source("wevm/viem", "src/chains/definitions/avalanche.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        Source("Uniswap/default-token-list", "src/tokens/avalanche.json", "49f39bd7e83fbf311c5ffa3e153d4ad146a60214"),
    ),
)
