"""What is true of a simulated chain: positions at a block, and liquidations; from the model, through no decoder."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from tidelake.lending.spec import Position
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.clock import day_number
from tidelake.sim.chains.events import Liquidated, Transaction
from tidelake.sim.chains.families.morpho import Morpho


@dataclass(frozen=True, slots=True)
class TrueLiquidation:
    """A log that tells a liquidation, and where it stands."""

    block_number: int
    block_hash: str
    tx_hash: str
    log_index: int
    what: Liquidated


class Truth:
    """The truth of a chain as it is now; before a reorganisation it is asked for before it."""

    def __init__(self, chain: SimChain) -> None:
        self.chain = chain

    def deployed(self, market: str) -> int:
        """The first block of a market."""
        return self.chain.markets[market].place.deployed

    def day_block(self, day: dt.date) -> tuple[int, str]:
        """Number and hash of the last block of a UTC day."""
        number = self.chain.last_of(day)
        return number, self.chain.block(number).hash

    def positions(self, market: str, number: int) -> list[Position] | None:
        """What a market holds at a block; None before its first."""
        found = self.chain.markets[market]
        if number < found.place.deployed:
            return None
        return found.positions(self.chain.moment(number))

    def positions_on(self, market: str, day: dt.date) -> list[Position] | None:
        """The same at the last block of a UTC day."""
        return self.positions(market, self.chain.last_of(day))

    def price(self, asset: str, number: int) -> int:
        """Dollars for one whole token at a block, times 10**8, as the protocols' oracles tell it.

        Raises:
            KeyError: No token has that address.
        """
        return self.chain.prices.at(self.chain.tokens.of(asset), self.chain.moment(number))

    def parts(self, market: str, number: int) -> list[str]:
        """Market ids that a Morpho contract knows at a block, as they were made."""
        found = self.chain.markets[market]
        return found.parts(number) if isinstance(found, Morpho) else []

    def collateral(self, market: str, number: int) -> dict[str, int]:
        """What was moved into each market of a Morpho contract up to a block, less what was moved out."""
        found: dict[str, int] = {}
        own = set(self.parts(market, number))
        for busy in self.chain.busy_blocks(self.deployed(market), number):
            for transaction in self._transactions(busy):
                for part, amount in transaction.moves:
                    if part in own:
                        found[part] = found.get(part, 0) + amount
        return found

    def liquidations(self, market: str, first: int, last: int) -> list[TrueLiquidation]:
        """Those of a market in the blocks between two, both included, in order."""
        found = (one for number in self.chain.busy_blocks(first, last) for one in self._in_block(number))
        return [one for one in found if one.what.market == market]

    def liquidations_on(self, market: str, day: dt.date) -> list[TrueLiquidation]:
        """Those of a UTC day."""
        clock = self.chain.clock
        return self.liquidations(market, clock.first_of(day_number(day)), self.chain.last_of(day))

    def _transactions(self, number: int) -> tuple[Transaction, ...]:
        branches = self.chain.branches
        return branches.transactions(number, branches.standing(number))

    def _in_block(self, number: int) -> Iterator[TrueLiquidation]:
        if not any(any(found.truths) for found in self._transactions(number)):
            return
        block = self.chain.block(number)
        places = {sent.hash: first for sent, first in zip(block.transactions, block.first_log, strict=True)}
        for found in self._transactions(number):
            for place, truth in enumerate(found.truths):
                if truth is not None:
                    at = places[found.hash] + place
                    yield TrueLiquidation(number, block.hash, found.hash, at, truth)
