"""What a venue tells of a product beside its book and trades, with known truth, made step by step from its true book.

Bars are those of the true trades. Mark price, funding rate and open interest are seeded walks: the index is the middle
of the book, and the mark price strays from it. `sim.bars` makes bars of whole columns of trades for pages; these grow
trade by trade and know what a contract is worth.
"""

import random
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from tidelake.sim.books.model import Change, Print, Product, TrueBook

KEPT_BARS = 720
EVERY = 5  # steps between two states that are told
RATE_UNIT = Decimal("0.00000001")
MOST_RATE = 50_000  # of these
FUNDING_HOURS = 8
FUNDING_NS = FUNDING_HOURS * 3600 * 10**9
BASIS = 30  # ticks by which the mark price strays from the index, at most
START_INTEREST = 2_000_000  # lots
DIGITS = Decimal("0.00000001")  # of amounts that are divided by a price


class Amounts(NamedTuple):
    """How much in lots, base asset and quote asset; of inverse products the base is rounded trade by trade."""

    lots: int = 0
    base: Decimal = Decimal(0)
    quote: Decimal = Decimal(0)

    def plus(self, other: "Amounts") -> "Amounts":
        """The sum."""
        return Amounts(self.lots + other.lots, self.base + other.base, self.quote + other.quote)


def amounts(product: Product, ticks: int, lots: int) -> Amounts:
    """What so many lots are at a price."""
    held, price = lots * product.lot * product.contract, ticks * product.tick
    if product.inverse:
        return Amounts(lots, (held / price).quantize(DIGITS), held)
    return Amounts(lots, held, held * price)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar that holds a trade; prices are ticks, `first` and `last` the numbers of its trades."""

    start_ns: int
    end_ns: int
    open: int
    high: int
    low: int
    close: int
    first: int
    last: int
    trades: int
    all: Amounts
    bought: Amounts


@dataclass(frozen=True, slots=True)
class State:
    """A perpetual as it stands: prices in ticks, `interest` in lots and in both assets at the mark price."""

    event_ns: int
    mark: int
    index: int
    rate: Decimal
    next_funding_ns: int
    interest: Amounts


@dataclass(frozen=True, slots=True)
class Told:
    """What is new at a step.

    Attributes:
        event_ns: The venue's clock.
        ended: Bars that ended, oldest first; at the beginning of a subscription all that are kept.
        growing: The bar that a trade was just added to; at the beginning the one that stands.
        state: Where it is due; `before` is the one that was told before it.
        liquidations: Trades that closed a position by force.
        begins: Whether it is the beginning of a subscription.
    """

    event_ns: int
    ended: tuple[Bar, ...] = ()
    growing: Bar | None = None
    state: State | None = None
    before: State | None = None
    liquidations: tuple[Print, ...] = ()
    begins: bool = False

    def bars(self) -> list[tuple[Bar, bool]]:
        """The bars that changed, and whether they have ended; at the beginning the growing one alone."""
        ended = [] if self.begins else [(bar, True) for bar in self.ended]
        return ended if self.growing is None else [*ended, (self.growing, False)]


class Figures:
    """The figures of one product.

    Args:
        book: The truth that they are made from.
        seed: Same seed and book, same figures.
        bar_seconds: Length of a bar.
        record: Whether `states` and `liquidations` are kept: the truth that tests ask for.

    Attributes:
        bars: By start, the newest ones.
        state: The one last told; None of products that are no perpetuals.
        states: All of them.
        liquidations: All of them.
    """

    def __init__(self, book: TrueBook, seed: int, bar_seconds: int = 60, *, record: bool = False) -> None:
        self.product = book.product
        self.bars: dict[int, Bar] = {}
        self.states: list[State] = []
        self.liquidations: list[Print] = []
        self._record = record
        self._bar_ns = bar_seconds * 10**9
        self._chance = random.Random(f"{seed} figures {book.product.symbol}")
        self._growing: int | None = None
        self._basis = self._chance.randint(-BASIS, BASIS)
        self._rate = self._chance.randint(-MOST_RATE, MOST_RATE)
        self._interest = START_INTEREST
        self.state = self._next_state(book, book.clock_ns) if self.product.perpetual else None
        self._keep()

    def step(self, book: TrueBook, change: Change) -> Told:
        """What is new after a step of the book."""
        ended = self._end(change.event_ns)
        for trade in change.prints:
            ended += self._add(trade)
        liquidations = tuple(trade for trade in change.prints if trade.bankrupt is not None)
        if self._record:
            self.liquidations += liquidations
        before, due = self.state, self.product.perpetual and change.version % EVERY == 0
        if due:
            self.state = self._next_state(book, change.event_ns)
            self._keep()
        growing = self.bars[self._growing] if change.prints and self._growing is not None else None
        return Told(change.event_ns, ended, growing, self.state if due else None, before, liquidations)

    def now(self, event_ns: int) -> Told:
        """What the beginning of a subscription can tell."""
        ended = tuple(bar for start, bar in sorted(self.bars.items()) if start != self._growing)
        growing = None if self._growing is None else self.bars[self._growing]
        return Told(event_ns, ended, growing, self.state, begins=True)

    def _keep(self) -> None:
        if self._record and self.state is not None:
            self.states.append(self.state)

    def _end(self, now_ns: int) -> tuple[Bar, ...]:
        """The growing bar, where it has ended by now."""
        if self._growing is None or now_ns < self.bars[self._growing].end_ns:
            return ()
        ended, self._growing = self.bars[self._growing], None
        return (ended,)

    def _add(self, trade: Print) -> tuple[Bar, ...]:
        """Adds a trade; returns the bar that it left behind, where the clock jumped back out of it."""
        start = trade.event_ns // self._bar_ns * self._bar_ns
        left = (self.bars[self._growing],) if self._growing not in (None, start) else ()
        much = amounts(self.product, trade.ticks, trade.lots)
        bought = much if trade.side == "buy" else Amounts()
        bar = self.bars.get(start)
        if bar is None:
            ends = start + self._bar_ns
            bar = Bar(start, ends, *(trade.ticks,) * 4, trade.number, trade.number, 1, much, bought)
        else:
            high, low = max(bar.high, trade.ticks), min(bar.low, trade.ticks)
            bar = replace(bar, high=high, low=low, close=trade.ticks, last=trade.number, trades=bar.trades + 1)
            bar = replace(bar, all=bar.all.plus(much), bought=bar.bought.plus(bought))
        self.bars[start] = bar
        self._growing = start
        if len(self.bars) > KEPT_BARS:
            del self.bars[min(self.bars.keys() - {start})]
        return left

    def _next_state(self, book: TrueBook, event_ns: int) -> State:
        chance = self._chance
        self._basis = min(max(self._basis + chance.randint(-2, 2), -BASIS), BASIS)
        self._rate = min(max(self._rate + chance.randint(-500, 500), -MOST_RATE), MOST_RATE)
        self._interest = max(self._interest + chance.randint(-2_000, 2_000), 1)
        index = (max(book.bids) + min(book.asks)) // 2
        mark = index + self._basis
        paid = (event_ns // FUNDING_NS + 1) * FUNDING_NS
        return State(event_ns, mark, index, self._rate * RATE_UNIT, paid, amounts(self.product, mark, self._interest))
