"""How much BTC moves, computed from one-minute bars of the lake.

Estimator:  realised volatility from close to close over an hour, annualised: sqrt(60 / n * sum(r^2) * 8760), where r
            are the n log returns of closes of neighbouring minutes in the hour, at best 60, and 8760 are the hours of a
            year. No mean is taken off.
Source:     T. Andersen, T. Bollerslev, F. Diebold, P. Labys: Modeling and Forecasting Realized Volatility, Econometrica
            71 (2003), 579-625: the sum of squared returns. The hour, the step, and 60 / n for returns that are missing
            are our choice.

It is told at each end of five minutes, for the hour before. A return needs both its bars: one that is missing is
missing, never zero, and with fewer than 54 of 60 there is no value. A bar that comes late, or again with another close,
restates what it touches.
"""

import asyncio
import datetime as dt
import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Final

import msgspec
import polars as pl

from tidelake.providers.coin_source import CoinFact, Feature
from tidelake.raw.store import Store
from tidelake.stablecoins.sources.feed import Health, Known
from tidelake.tables.candles import CANDLES
from tidelake.tables.read import stored
from tidelake.tables.schema import VERSION_ORDER

MINUTE_US: Final = 60_000_000
WINDOW: Final = 60  # returns of a minute
STEP: Final = 5  # minutes
FEWEST: Final = 54  # our choice: nine tenths
HOURS_A_YEAR: Final = 8760
KEPT: Final = 1_440  # minutes that a live feed keeps: bars that come later than that are passed over
SOURCE: Final = "candles"


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One version of a bar of one minute: its start, its close, and when it was known; us UTC."""

    start_us: int
    close: float
    known_us: int


def realised_volatility(closes: Iterable[float | None]) -> tuple[float | None, int]:
    """The volatility of an hour, and from how many returns; None where those are fewer than `FEWEST`.

    Args:
        closes: Those of 61 minutes in a row, above zero; None for a minute without a bar.
    """
    held = list(closes)
    squares = [
        math.log(after / before) ** 2 for before, after in pairwise(held) if before is not None and after is not None
    ]
    if len(squares) < FEWEST:
        return None, len(squares)
    return math.sqrt(WINDOW / len(squares) * math.fsum(squares) * HOURS_A_YEAR), len(squares)


class Volatility:
    """Turns bars into facts.

    Args:
        keep: Minutes before the newest bar that are kept; None keeps all.

    Attributes:
        returns: Of the newest hour that was looked at, how many returns it had; None before the first.
    """

    def __init__(self, keep: int | None = None) -> None:
        self.returns: int | None = None
        self._keep = keep
        self._bars: dict[int, Bar] = {}  # by number of the minute
        self._told: dict[int, float] = {}  # by end of the hour, in minutes
        self._newest = self._ended = -1
        self._known_us = 0

    def take(self, bars: Iterable[Bar]) -> list[Known]:
        """What versions of bars tell, in the order in which they are given: that in which they were known."""
        found: list[Known] = []
        for known_us, some in groupby(bars, key=lambda bar: bar.known_us):
            self._known_us = max(self._known_us, known_us)
            found += self._look([minute for bar in some if (minute := self._put(bar)) is not None])
        return found

    def _put(self, bar: Bar) -> int | None:
        """The minute whose bar changed; None where none did."""
        minute = bar.start_us // MINUTE_US
        before = self._bars.get(minute)
        if self._keep is not None and minute < self._newest - self._keep:
            return None
        if before is not None and before.known_us > bar.known_us:
            return None
        self._bars[minute] = bar
        self._newest = max(self._newest, minute)
        return minute if before is None or before.close != bar.close else None

    def _look(self, changed: list[int]) -> list[Known]:
        """Tell the hours that ended since the last look, and those of before that changed."""
        last = min(self._newest + 1, self._known_us // MINUTE_US) // STEP * STEP
        first = min(self._bars, default=0) // STEP * STEP + STEP if self._ended < 0 else self._ended + STEP
        ends = set(range(first, last + 1, STEP))
        for minute in changed:
            next_end = minute // STEP * STEP + STEP
            ends.update(end for end in range(next_end, minute + WINDOW + 2, STEP) if end <= last)
        found = [fact for end in sorted(ends) if (fact := self._tell(end)) is not None]
        self._ended = max(self._ended, last)
        if self._keep is not None:
            self._forget(self._newest - self._keep)
        return found

    def _tell(self, end: int) -> Known | None:
        held = (self._bars.get(minute) for minute in range(end - WINDOW - 1, end))
        value, returns = realised_volatility(None if bar is None else bar.close for bar in held)
        if end >= self._ended:
            self.returns = returns
        if value is None or self._told.get(end) == value:
            return None
        self._told[end] = value
        fact = CoinFact("volatility", "", "", SOURCE, end * MINUTE_US - 1, Decimal(repr(value)))
        return Known(fact, self._known_us)

    def _forget(self, before: int) -> None:
        for held in (self._bars, self._told):
            for minute in [minute for minute in held if minute < before]:
                del held[minute]


class CandleFeed:
    """Volatility of BTC out of the table `candles` (`stablecoins.sources.feed.Feed`).

    Ticks give what is known after the first one, `history` gives all: the same again, where bars came into the table in
    the order in which they were known.

    Args:
        store: The lake's store.
        venue, symbol: Whose bars, and of which pair.
        origin: "venue" for bars as the venue told them, "trades" for those built here.
        assume_latency: Take bars as known at most so long after their end, as if they had been captured live.
    """

    name: str = SOURCE
    features: tuple[Feature, ...] = ("volatility",)
    interval_s: float = 60.0

    def __init__(
        self,
        store: Store,
        *,
        venue: str = "binance-spot",
        symbol: str = "BTC-USDT",
        origin: str = "venue",
        assume_latency: dt.timedelta | None = None,
    ) -> None:
        self._store = store
        self._where = (venue, symbol, origin)
        self._latency_us = None if assume_latency is None else assume_latency // dt.timedelta(microseconds=1)
        self._live = Volatility(KEPT)
        self._ticks = 0
        self._newest_us: int | None = None
        self._answered_us: int | None = None

    async def tick(self) -> list[Known]:
        found = await asyncio.to_thread(self._tick)
        self._ticks += 1
        return found if self._ticks > 1 else []

    def _tick(self) -> list[Known]:
        bars = self._bars(live=True)
        if bars:
            self._newest_us = max(bar.start_us for bar in bars)
        found = self._live.take(bars)
        if found:
            self._answered_us = found[-1].known_us
        return found

    def history(self, since_us: int = 0) -> Iterator[Known]:
        told = Volatility().take(self._bars(live=False))
        yield from (known for known in told if known.known_us > since_us)

    def _bars(self, *, live: bool) -> list[Bar]:
        """Versions of bars in the order in which they were known; of a live feed those that it keeps."""
        start = pl.col("event_time").dt.epoch("us")
        rows = self._rows()
        if live:
            newest_us = self._newest() if self._newest_us is None else self._newest_us
            rows = rows.filter(start >= (newest_us or 0) - KEPT * MINUTE_US)
        known = pl.col("known_at").dt.epoch("us")
        if self._latency_us is not None:
            known = pl.min_horizontal(known, start + MINUTE_US + self._latency_us)
        told = rows.select(start.alias("start"), pl.col("close").cast(pl.Float64), known.alias("known"), *VERSION_ORDER)
        ordered = told.collect().sort("known", *VERSION_ORDER).select("start", "close", "known")
        return [Bar(*row) for row in ordered.iter_rows()]

    def _rows(self) -> pl.LazyFrame:
        venue, symbol, origin = self._where
        return stored(self._store, CANDLES).filter(
            pl.col("source") == venue,
            pl.col("symbol") == symbol,
            pl.col("interval") == "1m",
            pl.col("origin") == origin,
        )

    def _newest(self) -> int | None:
        """Start of the newest bar in the lake, us UTC; None where there is none."""
        found: int | None = self._rows().select(pl.col("event_time").dt.epoch("us").max()).collect().item()
        return found

    def health(self) -> list[Health]:
        venue, symbol, origin = self._where
        reason = ""
        if self._newest_us is None and (self._ticks or self._newest() is None):
            reason = f"the lake holds no bars of one minute of {symbol} by {venue} (origin {origin})"
        elif self._ticks and self._live.returns is None:
            reason = "no five minutes have ended since the first bar"
        elif self._live.returns is not None and self._live.returns < FEWEST:
            reason = f"{self._live.returns} of {WINDOW} returns of the last hour are there, fewer than {FEWEST}"
        return [
            Health(
                name=self.name,
                features=self.features,
                condition="absent" if reason else "up" if self._ticks else "waiting",
                reason=reason,
                interval_s=self.interval_s,
                last_answer_us=self._answered_us,
                answers=self._ticks,
            )
        ]

    async def close(self) -> None:
        """Nothing is kept: bars lie in the lake."""
