"""Solana: facts, blocks by slot, and slots that were skipped. It has no logs, headers or fees of Ethereum's form.

Source:  https://solana.com/docs/rpc (getBlock, getBlocks, getSlot)
Quirks:  `getBlock` refuses the commitment `processed`: by RPC a block is known from `confirmed` on, and before that a
         slot alone. It has no number of its slot in it; `parentSlot` says which slots before it have no block.
         It is asked for by slot alone: the block of a fork that a node left cannot be had of it any more.
         A skipped slot is a fact of the chain: the block after it holds the hash of the block before it.
Samples: the recorded block 241043141 (tests/chains/test_solana.py)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tidelake.chains.heads import Block
from tidelake.chains.policies import WAIT_S
from tidelake.chains.spec import FinalityPolicy, Source, Tag
from tidelake.errors import FormatDrift

_SOLANA = "7f8c0cf707d287362fe8dc0ffca0ffce57b11028"


@dataclass(frozen=True, slots=True)
class SlotChain:
    """A chain that numbers slots, not each of which has a block.

    Attributes:
        name: As in registries and tables.
        title: As its makers write it.
        native: Symbol of its coin.
        slot_ms: What a slot is meant to take, in milliseconds; to guess from and never to count by.
        commitments: What it calls the tags.
        finality: Policies, oldest first.
        sources: Where ids and slot time were read.
    """

    name: str
    title: str
    native: str
    slot_ms: int
    commitments: Mapping[Tag, str]
    finality: tuple[FinalityPolicy, ...]
    sources: tuple[Source, ...]

    @property
    def chain_id(self) -> None:
        """It has none that a node tells."""
        return None

    @property
    def block_ms(self) -> int:
        """What a block takes where no slot is skipped."""
        return self.slot_ms


SOLANA = SlotChain(
    name="solana",
    title="Solana",
    native="SOL",
    slot_ms=400,
    commitments={"latest": "processed", "safe": "confirmed", "finalized": "finalized"},
    finality=(
        FinalityPolicy(
            since_block=0,
            safe="safe",
            final="finalized",
            wait_s=WAIT_S,
            meaning={
                "model": "proof of stake, slots of 400 ms of which some have no block",
                "latest": "processed: received, on the fork of the majority",
                "safe": "confirmed: two thirds of the stake voted on the block",
                "finalized": "finalized: 31 confirmed blocks or more are built on it",
            },
            doubt="no source was read that says since which slot the commitments mean this",
            sources=(Source("solana-labs/solana", "docs/src/consensus/commitments.md", _SOLANA),),
        ),
    ),
    sources=(
        Source("solana-labs/solana", "sdk/program/src/clock.rs", "c0fb22a8229b0fb297142e0e026a060798dba884"),
        Source(
            "solana-foundation/solana-com",
            "content/docs/en/rpc/http/getblock.mdx",
            "6ceae0988104cfaab458bb6d7dea9ad7ea746167",
        ),
    ),
)


class _Told(msgspec.Struct):
    blockhash: str
    previousBlockhash: str  # noqa: N815
    parentSlot: int  # noqa: N815
    blockTime: int | None  # noqa: N815


def parse_block(slot: int, answer: bytes) -> Block | None:
    """The block in the result of `getBlock` of a slot; None where none is confirmed there yet.

    Raises:
        FormatDrift: The result is no block, has no time, or its parent stands in no slot before it.
    """
    try:
        told = msgspec.json.decode(answer, type=_Told | None)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise FormatDrift(f"the block of slot {slot} is not of its form: {exc}") from exc
    if told is None:
        return None
    if told.blockTime is None or not 0 <= told.parentSlot < slot:
        raise FormatDrift(f"the block of slot {slot} has the time {told.blockTime} and parent slot {told.parentSlot}")
    return Block(slot, told.blockhash, told.parentSlot, told.previousBlockhash, told.blockTime * 1_000_000)


def skipped_slots(blocks: Iterable[Block]) -> tuple[int, ...]:
    """The slots without a block between each of these blocks and its parent, in order."""
    return tuple(slot for block in blocks for slot in range(block.parent_number + 1, block.number))


@dataclass(frozen=True, slots=True)
class SkippedShare:
    """How many of the newest slots have no block: many of them speak of a chain in distress.

    Attributes:
        first, last: The slots looked at, both inclusive; `last` is the newest block's.
        skipped: How many of them have no block.
    """

    first: int
    last: int
    skipped: int

    @property
    def share(self) -> float:
        """Between 0 and 1."""
        return self.skipped / (self.last - self.first + 1)


def skipped_share(active: Sequence[Block], window: int) -> SkippedShare:
    """Of the `window` newest slots, or of those after the oldest block's parent where fewer are held.

    Args:
        active: Blocks of one chain, oldest first, at least one: `Tracker.active()`.
        window: Slots, at least one.
    """
    last = active[-1].number
    first = max(last - window + 1, active[0].parent_number + 1)
    with_block = sum(first <= block.number for block in active)
    return SkippedShare(first, last, last - first + 1 - with_block)
