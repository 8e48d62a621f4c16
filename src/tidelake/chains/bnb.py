"""BNB Smart Chain."""

import datetime as dt

from tidelake.chains.policies import WAIT_S
from tidelake.chains.spec import BlockTime, Chain, FinalityPolicy, Multicall3, Source

CHAIN = Chain(
    name="bnb",
    title="BNB Smart Chain",
    chain_id=56,
    native="BNB",
    defillama="bsc",
    block_ms=750,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 15_921_452),
    finality=(
        FinalityPolicy(
            since_block=0,
            safe="safe",
            final="finalized",
            wait_s=WAIT_S,
            meaning={
                "model": "Parlia with fast finality (BEP-126)",
                "safe": "latest justified block",
                "finalized": "block n is final by block n+2 (economic finality)",
                "fallback": "probabilistic: 120 blocks for 2/3 of validators at turn length 8",
            },
            doubt="no source read tells the first block with fast finality (BEP-126)",
            sources=(
                Source(
                    "bnb-chain/bnb-chain.github.io",
                    "docs/bnb-smart-chain/developers/json_rpc/bsc-api-list.md",
                    "06fde283eb0712eabf4815c0436ec0bd4dabba2d",
                ),
            ),
        ),
    ),
    wrapped_native="0xbb4CdB9CBd36B01bD1cBaEBF2De08d9173bc095c",
    block_times=(
        BlockTime(
            dt.datetime(2025, 4, 29, 5, 5, tzinfo=dt.UTC),
            1_500,
            "Lorentz",
            Source(
                "bnb-chain/bnb-chain.github.io",
                "docs/announce/lorentz-bsc.md",
                "06fde283eb0712eabf4815c0436ec0bd4dabba2d",
            ),
        ),
        BlockTime(
            dt.datetime(2025, 6, 30, 2, 30, tzinfo=dt.UTC),
            750,
            "Maxwell",
            Source(
                "bnb-chain/bnb-chain.github.io",
                "docs/announce/maxwell-bsc.md",
                "06fde283eb0712eabf4815c0436ec0bd4dabba2d",
            ),
        ),
        BlockTime(
            dt.datetime(2026, 1, 14, 2, 30, tzinfo=dt.UTC),
            450,
            "Fermi",
            Source(
                "bnb-chain/bnb-chain.github.io",
                "docs/announce/fermi-bsc.md",
                "06fde283eb0712eabf4815c0436ec0bd4dabba2d",
            ),
        ),
    ),
    sources=(
        Source("wevm/viem", "src/chains/definitions/bsc.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),
        Source("Uniswap/default-token-list", "src/tokens/bnb.json", "49f39bd7e83fbf311c5ffa3e153d4ad146a60214"),
    ),
)
