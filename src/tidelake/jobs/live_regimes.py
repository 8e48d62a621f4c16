"""Regimes while a capture runs: its rows measured minute by minute, and tagged by the code that makes `regimes`.

A minute is measured `GRACE_NS` after its end; what is told later does not count. A minute in which a connection of the
stream was not there is not whole: it gets no tag, and later minutes are not held against it. What was known before
comes from the table `regimes`.
"""

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from tidelake.jobs.regimes import LEVELS, STREAM, RegimeSettings, measure_minutes, tag_minutes
from tidelake.raw.entry import Entry
from tidelake.raw.store import Store
from tidelake.tables.candle_building import TRADE_ORDER
from tidelake.tables.quotes import QUOTES
from tidelake.tables.read import scan
from tidelake.tables.regimes import REGIMES
from tidelake.tables.schema import Table
from tidelake.tables.trades import TRADES

NS = 10**9
MINUTE_NS = 60 * NS
MINUTE = dt.timedelta(minutes=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
GRACE_NS = 2 * NS
META, META_SETTINGS = "regimes", "regime_settings"
KNOWN = ["known_at", "recv_ns"]
MEASURED = [*STREAM, "event_time", *LEVELS, *KNOWN]
NEEDED = {
    TRADES.name: dict.fromkeys([*TRADES.key, *TRADE_ORDER, "event_time", "price", "size", *KNOWN]),
    QUOTES.name: dict.fromkeys([*QUOTES.key, "event_time", "bid_price", "ask_price", "validity", *KNOWN]),
}

Stream = tuple[str, str]
"""Source and symbol."""
Judged = Callable[[pl.DataFrame], None]
"""Takes rows of `tag_minutes`, in the thread that measures."""


def known_minutes(store: Store, sources: Sequence[str], since: dt.datetime) -> pl.DataFrame:
    """The measures of the minutes of these sources since then that the table `regimes` holds."""
    rows = scan(store, REGIMES).filter(pl.col("source").is_in(list(sources)), pl.col("event_time") >= since)
    return rows.select(MEASURED).collect()


@dataclass
class LiveRegimes:
    """The minutes of a capture. `opened`, `take` and `advance` are called by one thread, the others by any.

    Args:
        settings: How minutes are judged.
        known: Minutes that were measured before.
        judged: Told the tags of minutes as they are measured.
    """

    settings: RegimeSettings
    known: pl.DataFrame | None = None
    judged: Judged | None = None
    tables: tuple[str, ...] = (TRADES.name, QUOTES.name)
    _rows: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    _measured_ns: int = 0  # minutes that begin before are measured
    _heard: dict[Stream, dt.datetime] = field(default_factory=dict)  # its first minute
    _broken: dict[Stream, list[tuple[dt.datetime, dt.datetime]]] = field(default_factory=dict)
    _kept: dict[Stream, dt.datetime] = field(default_factory=dict)
    _minutes: pl.DataFrame = field(default_factory=lambda: _columns(MEASURED))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.known is not None:
            self._minutes = self.known.select(MEASURED)

    def opened(self, source: str, symbols: Iterable[str], heard_ns: int, opened_ns: int) -> None:
        """A connection of these streams was made; the one before was last heard at `heard_ns`, 0: there was none."""
        first, last = minute_of(heard_ns or opened_ns), minute_of(opened_ns)
        for symbol in symbols:
            self._heard.setdefault((source, symbol), last)
            self._broken.setdefault((source, symbol), []).append((first, last))

    def take(self, table: str, rows: pa.Table) -> None:
        """Rows of `trades` or `quotes`."""
        self._rows.setdefault(table, []).append(pl.DataFrame(rows.select(list(NEEDED[table]))))

    def advance(self, now_ns: int) -> None:
        """Measure the minutes that have ended by now; rows that come later do not count."""
        until_ns = (now_ns - GRACE_NS) // MINUTE_NS * MINUTE_NS
        if until_ns <= self._measured_ns:
            return
        since, until = minute_of(self._measured_ns), minute_of(until_ns)
        trades, quotes = self._ended(TRADES, since, until), self._ended(QUOTES, since, until)
        self._measured_ns = until_ns
        if not len(trades) and not len(quotes):
            return
        minutes = measure_minutes(trades.lazy(), quotes.lazy()).select(MEASURED)
        whole = minutes.filter([self._is_whole(row) for row in minutes.select(*STREAM, "event_time").rows()])
        with self._lock:
            older = self._minutes.join(whole, on=[*STREAM, "event_time"], how="anti")
            self._minutes = pl.concat([older, whole])
        if self.judged is not None and len(whole):
            self.judged(self.tags().join(whole.select(*STREAM, "event_time"), on=[*STREAM, "event_time"], how="semi"))

    def _ended(self, table: Table, since: dt.datetime, until: dt.datetime) -> pl.DataFrame:
        """The rows of these minutes, each once; rows of later minutes stay."""
        schema = {name: pl.DataFrame(table.schema.empty_table()).schema[name] for name in NEEDED[table.name]}
        rows = pl.concat([pl.DataFrame(schema=schema), *self._rows.get(table.name, [])])
        self._rows[table.name] = [rows.filter(pl.col("event_time") >= until)]
        ended = rows.filter(pl.col("event_time") >= since, pl.col("event_time") < until)
        return ended.unique(table.key, keep="first", maintain_order=True)  # two connections told it in a renewal

    def _is_whole(self, row: tuple[str, str, dt.datetime]) -> bool:
        source, symbol, minute = row
        broken = self._broken.get((source, symbol), ())
        return minute > self._heard.get((source, symbol), minute) and not any(a <= minute <= b for a, b in broken)

    def tags(self) -> pl.DataFrame:
        """`tag_minutes` of all minutes that count now, of streams of this capture and of those known before."""
        with self._lock:
            minutes = self._minutes
        return tag_minutes(minutes, self.settings)

    def unkept(self, source: str, symbols: Sequence[str]) -> tuple[dict[str, str], dict[Stream, dt.datetime]]:
        """Meta of an entry that keeps the tags that none has kept, and what `kept` is told once it is sealed."""
        tags = self.tags().filter(pl.col("source") == source).sort("event_time")
        found: dict[str, list[list[str | int]]] = {}
        ends: dict[Stream, dt.datetime] = {}
        for symbol in symbols:
            stream = (source, symbol)
            after = self._kept.get(stream, self._heard.get(stream))
            if after is None:
                continue
            mine = tags.filter(pl.col("symbol") == symbol, pl.col("event_time") > after)
            if len(mine):
                found[symbol] = in_runs(zip(mine["event_time"].to_list(), mine["regime"].to_list(), strict=True))
                ends[stream] = mine["event_time"][-1]
        if not found:
            return {}, {}
        return {META: json.dumps(found), META_SETTINGS: self.settings.words()}, ends

    def kept(self, ends: Mapping[Stream, dt.datetime]) -> None:
        """An entry keeps the tags up to these minutes; minutes that none to come is held against are let go."""
        self._kept |= ends
        with self._lock:
            newest = self._minutes["event_time"].max()
            if isinstance(newest, dt.datetime):
                unkept = [self._kept.get(stream, heard) for stream, heard in self._heard.items()]
                oldest = min([*unkept, newest]) - self.settings.window
                self._minutes = self._minutes.filter(pl.col("event_time") >= oldest)


def minute_of(ns: int) -> dt.datetime:
    """Start of the minute."""
    return EPOCH + ns // MINUTE_NS * MINUTE


def in_runs(minutes: Iterable[tuple[dt.datetime, str]]) -> list[list[str | int]]:
    """Minutes in order as runs of one tag: first minute, tag, number of minutes; a minute without a tag ends a run."""
    runs: list[list[str | int]] = []
    due = None
    for minute, tag in minutes:
        if runs and minute == due and runs[-1][1] == tag:
            runs[-1][2] = int(runs[-1][2]) + 1
        else:
            runs.append([f"{minute:%Y-%m-%dT%H:%MZ}", tag, 1])
        due = minute + MINUTE
    return runs


def kept_regimes(entries: Iterable[Entry]) -> pl.DataFrame:
    """The tags that captures kept in these entries: one row for each minute of each stream, in order.

    Columns: source, symbol, event_time, regime, settings.
    """
    rows = []
    for entry in entries:
        for symbol, runs in json.loads(entry.meta.get(META, "{}")).items():
            for first, tag, count in runs:
                start = dt.datetime.strptime(first, "%Y-%m-%dT%H:%M%z")
                rows += [
                    (entry.source, symbol, start + nth * MINUTE, tag, entry.meta[META_SETTINGS]) for nth in range(count)
                ]
    found = pl.DataFrame(rows, _columns([*STREAM, "event_time", "regime", "settings"]).schema, orient="row")
    return found.unique([*STREAM, "event_time"], keep="first", maintain_order=True).sort(*STREAM, "event_time")


def _columns(names: Sequence[str]) -> pl.DataFrame:
    """No rows, with these columns of the table `regimes`."""
    return pl.DataFrame(pl.from_arrow(REGIMES.schema.empty_table())).select(names)
