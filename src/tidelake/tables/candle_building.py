"""Candles out of trades: one-minute bars kept in the table, every other interval made from them or from the trades.

A kept bar is a cache of what the trades say, so it is replaced when a trade of its day arrives. It is known when its
last trade is: a read as of an earlier time makes the bar again from the trades known then.
"""

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import polars as pl
from deltalake import DeltaTable

from tidelake.errors import NotInLake, TableMoved
from tidelake.raw.store import Store
from tidelake.tables.candles import CANDLES
from tidelake.tables.computed import computed_columns
from tidelake.tables.delta import TableHandle, open_or_create, open_table
from tidelake.tables.dropping import finish_drops
from tidelake.tables.read import ASSUMED, contested_rows, scan, stored
from tidelake.tables.trades import TRADES
from tidelake.tables.versions import standing

if TYPE_CHECKING:
    import pyarrow as pa

KEPT = "1m"
KEPT_US = 60_000_000
UNITS = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
MARK = "built from trades"
MADE_BY = "tidelake/candles@1"
DAYS_PER_COMMIT = 64
ATTEMPTS = 20
EXACT = pl.Decimal(38, 18)
UNIT = 10**18
MOST = 99e18  # a sum up to here fits Decimal(38, 18) for sure; as floats know it, so a little under 1e20
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


def _total(column: str) -> pl.Expr:
    """The sum within a group; null where a part is missing or the sum does not fit.

    Summed as whole numbers of 1e-18, which wrap: a Decimal sum that overflows in one group would stop all others.
    """
    parts = pl.col(column)
    units = parts.to_physical().sum()
    whole = (units // UNIT).cast(EXACT) + (units % UNIT).cast(EXACT) * pl.lit(Decimal("1e-18"), EXACT)
    fits = (parts.cast(pl.Float64).sum() < MOST) & (parts.null_count() == 0)
    return pl.when(fits).then(whole)


def _bars(ordered: pl.LazyFrame, interval: str, first: dict[str, pl.Expr]) -> pl.LazyFrame:
    start = pl.col("event_time").dt.truncate(f"{interval_us(interval)}us")
    assumed = [ASSUMED] if ASSUMED in ordered.collect_schema() else []
    return (
        ordered.group_by("source", "symbol", start.alias("start"))
        .agg(pl.col(assumed).max(), **first, recv_ns=pl.col("recv_ns").max(), known_at=pl.col("known_at").max())
        .rename({"start": "event_time"})
        .with_columns(
            interval=pl.lit(interval),
            origin=pl.lit("trades"),
            volume_quote=pl.lit(None, EXACT),
            **computed_columns(MADE_BY),
        )
        .select(*CANDLES.schema.names, *assumed)
    )


def from_trades(trades: pl.LazyFrame, interval: str) -> pl.LazyFrame:
    """Bars of grain "trade"; trades stand in order of event time, then number, then receipt."""
    ordered = trades.filter(pl.col("grain") == "trade").sort(TRADE_ORDER, nulls_last=True)
    price = pl.col("price")
    return _bars(
        ordered,
        interval,
        {
            "open": price.first(),
            "high": price.max(),
            "low": price.min(),
            "close": price.last(),
            "volume": _total("size"),
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
            "volume": _total("volume"),
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
    return f"{MARK} {TableHandle(trades, TRADES.partition_by).id}"


def _build_days(store: Store, days: list[Day]) -> pl.DataFrame:
    wanted = pl.DataFrame(days, schema={"source": pl.String, "date": pl.String}, orient="row")
    wanted = wanted.with_columns(pl.col("date").str.to_date())
    sources, dates = wanted["source"].unique().to_list(), wanted["date"].unique().to_list()
    trades = scan(store, TRADES).filter(pl.col("source").is_in(sources), pl.col("date").is_in(dates))
    bars = from_trades(trades.join(wanted.lazy(), on=["source", "date"], how="semi"), KEPT).collect()
    return bars.sort("source", "date", *CANDLES.sort_by)


def build_candles(store: Store) -> CandlesBuilt:
    """Bring the kept one-minute bars up to the `trades` table; only days that got trades are made again."""
    finish_drops(store)
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
    # Where no day changed the mark moves alone: the log, which says what changed since the mark, is soon cut short.
    chunks = [days[at : at + DAYS_PER_COMMIT] for at in range(0, len(days), DAYS_PER_COMMIT)] or [[]]
    for chunk in chunks:
        handle = open_or_create(store, CANDLES.name, CANDLES.schema, CANDLES.partition_by)
        built = _build_days(store, chunk) if chunk else pl.DataFrame(pl.from_arrow(CANDLES.schema.empty_table()))
        kept = [{"source": source, "date": dt.date.fromisoformat(day), "origin": "trades"} for source, day in chunk]
        marks = done if chunk is chunks[-1] else {}
        rows: pa.Table = built.to_arrow().cast(CANDLES.schema)
        handle.commit(rows, marks, replace=kept)
        bars += built.height
    return bars


def scan_candles(
    store: Store, *, as_of: dt.datetime | None = None, assume_latency: dt.timedelta | None = None
) -> pl.LazyFrame:
    """One row per bar, with `revision`: the venues' own, and the one-minute bars built from trades.

    Args:
        as_of: As in `tables.read.scan`.
        assume_latency: With `as_of`: a venue's bar counts as known at most this long after its end, a bar of ours when
            its trades do; `assumed_known_at` in the result says so.

    Raises:
        ValueError: `assume_latency` stands without `as_of` or is negative.
    """
    if assume_latency is not None and (as_of is None or assume_latency < dt.timedelta(0)):
        raise ValueError(f"assume_latency={assume_latency} needs as_of beside it and must not be negative")
    rows = stored(store, CANDLES)
    told = rows.filter(pl.col("origin") == "venue")
    columns = [*CANDLES.schema.names, "revision"]
    if as_of is not None and assume_latency is not None:
        columns.append(ASSUMED)
        told = told.with_columns(pl.min_horizontal("known_at", _ends() + assume_latency).alias(ASSUMED))
        told = told.filter(pl.col(ASSUMED) <= as_of)
    elif as_of is not None:
        told = told.filter(pl.col("known_at") <= as_of)
    venue = standing(CANDLES, told.collect()).lazy().select(columns)
    built = _built_as_of(store, rows, as_of, assume_latency).with_columns(revision=pl.lit(1, pl.Int32)).select(columns)
    return pl.concat([venue, built])


def _ends() -> pl.Expr:
    """When a bar ends: until then nobody knew it."""
    interval = pl.col("interval")
    unit = interval.str.tail(1).replace_strict(UNITS, return_dtype=pl.Int64)
    us = interval.str.head(-1).cast(pl.Int64) * unit
    return pl.col("event_time") + pl.duration(microseconds=us)


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
