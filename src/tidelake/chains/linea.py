"""Linea Mainnet."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Source

CHAIN = Chain(
    name="linea",
    title="Linea Mainnet",
    chain_id=59_144,
    native="ETH",
    defillama="linea",
    block_ms=2_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 42),
    finality=(unread(),),
    sources=(Source("wevm/viem", "src/chains/definitions/linea.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
