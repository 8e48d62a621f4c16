"""Where a simulated market stands: registry entry, clock, tokens and contracts of its chain, and the simulated span."""

from dataclasses import dataclass
from typing import Protocol

from tidelake.lending.market import KnownAsset, Market
from tidelake.lending.spec import Position
from tidelake.sim.chains.amounts import Moment
from tidelake.sim.chains.clock import DAY_S, Clock
from tidelake.sim.chains.code import CodeBook
from tidelake.sim.chains.draws import Draws
from tidelake.sim.chains.events import Transaction
from tidelake.sim.chains.prices import Prices
from tidelake.sim.chains.tokens import Token, TokenBook


@dataclass(frozen=True)
class Place:
    """What a market is made from.

    Attributes:
        market: Its registry entry.
        deployed: Its first block.
        draws: Of the market.
        clock, codes, tokens, prices: Of its chain.
        known: Its assets that files know.
        first_day, days: The simulated span, in days since 1970.
    """

    market: Market
    deployed: int
    draws: Draws
    clock: Clock
    codes: CodeBook
    tokens: TokenBook
    prices: Prices
    known: tuple[KnownAsset, ...]
    first_day: int
    days: int

    def block_within(self, least: int, most: int, *words: object) -> int:
        """A block between two thousandths of the span, not before the market's first."""
        day = self.first_day + self.days * self.draws.between(least, most, "day of", *words) // 1000
        return max(self.deployed, self.clock.first_of(day) + self.draws.below(500, "block of", *words))

    def time_within(self, least: int, most: int, *words: object) -> int:
        """A time between two thousandths of the span."""
        span = self.days * DAY_S
        rest = self.draws.below(DAY_S, "second of", *words)
        return self.first_day * DAY_S + span * self.draws.between(least, most, "time of", *words) // 1000 + rest

    def event_block(self, day: int, *words: object) -> int:
        """A block of a day in which something happens: an odd one, whose hash proves."""
        first, after = self.clock.first_of(day), self.clock.first_of(day + 1)
        second = self.draws.below(DAY_S, "event", day, *words)
        number = max(self.clock.at(day * DAY_S + second), first)
        return number | 1 if number | 1 < after else number - 1

    def picked(self, count: int) -> list[Token]:
        """Some tokens of the chain, for a market of which no file knows any."""
        drawn = sorted(self.tokens.common, key=lambda token: self.draws.octets("picked", token.address))
        return drawn[:count]


class SimMarket(Protocol):
    """A simulated market: its contracts stand in `Place.codes`."""

    place: Place

    def positions(self, moment: Moment) -> list[Position]:
        """What is true of it at a block from its first on."""

    def transactions(self, day: int, *, crash: bool) -> list[Transaction]:
        """What it logs on a day, by block."""
