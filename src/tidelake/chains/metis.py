"""Metis."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Source

CHAIN = Chain(
    name="metis",
    title="Metis",
    chain_id=1_088,
    native="METIS",
    defillama="metis",
    block_ms=None,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 2_338_552),
    finality=(unread(),),
    sources=(Source("wevm/viem", "src/chains/definitions/metis.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
