"""Mints and burns of a chain, day by day: where they stand in the end, and where they stood before a reorganisation.

A reorganisation replaces the newest blocks. What they held is told first, then taken back; most of it comes again in
the new blocks, as the same transaction in another block, and some is lost for good. One that flips is taken back itself
soon after, and then what it had retracted stands again.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tidelake.errors import ConfigError
from tidelake.sim.coins.chains import Blocks, Spans, hashed
from tidelake.sim.coins.events import DAY_US, MICROS, Fact, Orphan, Retraction
from tidelake.sim.coins.plan import MOST_DEPTH, NEVER_FLIPS, CoinPlan, Reorg

SAME_TRANSACTION = 0.6  # of what a block of the chain holds, also stood in the block that it replaced
LOST = 0.5  # reorganisations after which something never happened
FLIPS = 0.15  # of the reorganisations that nobody planned
SMALLEST, LARGEST = 1_000, 50_000_000  # tokens of a mint or burn


@dataclass(frozen=True, slots=True)
class Day:
    """What happens on a chain on a day.

    Attributes:
        facts: Final ones by block; `known_us` says when they were first told.
        told: In no order: those facts, others that do not stand, and retractions.
        orphans: Blocks that did not stay.
    """

    facts: tuple[Fact, ...]
    told: tuple[Fact | Retraction, ...]
    orphans: tuple[Orphan, ...]


class SupplyOfChain:
    """The mints and burns of all coins on one chain.

    Args:
        decimals: Of the coins that are there.
        spans: Gets the blocks of other branches.
    """

    def __init__(self, plan: CoinPlan, chain: str, decimals: Mapping[str, int], blocks: Blocks, spans: Spans) -> None:
        self._plan, self._chain, self._decimals = plan, chain, decimals
        self._blocks, self._spans = blocks, spans
        self._branches = 0

    def day(self, day_us: int) -> Day:
        """All of one day; called once for each, in order."""
        chance = random.Random(f"{self._plan.seed} supply {self._chain} {day_us}")
        facts = self._changes(chance, day_us)
        told: list[Fact | Retraction] = []
        orphans: list[Orphan] = []
        known: dict[str, int] = {}
        for reorg in self._reorgs(chance, day_us):
            self._replace(chance, reorg, facts, known, told, orphans)
        final = tuple(replace(fact, known_us=known[fact.id]) if fact.id in known else fact for fact in facts)
        return Day(final, (*final, *told), tuple(orphans))

    def _changes(self, chance: random.Random, day_us: int) -> list[Fact]:
        found = []
        for coin in self._decimals:
            for time_us in self._times(chance, coin, day_us):
                number = self._blocks.number_at(time_us)
                found.append(self._fact(chance, coin, number, 0, self._units(chance, coin, time_us)))
        return sorted(found, key=lambda fact: (fact.block_number, fact.log_index, fact.id))

    def _times(self, chance: random.Random, coin: str, day_us: int) -> list[int]:
        """Spread over the day by chance, and five times as many while the coin is off its peg."""
        count = int(self._plan.rates.changes * (0.5 + chance.random()))
        times = [day_us + int(chance.random() * DAY_US) for _ in range(count)]
        more = [day_us + int(chance.random() * DAY_US) for _ in range(4 * count)]
        return times + [time for time in more if self._off(coin, time) > chance.random()]

    def _off(self, coin: str, time_us: int) -> float:
        return max((depeg.share(time_us) for depeg in self._plan.depegs if depeg.coin == coin), default=0.0)

    def _units(self, chance: random.Random, coin: str, time_us: int) -> int:
        scale: int = 10 ** self._decimals[coin]
        drawn = chance.random()
        cube = drawn * drawn * drawn  # a power would be of the machine's own library
        units = (SMALLEST + int((LARGEST - SMALLEST) * cube * cube)) * scale + int(chance.random() * scale)
        burned = chance.random() < 0.49 + 0.4 * self._off(coin, time_us)
        return -units if burned else units

    def _fact(self, chance: random.Random, coin: str, number: int, branch: int, units: int, tx: str = "") -> Fact:
        digest = self._blocks.hash_of(number, branch)
        tx = tx or hashed(f"{self._plan.seed} {self._chain} {number} {branch} {coin} {units}")
        place = int(chance.random() * 400)
        return Fact(
            feature="supply",
            event_us=self._blocks.time_us(number),
            known_us=self._blocks.seen_us(number),
            coin=coin,
            chain=self._chain,
            source="logs",
            id=f"{self._chain}:{digest}:{tx}:{place}",
            units=units,
            decimals=self._decimals[coin],
            block_number=number,
            block_hash=digest,
            tx_hash=tx,
            log_index=place,
        )

    # Reorganisations

    def _reorgs(self, chance: random.Random, day_us: int) -> list[Reorg]:
        """Those of the day in order, none of which touches another, nor blocks of another day."""
        planned = [r for r in self._plan.reorgs if r.chain == self._chain and day_us <= r.time_us < day_us + DAY_US]
        drawn = []
        rate = self._plan.rates.reorgs
        for _ in range(int(rate) + (chance.random() < rate % 1)):
            square = chance.random() * chance.random()
            depth = (1 + int(6 * square * square)) * max(1, MOST_DEPTH[self._chain] // 60)
            flips = chance.random() < FLIPS and self._chain not in NEVER_FLIPS
            drawn.append(Reorg(self._chain, day_us + int(chance.random() * DAY_US), depth, flips))
        kept: list[Reorg] = []
        for reorg in (*planned, *drawn):
            if self._has_room(reorg, day_us, kept):
                kept.append(reorg)
        return sorted(kept, key=lambda reorg: reorg.time_us)

    def check(self) -> None:
        """That there is room for what is planned.

        Raises:
            ConfigError: Two planned reorganisations touch, or one is too near to midnight UTC.
        """
        before: list[Reorg] = []
        for reorg in self._plan.reorgs:
            if reorg.chain == self._chain:
                if not self._has_room(reorg, reorg.time_us - reorg.time_us % DAY_US, before):
                    raise ConfigError(f"{reorg} touches another one, or a block before or after its day in UTC")
                before.append(reorg)

    def _has_room(self, reorg: Reorg, day_us: int, others: Sequence[Reorg]) -> bool:
        first, last = self._range(reorg)
        gap = 2 * self._blocks.pace.told
        begin, end = self._blocks.number_at(day_us), self._blocks.number_at(day_us + DAY_US) - 1
        apart = all(last + gap < one or first > end_of_one + gap for one, end_of_one in map(self._range, others))
        return begin <= first and last <= end and apart

    def _range(self, reorg: Reorg) -> tuple[int, int]:
        """First and last block that do not stay, or that came when it was not clear which stay."""
        top = self._blocks.head_at(reorg.time_us)
        return top - reorg.depth + 1, top + (3 * self._blocks.pace.told if reorg.flips else 0)

    def _replace(
        self,
        chance: random.Random,
        reorg: Reorg,
        facts: Sequence[Fact],
        known: dict[str, int],
        told: list[Fact | Retraction],
        orphans: list[Orphan],
    ) -> None:
        """Two branches of the same blocks: one is told first, and the fork is seen with the block after the last."""
        self._branches += 1
        branch, blocks = self._branches, self._blocks
        first, end = self._range(reorg)
        top = blocks.head_at(reorg.time_us)
        step = blocks.pace.told
        fork_us = blocks.seen_us(top + step)
        stay = [fact for fact in facts if first <= fact.block_number <= end]
        others = self._others(chance, stay, first, top, branch)
        out = tuple(fact.id for fact in others)
        if not reorg.flips:
            self._spans.add(first, top, branch, first)
            told += [*others, self._word(fork_us, top + step, out, tuple(fact.id for fact in stay))]
            known.update({fact.id: fork_us + int(chance.random() * 2 * MICROS) for fact in stay})
            orphans += [Orphan(self._chain, n, blocks.hash_of(n, branch), fork_us, -1) for n in range(first, top + 1)]
            return
        self._spans.add(top + 1, end, branch, first)
        back_us = blocks.seen_us(end + step)
        early = tuple(fact.id for fact in stay if fact.block_number <= top)
        told += [replace(fact, known_us=fork_us + int(chance.random() * 2 * MICROS)) for fact in others]
        told.append(self._word(fork_us, top + step, early, out))
        told.append(self._word(back_us, end + step, out, tuple(fact.id for fact in stay)))
        known.update({f.id: back_us + int(chance.random() * 2 * MICROS) for f in stay if f.block_number > top})
        orphans += [Orphan(self._chain, n, blocks.hash_of(n), fork_us, back_us) for n in range(first, top + 1)]
        orphans += [Orphan(self._chain, n, blocks.hash_of(n, branch), back_us, -1) for n in range(first, end + 1)]

    def _others(self, chance: random.Random, stay: Sequence[Fact], first: int, last: int, branch: int) -> list[Fact]:
        """What the blocks that do not stay hold."""
        found = []
        for fact in stay:
            if chance.random() < SAME_TRANSACTION:
                number = first + int(chance.random() * (last - first + 1))
                found.append(self._fact(chance, fact.coin, number, branch, fact.units, fact.tx_hash))
        if chance.random() < LOST:
            coin = list(self._decimals)[int(chance.random() * len(self._decimals))]
            number = first + int(chance.random() * (last - first + 1))
            found.append(
                self._fact(chance, coin, number, branch, self._units(chance, coin, self._blocks.time_us(number)))
            )
        return found

    def _word(self, known_us: int, number: int, out: tuple[str, ...], come: tuple[str, ...]) -> Retraction:
        return Retraction(self._blocks.time_us(number), known_us, self._chain, out, come)
