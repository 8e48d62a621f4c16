"""A day of Crypto Lake's files that tell one true book, small, from a seed; rows can be taken out of it."""

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.books.reconstruction.ready_files import make_ready
from tests.vendor_files import DAY, LAKE_PLACE, LATENCY_NS, Row, clocks_ns, write_parquet
from tidelake.raw.store import Store

SOURCE, SYMBOL, VENDOR = "binance-spot", "BTC-USDT", "crypto-lake"
Keep = Callable[[Row], bool]


@dataclass
class TrueDay:
    """Rows of the three tables, and the book after each message: sizes by price in ticks, bids and asks."""

    day: dt.date
    deltas: list[Row] = field(default_factory=list)
    snapshots: list[Row] = field(default_factory=list)
    trades: list[Row] = field(default_factory=list)
    books: dict[int, tuple[dict[int, int], dict[int, int]]] = field(default_factory=dict)

    def make_ready(self, store: Store, folder: Path, *, keep: Keep = lambda row: True, symbol: str = SYMBOL) -> None:
        """Seal the files, with only those deltas that are kept."""
        tables = {"book_delta_v2": [row for row in self.deltas if keep(row)], "book": self.snapshots}
        for table, rows in {**tables, "trades": self.trades}.items():
            if rows:
                path = write_parquet(folder / table / f"{self.day}.parquet", rows)
                make_ready(store, path, vendor=VENDOR, table=table, source=SOURCE, symbol=symbol, day=self.day)


def true_day(
    messages: int = 400, *, seed: int = 1, day: dt.date = DAY, step: int = 1, per_snapshot: int = 10
) -> TrueDay:
    """Messages of 1 to 5 levels, a snapshot after each tenth, and trades; numbers go up by `step`."""
    rng, made = random.Random(seed), TrueDay(day)
    bids = {6_000_000 - 1 - n: rng.randint(1, 4000) for n in range(60)}
    asks = {6_000_000 + 1 + n: rng.randint(1, 4000) for n in range(60)}
    for i, ns in enumerate(clocks_ns(messages, day)):
        clocks = {"origin_time": ns, "received_time": ns + LATENCY_NS, "sequence_number": 1000 + i * step}
        for is_bid, tick, lots in _whole(bids, asks) if not i else _changes(rng, bids, asks):
            level = {"side_is_bid": is_bid, "price": tick / 100, "size": lots / 1000}
            made.deltas.append({**clocks, **level, **LAKE_PLACE})
        made.books[1000 + i * step] = dict(bids), dict(asks)
        if i % per_snapshot == 0:
            made.snapshots.append({**clocks, **_best(bids, asks), **LAKE_PLACE})
        if rng.random() < 0.4:
            made.trades.append(_trade(rng, len(made.trades), ns + 1_000_000, bids, asks))
    return made


def _whole(bids: dict[int, int], asks: dict[int, int]) -> list[tuple[bool, int, int]]:
    return [(True, *level) for level in bids.items()] + [(False, *level) for level in asks.items()]


def _changes(rng: random.Random, bids: dict[int, int], asks: dict[int, int]) -> list[tuple[bool, int, int]]:
    told = {}
    for _ in range(rng.randint(1, 5)):
        is_bid = rng.random() < 0.5
        side = bids if is_bid else asks
        best = max(bids) if is_bid else min(asks)
        tick = best + (-1 if is_bid else 1) * rng.randint(0, 30)
        lots = 0 if rng.random() < 0.2 and len(side) > 40 else rng.randint(1, 4000)
        told[is_bid, tick] = lots
        side.pop(tick, None)
        if lots:
            side[tick] = lots
    return [(is_bid, tick, lots) for (is_bid, tick), lots in told.items()]


def _best(bids: dict[int, int], asks: dict[int, int]) -> Row:
    row: Row = {}
    for name, side, ticks in (("bid", bids, sorted(bids, reverse=True)), ("ask", asks, sorted(asks))):
        for level, tick in enumerate(ticks[:20]):
            row |= {f"{name}_{level}_price": tick / 100, f"{name}_{level}_size": side[tick] / 1000}
    return row


def _trade(rng: random.Random, number: int, ns: int, bids: dict[int, int], asks: dict[int, int]) -> Row:
    side = rng.choice(("buy", "sell"))
    beyond = 150 if rng.random() < 0.05 else 0  # of what a snapshot shows
    price = (min(asks) + beyond if side == "buy" else max(bids) - beyond) / 100
    clocks = {"origin_time": ns, "received_time": ns + LATENCY_NS}
    return {**clocks, "side": side, "price": price, "quantity": rng.randint(1, 900) / 1000,
            "trade_id": str(number), **LAKE_PLACE}  # fmt: skip
