"""One simulated chain: its blocks, its contracts, what happens on it, and its reorganisations. No sockets, no JSON.

All follows from the seed, the chain's name, the span and the markets; every block's state is made when it is asked for.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from tidelake.chains.registry import chain as chain_spec
from tidelake.lending.market import Market
from tidelake.lending.market_files import read_assets
from tidelake.lending.registry import markets as registry
from tidelake.sim.chains.amounts import Moment
from tidelake.sim.chains.blocks import STRETCH, Block, Blocks, Sent
from tidelake.sim.chains.branches import Branch, Branches
from tidelake.sim.chains.clock import DAY_S, clock_of, day_number
from tidelake.sim.chains.code import CodeBook
from tidelake.sim.chains.draws import Draws
from tidelake.sim.chains.events import Transaction
from tidelake.sim.chains.families import SIMULATED, simulated_market
from tidelake.sim.chains.families.morpho import Morpho
from tidelake.sim.chains.families.place import Place, SimMarket
from tidelake.sim.chains.multicall import multicall3
from tidelake.sim.chains.prices import Prices
from tidelake.sim.chains.tokens import TokenBook

START = dt.date(2025, 1, 1)
DAYS = 365
HEAD_AFTER_S = 7_200  # the head stands this long after the span's end, until `now_s` is set
HOUR_S = 3_600
_CRASHES = 45  # about each 45th day many are liquidated


@dataclass(frozen=True)
class Reorganisation:
    """What a reorganisation did.

    Attributes:
        first: The first block that is another.
        branch: Number of the branch that stands now.
        gone: Hashes of transactions that stand nowhere any more.
        moved: Hashes of transactions and the block that they are in now.
        kept: Hashes of those that stand in a block of the same number, with another hash.
    """

    first: int
    branch: int
    gone: tuple[str, ...]
    moved: Mapping[str, int]
    kept: tuple[str, ...]


class SimChain:
    """A simulated chain.

    Args:
        name: As the chains are called; its facts are those of `chains`.
        seed: Same seed, same chain.
        start: First UTC day on which something happens.
        days: How many days the simulated span has.
        markets: Ids of its markets; by default all of the registry that stand on it and are simulated.

    Attributes:
        now_s: The present, in seconds since 1970: the head is the last block until then.
        tokens, prices: Its tokens, and what they are worth.
        markets: The simulated markets by id.
    """

    def __init__(
        self,
        name: str,
        seed: int = 1,
        *,
        start: dt.date = START,
        days: int = DAYS,
        markets: Collection[str] | None = None,
    ) -> None:
        self.spec = chain_spec(name)
        self.first_day, self.days = day_number(start), days
        self.now_s = (self.first_day + days) * DAY_S + HEAD_AFTER_S
        self._draws = Draws("chain", seed, name)
        self.clock = clock_of(self.spec, self._draws)
        self.codes = CodeBook()
        self.codes.put(self.spec.multicall3.address, self.spec.multicall3.since_block, multicall3(self.codes))
        found = [market for market in registry().values() if market.chain == name and market.family in SIMULATED]
        self.markets = self._make([one for one in found if markets is None or one.id in markets])
        self._creations = self._made_by_block()
        self._day = lru_cache(None)(self._transactions_of_day)
        self.branches = Branches(self._placed)
        self._moment = lru_cache(4_096)(self._make_moment)
        self.blocks = Blocks(
            self._draws.within("blocks"),
            full_header=name == "ethereum",
            time_of=self.clock.time_of,
            begins=self.begins_stretch,
            parent_branch=lambda number, branch: self.branches.standing(number - 1, branch),
            sent=self._sent,
        )

    def _make(self, found: list[Market]) -> dict[str, SimMarket]:
        names = {market.id: market for market in registry().values()}
        known = [asset for asset in read_assets() if names[asset.market].chain == self.spec.name]
        self.tokens = tokens = TokenBook(self._draws.within("tokens"), self.codes, known)
        self.prices = Prices(self._draws.within("prices"))
        made = {}
        for market in found:
            draws = self._draws.within("market", market.id)
            place = Place(
                market=market,
                deployed=self._deployment(market, draws),
                draws=draws,
                clock=self.clock,
                codes=self.codes,
                tokens=tokens,
                prices=self.prices,
                known=tuple(asset for asset in known if asset.market == market.id),
                first_day=self.first_day,
                days=self.days,
            )
            made[market.id] = simulated_market(place)
        return made

    def _deployment(self, market: Market, draws: Draws) -> int:
        """The registry's block; where it tells none, one within the span."""
        if market.deployment.block is not None:
            return market.deployment.block
        day = self.first_day + self.days * draws.between(400, 700, "deployed") // 1000
        return self.clock.first_of(day) + 77

    def _made_by_block(self) -> dict[int, tuple[Transaction, ...]]:
        found: dict[int, list[Transaction]] = defaultdict(list)
        for market in self.markets.values():
            if isinstance(market, Morpho):
                for made in market.creations():
                    found[made.number].append(made)
        return {number: tuple(found[number]) for number in sorted(found)}

    def _transactions_of_day(self, day: int) -> dict[int, tuple[Transaction, ...]]:
        """By block, in order; without those that make markets."""
        found: dict[int, list[Transaction]] = defaultdict(list)
        crash = self._draws.below(_CRASHES, "crash", day) == 0
        for market in self.markets.values() if day >= self.first_day else ():
            for made in market.transactions(day, crash=crash):
                found[made.number].append(made)
        return {number: tuple(found[number]) for number in sorted(found)}

    def _placed(self, number: int) -> tuple[Transaction, ...]:
        day = self._day(self.clock.time_of(number) // DAY_S)
        return self._creations.get(number, ()) + day.get(number, ())

    def _sent(self, number: int, branch: int) -> tuple[Sent, ...]:
        return tuple(
            Sent(found.hash, found.sender, found.to, found.logs) for found in self.branches.transactions(number, branch)
        )

    def begins_stretch(self, number: int) -> bool:
        """Whether a block's hash is given and not made; see `blocks`."""
        if number % STRETCH:
            return False
        return self.clock.time_of(number) // HOUR_S == self.clock.time_of(number + 1) // HOUR_S

    @property
    def head(self) -> int:
        """The newest block."""
        return self.clock.at(self.now_s)

    def last_of(self, day: dt.date) -> int:
        """The last block of a UTC day."""
        return self.clock.first_of(day_number(day) + 1) - 1

    def block(self, number: int, branch: int | None = None) -> Block:
        """A block; of the chain of today unless a branch is told."""
        return self.blocks.block(number, self.branches.standing(number) if branch is None else branch)

    def moment(self, number: int, branch: int | None = None) -> Moment:
        """What amounts follow from at a block."""
        return self._moment(number, self.branches.standing(number) if branch is None else branch)

    def _make_moment(self, number: int, branch: int) -> Moment:
        noise = int.from_bytes(self._draws.octets("noise", number, branch, size=8), "big")
        return Moment(number, self.clock.time_of(number), noise)

    def busy_blocks(self, first: int, last: int) -> Iterator[int]:
        """Blocks between two, both included, in which a market may log something on some branch; in order."""
        first, last = max(first, 0), min(last, self.clock.at(2**40))
        found = {number for number in self._creations if first <= number <= last} | self.branches.arrivals(first, last)
        if first <= last:
            days = range(max(self.first_day, self.clock.time_of(first) // DAY_S), self.clock.time_of(last) // DAY_S + 1)
            found.update(number for day in days for number in self._day(day) if first <= number <= last)
        yield from sorted(found)

    def reorganise(
        self,
        first: int,
        *,
        gone: Collection[str] | None = None,
        moved: Mapping[str, int] | None = None,
    ) -> Reorganisation:
        """Other blocks from `first` on; what was in them stays, moves to a later block, or is gone.

        Args:
            first: Number of the first other block.
            gone: Hashes of transactions that are left out.
            moved: Hashes of transactions, and blocks from `first` on that they move to. Where neither is told, each
                transaction up to the head has its own draw.
        """
        standing = {
            one.hash: (number, one) for number in self.busy_blocks(first, self.head) for one in self._standing(number)
        }
        if gone is None and moved is None:
            fates = {digest: self._draws.below(3, "fate", len(self.branches), digest) for digest in standing}
            gone = [digest for digest, fate in fates.items() if fate == 1]
            moved = {digest: (standing[digest][0] + 2) | 1 for digest, fate in fates.items() if fate == 2}
        known = {digest: one for digest, (_, one) in standing.items()}
        return self._reorganised(first, known, frozenset(gone or ()), moved or {})

    def _standing(self, number: int) -> tuple[Transaction, ...]:
        return self.branches.transactions(number, self.branches.standing(number))

    def _reorganised(
        self, first: int, known: Mapping[str, Transaction], gone: frozenset[str], moved: Mapping[str, int]
    ) -> Reorganisation:
        if unknown := (gone | moved.keys()) - known.keys():
            raise ValueError(f"no such transaction from block {first} up to the head: {', '.join(sorted(unknown))}")
        arrived: dict[int, tuple[Transaction, ...]] = {}
        for digest, number in moved.items():
            arrived[number] = (*arrived.get(number, ()), known[digest])
        branch = self.branches.add(Branch(first, None, gone=gone | moved.keys(), arrived=arrived))
        kept = tuple(digest for digest in known if digest not in gone and digest not in moved)
        return Reorganisation(first, branch, tuple(sorted(gone)), dict(moved), kept)

    def stray(self, first: int, last: int) -> int:
        """A branch of other blocks that only a node that went astray takes for the chain; what they held is gone."""
        gone = frozenset(found.hash for number in range(first, last + 1) for found in self._standing(number))
        return self.branches.add(Branch(first, last, stray=True, gone=gone))
