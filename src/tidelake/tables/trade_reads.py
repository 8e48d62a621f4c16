"""Trades of a span of time, read from the files that can hold them."""

import datetime as dt

import polars as pl

from tidelake.raw.store import Store
from tidelake.tables.files import Within
from tidelake.tables.read import scan
from tidelake.tables.trades import TRADES

ORDER = ("event_time", "source", "symbol", "trade_seq", "trade_id")
SHORTEST = dt.timedelta(microseconds=1)


def read_trades(
    store: Store,
    *,
    symbol: str | None,
    sources: tuple[str, ...] | None,
    start: dt.datetime | None,
    end: dt.datetime | None,
    as_of: dt.datetime | None,
    assume_latency: dt.timedelta | None,
    grain: str,
) -> pl.DataFrame:
    """Trades in the order that `Lake.trades` says; `start` inclusive, `end` exclusive, both in UTC."""
    within = Within(
        sources,
        symbol,
        grain,
        first=start.date() if start is not None else None,
        last=(end - SHORTEST).date() if end is not None else None,
    )
    wanted = [pl.col("grain") == grain]
    if sources is not None:
        wanted.append(pl.col("source").is_in(sources))
    if symbol is not None:
        wanted.append(pl.col("symbol") == symbol)
    if start is not None:
        wanted += [pl.col("date") >= within.first, pl.col("event_time") >= start]
    if end is not None:
        wanted += [pl.col("date") <= within.last, pl.col("event_time") < end]
    rows = scan(store, TRADES, as_of=as_of, assume_latency=assume_latency, within=within)
    return rows.filter(wanted).sort(ORDER).collect()
