"""Sonic."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Source

CHAIN = Chain(
    name="sonic",
    title="Sonic",
    chain_id=146,
    native="S",
    defillama="sonic",
    block_ms=630,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 60),
    finality=(unread(),),
    sources=(Source("wevm/viem", "src/chains/definitions/sonic.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
