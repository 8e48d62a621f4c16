"""HyperEVM."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Source

CHAIN = Chain(
    name="hyperevm",
    title="HyperEVM",
    chain_id=999,
    native="HYPE",
    defillama="hyperliquid",
    block_ms=None,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 13_051),
    finality=(unread(),),
    sources=(Source("wevm/viem", "src/chains/definitions/hyperEvm.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
