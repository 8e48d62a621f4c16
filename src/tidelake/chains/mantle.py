"""Mantle."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Source

CHAIN = Chain(
    name="mantle",
    title="Mantle",
    chain_id=5_000,
    native="MNT",
    defillama="mantle",
    block_ms=None,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 304_717),
    finality=(unread(),),
    sources=(Source("wevm/viem", "src/chains/definitions/mantle.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
