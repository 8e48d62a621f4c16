"""A chain as one node sees it: how far it has come, which blocks it holds for the chain's, and which state it kept."""

import datetime as dt

from tidelake.sim.chains.amounts import Moment
from tidelake.sim.chains.blocks import Block
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.clock import DAY_S
from tidelake.sim.chains.faults import ChainFaults
from tidelake.sim.chains.rpc_errors import internal

_SAFE, _FINAL = 32, 64  # blocks behind the head, of the tags


class ChainView:
    """What a node has of a chain.

    Attributes:
        chain: The chain.
        faults: What is wrong with the node.
    """

    def __init__(self, chain: SimChain, faults: ChainFaults) -> None:
        self.chain = chain
        self.faults = faults
        self._stray = chain.stray(*faults.orphan) if faults.orphan else None
        self._numbers: dict[str, tuple[int, int]] = {}
        self._holders: dict[str, int] = {}
        self._indexed = (-1, -1)

    @property
    def head(self) -> int:
        """Its newest block."""
        return self.chain.head - self.faults.lag

    @property
    def chain_id(self) -> int:
        """The chain that it says it is of."""
        return self.faults.chain_id or self.chain.spec.chain_id

    def branch(self, number: int) -> int:
        """The branch that it takes for the chain's at a block."""
        orphan = self.faults.orphan
        if self._stray is not None and orphan and orphan[0] <= number <= orphan[1]:
            return self._stray
        return self.chain.branches.standing(number)

    def block(self, number: int) -> Block | None:
        """A block; None beyond its head."""
        if not 0 <= number <= self.head:
            return None
        self.check_up(number)
        found = self.chain.blocks.block(number, self.branch(number))
        self._numbers[found.hash] = (number, found.branch)
        self._holders.update((sent.hash, number) for sent in found.transactions)
        return found

    def moment(self, number: int) -> Moment:
        """What amounts follow from at a block."""
        return self.chain.moment(number, self.branch(number))

    def check_up(self, number: int) -> None:
        """That the node works for the day of that block.

        Raises:
            RpcFault: It is down.
        """
        if self.faults.down and self._day(number) in self.faults.down:
            raise internal()

    def touches_down(self, first: int, last: int) -> bool:
        """Whether a range of blocks touches a day on which the node is down."""
        return any(self._day(first) <= day <= self._day(last) for day in self.faults.down)

    def _day(self, number: int) -> dt.date:
        time_s = self.chain.clock.time_of(max(number, 0))
        return dt.datetime.fromtimestamp(time_s - time_s % DAY_S, dt.UTC).date()

    def is_pruned(self, number: int) -> bool:
        """Whether state and logs of a block are no longer kept."""
        return self.faults.pruned is not None and number < self.head - self.faults.pruned

    def tagged(self, tag: str) -> int | None:
        """The block of a tag; None where the chain's nodes do not know it."""
        if tag in ("latest", "pending"):
            return self.head
        if tag == "earliest":
            return 0
        policy = self.chain.spec.finality_at(self.head)
        if tag == "finalized" and policy.final == "finalized":
            return max(0, self.head - _FINAL)
        if tag == "safe" and policy.safe == "safe":
            return max(0, self.head - _SAFE)
        return None

    def number_of(self, digest: str) -> int | None:
        """The block of a hash, as far as it is of this node's chain; None where it is not."""
        found = self._numbers.get(digest)
        if found is None:
            self._index()
            found = self._numbers.get(digest)
        if found is None or found[0] > self.head or self.branch(found[0]) != found[1]:
            return None
        return found[0]

    def number_with(self, tx_hash: str) -> int | None:
        """The block that holds a transaction of a market, or one of a block that was asked for; None for others."""
        if tx_hash not in self._holders:
            self._index()
        number = self._holders.get(tx_hash)
        return number if number is not None and number <= self.head else None

    def _index(self) -> None:
        """Notes the hashes of the last block of each day and of those in which markets log."""
        chain = self.chain
        today = chain.now_s // DAY_S
        if self._indexed == (today, len(chain.branches)):
            return
        self._indexed = (today, len(chain.branches))
        days = range(chain.first_day - 1, today + 1)
        ends = {chain.clock.first_of(day) - 1 for day in days}
        for number in sorted(ends.union(chain.busy_blocks(0, chain.head))):
            if 0 <= number <= chain.head:
                block = chain.blocks.block(number, self.branch(number))
                self._numbers[block.hash] = (number, block.branch)
                self._holders.update((sent.hash, number) for sent in block.transactions)
