"""ZKsync Era."""

from tidelake.chains.policies import unread
from tidelake.chains.spec import Chain, Multicall3, Source

CHAIN = Chain(
    name="zksync",
    title="ZKsync Era",
    chain_id=324,
    native="ETH",
    defillama="era",
    block_ms=200,
    multicall3=Multicall3("0xF9cda624FBC7e059355ce98a31693d299FACd963", 3_908_235),
    finality=(unread(),),
    sources=(Source("wevm/viem", "src/chains/definitions/zksync.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
