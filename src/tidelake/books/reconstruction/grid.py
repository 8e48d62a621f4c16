"""Books on a regular grid of time, out of reconstructed events."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from tidelake.books.reconstruction.events import EventShape, columns_of, shaped
from tidelake.books.reconstruction.partitions import Partition, windows
from tidelake.errors import NotInLake
from tidelake.raw.store import Store

GRID_ROWS = 1 << 16


def grid_batches(
    store: Store,
    chosen: Sequence[Partition],
    shape: EventShape,
    every_ns: int,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Iterator[Any]:
    """The book at each moment that is a multiple of `every_ns` since 1970, from a day's first event to its last.

    Besides the columns of events each row has `at` (the moment), `age` (what has passed since the event that it shows)
    and `carried`, which is true where nothing happened since the moment before: the row is then the one before it.

    Args:
        start_ns, end_ns: Moments; the end is exclusive.

    Raises:
        NotInLake: The rows were kept on a wider grid, or on one that does not fit.
    """
    for partition in chosen:
        _check_grid(partition, every_ns)
        width = partition.levels if shape.levels is None else min(shape.levels, partition.levels)
        for rows in _moments(store, partition, shape, every_ns, start_ns, end_ns):
            yield _told(rows, shape, width)


def _check_grid(partition: Partition, every_ns: int) -> None:
    kept = partition.every_ns
    if every_ns <= 0 or (kept and every_ns % kept):
        raise NotInLake(
            f"the books of {partition.source} {partition.symbol} {partition.day} were kept every {kept / 1e6:g} ms, "
            f"which does not divide {every_ns / 1e6:g} ms; ask for a multiple, or reconstruct the day on another grid",
            available=(f"{kept / 1e6:g}ms",),
        )


def _moments(
    store: Store, partition: Partition, shape: EventShape, every_ns: int, start_ns: int | None, end_ns: int | None
) -> Iterator[pl.DataFrame]:
    """Rows of a day's grid in pieces: the last row at or before each moment."""
    with_levels = pl.col("event_type") == "book" if partition.every_ns else pl.col("bid_prices").is_not_null()
    held: pl.DataFrame | None = None
    latest = 0
    for rows in windows(store, partition, columns_of(shape), with_levels):
        if not rows.height:
            continue
        both = rows if held is None else pl.concat([held, rows])
        clock = _clock_ns(both, partition, latest)
        moment = -(-clock // every_ns)
        last, latest = int(moment[-1]), int(clock[-1])
        if held is not None or len(both) > 1:
            yield from _between(both, clock, moment, last, every_ns, start_ns, end_ns)
        held = both.tail(1)
    if held is not None:
        clock = _clock_ns(held, partition, latest)
        moment = -(-clock // every_ns)
        yield from _between(held, clock, moment, int(moment[-1]) + 1, every_ns, start_ns, end_ns)


def _clock_ns(rows: pl.DataFrame, partition: Partition, latest: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The declared clock, no less than the latest before."""
    if partition.clock == "recv_ns":
        clock = rows["recv_ns"].to_numpy()
    else:
        clock = rows["event_time"].dt.timestamp("us").to_numpy() * 1_000
    return np.maximum.accumulate(np.maximum(clock, latest))


def _between(
    rows: pl.DataFrame,
    clock: "np.ndarray[Any, np.dtype[np.int64]]",
    moment: "np.ndarray[Any, np.dtype[np.int64]]",
    until: int,
    every_ns: int,
    start_ns: int | None,
    end_ns: int | None,
) -> Iterator[pl.DataFrame]:
    """Moments from that of the first row on, before `until`."""
    first = int(moment[0])
    if start_ns is not None:
        first = max(first, -(-start_ns // every_ns))
    if end_ns is not None:
        until = min(until, -(-end_ns // every_ns))
    for begin in range(first, until, GRID_ROWS):
        wanted = np.arange(begin, min(begin + GRID_ROWS, until))
        place = np.searchsorted(moment, wanted, side="right") - 1
        at = wanted * every_ns
        yield rows[place].with_columns(
            at=pl.Series(at // 1_000).cast(pl.Datetime("us", "UTC")),
            age=pl.Series((at - clock[place]) // 1_000).cast(pl.Duration("us")),
            carried=pl.Series(moment[place] < wanted),
        )


def _told(rows: pl.DataFrame, shape: EventShape, width: int) -> Any:
    added = rows.select("at", "age", "carried")
    batch = shaped(rows.drop(added.columns), shape, width)
    if shape.form == "numpy":
        return {name: added[name].to_numpy() for name in added.columns} | batch
    if shape.form == "polars":
        return added.hstack(batch)
    return _beside(added, batch)


def _beside(added: pl.DataFrame, batch: Any) -> Any:
    for place, name in enumerate(added.columns):
        batch = batch.add_column(place, name, added[name].to_arrow())
    return batch
