"""Compares the trades in a lake with what a simulated venue really traded, one by one."""

import datetime as dt
from dataclasses import dataclass

from tidelake.client import Lake
from tidelake.sim.market import Market


@dataclass(frozen=True)
class Proof:
    """The comparison of one stream.

    Attributes:
        venue_traded: Trades of the venue from the start asked for up to the newest one in the lake.
        in_lake: Rows of the lake in that time.
        lost: Trades of the venue that the lake lacks.
        doubled: Rows of the lake beyond one for each id.
        invented: Rows of the lake that the venue never traded.
        differing: Trades whose time, price, size or side is another.
    """

    source: str
    symbol: str
    venue_traded: int
    in_lake: int
    lost: int
    doubled: int
    invented: int
    differing: int

    @property
    def equal(self) -> bool:
        """Whether the lake holds these trades, all of them, once each and nothing else."""
        wrong = self.lost + self.doubled + self.invented + self.differing
        return wrong == 0 and self.in_lake == self.venue_traded > 0


def compare(lake: Lake, market: Market, source: str, symbol: str, since_ns: int) -> Proof:
    """Compare from a time on; `since_ns` is a whole number of microseconds."""
    since = dt.datetime.fromtimestamp(since_ns // 1000 / 1e6, dt.UTC)
    rows = lake.trades(symbol, source=source, start=since)
    held = {row["trade_id"]: row for row in rows.iter_rows(named=True)}
    happened = market.truth_rows(source, symbol, since_ns=since_ns)
    newest = max((place for place, trade in enumerate(happened) if trade["trade_id"] in held), default=-1)
    truth = {trade["trade_id"]: trade for trade in happened[: newest + 1]}
    shared = held.keys() & truth.keys()
    return Proof(
        source,
        symbol,
        venue_traded=len(truth),
        in_lake=len(rows),
        lost=len(truth.keys() - shared),
        doubled=len(rows) - len(held),
        invented=len(held.keys() - shared),
        differing=sum(not _same(held[key], truth[key]) for key in shared),
    )


def _same(row: dict[str, object], trade: dict[str, object]) -> bool:
    at = row["event_time"]
    assert isinstance(at, dt.datetime)
    event_us = (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    names = ("price", "size", "side", "size_unit", "trade_seq")
    return event_us == trade["event_us"] and all(row[name] == trade[name] for name in names)
