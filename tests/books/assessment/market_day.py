"""A whole day of one market as Crypto Lake delivers it, from a seed; snapshots are those of a dictionary book.

A book that every message changes is told by `deltas`, one message each two seconds, and shown by `snapshots` twice a
minute. `trades` are at its best prices, buys at the ask.
"""

import datetime as dt
import random
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import polars as pl

from tidelake.books.assessment.assessment import DayAssessment, judge
from tidelake.books.assessment.day_measuring import DayFiles, DayPath, measure_day
from tidelake.vendors.registry import vendor

DAY = dt.date(2024, 8, 8)
MIDNIGHT_NS = int(dt.datetime(2024, 8, 8, tzinfo=dt.UTC).timestamp()) * 10**9
NS, HOUR_NS = 10**9, 3600 * 10**9
STEP_NS = 2 * NS
MESSAGES = 86_400 // 2
SNAPSHOT_EVERY, TRADE_EVERY = 15, 3
DEPTH = 20
LATENCY_NS = 20_000_000


@dataclass(frozen=True)
class MarketDay:
    """The three tables, as frames under Crypto Lake's names."""

    deltas: pl.DataFrame
    snapshots: pl.DataFrame
    trades: pl.DataFrame

    def assessed(self, folder: Path, sample_ns: int | None = None) -> DayAssessment:
        """What the assessment finds of these tables; an empty one has no file."""
        files = []
        told = {"book_delta_v2": self.deltas, "book": self.snapshots, "trades": self.trades}
        for table, rows in told.items():
            if len(rows):
                path = folder / f"{table}.parquet"
                rows.write_parquet(path, row_group_size=5_000)
                files.append(DayPath(path.name, path, table, ""))
        lake = vendor("crypto-lake")
        day = DayFiles(lake, "binance-spot", "BTC-USDT", DAY, files, MIDNIGHT_NS)
        return judge(measure_day(day, sample_ns=sample_ns))

    def changed(self, **tables: pl.DataFrame) -> "MarketDay":
        """With other tables."""
        return replace(self, **tables)


class Market:
    """A dictionary book around a mid price that walks."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.mid = 6_000_000
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for away in range(1, 41):
            self.sides[0][self.mid - away] = self.random.randint(1, 4000)
            self.sides[1][self.mid + away] = self.random.randint(1, 4000)

    def best(self, side: int) -> int:
        return max(self.sides[0]) if side == 0 else min(self.sides[1])

    def levels(self, side: int) -> list[tuple[int, int]]:
        return sorted(self.sides[side].items(), reverse=side == 0)[:DEPTH]

    def move(self) -> list[tuple[int, int, int]]:
        """The changes of one message: side, price, size; the mid goes a tick up or down, or stays."""
        self.mid += self.random.choice((-1, 0, 0, 1))
        changes: dict[tuple[int, int], int] = {}
        for side, sign in ((0, -1), (1, 1)):
            wanted = {self.mid + sign * away for away in range(1, 41)}
            for price in sorted(set(self.sides[side]) ^ wanted):
                changes[side, price] = self.random.randint(1, 4000) if price in wanted else 0
        side = self.random.randint(0, 1)
        away = self.random.randint(1, 20)
        changes[side, self.mid + (away if side else -away)] = self.random.randint(1, 4000)
        for (side, price), size in changes.items():
            if size:
                self.sides[side][price] = size
            else:
                self.sides[side].pop(price, None)
        return [(side, price, size) for (side, price), size in changes.items()]


@cache
def clean_day(seed: int = 7) -> MarketDay:
    """A day without a fault."""
    market = Market(seed)
    deltas, snapshots, trades = [], [], []
    for i in range(MESSAGES):
        event = MIDNIGHT_NS + i * STEP_NS + STEP_NS // 2
        clocks = {"origin_time": event, "received_time": event + LATENCY_NS + market.random.randint(0, 5_000_000)}
        deltas += [
            {**clocks, "sequence_number": i + 1, "side_is_bid": side == 0, "price": price / 100, "size": size / 1000}
            for side, price, size in market.move()
        ]
        if i % SNAPSHOT_EVERY == 0:
            snapshots.append({**clocks, "sequence_number": i + 1, **shown(market)})
        if i % TRADE_EVERY == 0:
            side = market.random.randint(0, 1)
            price = market.best(1 - side) / 100
            trade = {"side": ("buy", "sell")[side], "quantity": market.random.randint(1, 900) / 1000, "price": price}
            trades.append({**clocks, **trade, "trade_id": str(5_000 + i // TRADE_EVERY)})
    return MarketDay(pl.DataFrame(deltas), pl.DataFrame(snapshots), pl.DataFrame(trades))


def shown(market: Market) -> dict[str, float]:
    """The best levels as a row of `book` has them."""
    row = {}
    for side, name in enumerate(("bid", "ask")):
        for level, (price, size) in enumerate(market.levels(side)):
            row[f"{name}_{level}_price"] = price / 100
            row[f"{name}_{level}_size"] = size / 1000
    return row


def hour(of: str, first: float, last: float) -> pl.Expr:
    """Whether the receive clock lies in these hours; the end is exclusive."""
    at = pl.col(of)
    return (at >= MIDNIGHT_NS + int(first * HOUR_NS)) & (at < MIDNIGHT_NS + int(last * HOUR_NS))
