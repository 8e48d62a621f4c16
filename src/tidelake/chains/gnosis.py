"""Gnosis."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Source

CHAIN = Chain(
    name="gnosis",
    title="Gnosis",
    chain_id=100,
    native="XDAI",
    defillama="xdai",
    block_ms=5_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 21_022_491),
    finality=(unread(),),
    sources=(Source("wevm/viem", "src/chains/definitions/gnosis.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
