"""Which days of a book were reconstructed, and their rows in order: what all readers of `market_events` read by."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import polars as pl
from deltalake import DeltaTable

from tidelake.books.reconstruction.task import Strategy
from tidelake.books.reconstruction.write_ahead import LAST, lane_of
from tidelake.errors import NotInLake, TableMoved
from tidelake.raw.entry import Entry
from tidelake.raw.ledger import MAX_NAME_BYTES, Ledger, lane_name
from tidelake.raw.marks import NO_MARK, seq_of
from tidelake.raw.store import Store
from tidelake.tables.delta import TableHandle, open_table
from tidelake.tables.files import may_hold, paths_of
from tidelake.tables.market_events import MARKET_EVENTS

WINDOW_ROWS = 1 << 18  # read at once


@dataclass(frozen=True, order=True)
class Partition:
    """A day of a book that the table holds.

    Attributes:
        plan: What it was made from and how (`task.plan_of`).
        levels: Levels of each side that its rows show.
        every_ns: Distance of the grid on which they do, in ns; 0 for every event.
        finished: Whether all its rows are there.
    """

    vendor: str
    source: str
    symbol: str
    day: dt.date
    strategy: Strategy
    plan: str
    levels: int
    every_ns: int
    finished: bool

    @property
    def lane(self) -> str:
        """Its lane (`write_ahead`)."""
        return lane_of(self)

    @property
    def clock(self) -> str:
        """The column by which its rows are in order, in whole us or ns."""
        return "event_time" if self.strategy == "origin_time_sort" else "recv_ns"


def partitions(store: Store, source: str | None = None, symbol: str | None = None) -> list[Partition]:
    """Every day of which the table holds rows, also those that are not finished, in order.

    Raises:
        LedgerBroken: The entry that names the last commit of a day is gone or another one.
    """
    found = open_table(store, MARKET_EVENTS.name)
    if found is None:
        return []
    handle, ledger = TableHandle(found, MARKET_EVENTS.partition_by, store), Ledger(store)
    listed = []
    for lane in _lanes(ledger, source, symbol):
        mark = handle.done(lane)
        if mark != NO_MARK:
            ledger.check_mark(lane, mark)
            listed.append(_partition(ledger.entry(lane, seq_of(mark))))
    return sorted(each for each in listed if source in (None, each.source) and symbol in (None, each.symbol))


def _lanes(ledger: Ledger, source: str | None, symbol: str | None) -> Iterator[str]:
    wanted = [f".{_quoted(word)}." for word in (source, symbol) if word is not None]
    for lane in ledger.lanes():
        cut = len(lane) == MAX_NAME_BYTES  # its end is a hash
        if lane.startswith("reconstruct.") and (cut or all(word in lane for word in wanted)):
            yield lane


def _quoted(word: str) -> str:
    return lane_name(word) if len(quote(word, safe="")) < MAX_NAME_BYTES else word


def _partition(entry: Entry) -> Partition:
    told = entry.meta
    strategy: Strategy = told["strategy"]  # type: ignore[assignment]
    return Partition(
        told["vendor"],
        told["source"],
        told["symbol"],
        dt.date.fromisoformat(told["day"]),
        strategy,
        told["plan"],
        int(told["levels"]),
        int(told["every_ns"]),
        told["step"] == LAST,
    )


def choose(
    store: Store,
    source: str,
    symbol: str,
    *,
    vendor: str | None = None,
    strategy: str | None = None,
    first: dt.date | None = None,
    last: dt.date | None = None,
    unfinished: bool = False,
) -> list[Partition]:
    """The days of a book from one vendor by one strategy, in order; both must be named where there are several.

    Args:
        first, last: UTC days, both inclusive.
        unfinished: Also days that are not finished.

    Raises:
        NotInLake: There is no such day, or there are several vendors or strategies; `available` lists what there is.
    """
    known = partitions(store, source, symbol)
    within = [p for p in known if (first is None or p.day >= first) and (last is None or p.day <= last)]
    finished = [p for p in within if p.finished or unfinished]
    chosen = [p for p in finished if vendor in (None, p.vendor) and strategy in (None, p.strategy)]
    kinds = sorted({(p.vendor, p.strategy) for p in chosen})
    if len(kinds) > 1:
        told = tuple(f"vendor={v} strategy={s}" for v, s in kinds)
        raise NotInLake(f"{source} {symbol} was reconstructed as {'; '.join(told)}: name one", available=told)
    if not chosen:
        told = tuple(f"{p.day} vendor={p.vendor} strategy={p.strategy}{_unfinished(p)}" for p in known)
        raise NotInLake(
            f"no reconstruction of {source} {symbol} as asked; the lake holds {'; '.join(told) or 'none'}. "
            "`tidelake books reconstruct` makes one of files that are ready.",
            available=told,
        )
    return chosen


def _unfinished(partition: Partition) -> str:
    return "" if partition.finished else " (not finished)"


def windows(
    store: Store, partition: Partition, columns: Sequence[str], wanted: pl.Expr | None = None
) -> Iterator[pl.DataFrame]:
    """The rows of a day in order of `place`, `WINDOW_ROWS` or fewer at once, so that memory stays flat.

    Args:
        columns: Those to read; `place` comes too.
        wanted: Only rows for which it is true.

    Raises:
        TableMoved: The day was reconstructed anew, or the table dropped, since the partition was listed.
    """
    found = _unmoved(store, partition)
    files = _files(store, found, partition)
    same = (
        (pl.col("symbol") == partition.symbol)
        & (pl.col("vendor") == partition.vendor)
        & (pl.col("strategy") == partition.strategy)
        & (pl.col("day") == partition.day)
    )
    listed = list(dict.fromkeys(("place", *columns)))
    for first, end in _ranges(files):
        held = files.filter((pl.col("min.place") < end) & (pl.col("max.place") >= first))
        paths = paths_of(store, MARKET_EVENTS.name, held)
        rows = pl.scan_parquet(
            paths,
            glob=False,
            hive_partitioning=True,
            hive_schema={"source": pl.String(), "date": pl.Date()},
            storage_options=store.storage_options(),
        )
        asked = same & (pl.col("place") >= first) & (pl.col("place") < end)
        frame = rows.filter(asked if wanted is None else asked & wanted).select(listed).collect()
        yield frame if frame["place"].is_sorted() else frame.sort("place")


def _unmoved(store: Store, partition: Partition) -> DeltaTable:
    """The table as it is now, where it holds the same of the day; what is committed later does not show."""
    found = open_table(store, MARKET_EVENTS.name)
    if found is not None:
        mark = TableHandle(found, MARKET_EVENTS.partition_by, store).done(partition.lane)
        if mark != NO_MARK and _partition(Ledger(store).entry(partition.lane, seq_of(mark))).plan == partition.plan:
            return found
    raise TableMoved(
        f"{partition.source} {partition.symbol} {partition.day} was reconstructed anew or dropped meanwhile; read again"
    )


def _files(store: Store, found: DeltaTable, partition: Partition) -> pl.DataFrame:
    """The files that can hold rows of a day, with their places; the log has them where a file's bounds can be told."""
    day: dict[str, object] = {name: getattr(partition, name) for name in ("source", "symbol", "vendor", "strategy")}
    files = may_hold(pl.DataFrame(found.get_add_actions(flatten=True)), [{**day, "date": partition.day}])
    untold = files.filter(pl.col("min.place").is_null())
    read = [_places(store, path) for path in paths_of(store, MARKET_EVENTS.name, untold)]
    told = untold.with_columns(
        pl.Series("min.place", [low for low, _ in read], pl.Int64),
        pl.Series("max.place", [high for _, high in read], pl.Int64),
    )
    return pl.concat([files.filter(pl.col("min.place").is_not_null()), told]).sort("min.place")


def _places(store: Store, path: str) -> tuple[int, int]:
    rows = pl.scan_parquet(path, glob=False, hive_partitioning=False, storage_options=store.storage_options())
    low, high = rows.select(low=pl.col("place").min(), high=pl.col("place").max()).collect().row(0)
    return low, high


def _ranges(files: pl.DataFrame) -> Iterator[tuple[int, int]]:
    """Ranges of places, end exclusive, that together hold every row once; cut where files begin."""
    if files.is_empty():
        return
    starts = sorted({*files["min.place"].to_list()})
    ends = [*starts[1:], int(files["max.place"].max()) + 1]  # type: ignore[arg-type]
    for start, end in zip(starts, ends, strict=True):
        for first in range(start, end, WINDOW_ROWS):
            yield first, min(first + WINDOW_ROWS, end)
