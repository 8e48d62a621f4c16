"""Celo."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Source

CHAIN = Chain(
    name="celo",
    title="Celo",
    chain_id=42_220,
    native="CELO",
    defillama="celo",
    block_ms=1_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 13_112_599),
    finality=(unread(),),
    sources=(
        Source("wevm/viem", "src/chains/definitions/celo.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        Source("wevm/viem", "src/celo/chainConfig.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
    ),
)
