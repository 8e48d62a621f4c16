"""Market regimes: each minute of a stream tagged high-volume, low-volume, special-event, normal or unknown.

Four measures of a minute (trades, volume, volatility, spread) are each held against the quantiles of the same measure
over the minutes before it, so that no tag looks ahead. Volume says how busy it was; high trades, volume and volatility
and a narrow spread vote for busy, their opposites for quiet. The user's calendar of events goes before all votes.
"""

import datetime as dt
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import polars as pl

from tidelake.errors import ConfigError, TableMoved
from tidelake.raw.store import Store
from tidelake.tables.candle_building import TRADE_ORDER
from tidelake.tables.computed import computed_columns
from tidelake.tables.delta import open_or_create
from tidelake.tables.dropping import finish_drops
from tidelake.tables.quotes import QUOTES
from tidelake.tables.read import scan
from tidelake.tables.regimes import REGIMES
from tidelake.tables.trades import TRADES

MADE_BY = "tidelake/regimes@1"
MEASURES = {"trades": "trades_level", "volume": "volume_level", "volatility": "volatility_level"}
LEVELS = {**MEASURES, "spread_bps": "spread_level"}
STREAM = ["source", "symbol"]
MOST = 99e18  # a sum up to here fits Decimal(38, 18) for sure
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class SpecialEvent:
    """An entry of the user's calendar, start inclusive, end exclusive; no symbols means all."""

    name: str
    start: dt.datetime
    end: dt.datetime
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True)
class RegimeSettings:
    """How minutes are judged.

    Attributes:
        window: A minute is held against those that began within so long before it, itself excluded.
        low, high: Quantiles; a measure is low strictly below the one, high strictly above the other.
        least_minutes: With fewer minutes before it in the window, a measure has no level.
        votes: Measures that must agree, and outnumber those that disagree, for high-volume or low-volume.
        calendar: Special events.
    """

    window: dt.timedelta = dt.timedelta(days=1)
    low: float = 0.2
    high: float = 0.8
    least_minutes: int = 60
    votes: int = 2
    calendar: tuple[SpecialEvent, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise ConfigError(f"quantiles must be 0 <= low <= high <= 1, found low={self.low}, high={self.high}")
        if self.window < dt.timedelta(minutes=1) or self.least_minutes < 1 or not 1 <= self.votes <= len(LEVELS):
            raise ConfigError("window must be a minute or more, least_minutes 1 or more, votes 1 to 4")

    def words(self) -> str:
        """All but the calendar, as the rows keep it."""
        return (
            f"window={self.window // dt.timedelta(minutes=1)}m low={self.low} high={self.high} "
            f"least_minutes={self.least_minutes} votes={self.votes}"
        )


def read_calendar(path: Path) -> tuple[SpecialEvent, ...]:
    """The special events of a TOML file: `[[event]]` with `name`, `start`, `end` and, if not for all, `symbols`.

    Raises:
        ConfigError: It cannot be read, or an event lacks a word, has another one, lacks a time zone, or ends before it
            starts.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise ConfigError(f"the calendar {path} cannot be read: {exc}", tried=(str(path),)) from exc
    events = found.pop("event", [])
    if found or not isinstance(events, list) or not all(isinstance(told, dict) for told in events):
        raise ConfigError(f"{path}: a calendar holds events alone, each written [[event]]", tried=(str(path),))
    return tuple(_event(path, told) for told in events)


def _event(path: Path, told: dict[str, Any]) -> SpecialEvent:
    name, start, end = (told.get(word) for word in ("name", "start", "end"))
    symbols = told.get("symbols", [])
    known = isinstance(symbols, list) and not set(told) - {"name", "start", "end", "symbols"}
    if known and isinstance(name, str) and isinstance(start, dt.datetime) and isinstance(end, dt.datetime):
        names = tuple(symbol for symbol in symbols if isinstance(symbol, str))
        if len(names) == len(symbols) and start.tzinfo is not None and end.tzinfo is not None and start < end:
            return SpecialEvent(name, start, end, names)
    text = f"{path}: an event needs name, start and end, both with a time zone and in this order, and may have "
    text += f"symbols, a list of texts; found {told}"
    raise ConfigError(text, tried=(str(path),))


def measure_minutes(trades: pl.LazyFrame, quotes: pl.LazyFrame) -> pl.DataFrame:
    """The measures of each minute in which a stream had a trade or a quote, ordered by stream and minute.

    Args:
        trades: Rows of `trades`; grain trade counts.
        quotes: Rows of `quotes`; those of an INVALID book or without both sides do not count.
    """
    minute = pl.col("event_time").dt.truncate("1m").alias("minute")
    ordered = trades.filter(pl.col("grain") == "trade").sort(TRADE_ORDER, nulls_last=True)
    returns = pl.col("price").cast(pl.Float64).log().diff()
    volume = pl.col("size").cast(pl.Float64).sum()
    traded = ordered.group_by(*STREAM, minute).agg(
        trades=pl.len().cast(pl.Int64),
        volume=pl.when(volume < MOST).then(pl.col("size").sum()),
        volatility=pl.when(pl.len() > 1).then((returns**2).sum().sqrt()),
        known_at=pl.col("known_at").max(),
        recv_ns=pl.col("recv_ns").max(),
    )
    whole = quotes.filter(
        pl.col("validity") != "INVALID", pl.col("bid_price").is_not_null(), pl.col("ask_price").is_not_null()
    )
    bid, ask = pl.col("bid_price").cast(pl.Float64), pl.col("ask_price").cast(pl.Float64)
    quoted = whole.group_by(*STREAM, minute).agg(
        spread_bps=((ask - bid) / ((ask + bid) / 2) * 10_000).mean(),
        quoted_at=pl.col("known_at").max(),
        quoted_ns=pl.col("recv_ns").max(),
    )
    both = traded.join(quoted, on=[*STREAM, "minute"], how="full", coalesce=True)
    return (
        both.with_columns(
            trades=pl.col("trades").fill_null(0),  # a minute with quotes and no trade had none
            volume=pl.when(pl.col("trades").is_null()).then(pl.lit(0, pl.Decimal(38, 18))).otherwise("volume"),
            known_at=pl.max_horizontal("known_at", "quoted_at"),
            recv_ns=pl.max_horizontal("recv_ns", "quoted_ns"),
        )
        .rename({"minute": "event_time"})
        .drop("quoted_at", "quoted_ns")
        .sort(*STREAM, "event_time")
        .collect()
    )


def tag_minutes(minutes: pl.DataFrame, settings: RegimeSettings) -> pl.DataFrame:
    """The minutes with their levels, `special_event` and `regime`; known when the last of what they rest on is."""
    levels = {level: _level(measure, settings) for measure, level in LEVELS.items()}
    judged = minutes.sort(*STREAM, "event_time").with_columns(**levels)
    busy = sum(_is(level, "high") for level in MEASURES.values()) + _is("spread_level", "low")
    quiet = sum(_is(level, "low") for level in MEASURES.values()) + _is("spread_level", "high")
    known = pl.col("volume_level").is_not_null() | pl.col("trades_level").is_not_null()
    regime = (
        pl.when(pl.col("special_event").is_not_null())
        .then(pl.lit("special-event"))
        .when(~known)
        .then(pl.lit("unknown"))
        .when((busy >= settings.votes) & (busy > quiet))
        .then(pl.lit("high-volume"))
        .when((quiet >= settings.votes) & (quiet > busy))
        .then(pl.lit("low-volume"))
        .otherwise(pl.lit("normal"))
    )
    return judged.with_columns(special_event=_special(settings.calendar)).with_columns(
        regime=regime,
        known_at=pl.col("known_at").cum_max().over(STREAM),
        recv_ns=pl.col("recv_ns").cum_max().over(STREAM),
    )


def _is(level: str, word: str) -> pl.Expr:
    return (pl.col(level) == word).fill_null(False).cast(pl.Int32)


def _level(measure: str, settings: RegimeSettings) -> pl.Expr:
    value = pl.col(measure).cast(pl.Float64)
    low, high = (
        value.rolling_quantile_by(
            "event_time",
            window_size=settings.window,
            quantile=quantile,
            interpolation="linear",
            min_samples=settings.least_minutes,
            closed="left",  # the minute itself is not judged by itself
        ).over(STREAM)
        for quantile in (settings.low, settings.high)
    )
    judged = pl.when(value < low).then(pl.lit("low")).when(value > high).then(pl.lit("high"))
    return pl.when(value.is_not_null() & low.is_not_null()).then(judged.otherwise(pl.lit("normal")))


def _special(calendar: Sequence[SpecialEvent]) -> pl.Expr:
    """The first event of the calendar that overlaps the minute."""
    start = pl.col("event_time")
    end = start + dt.timedelta(minutes=1)

    def named(found: pl.Expr, event: SpecialEvent) -> pl.Expr:
        mine = pl.col("symbol").is_in(list(event.symbols)) if event.symbols else pl.lit(True)
        return pl.when((start < event.end) & (end > event.start) & mine).then(pl.lit(event.name)).otherwise(found)

    return reduce(named, reversed(calendar), pl.lit(None, pl.String))


def build_regimes(store: Store, settings: RegimeSettings | None = None) -> pl.DataFrame:
    """Tag all minutes anew, in one commit that replaces the table; returns minutes by source, symbol and regime."""
    given = settings or RegimeSettings()
    finish_drops(store)
    for _ in range(ATTEMPTS):
        handle = open_or_create(store, REGIMES.name, REGIMES.schema, REGIMES.partition_by)
        minutes = measure_minutes(scan(store, TRADES), scan(store, QUOTES))
        rows = tag_minutes(minutes, given).with_columns(
            settings=pl.lit(given.words()),
            **computed_columns(MADE_BY),
        )
        rows = rows.select(REGIMES.schema.names).sort("source", "date", *REGIMES.sort_by)
        try:
            handle.commit(rows.to_arrow().cast(REGIMES.schema), {}, replace=[{}])
        except TableMoved:
            continue
        return rows.group_by(*STREAM, "regime").agg(minutes=pl.len()).sort(*STREAM, "regime")
    raise TableMoved(f"{REGIMES.name} was taken by others {ATTEMPTS} times in a row; nothing was written")
