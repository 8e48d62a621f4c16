"""What providers tell of a chain's heads, and what follows from it; `chains/tracker.py` makes the one of the other."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tidelake.chains.spec import Tag

Tier: TypeAlias = Literal[1, 2, 3]
StandingState: TypeAlias = Literal["SILENT", "FOLLOWS", "LAGS", "UNLINKED", "DISAGREES", "GONE"]
TrackerState: TypeAlias = Literal["FOLLOWING", "DISAGREE", "HALTED"]


@dataclass(frozen=True, slots=True)
class Block:
    """A block as far as its place in the chain goes; two are equal where number, hash and parent are.

    Attributes:
        number: Height; on chains with slots the slot.
        hash: As the chain writes it, in small letters where it is hexadecimal.
        parent_number: Height or slot of the parent; less than `number` - 1 where slots between them were skipped.
        parent_hash: Its hash.
        time_us: The block's clock, microseconds UTC.
    """

    number: int
    hash: str
    parent_number: int
    parent_hash: str
    time_us: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Head:
    """A provider's word: its newest block of a tag.

    Attributes:
        provider: Its name.
        tag: "latest", or the tag of a dated policy.
        block: Which block.
        seen_us: When its answer was complete, our clock, microseconds UTC.
    """

    provider: str
    tag: Tag
    block: Block
    seen_us: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Headers that are wanted of one provider, to link its head to what is held.

    Attributes:
        provider: Its name.
        first, last: Numbers, both inclusive.
        hash: The block wanted at `last`: the parent of the oldest block of its chain that we know.
    """

    provider: str
    first: int
    last: int
    hash: str


@dataclass(frozen=True, slots=True)
class Tiers:
    """The last active block of each tier, as numbers; -1 where none is of it. A block of tier 3 is of 2 and 1 too."""

    head: int
    safe: int
    final: int

    def of(self, number: int) -> Tier:
        """Tier of the active block of that number."""
        return 3 if number <= self.final else 2 if number <= self.safe else 1


@dataclass(frozen=True, slots=True)
class Moved:
    """The chain went on: blocks were added, or more of them became safe or final.

    Attributes:
        chain: Name of the chain.
        added: Blocks that are active now, oldest first; those of a correction stand in the correction.
        tiers: As they are now.
        seen_us: When the provider's word came that moved it.
    """

    chain: str
    added: tuple[Block, ...]
    tiers: Tiers
    seen_us: int


@dataclass(frozen=True, slots=True)
class Correction:
    """Blocks that are active no more, and those in their place; as sets, which their order makes readable.

    Attributes:
        chain: Name of the chain.
        ancestor: The last block that both have.
        out: Blocks that went out, oldest first.
        adopted: Blocks that came in, oldest first.
        tiers_out: Tier that each of `out` had before.
        tiers_in: Tier that each of `adopted` has now.
        providers: Who told the chain that stands now, sorted.
        reason: What was seen.
        fork_seen_us: When the first of these providers told a block of it.
        seen_us: When enough of them had.
    """

    chain: str
    ancestor: Block
    out: tuple[Block, ...]
    adopted: tuple[Block, ...]
    tiers_out: tuple[Tier, ...]
    tiers_in: tuple[Tier, ...]
    providers: tuple[str, ...]
    reason: str
    fork_seen_us: int
    seen_us: int

    @property
    def hashes_out(self) -> frozenset[str]:
        """Hashes of the blocks whose facts are retracted."""
        return frozenset(block.hash for block in self.out)

    @property
    def hashes_in(self) -> frozenset[str]:
        """Hashes of the blocks whose facts stand now."""
        return frozenset(block.hash for block in self.adopted)


@dataclass(frozen=True, slots=True)
class Incident:
    """Providers agree on a chain that cannot be followed: the tracker halts until it is told to go on.

    Attributes:
        chain: Name of the chain.
        ancestor: The last block that both have; None where it is deeper than what is held.
        contradicted: Blocks of tier 3 that are not in their chain.
        providers: Who agrees, sorted.
        reason: What was seen.
        fork_seen_us, seen_us: As for a correction.
    """

    chain: str
    ancestor: Block | None
    contradicted: tuple[Block, ...]
    providers: tuple[str, ...]
    reason: str
    fork_seen_us: int
    seen_us: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a provider stands to the active chain, told where it changes.

    Attributes:
        chain: Name of the chain.
        provider: Its name.
        state: SILENT: it told nothing yet. FOLLOWS: its chain is the active one. LAGS: so it is, and several blocks
            behind. UNLINKED: headers between its head and what is held are missing. DISAGREES: it tells another block
            where we have one, and there are not enough of its opinion. GONE: it does not answer.
        reason: In words.
        seen_us: When.
    """

    chain: str
    provider: str
    state: StandingState
    reason: str
    seen_us: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """A tracker that had halted goes on: what providers agree on from now is taken, tier 3 or not.

    Attributes:
        chain: Name of the chain.
        seen_us: When it was told to.
    """

    chain: str
    seen_us: int


@dataclass(frozen=True, slots=True)
class LateLogs:
    """The wanted logs of an active block have not come for long; they are asked for again and again.

    Attributes:
        chain: Name of the chain.
        block: Which block.
        reason: Why they could not be had.
        seen_us: When that was told.
    """

    chain: str
    block: Block
    reason: str
    seen_us: int


@dataclass(frozen=True, slots=True)
class LostLogs:
    """The wanted logs of blocks are asked for no more, because the blocks are older than what a tracker holds.

    Attributes:
        chain: Name of the chain.
        blocks: Which; those of them that went out before play no part.
        seen_us: When they were given up.
    """

    chain: str
    blocks: tuple[Block, ...]
    seen_us: int


@dataclass(frozen=True, slots=True)
class HeldChain:
    """The part of a chain that was followed, to go on from.

    Attributes:
        blocks: The active blocks that are held, oldest first.
        tiers: As they were; blocks before those that are held may be meant.
        awaited: Those of which the logs are not told.
        halted: Why it was halted; "" where it was not.
    """

    blocks: tuple[Block, ...]
    tiers: Tiers
    awaited: tuple[Block, ...]
    halted: str = ""


Output: TypeAlias = Moved | Correction | Incident | Resumed | Standing
