"""Moonbeam."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Source

CHAIN = Chain(
    name="moonbeam",
    title="Moonbeam",
    chain_id=1_284,
    native="GLMR",
    defillama="moonbeam",
    block_ms=None,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 609_002),
    finality=(unread(),),
    sources=(Source("wevm/viem", "src/chains/definitions/moonbeam.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
