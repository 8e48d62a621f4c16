"""Candles of the market, from its true trades."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tidelake.sim.answer import TapeView
from tidelake.sim.listing import Listing, Trades, fixed, places


@dataclass(frozen=True)
class Bar:
    """One bar; open to close are ticks, `volume` is lots, `turnover` is the sum of ticks times lots."""

    listing: Listing
    start_ns: int
    end_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    turnover: int
    trades: int
    taker_buy_volume: int
    taker_buy_turnover: int

    def prices(self) -> list[str]:
        """Open, high, low, close as exact text."""
        return [fixed(ticks, self.listing.tick) for ticks in (self.open, self.high, self.low, self.close)]

    def volume_text(self) -> str:
        """Volume in the unit of the wire's sizes."""
        return fixed(self.volume, self.listing.lot)

    def turnover_decimal(self, turnover: int | None = None) -> Decimal:
        """Sum of price times size, exact."""
        return (self.turnover if turnover is None else turnover) * self.listing.tick * self.listing.lot

    def turnover_text(self, digits: int | None = None) -> str:
        """`turnover_decimal` in plain notation, cut to `digits` decimals where given."""
        have = places(self.listing.tick) + places(self.listing.lot)
        text = f"{self.turnover_decimal():.{have}f}"
        return text if digits is None or digits >= have else f"{self.turnover_decimal():.{digits}f}"


def bars(tape: TapeView, interval_ns: int, since_ns: int, until_ns: int, now_ns: int) -> list[Bar]:
    """Bars that start in since_ns <= t < until_ns and hold a trade, oldest first; the last may be unfinished."""
    since_ns = -(-since_ns // interval_ns) * interval_ns
    last = min(tape.seq_since(until_ns + interval_ns - 1) - 1, tape.happened(now_ns))
    trades = tape.between(tape.seq_since(since_ns), last)
    starts = trades.time_ns // interval_ns * interval_ns
    keep = starts < until_ns
    trades, starts = trades[keep], starts[keep]
    edges = np.flatnonzero(np.r_[True, starts[1:] != starts[:-1]]) if len(trades) else np.empty(0, dtype=np.int64)
    ends = np.r_[edges[1:], len(trades)] if len(edges) else edges
    return [_bar(trades[a:b], int(starts[a]), interval_ns) for a, b in zip(edges.tolist(), ends.tolist(), strict=True)]


def _bar(trades: Trades, start_ns: int, interval_ns: int) -> Bar:
    bought = trades[trades.buy]
    return Bar(
        listing=trades.listing,
        start_ns=start_ns,
        end_ns=start_ns + interval_ns,
        open=int(trades.ticks[0]),
        high=int(trades.ticks.max()),
        low=int(trades.ticks.min()),
        close=int(trades.ticks[-1]),
        volume=int(trades.lots.sum()),
        turnover=_turnover(trades),
        trades=len(trades),
        taker_buy_volume=int(bought.lots.sum()),
        taker_buy_turnover=_turnover(bought),
    )


def _turnover(trades: Trades) -> int:
    # split so that a day of large trades does not overflow 64 bits
    high, low = trades.lots >> 20, trades.lots & ((1 << 20) - 1)
    return (int((trades.ticks * high).sum()) << 20) + int((trades.ticks * low).sum())
