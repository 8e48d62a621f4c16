"""Candles out of trades: one-minute bars kept in the table, every other interval made from them or from the trades.

A kept bar is a cache of what the trades say, so it is replaced when a trade of its day arrives. It is known when its
last trade is: a read as of an earlier time makes the bar again from the trades known then.
"""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Literal

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from tidelake.errors import NotInLake, TableMoved
from tidelake.raw.store import Store
from tidelake.tables.candles import CANDLES
from tidelake.tables.delta import open_or_create, open_table
from tidelake.tables.read import contested_rows, scan, stored
from tidelake.tables.schema import PARSER_VERSION
from tidelake.tables.trades import TRADES
from tidelake.tables.versions import standing

KEPT = "1m"
KEPT_US = 60_000_000
UNITS = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
MARK = "built from trades"
MADE_BY = "tidelake/candles@1"
DAYS_PER_COMMIT = 64
ATTEMPTS = 20
TRADE_ORDER = ("event_time", "trade_seq", "recv_ns", "segment", "line", "item")

Day = tuple[str, str]  # source, ISO date


@dataclass(frozen=True)
class CandlesBuilt:
    """What a build did: days of a source whose bars were made again, and the bars they hold now."""

    table: str
    days: int
    bars: int


def interval_us(interval: str) -> int:
    """Microseconds of an interval such as "1s", "5m", "1h" or "1d".

    Raises:
        ValueError: It is not in that form, or does not divide a day: bars start at 00:00 UTC.
    """
    number, unit = interval[:-1], interval[-1:]
    if unit not in UNITS or not number.isdecimal() or int(number) == 0:
        raise ValueError(f"{interval!r} is not an interval; write 1s, 5m, 1h or 1d")
    us = int(number) * UNITS[unit]
    if UNITS["d"] % us:
        raise ValueError(f"{interval!r} does not divide a day; bars start at 00:00 UTC")
    return us


def _bars(ordered: pl.LazyFrame, interval: str, first: dict[str, pl.Expr]) -> pl.LazyFrame:
    start = pl.col("event_time").dt.truncate(f"{interval_us(interval)}us")
    return (
        ordered.group_by("source", "symbol", start.alias("start"))
        .agg(**first, recv_ns=pl.col("recv_ns").max(), known_at=pl.col("known_at").max())
        .rename({"start": "event_time"})
        .with_columns(
            interval=pl.lit(interval),
            origin=pl.lit("trades"),
            volume_quote=pl.lit(None, pl.Decimal(38, 18)),
            status=pl.lit("active"),
            segment=pl.lit(""),
            line=pl.lit(0, pl.Int32),
            item=pl.lit(0, pl.Int32),
            parser_version=pl.lit(PARSER_VERSION, pl.Int32),
            mapping_version=pl.lit(MADE_BY),
            date=pl.col("event_time").dt.date(),
        )
        .select(CANDLES.schema.names)
    )


def from_trades(trades: pl.LazyFrame, interval: str) -> pl.LazyFrame:
    """Bars of grain "trade"; trades stand in order of event time, then number, then receipt."""
    ordered = trades.filter(pl.col("grain") == "trade").sort(TRADE_ORDER, nulls_last=True)
    price, size = pl.col("price"), pl.col("size")
    return _bars(
        ordered,
        interval,
        {
            "open": price.first(),
            "high": price.max(),
            "low": price.min(),
            "close": price.last(),
            "volume": size.sum(),
            "size_unit": pl.col("size_unit").first(),
            "trades": pl.len().cast(pl.Int64),
        },
    )


def from_bars(bars: pl.LazyFrame, interval: str) -> pl.LazyFrame:
    """Longer bars out of shorter ones that divide them."""
    return _bars(
        bars.sort("event_time"),
        interval,
        {
            "open": pl.col("open").first(),
            "high": pl.col("high").max(),
            "low": pl.col("low").min(),
            "close": pl.col("close").last(),
            "volume": pl.col("volume").sum(),
            "size_unit": pl.col("size_unit").first(),
            "trades": pl.col("trades").sum(),
        },
    )


def _changed_days(store: Store, since: int, until: int) -> set[Day] | None:
    """Days that table versions since < v <= until added rows to; None where the log no longer reaches back."""
    days: set[Day] = set()
    for version in range(since + 1, until + 1):
        try:
            log = store.get(f"tables/{TRADES.name}/_delta_log/{version:020d}.json")
        except NotInLake:
            return None
        for line in log.splitlines():
            added = json.loads(line).get("add")
            if added and added["dataChange"]:
                days.add((added["partitionValues"]["source"], added["partitionValues"]["date"]))
    return days


def _all_days(store: Store) -> set[Day]:
    """Days with trades, and days whose kept bars may have lost theirs."""
    bars = stored(store, CANDLES).filter(pl.col("origin") == "trades")
    found = pl.concat([_days_of(stored(store, TRADES)), _days_of(bars)]).unique().collect()
    return set(found.rows())


def _days_of(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.select("source", pl.col("date").cast(pl.String)).unique()


def _moved_days(store: Store) -> set[Day]:
    """Days of trades that contradictory versions put on different days: a version added to one changes the other."""
    rows = contested_rows(store, TRADES).filter(pl.col("date").n_unique().over(TRADES.key) > 1)
    return set(_days_of(rows.lazy()).collect().rows())


def _days_to_build(store: Store, since: int, until: int) -> list[Day]:
    changed = _changed_days(store, since, until) if since >= 0 else None
    if changed is None:
        return sorted(_all_days(store))
    return sorted(changed | _moved_days(store)) if changed else []


def _mark(trades: DeltaTable) -> str:
    """Transaction id under which the candles say how far they follow this `trades` table; one made anew is another."""
    return f"{MARK} {trades.metadata().id}"


def _build_days(store: Store, days: list[Day]) -> pl.DataFrame:
    wanted = pl.DataFrame(days, schema={"source": pl.String, "date": pl.String}, orient="row")
    wanted = wanted.with_columns(pl.col("date").str.to_date())
    sources, dates = wanted["source"].unique().to_list(), wanted["date"].unique().to_list()
    trades = scan(store, TRADES).filter(pl.col("source").is_in(sources), pl.col("date").is_in(dates))
    bars = from_trades(trades.join(wanted.lazy(), on=["source", "date"], how="semi"), KEPT).collect()
    return bars.sort("source", "date", *CANDLES.sort_by)


def build_candles(store: Store) -> CandlesBuilt:
    """Bring the kept one-minute bars up to the `trades` table; only days that got trades are made again."""
    trades = open_table(store, TRADES.name)
    if trades is None:
        return CandlesBuilt(CANDLES.name, 0, 0)
    until = trades.version()
    for _ in range(ATTEMPTS):
        handle = open_or_create(store, CANDLES.name, CANDLES.schema, CANDLES.partition_by)
        since = handle.done(_mark(trades))
        if since >= until:
            return CandlesBuilt(CANDLES.name, 0, 0)
        days = _days_to_build(store, since, until)
        try:
            return CandlesBuilt(CANDLES.name, len(days), _replace(store, days, {_mark(trades): until}))
        except TableMoved:
            continue
    raise TableMoved(f"{CANDLES.name} was taken by others {ATTEMPTS} times in a row")


def _replace(store: Store, days: list[Day], done: dict[str, int]) -> int:
    bars = 0
    chunks = [days[at : at + DAYS_PER_COMMIT] for at in range(0, len(days), DAYS_PER_COMMIT)] or [[]]
    for chunk in chunks:
        handle = open_or_create(store, CANDLES.name, CANDLES.schema, CANDLES.partition_by)
        built = _build_days(store, chunk) if chunk else pl.DataFrame(pl.from_arrow(CANDLES.schema.empty_table()))
        where = " or ".join(f"(source = '{source}' and date = '{day}')" for source, day in chunk) or "false"
        marks = done if chunk is chunks[-1] else {}
        rows: pa.Table = built.to_arrow().cast(CANDLES.schema)
        handle.commit(rows, marks, replace=f"origin = 'trades' and ({where})")
        bars += built.height
    return bars


def scan_candles(
    store: Store, *, as_of: dt.datetime | None = None, assume_latency: dt.timedelta | None = None
) -> pl.LazyFrame:
    """One row per bar, with `revision`: the venues' own, and the one-minute bars built from trades."""
    rows = stored(store, CANDLES)
    told = rows.filter(pl.col("origin") == "venue")
    if as_of is not None:
        known = pl.col("known_at")
        if assume_latency is not None:
            known = pl.min_horizontal(known, pl.col("event_time") + assume_latency)
        told = told.filter(known <= as_of)
    columns = [*CANDLES.schema.names, "revision"]
    venue = standing(CANDLES, told.collect()).lazy().select(columns)
    built = _built_as_of(store, rows, as_of, assume_latency).with_columns(revision=pl.lit(1, pl.Int32)).select(columns)
    return pl.concat([venue, built])


def _built_as_of(
    store: Store, rows: pl.LazyFrame, as_of: dt.datetime | None, assume_latency: dt.timedelta | None
) -> pl.LazyFrame:
    if as_of is not None and assume_latency is not None:
        return from_trades(scan(store, TRADES, as_of=as_of, assume_latency=assume_latency), KEPT)
    kept = rows.filter(pl.col("origin") == "trades")
    if as_of is None:
        return kept
    bar = ["source", "symbol", "event_time", "date"]
    later = kept.filter(pl.col("known_at") > as_of).select(bar).collect()
    others = pl.concat([later, _bars_that_differed(store, as_of)]).unique()
    if others.is_empty():
        return kept
    whole = kept.join(others.lazy(), on=bar, how="anti")
    trades = scan(store, TRADES, as_of=as_of).join(others.lazy(), on=["source", "date"], how="semi")
    again = from_trades(trades, KEPT).join(others.lazy(), on=bar, how="semi")
    return pl.concat([whole.select(CANDLES.schema.names), again.select(CANDLES.schema.names)])


def _bars_that_differed(store: Store, as_of: dt.datetime) -> pl.DataFrame:
    """Bars that held another version of a trade then; the one that stands now was not known yet."""
    versions = contested_rows(store, TRADES)
    since = standing(TRADES, versions).filter(pl.col("known_at") > as_of).select(TRADES.key)
    bars = versions.join(since, on=list(TRADES.key), how="semi")
    return bars.select("source", "symbol", pl.col("event_time").dt.truncate(KEPT), "date").unique()


def candles(
    store: Store,
    symbol: str,
    interval: str,
    *,
    source: str | None = None,
    origin: Literal["trades", "venue"] = "trades",
    as_of: dt.datetime | None = None,
) -> pl.DataFrame:
    """Bars of one symbol, ordered by source and start; see `Lake.candles`."""
    wanted = pl.col("symbol") == symbol
    if source is not None:
        wanted = wanted & (pl.col("source") == source)
    us = interval_us(interval)
    if origin == "trades" and us % KEPT_US:
        bars = from_trades(scan(store, TRADES, as_of=as_of).filter(wanted), interval)
    else:
        bars = scan_candles(store, as_of=as_of).filter(wanted, pl.col("origin") == origin)
        if origin == "venue":
            bars = bars.filter(pl.col("interval") == interval)
        elif interval != KEPT:
            bars = from_bars(bars, interval)
    return bars.select(CANDLES.schema.names).sort("source", "event_time").collect()
