"""The words in which a chain is described; `chains/<name>.py` holds one `Chain` each.

A fact names the public file in which it was read (`Source`). Nothing here was asked of a chain.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Tag = Literal["latest", "safe", "finalized"]
Level = Literal["soft", "safe", "final"]


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a public repository on GitHub, at a commit."""

    repo: str
    path: str
    commit: str


@dataclass(frozen=True, slots=True)
class Multicall3:
    """Where Multicall3 stands; before `since_block` calls are made one by one."""

    address: str
    since_block: int


@dataclass(frozen=True, slots=True)
class BlockTime:
    """A block time from a moment on."""

    since: dt.datetime
    block_ms: int
    fork: str
    source: Source


@dataclass(frozen=True, slots=True)
class FinalityPolicy:
    """What is final on a chain, from a block on.

    Attributes:
        since_block: First block that it holds for.
        safe: The tag of the last block that is safe; None where no tag says so.
        final: The tag of the last block that is final; None where no tag says so.
        wait_s: Where the node does not know the tag, a block this many seconds older than the head is worked with, as
            "soft" all the same: age and confirmations are evidence, not finality.
        meaning: What each tag means there, and "model".
        doubt: What is not known of it; None where the sources say it plainly.
        sources: Where it was read.
    """

    since_block: int
    safe: Tag | None
    final: Tag | None
    wait_s: int
    meaning: Mapping[str, str]
    doubt: str | None
    sources: tuple[Source, ...]

    def level(self, number: int, tagged: Mapping[Tag, int]) -> Level:
        """How settled a block is whose chain a node follows; `tagged` holds the block numbers of the tags it knows."""
        if self.final is not None and number <= tagged.get(self.final, -1):
            return "final"
        if self.safe is not None and number <= tagged.get(self.safe, -1):
            return "safe"
        return "soft"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Blocks that stand exactly `seconds` apart, from block `first` at `first_time` (seconds since 1970) on."""

    first: int
    first_time: int
    seconds: int
    source: Source

    def time_of(self, number: int) -> int:
        """Time of a block from `first` on, in seconds since 1970."""
        return self.first_time + self.seconds * (number - self.first)


@dataclass(frozen=True, slots=True)
class Rollup:
    """Where a rollup keeps its data on its parent chain.

    Attributes:
        kind: "arbitrum" or "op-stack".
        parent: Name of the chain that it settles on.
        contracts: Their addresses on the parent.
        system: Addresses of the rollup's own system contracts.
        history: What reads of its early blocks want; None where nothing is known to.
        sources: Where it was read.
    """

    kind: Literal["arbitrum", "op-stack"]
    parent: str
    contracts: Mapping[str, str]
    sources: tuple[Source, ...]
    system: Mapping[str, str] = field(default_factory=dict)
    history: str | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain.

    Attributes:
        name: As in registries, tables and TIDELAKE_RPC_<NAME>.
        title: As its makers write it.
        chain_id: What `eth_chainId` answers.
        native: Symbol of its coin, which has 18 decimals.
        wrapped_native: Contract of the coin as a token; None where no source was read.
        defillama: Its name at DefiLlama's coins.
        block_ms: A typical block time, to guess from and never to count by; None where none was read.
        block_times: Block times by date, where its forks changed it.
        schedule: Where the time of a block follows from its number.
        multicall3: Where Multicall3 stands.
        finality: Policies, oldest first.
        header_hash_since: First block whose hash is known to be Keccak-256 of its header in Ethereum's form, so that
            one that differs was changed; None where it is not known.
        receipts_root_since: First block whose header is known to hold the root of its receipts in Ethereum's form;
            None where it is not known.
        state_sync: Whether a block's last receipt may be one of a system transaction that the root leaves out.
        rollup: Where it settles; None for a chain of its own.
        sources: Where ids and block time were read.
    """

    name: str
    title: str
    chain_id: int
    native: str
    defillama: str
    block_ms: int | None
    multicall3: Multicall3
    finality: tuple[FinalityPolicy, ...]
    sources: tuple[Source, ...]
    wrapped_native: str | None = None
    block_times: tuple[BlockTime, ...] = ()
    schedule: Schedule | None = None
    header_hash_since: int | None = None
    receipts_root_since: int | None = None
    state_sync: bool = False
    rollup: Rollup | None = None

    def finality_at(self, head: int) -> FinalityPolicy:
        """The policy that holds while that block is the newest; it says of all blocks before how settled they are."""
        return next(policy for policy in reversed(self.finality) if policy.since_block <= head)

    def hashes_header(self, number: int) -> bool:
        """Whether that block's hash is known to be made of its header as Ethereum's are."""
        return self.header_hash_since is not None and number >= self.header_hash_since

    def holds_receipts(self, number: int) -> bool:
        """Whether that block's header is known to hold the root of its receipts as Ethereum's do."""
        return self.receipts_root_since is not None and number >= self.receipts_root_since

    def block_ms_at(self, when: dt.datetime) -> int | None:
        """A typical block time then, in milliseconds; None where none is known."""
        if not self.block_times:
            return self.block_ms
        return next((time.block_ms for time in reversed(self.block_times) if time.since <= when), None)
