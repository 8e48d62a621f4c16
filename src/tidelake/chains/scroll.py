"""Scroll."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Source

CHAIN = Chain(
    name="scroll",
    title="Scroll",
    chain_id=534_352,
    native="ETH",
    defillama="scroll",
    block_ms=3_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 14),
    finality=(unread(),),
    sources=(Source("wevm/viem", "src/chains/definitions/scroll.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
