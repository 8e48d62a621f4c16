"""X Layer Mainnet."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Source

CHAIN = Chain(
    name="xlayer",
    title="X Layer Mainnet",
    chain_id=196,
    native="OKB",
    defillama="xlayer",
    block_ms=1_000,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 47_416),
    finality=(unread(),),
    sources=(Source("wevm/viem", "src/chains/definitions/xLayer.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
