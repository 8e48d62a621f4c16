"""Arbitrum One."""

from tidelake.chains.policies import WAIT_S, unread
from tidelake.chains.spec import Chain, FinalityPolicy, Multicall3, Rollup, Source

CHAIN = Chain(
    name="arbitrum",
    title="Arbitrum One",
    chain_id=42_161,
    native="ETH",
    defillama="arbitrum",
    block_ms=250,
    multicall3=Multicall3("0xcA11bde05977b3631167028862bE2a173976CA11", 7_654_707),
    finality=(
        unread(),
        FinalityPolicy(
            since_block=22_207_817,
            safe="safe",
            final="finalized",
            wait_s=WAIT_S,
            meaning={
                "model": "Arbitrum Nitro rollup",
                "latest": "sequenced, soft finality, may not be on L1",
                "safe": "batch posted in an L1 block that is safe",
                "finalized": "batch posted in a finalized L1 block: hard finality, typically 10-20 minutes",
            },
            doubt=None,
            sources=(
                Source(
                    "OffchainLabs/arbitrum-docs",
                    "docs/partials/_troubleshooting-building-partial.mdx",
                    "691ad7e1f90f0be956d21b14547031c90b7c7cf2",
                ),
                Source(
                    "OffchainLabs/arbitrum-docs",
                    "docs/how-arbitrum-works/01-inside-arbitrum-nitro.mdx",
                    "691ad7e1f90f0be956d21b14547031c90b7c7cf2",
                ),
            ),
        ),
    ),
    header_hash_since=22_207_817,
    receipts_root_since=22_207_817,
    rollup=Rollup(
        "arbitrum",
        "ethereum",
        contracts={
            "sequencer_inbox": "0x1c479675ad559DC151F6Ec7ed3FbF8ceE79582B6",
            "bridge": "0x8315177aB297bA92A06054cE80a67Ed4DBd7ed3a",
            "rollup": "0x4DCeB440657f21083db8aDd07665f8ddBe1DCfc0",
            "outbox": "0x0B9857ae2D4A3DBe74ffE1d7DF045bb7F96E4840",
            "gateway_router": "0x72Ce9c846789fdB6fC1f34aC4AD25Dd9ef7031ef",
            "erc20_gateway": "0xa3A7B6F88361F48403514059F1F16C8E78d60EeC",
            "custom_gateway": "0xcEe284F754E854890e311e3280b767F80797180d",
        },
        system={
            "node_interface": "0x00000000000000000000000000000000000000C8",
            "arbsys": "0x0000000000000000000000000000000000000064",
        },
        history=(
            "Blocks before 22207817 are of Arbitrum Classic: state calls at them want a Classic node, or a provider "
            "that has one. NodeInterface is not deployed, it answers eth_call only."
        ),
        sources=(
            Source(
                "OffchainLabs/arbitrum-docs",
                "docs/partials/_reference-arbitrum-contract-addresses-partial.mdx",
                "691ad7e1f90f0be956d21b14547031c90b7c7cf2",
            ),
            Source(
                "OffchainLabs/nitro-contracts",
                "src/bridge/ISequencerInbox.sol",
                "67487333202561b74492d07de62a4f56be28560e",
            ),
            Source(
                "OffchainLabs/arbitrum-docs",
                "docs/run-arbitrum-node/more-types/01-run-archive-node.mdx",
                "691ad7e1f90f0be956d21b14547031c90b7c7cf2",
            ),
        ),
    ),
    sources=(Source("wevm/viem", "src/chains/definitions/arbitrum.ts", "0912a29d5c7abbea5238d6f7c3d750f07d479ace"),),
)
