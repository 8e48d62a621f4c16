"""The Python door: `lake = tidelake.open(path)`, then tables, SQL, coverage and jobs of that lake."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack, overload

from tidelake.client_book import SymbolBook, Time, parse_ns, parse_time
from tidelake.durations import parse_duration
from tidelake.errors import ConfigError, LedgerBroken, NotInLake, TidelakeError
from tidelake.raw.store import Store

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from tidelake.books.report import BookReport
    from tidelake.books.verify import Progress as BookProgress
    from tidelake.client_lending import Lending
    from tidelake.client_live import Live
    from tidelake.client_stablecoins import Stablecoins
    from tidelake.lending.panel.reading import Panel
    from tidelake.raw.coverage import StreamCoverage
    from tidelake.tables.candle_building import CandlesBuilt
    from tidelake.tables.derive import Derived, Pending, Progress, Reader
    from tidelake.tables.maintain import Maintained
    from tidelake.tables.mapping import Mapping

Form = Literal["polars", "arrow", "pandas"]


def open(url: str | Path, *, mappings: Path | None = None) -> "Lake":
    """The lake at a path, `s3://bucket/prefix`, `gs://..`, `az://..` or `memory:///name`; a missing folder is made.

    Args:
        url: Where it is.
        mappings: Directory of your own field mappings, used beside and in place of those that ship.

    Raises:
        ConfigError: The address or the mapping directory cannot be used.
    """
    lake = Lake(Store.open(url), mappings)
    if mappings is not None:
        _ = lake.mappings  # what is wrong with them shows now
    return lake


class TradesAsked(TypedDict, total=False):
    """The arguments of `Lake.trades` that do not change what it returns, for the overloads that say what it does."""

    source: str | Sequence[str] | None
    start: Time | None
    end: Time | None
    as_of: Time | None
    assume_latency: str | dt.timedelta | None
    grain: Literal["trade", "aggregate"]


@dataclass(frozen=True)
class Lake:
    """One lake: the raw log, its ledger, and the tables derived from them.

    Attributes:
        store: Where its objects lie.
        own_mappings: Directory of the user's own field mappings; None where there is none.
    """

    store: Store
    own_mappings: Path | None = None

    @cached_property
    def mappings(self) -> "tuple[Mapping, ...]":
        """Field mappings in use."""
        from tidelake.tables.mapping import load_mappings

        return load_mappings(self.own_mappings)

    @cached_property
    def live(self) -> "Live":
        """Fresh rows, as captures hear them; see `client_live.Live`."""
        from tidelake.client_live import Live

        return Live(self.store, lambda: self.mappings)

    @cached_property
    def lending(self) -> "Lending":
        """Lending markets; see `client_lending.Lending`."""
        from tidelake.client_lending import Lending

        return Lending(self.store)

    @cached_property
    def stablecoins(self) -> "Stablecoins":
        """What replays told of stablecoins; see `client_stablecoins.Stablecoins`."""
        from tidelake.client_stablecoins import Stablecoins

        return Stablecoins(self.store)

    def derive(
        self, tables: Sequence[str] = (), *, progress: "Progress | None" = None
    ) -> "list[Derived | CandlesBuilt]":
        """Bring tables up to the ledger; with trades, also candles of one minute.

        Default: all tables that have a source, and the index `ledger`.

        Raises:
            ConfigError: A table is named that another command fills, or the key of an encrypted lane is missing or
                another one; of a lane, all others are in all tables when this is raised.
            LedgerBroken: A lane does not hold; likewise.
        """
        from tidelake.raw.index import refresh

        reports = self._derive(tables, progress)
        if not tables:
            refresh(self.store)
        return reports

    def _derive(self, tables: Sequence[str], progress: "Progress | None") -> "list[Derived | CandlesBuilt]":
        from tidelake.books.proofs import prove_books
        from tidelake.books.rows import BOOK_TABLES
        from tidelake.raw.codec import key_from_environment
        from tidelake.tables.candle_building import build_candles
        from tidelake.tables.derive import derive_table
        from tidelake.tables.registry import table

        reports: list[Derived | CandlesBuilt] = []
        broken: list[TidelakeError] = []
        wanted = [table(name) for name in tables or self._sourced()]
        for found in wanted:
            found.check_derived()
        for found in wanted:
            reader = self._reader(found.name)
            try:
                reports.append(
                    derive_table(self.store, found, reader=reader, key=key_from_environment(), progress=progress)
                )
            except (LedgerBroken, ConfigError) as exc:
                broken.append(exc)
            finally:
                reader.close()
        if any(found in BOOK_TABLES for found in wanted):
            try:
                prove_books(self.store, key_from_environment())
            except (LedgerBroken, ConfigError) as exc:
                broken.append(exc)
        if not tables or {"trades", "candles"} & set(tables):
            reports.append(build_candles(self.store))
        if broken:
            raise broken[0]
        return reports

    def pending(self, tables: Sequence[str] = ()) -> "list[Pending]":
        """What `derive` would read, per table; touches nothing.

        Raises:
            ConfigError: A table is named that another command fills.
        """
        from tidelake.tables.derive import pending
        from tidelake.tables.registry import table

        wanted = [table(name) for name in tables or self._sourced()]
        for found in wanted:
            found.check_derived()
        return [pending(self.store, found, self._reader(found.name)) for found in wanted]

    def _reader(self, name: str) -> "Reader":
        """What reads the rows of a table."""
        from tidelake.books.rows import BOOK_TABLES, BookReader
        from tidelake.lending.silver import SILVER, silver_reader
        from tidelake.raw.codec import key_from_environment
        from tidelake.stablecoins.sources.chain_rows import WATCHED, WatchedReader
        from tidelake.tables.derive import MappingReader
        from tidelake.tables.joined_reader import JoinedReader
        from tidelake.tables.registry import table

        found = table(name)
        if found in BOOK_TABLES:
            return BookReader(self.store, found, self.mappings, key_from_environment())
        if name in SILVER:
            key = key_from_environment()
            reader = silver_reader(self.store, name, key)
            return JoinedReader([reader, WatchedReader(self.store, found, key)]) if name in WATCHED else reader
        return MappingReader(found, self.mappings)

    def _sourced(self) -> list[str]:
        """The tables that some source can fill; those of chains and prices where the lake has any of these."""
        from tidelake.books.rows import BOOK_TABLES
        from tidelake.lending.silver import SILVER, is_collected
        from tidelake.stablecoins.sources.chain_rows import WATCHED, is_watched
        from tidelake.tables.registry import TABLES

        filled = {m.spec.table for m in self.mappings} | {table.name for table in BOOK_TABLES}
        filled |= SILVER if is_collected(self.store) else set()
        filled |= WATCHED if is_watched(self.store) else set()
        return [name for name in TABLES if name in filled]

    def rebuild(
        self, tables: Sequence[str] = (), *, progress: "Progress | None" = None
    ) -> "list[Derived | CandlesBuilt]":
        """Drop tables and derive them again from raw. Default: all that derive fills, and the index `ledger`.

        A table that another command fills is dropped where it is named, and is then for that command to fill.
        """
        from tidelake.books.judgements import drop_judgements
        from tidelake.raw.index import rebuild
        from tidelake.tables.maintain import drop_tables
        from tidelake.tables.registry import TABLES, table

        dropped = [table(name) for name in tables or TABLES if tables or not TABLES[name].filled_by]
        drop_tables(self.store, [found.name for found in dropped])
        drop_judgements(self.store)
        derived = [found.name for found in dropped if not found.filled_by] if tables else []
        reports = [] if tables and not derived else self._derive(derived, progress)
        if not tables:
            rebuild(self.store)
        return reports

    def scan(
        self,
        table: str,
        *,
        as_of: Time | None = None,
        assume_latency: str | dt.timedelta | None = None,
        retracted: bool = False,
    ) -> "pl.LazyFrame":
        """One row per key of a table: what stands, or what was known at `as_of`. See `tables.read.scan`."""
        at = parse_time(as_of) if as_of is not None else None
        latency = parse_duration(assume_latency) if assume_latency is not None else None
        if table == "candles":
            from tidelake.tables.candle_building import scan_candles

            return scan_candles(self.store, as_of=at, assume_latency=latency)
        from tidelake.tables.read import scan
        from tidelake.tables.registry import table as find_table

        return scan(self.store, find_table(table), as_of=at, assume_latency=latency, retracted=retracted)

    @overload
    def trades(
        self, symbol: str | None = ..., *, form: Literal["polars"] = ..., **asked: Unpack[TradesAsked]
    ) -> "pl.DataFrame": ...
    @overload
    def trades(
        self, symbol: str | None = ..., *, form: Literal["arrow"], **asked: Unpack[TradesAsked]
    ) -> "pa.Table": ...
    @overload
    def trades(
        self, symbol: str | None = ..., *, form: Literal["pandas"], **asked: Unpack[TradesAsked]
    ) -> "pd.DataFrame": ...
    def trades(
        self,
        symbol: str | None = None,
        *,
        source: str | Sequence[str] | None = None,
        start: Time | None = None,
        end: Time | None = None,
        as_of: Time | None = None,
        assume_latency: str | dt.timedelta | None = None,
        grain: Literal["trade", "aggregate"] = "trade",
        form: Form = "polars",
    ) -> "pl.DataFrame | pa.Table | pd.DataFrame":
        """Trades of all venues in one table, ordered by event time, source, symbol, trade_seq and trade_id.

        Args:
            symbol: Canonical, such as "BTC-USD"; default: all.
            source: One or more source ids; default: all.
            start: Event time, inclusive.
            end: Event time, exclusive.
            as_of: Only what was known then; see `scan`.
            assume_latency: See `scan`.
            grain: "trade", or "aggregate" for what a venue merges per taker order; the two are never mixed.
            form: What to return.
        """
        from tidelake.tables.trade_reads import read_trades

        frame = read_trades(
            self.store,
            symbol=symbol,
            sources=(source,) if isinstance(source, str) else None if source is None else tuple(source),
            start=parse_time(start) if start is not None else None,
            end=parse_time(end) if end is not None else None,
            as_of=parse_time(as_of) if as_of is not None else None,
            assume_latency=parse_duration(assume_latency) if assume_latency is not None else None,
            grain=grain,
        )
        return convert(frame, form)

    def candles(
        self,
        symbol: str,
        interval: str = "1m",
        *,
        source: str | None = None,
        origin: Literal["trades", "venue"] = "trades",
        as_of: Time | None = None,
    ) -> "pl.DataFrame":
        """Bars of any interval ("1s" to "1d" and multiples), ordered by source and start.

        Those of origin "trades" are built from our trades where no table holds them; "venue" are the venue's own words.
        """
        from tidelake.tables.candle_building import candles

        at = parse_time(as_of) if as_of is not None else None
        return candles(self.store, symbol, interval, source=source, origin=origin, as_of=at)

    def lending_panel(
        self,
        markets: Sequence[str] = (),
        *,
        start: dt.date | None = None,
        end: dt.date | None = None,
        as_of: Time | None = None,
        balanced: bool = True,
    ) -> "Panel":
        """What lending markets hold and what is liquidated in them, by market and UTC day; `.rows` is the frame.

        Args:
            markets: Ids; default: all that the lake holds anything of.
            start: First day; default: the first in the lake.
            end: Day after the last; default: that after the last in the lake.
            as_of: Only what was known then.
            balanced: A row for each market and day, with a status where there is no amount; else the observations.

        Raises:
            NotInLake: There is no such market, or no day of any.
        """
        from tidelake.lending.panel.reading import Asked, read_panel

        at = parse_time(as_of) if as_of is not None else None
        return read_panel(self.store, Asked(tuple(markets), start, end, at, balanced))

    def conflicts(self, table: str = "trades") -> "pl.DataFrame":
        """Versions that contradict the standing one; see `tables.read.conflicts`."""
        from tidelake.tables.read import conflicts
        from tidelake.tables.registry import table as find_table

        return conflicts(self.store, find_table(table))

    @overload
    def sql(self, query: str, *, as_of: Time | None = ..., form: Literal["polars"] = ...) -> "pl.DataFrame": ...
    @overload
    def sql(self, query: str, *, as_of: Time | None = ..., form: Literal["arrow"]) -> "pa.Table": ...
    @overload
    def sql(self, query: str, *, as_of: Time | None = ..., form: Literal["pandas"]) -> "pd.DataFrame": ...
    def sql(
        self, query: str, *, as_of: Time | None = None, form: Form = "polars"
    ) -> "pl.DataFrame | pa.Table | pd.DataFrame":
        """The answer of DuckDB over the lake's tables; docs/semantics.md lists the views and their columns.

        Raises:
            NotInLake: The query names a table that does not exist; `available` lists those that do.
        """
        from tidelake.tables.sql import query as run

        at = parse_time(as_of) if as_of is not None else None
        made = {"coverage": self._coverage_rows} if at is None else {}  # coverage is known as it is, not as it was
        return convert(run(self.store, query, as_of=at, made=made), form)

    def _coverage_rows(self) -> "pl.DataFrame":
        """All intervals of `coverage`."""
        import polars as pl

        from tidelake.raw.coverage import interval_rows

        rows = [row for stream in self.coverage() for row in interval_rows(stream)]
        texts = dict.fromkeys(("source", "feed", "symbol", "axis", "state", "rule"), pl.String())
        numbers = dict.fromkeys(("first", "last", "first_ns", "last_ns", "count"), pl.Int64())
        return pl.DataFrame(rows, schema={**texts, **numbers, "out_of_reach": pl.Boolean()})

    def coverage(self, source: str | None = None, symbol: str | None = None) -> "list[StreamCoverage]":
        """What is covered and what is missing, per stream: trades from the ledger, books from what derive proved.

        Raises:
            CoverageBroken: A lane of the source is broken, or one whose source cannot be read; `found` holds what the
                other lanes, and these up to where they are broken, say. Lanes of other sources do not matter.
        """
        from tidelake.books.coverage import cover_books
        from tidelake.raw.lake_coverage import CoverageBroken, cover_lake

        answer = cover_lake(self.store)
        streams = [*answer.streams, *cover_books(self.store)]
        found = [s for s in streams if source in (None, s.source) and symbol in (None, s.symbol)]
        if broken := [lane for lane in answer.broken if lane.source in ("", source) or source is None]:
            raise CoverageBroken(broken, found)
        return found

    def book(self, source: str, symbol: str) -> "SymbolBook":
        """The book of a canonical symbol, as it was captured and as it was reconstructed; see `SymbolBook`."""
        return SymbolBook(self.store, source, symbol)

    def verify_books(
        self,
        source: str | None = None,
        symbol: str | None = None,
        *,
        lane: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        progress: "BookProgress | None" = None,
    ) -> "list[BookReport]":
        """What is proven of each book, by every rule that its venue offers; see `books.verify`.

        Args:
            source, symbol, lane: Only this source, canonical symbol, lane.
            start: Receive time from which on messages are counted, inclusive.
            end: Receive time before which they are read, exclusive.
            progress: Called as segments are read.
        """
        from tidelake.books.judging import HORIZON_NS
        from tidelake.books.verify import verify_books
        from tidelake.raw.codec import key_from_environment

        return verify_books(
            self.store,
            source=source,
            symbol=symbol,
            lane=lane,
            start_ns=parse_ns(start) if start is not None else 0,
            end_ns=parse_ns(end) if end is not None else HORIZON_NS,
            key=key_from_environment(),
            progress=progress,
        )

    def maintain(
        self, tables: Sequence[str] = (), *, keep_days: float = 7, dry_run: bool = False
    ) -> "list[Maintained]":
        """Compact small files and delete those that no table version of the last days names; drops no row version."""
        from tidelake.tables.maintain import maintain

        return maintain(self.store, tables, keep=dt.timedelta(days=keep_days), dry_run=dry_run)

    def tables(self) -> "pl.DataFrame":
        """Each table that exists, its rows, files, bytes and commits."""
        from tidelake.tables.maintain import table_sizes

        return table_sizes(self.store)


def convert(frame: "pl.DataFrame", form: Form) -> "pl.DataFrame | pa.Table | pd.DataFrame":
    """The frame in another library's form; pandas must be installed for "pandas".

    Raises:
        NotInLake: `form` is none of polars, arrow, pandas.
    """
    match form:
        case "polars":
            return frame
        case "arrow":
            return frame.to_arrow()
        case "pandas":
            from tidelake.extras import require

            require("pandas", extra="pandas")
            return frame.to_pandas()
    raise NotInLake(f"no form {form!r}; expected polars, arrow or pandas", available=("polars", "arrow", "pandas"))
