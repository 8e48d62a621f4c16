"""A level-2 book with known truth: absolute sizes on a grid of ticks, changed step by step, every version kept.

A step is one message of a venue: the levels that changed in it, and the trades that took part of the best levels. The
book is never crossed, never empty, and keeps between `LEAST` and about `2 * SPAN` levels on a side. Of perpetuals some
trades are liquidations: the taker is the venue, who closes a position.
"""

import random
from dataclasses import dataclass
from decimal import Decimal

BID, ASK = "bid", "ask"
LEAST, SPAN, START_LEVELS = 12, 60, 30
MOST_LOTS = 50_000
LIQUIDATED = 0.1  # of a perpetual's trades
WORSE = 40  # ticks by which the bankruptcy price of a liquidation is worse than its trade, at most


@dataclass(frozen=True, slots=True)
class Product:
    """One product.

    Attributes:
        symbol: Canonical symbol.
        name: The venue's.
        tick, lot: Grid of price and size.
        mid: Where the price starts, in ticks.
        contract: What a size of 1 is, in the base asset, of inverse products in the quote asset.
        inverse: Whether it is.
    """

    symbol: str
    name: str
    tick: Decimal
    lot: Decimal
    mid: int
    contract: Decimal = Decimal(1)
    inverse: bool = False

    @property
    def perpetual(self) -> bool:
        """Whether it has funding, open interest and liquidations."""
        return self.symbol.endswith("-PERP")


@dataclass(frozen=True, slots=True)
class Print:
    """A trade: `number` counts those of the product from 1; `side` is the taker's.

    `bankrupt` is set where it closed a position by force: the ticks at which that position was worth nothing.
    """

    number: int
    event_ns: int
    side: str
    ticks: int
    lots: int
    bankrupt: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One step: the version it leads to, the venue's clock, each changed level once (0 lots: gone), and its trades."""

    version: int
    event_ns: int
    levels: tuple[tuple[str, int, int], ...]
    prints: tuple[Print, ...]


Sides = tuple[dict[int, int], dict[int, int]]


class TrueBook:
    """The book of one product.

    Args:
        product: What it is a book of.
        seed: Same seed, same book.
        start_ns: The venue's clock at the start.
        step_ns: Mean time between two steps.
        kept: Versions that can be asked for, the newest ones; 0: all.

    Attributes:
        version: Steps so far.
        clock_ns: The venue's clock; who moves it makes it jump.
        bids, asks: Lots by ticks, now.
    """

    def __init__(self, product: Product, seed: int, start_ns: int, step_ns: int = 100_000_000, kept: int = 0) -> None:
        self.product = product
        self.version = 0
        self.clock_ns = start_ns
        self.step_ns = step_ns
        self.prints = 0
        self._chance = random.Random(f"{seed} {product.symbol}")
        self._fate = random.Random(f"{seed} liquidations {product.symbol}")
        self._mid = product.mid
        self.bids = {self._mid - i: self._lots() for i in range(START_LEVELS)}
        self.asks = {self._mid + 1 + i: self._lots() for i in range(START_LEVELS)}
        self._most = kept
        self._kept: dict[int, Sides] = {}
        self._keep()

    def at(self, version: int) -> Sides:
        """Bids and asks of a version: lots by ticks."""
        return self._kept[version]

    def step(self) -> Change:
        """Change the book."""
        self.clock_ns += self._chance.randrange(1, 2 * self.step_ns)
        before = dict(self.bids), dict(self.asks)
        prints: tuple[Print, ...] = ()
        what = self._chance.random()
        if what < 0.15:
            self._move(self._chance.choice((-2, -1, 1, 2)))
        elif what < 0.35:
            prints = (self._trade(),)
        else:
            for _ in range(self._chance.randrange(1, 5)):
                self._set_one()
        self._refill()
        levels = self._differences(before)
        if not levels:
            best = max(self.bids)
            self.bids[best] += 1
            levels = ((BID, best, self.bids[best]),)
        self.version += 1
        self._keep()
        return Change(self.version, self.clock_ns, levels, prints)

    def _keep(self) -> None:
        self._kept[self.version] = dict(self.bids), dict(self.asks)
        if self._most:
            self._kept.pop(self.version - self._most, None)

    def _lots(self) -> int:
        return int(self._chance.randrange(1, MOST_LOTS) ** self._chance.choice((0.5, 0.8, 1.0))) + 1

    def _move(self, ticks: int) -> None:
        self._mid += ticks
        for price in [p for p in self.bids if p > self._mid or p < self._mid - SPAN]:
            del self.bids[price]
        for price in [p for p in self.asks if p <= self._mid or p > self._mid + SPAN]:
            del self.asks[price]

    def _trade(self) -> Print:
        side = self._chance.choice(("buy", "sell"))
        held, best = (self.asks, min(self.asks)) if side == "buy" else (self.bids, max(self.bids))
        lots = self._chance.randrange(1, held[best] + 1)
        held[best] -= lots
        if not held[best]:
            del held[best]
        self.prints += 1
        return Print(self.prints, self.clock_ns, side, best, lots, self._bankrupt(side, best))

    def _bankrupt(self, side: str, ticks: int) -> int | None:
        if not self.product.perpetual or self._fate.random() >= LIQUIDATED:
            return None
        worse = self._fate.randint(1, WORSE)
        return ticks + worse if side == "buy" else ticks - worse

    def _set_one(self) -> None:
        away = min(int(self._chance.expovariate(0.12)), SPAN - 1)
        held, price = (
            (self.bids, self._mid - away) if self._chance.random() < 0.5 else (self.asks, self._mid + 1 + away)
        )
        if price in held and self._chance.random() < 0.35:
            del held[price]
        else:
            held[price] = self._lots()

    def _refill(self) -> None:
        for held, first, step in ((self.bids, self._mid, -1), (self.asks, self._mid + 1, 1)):
            price = first
            while len(held) < LEAST:
                held.setdefault(price, self._lots())
                price += step

    def _differences(self, before: Sides) -> tuple[tuple[str, int, int], ...]:
        found = []
        for side, old, new in ((BID, before[0], self.bids), (ASK, before[1], self.asks)):
            found += [
                (side, price, new.get(price, 0))
                for price in sorted(old.keys() | new.keys())
                if old.get(price) != new.get(price)
            ]
        return tuple(found)
