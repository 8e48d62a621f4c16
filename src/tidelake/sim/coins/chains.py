"""Simulated chains of stablecoins: times and hashes of blocks, and what of them is of tier 2 and 3 at any time."""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Protocol

from tidelake.sim.coins.events import MICROS
from tidelake.sim.coins.plan import CoinPlan

SLOT_US = 12 * MICROS
EPOCH = 32
L1_BASE = 18_908_928  # a whole number of epochs


@dataclass(frozen=True, slots=True)
class Pace:
    """How blocks come.

    Attributes:
        base: The block at the begin of the history.
        block_us: Time between two blocks; their times are whole seconds.
        told: Blocks from one head that a node tells to the next.
        delay_us: From a block's time until it is known: at least, and at most.
    """

    base: int
    block_us: int
    told: int
    delay_us: tuple[int, int]


PACES = {
    "ethereum": Pace(L1_BASE, SLOT_US, 1, (400_000, 3_000_000)),
    "arbitrum": Pace(165_800_000, 250_000, 48, (1_000_000, 1_600_000)),
    "solana": Pace(239_000_000, 400_000, 10, (400_000, 1_500_000)),
}


class Tiers(Protocol):
    """Which blocks of a chain have tier 2 and tier 3.

    A block of tier 2 may be replaced yet, on Arbitrum too, where this stands for Ethereum losing the posting block; one
    of tier 3 never is.
    """

    def at(self, number: int, known_us: int) -> tuple[int, int]: ...


class Blocks:
    """Times and hashes of one chain's blocks; branch 0 is the chain as it ends."""

    def __init__(self, seed: int, chain: str, start_us: int) -> None:
        self.pace, self.start_us = PACES[chain], start_us
        self._word = f"{seed} {chain}"
        self._salt = int(hashed(self._word)[2:14], 16)

    def time_us(self, number: int) -> int:
        """When a block is, in whole seconds."""
        exact = self.start_us + (number - self.pace.base) * self.pace.block_us
        return exact - exact % MICROS

    def number_at(self, time_us: int) -> int:
        """The newest block that is not later."""
        return self.pace.base + (time_us - self.start_us) // self.pace.block_us

    def head_at(self, time_us: int) -> int:
        """The newest block that is not later, of those that a node tells."""
        number = self.number_at(time_us)
        return number - (number - self.pace.base) % self.pace.told

    def seen_us(self, number: int) -> int:
        """When a node has a block of this number; the same on all branches."""
        least, most = self.pace.delay_us
        return self.time_us(number) + least + (number * 2_654_435_761 + self._salt) % (most - least)

    def hash_of(self, number: int, branch: int = 0) -> str:
        """Its hash on a branch."""
        return hashed(f"{self._word} {number} {branch}")


def hashed(text: str) -> str:
    """32 octets of a text, as "0x" and digits."""
    return "0x" + blake2b(text.encode(), digest_size=32).hexdigest()


def final_slot(number: int) -> int:
    """The block of Ethereum that is final when this one is the newest: begin of the epoch before the last whole one.

    Source: https://ethereum.org/en/developers/docs/consensus-mechanisms/pos/#finality
    """
    return EPOCH * (number // EPOCH - 2)


class EthereumTiers:
    """Tier 2 is the safe block, tier 3 the final one, as the tags tell where no epoch misses its votes."""

    def at(self, number: int, known_us: int) -> tuple[int, int]:
        """Numbers of both where this is the newest block."""
        return EPOCH * (number // EPOCH - 1), final_slot(number)


class SolanaTiers:
    """Tier 2 is confirmed, a slot or two behind; tier 3 is rooted, 32 slots behind."""

    def at(self, number: int, known_us: int) -> tuple[int, int]:
        """Numbers of both where this is the newest slot."""
        return number - 2, number - 32


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch on Ethereum: when it was posted, in which block there, and its last block here."""

    posted_us: int
    l1_block: int
    last: int


class ArbitrumTiers:
    """Tier 2 is posted in a batch, tier 3 is posted in a block of Ethereum that is final there.

    Times that are asked for never go back.
    """

    def __init__(self, plan: CoinPlan, blocks: Blocks) -> None:
        self._blocks, self._start_us = blocks, plan.start_us
        self._late = [late for late in plan.late_batches if late.chain == "arbitrum"]
        self._chance = Random(f"{plan.seed} batches arbitrum")
        self._open: deque[Batch] = deque()
        before = plan.start_us - 60 * MICROS
        self._posted = Batch(before, self._l1_block(before), blocks.number_at(before - 60 * MICROS))
        self._final = self._posted.last - 4 * 1_200
        self._next_us = plan.start_us + 60 * MICROS

    def _l1_block(self, time_us: int) -> int:
        return L1_BASE + (time_us - self._start_us) // SLOT_US

    def at(self, number: int, known_us: int) -> tuple[int, int]:
        """Numbers of both at a time."""
        while self._next_us <= known_us:
            self._post(self._next_us)
        final = final_slot(self._l1_block(known_us))
        while self._open and self._open[0].l1_block <= final:
            self._final = self._open.popleft().last
        return min(self._posted.last, number), self._final

    def _post(self, time_us: int) -> None:
        late = next((late for late in self._late if late.start_us <= time_us < late.end_us), None)
        if late is not None:
            self._next_us = late.end_us
            return
        self._posted = Batch(time_us, self._l1_block(time_us), self._blocks.number_at(time_us - 20 * MICROS))
        self._open.append(self._posted)
        self._next_us = time_us + int((60 + 180 * self._chance.random()) * MICROS)


def tiers_of(chain: str, plan: CoinPlan, blocks: Blocks) -> Tiers:
    """The rule of a chain."""
    if chain == "arbitrum":
        return ArbitrumTiers(plan, blocks)
    return EthereumTiers() if chain == "ethereum" else SolanaTiers()


class Spans:
    """Ranges of blocks that a node told on a branch which did not stay."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._ranges: list[tuple[int, int, int]] = []

    def add(self, first: int, last: int, branch: int, begins: int) -> None:
        """Blocks that were told, both ends included, later than all before; the branch begins with block `begins`."""
        self._firsts.append(first)
        self._ranges.append((last, branch, begins))

    def branches(self, number: int) -> tuple[int, int]:
        """The branches of a block as it was told, and of its parent; 0 is the chain that stands."""
        place = bisect_right(self._firsts, number) - 1
        if place < 0:
            return 0, 0
        last, branch, begins = self._ranges[place]
        if number > last:
            return 0, 0
        return branch, branch if number > begins else 0
