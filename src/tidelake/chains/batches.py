"""Batches of an Arbitrum rollup on its parent chain: posted is tier 2, posted in a final block tier 3.

What shows it, and what does not:

* `SequencerBatchDelivered` of the sequencer inbox shows that a batch of that number was posted in a parent block. It
  names no block of the rollup: only an accumulator, a count of delayed messages and bounds of time.
* `NodeInterface.findBatchContainingBlock(uint64)` says in which batch a block of the rollup is, and reverts where none
  holds it yet. It takes a number: the answer is of the block that stands there at that provider.
* `NodeInterface.getL1Confirmations(bytes32)` takes a hash and says how many parent blocks stand upon the batch, 0 where
  there is none. It names no batch, and a count is evidence alone.

So a block of the rollup is of tier 2 by a provider's word that it is in batch n, and a log, active on the parent as we
follow it, that delivered batch n or a later one: accumulators chain all batches before it.

Source: github.com/OffchainLabs/nitro-contracts, src/bridge/ISequencerInbox.sol, src/node-interface/NodeInterface.sol.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tidelake.chains.abi import event, function
from tidelake.chains.heads import Tier
from tidelake.chains.hexadecimal import hex_text
from tidelake.chains.logs import LogFact, LogFilter
from tidelake.chains.spec import Rollup
from tidelake.errors import ConfigError, FormatDrift

BATCH_DELIVERED = event(
    "event SequencerBatchDelivered(uint256 indexed batchSequenceNumber, bytes32 indexed beforeAcc, "
    "bytes32 indexed afterAcc, bytes32 delayedAcc, uint256 afterDelayedMessagesRead, "
    "(uint64,uint64,uint64,uint64) timeBounds, uint8 dataLocation)"
)
FIND_BATCH = function("findBatchContainingBlock(uint64)", "uint64")
L1_CONFIRMATIONS = function("getL1Confirmations(bytes32)", "uint64")


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it was posted.

    Attributes:
        number: Its sequence number.
        block_number, block_hash, tx_hash, log_index: Where on the parent chain; the same batch in another
            block of it is another fact.
        before, after: Accumulator of the inbox before and after it.
        delayed_read: Delayed messages that were read with it and before.
        times: Seconds since 1970 between which its blocks may be, both inclusive.
        parent_numbers: Blocks of the parent that they may name, both inclusive.
        data_location: Where its data is, as the inbox numbers the places.
    """

    number: int
    block_number: int
    block_hash: str
    tx_hash: str
    log_index: int
    before: str
    after: str
    delayed_read: int
    times: tuple[int, int]
    parent_numbers: tuple[int, int]
    data_location: int


def batch_filter(rollup: Rollup) -> LogFilter:
    """The logs of batches that were posted; they are of the rollup's parent chain.

    Raises:
        ConfigError: The rollup has no sequencer inbox.
    """
    return LogFilter((_inbox(rollup),), (BATCH_DELIVERED.topic0,))


def read_batch(rollup: Rollup, log: LogFact) -> Batch:
    """The batch that a log delivered.

    Raises:
        FormatDrift: The log is another contract's or another event's, or not of its form.
    """
    if log.address != _inbox(rollup):
        raise FormatDrift(f"a log of {log.address} is none of the sequencer inbox {_inbox(rollup)}")
    told = BATCH_DELIVERED.decode(log.topics, log.data)
    since, until, first, last = told["timeBounds"]
    return Batch(
        number=told["batchSequenceNumber"],
        block_number=log.block_number,
        block_hash=log.block_hash,
        tx_hash=log.tx_hash,
        log_index=log.log_index,
        before=hex_text(told["beforeAcc"]),
        after=hex_text(told["afterAcc"]),
        delayed_read=told["afterDelayedMessagesRead"],
        times=(since, until),
        parent_numbers=(first, last),
        data_location=told["dataLocation"],
    )


def _inbox(rollup: Rollup) -> str:
    if "sequencer_inbox" not in rollup.contracts:
        raise ConfigError(f"a rollup of kind {rollup.kind} has no sequencer inbox")
    return rollup.contracts["sequencer_inbox"].lower()


@dataclass(slots=True)
class Posted:
    """The batches that were seen on the parent chain, in whatever blocks."""

    batches: dict[int, set[Batch]] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        """Take a batch; the same one twice is one."""
        self.batches.setdefault(batch.number, set()).add(batch)

    def newest(self, parent_tier: Callable[[int, str], Tier | None], least: Tier) -> int:
        """The newest batch whose posting block is active on the parent and at least of that tier; -1 where none is.

        Args:
            parent_tier: Tier of a block of the parent by number and hash, None where it is not active: `Tracker.tier`.
            least: 1 for a batch that was posted, 3 for one in a final block.
        """
        for number in sorted(self.batches, reverse=True):
            tiers = [parent_tier(one.block_number, one.block_hash) for one in self.batches[number]]
            if any(tier is not None and tier >= least for tier in tiers):
                return number
        return -1

    def forget_before(self, number: int) -> None:
        """Let go of batches before that one."""
        self.batches = {at: found for at, found in self.batches.items() if at >= number}


class BatchSearch:
    """Finds the last block of the rollup that a batch, or one before it, holds, by few questions to one provider.

    Numbers of batches never decrease with those of blocks, so each answer halves what is left.

    Args:
        first: A block that is known to be in a batch of no interest: where following begins.
    """

    def __init__(self, first: int) -> None:
        self._known: dict[int, int] = {}
        self._first = first

    def answer(self, block: int, batch: int | None) -> None:
        """A block's batch as the provider says; None where it is in none yet, which holds until `renew`."""
        self._known[block] = -1 if batch is None else batch

    def renew(self) -> None:
        """What was in no batch may be in one now; also to be called where the rollup's chain was corrected."""
        self._known = {block: batch for block, batch in self._known.items() if batch >= 0}

    def last_in(self, batch: int) -> int:
        """The last block that is known to be in that batch or one before; `first` where none is."""
        held = [block for block, found in self._known.items() if 0 <= found <= batch]
        return max(held, default=self._first)

    def probe(self, batch: int, tip: int) -> int | None:
        """The block to ask for next, up to and with `tip`; None where `last_in` is exact."""
        low = self.last_in(batch)
        beyond = [block for block, found in self._known.items() if block > low and (found < 0 or found > batch)]
        high = min([tip + 1, *beyond])
        if high - low <= 1:
            return None
        return (low + high) // 2

    def forget_before(self, block: int) -> None:
        """Let go of answers about blocks before that one."""
        self._first = max(self._first, block)
        self._known = {at: batch for at, batch in self._known.items() if at >= block}
