"""Commits of a day's rows to `market_events`: each chunk once, however often it is tried."""

import random
import time

import pyarrow as pa

from tidelake.books.reconstruction.task import DayTask
from tidelake.errors import LedgerBroken, TableMoved
from tidelake.raw.entry import Entry
from tidelake.raw.ledger import Ledger
from tidelake.raw.marks import NO_MARK, mark_of, seq_of
from tidelake.raw.store import Store
from tidelake.tables.delta import TableHandle, open_or_create
from tidelake.tables.market_events import MARKET_EVENTS

ATTEMPTS = 20
MOST_PAUSE_S = 0.5


def open_events(store: Store) -> TableHandle:
    """The table, made where it is missing."""
    return open_or_create(store, MARKET_EVENTS.name, MARKET_EVENTS.schema, MARKET_EVENTS.partition_by)


def committed(store: Store, lane: str) -> int:
    """Number of the lane's last entry whose rows the table holds; -1 where there is none.

    Raises:
        LedgerBroken: The table holds rows of an entry that the lane has lost.
    """
    return seq_of(_checked(store, lane, open_events(store).done(lane)))


def _checked(store: Store, lane: str, mark: int) -> int:
    """The mark of a lane, whose entry is the one that was committed."""
    try:
        Ledger(store).check_mark(lane, mark)
    except LedgerBroken as exc:
        raise LedgerBroken(
            f"{MARKET_EVENTS.name} holds rows by entry {seq_of(mark)} of lane {lane}, which is missing now, or is "
            "another one: the end of the lane was lost. Nothing was written to the table. Restore the ledger from a "
            f"copy; or drop the table with `tidelake derive {MARKET_EVENTS.name} --rebuild`, and reconstruct its days "
            "again.",
            lane=lane,
            seq=seq_of(mark),
        ) from exc
    return mark


def commit_chunk(store: Store, task: DayTask, entry: Entry, rows: pa.Table, *, begins: bool) -> bool:
    """Append a chunk's rows, or do nothing where the table holds them already; whether it did.

    Args:
        entry: The chunk's entry; the table's mark of the lane moves to it.
        begins: Whether it is the first of a run: rows that an earlier run left are then replaced.

    Raises:
        LedgerBroken: The table holds rows of an entry that the lane has lost.
        TableMoved: Others committed between read and write twenty times in a row.
    """
    for _ in range(ATTEMPTS):
        handle = open_events(store)
        mark = _checked(store, entry.lane, handle.done(entry.lane))
        if seq_of(mark) >= entry.seq:
            return False
        stale = begins and mark != NO_MARK
        try:
            # No other lane writes rows of this day, so nobody else's commit matters, and days go in side by side.
            handle.commit(rows, {entry.lane: mark_of(entry)}, replace=_of_day(task) if stale else None, in_turn=stale)
        except TableMoved:
            time.sleep(random.uniform(0, MOST_PAUSE_S))
        else:
            return True
    raise TableMoved(f"{MARKET_EVENTS.name} was taken by others {ATTEMPTS} times in a row")


def _of_day(task: DayTask) -> list[dict[str, object]]:
    book = {"source": task.source, "symbol": task.symbol, "vendor": task.vendor, "strategy": task.strategy}
    return [{**book, "date": task.day}]
