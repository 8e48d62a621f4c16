"""Ronin."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Source

CHAIN = Chain(
    name="ronin",
    title="Ronin",
    chain_id=2_020,
    native="RON",
    defillama="ronin",
    block_ms=None,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 26_023_535),
    finality=(unread(),),
    sources=(Source("wevm/viem", "src/chains/definitions/ronin.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
