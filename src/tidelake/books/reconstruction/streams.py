"""One stream of a day, trades, deltas or snapshots, as events in its own order.

A stream whose rows all have a number (sequence, or trade id) is in the order of these; any other in that of its files
and rows. Where files are not in that order they are sorted in a scratch folder first. Numbers that begin anew within
the day order nothing: they would put the evening before the morning.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidelake.books.reconstruction.batch import EventBatch, Integers
from tidelake.books.reconstruction.clock_order import RunningClock
from tidelake.books.reconstruction.event_columns import selected
from tidelake.books.reconstruction.level_rows import (
    LevelRows,
    VendorFile,
    id_texts,
    joined,
    read_rows,
)
from tidelake.books.reconstruction.part_files import refuse_overlap
from tidelake.books.reconstruction.sorting import read_sorted, read_sorted_numbers, repeated_texts, sort_rows
from tidelake.books.reconstruction.surveying import Numbering, measure_ordered
from tidelake.books.reconstruction.vendor_reading import read_columns
from tidelake.kernels.event_order import mark_repeats
from tidelake.kernels.replay_codes import DELTA, NO_SEQUENCE, PART, TRADE, WHOLE
from tidelake.vendors.spec import VendorTable

Clock = Literal["recv", "event"]
Mask = npt.NDArray[np.bool_]
KINDS = {"trades": TRADE, "deltas": DELTA, "snapshots": PART}


@dataclass(slots=True)
class StreamCounts:
    """What was met on the way through a stream, once.

    Attributes:
        rows: Rows of its files.
        messages: Events given.
        repeats: Trades left out because they say what an earlier one of the same id says; snapshots where the clocks
            are equal too; messages where they are, or where nothing else of their number came between.
        left_out: Rows before the first whole book, of a vendor that begins with one.
        broken: Messages before which others are proven to be missing.
    """

    rows: int = 0
    messages: int = 0
    repeats: int = 0
    left_out: int = 0
    broken: int = 0


@dataclass(frozen=True, slots=True)
class Stream:
    """The files of one role, ready to be read as one; `opened` makes it.

    Attributes:
        table: What the files hold.
        files: In their order.
        exponents: Of prices and of sizes.
        numbering: Of the rows in the stream's order.
        ordered: The scratch file with its rows in order; None where they stand so in its files.
        repeated_ids: string[n], ids of trades that come more than once, where ids are no numbers.
        batch_rows: How many rows are read at a time.
    """

    table: VendorTable
    files: tuple[VendorFile, ...]
    exponents: tuple[int, int]
    numbering: Numbering
    ordered: Path | None
    repeated_ids: pa.Array
    batch_rows: int

    def events(self, counts: StreamCounts, clock: Clock, *, whole_only: bool = False) -> Iterator[EventBatch]:
        """The events in order; `exact` is 0, and `clock_ns` the running maximum of the stream's clock.

        Raises:
            FormatDrift: A clock is so far ahead of those after it that one of them is wrong (`clock_order`).

        Args:
            counts: Added to.
            clock: Which clock `clock_ns` is; where the exchange told none, "event" is the recorder's too.
            whole_only: Whether messages that are no whole book are left out.
        """
        running, previous = RunningClock(self.names), NO_SEQUENCE
        for batch in self._without_repeats(self._complete(counts), counts):
            if whole_only:
                batch = selected(batch, batch.kind == WHOLE, np.diff(batch.level_from))
            if not len(batch):
                continue
            if self.consecutive:
                previous = _mark_broken(batch, previous)
            told = np.where(batch.event_ns > 0, batch.event_ns, batch.recv_ns) if clock == "event" else batch.recv_ns
            batch.clock_ns[:] = running.of(batch, told)
            counts.messages += len(batch)
            counts.broken += int(batch.broken.sum())
            yield batch

    @property
    def names(self) -> dict[int, str]:
        """Table and name of the files by the number that events name."""
        return {file.place: f"{file.table.name} {file.path.name}" for file in self.files}

    @property
    def consecutive(self) -> bool:
        """Whether a step of the messages' numbers above 1 proves that some are missing."""
        return self.table.role == "deltas" and self.numbering.numbered and self.numbering.consecutive

    def _rows(self, counts: StreamCounts) -> Iterator[LevelRows]:
        """All rows in order, but those before the first whole book where there must be one."""
        waiting = self.table.field("is_snapshot") is not None
        for rows in self._all_rows():
            counts.rows += len(rows)
            first = 0
            if waiting:
                first = int(rows.whole.argmax()) if rows.whole.any() else len(rows)
                waiting = first == len(rows)
                counts.left_out += first
            if first < len(rows):
                yield rows.slice(first, len(rows))

    def _all_rows(self) -> Iterator[LevelRows]:
        if self.ordered is not None:
            yield from read_sorted(self.ordered, self.batch_rows)
            return
        for file in self.files:
            yield from read_rows(file, self.exponents, self.batch_rows)

    def _complete(self, counts: StreamCounts) -> Iterator[LevelRows]:
        """The rows so that all of one number, or of one message, come together."""
        held: list[LevelRows] = []
        for rows in self._rows(counts):
            before = held[-1].slice(len(held[-1]) - 1, len(held[-1])) if held else None
            starts = self._unit_starts(joined([before, rows]) if before else rows)[-len(rows) :]
            if not starts.any():
                held.append(rows)
                continue
            last = len(rows) - 1 - int(starts[::-1].argmax())
            if held or last:
                yield joined([*held, rows.slice(0, last)] if last else held)
            held = [rows.slice(last, len(rows))]
        if held:
            yield joined(held)

    def _unit_starts(self, rows: LevelRows) -> Mask:
        """bool[n], where rows begin that must be seen together to find messages and repeats."""
        if self.numbering.numbered:
            return _changes(rows.number)
        if self.table.role == "snapshots":
            return _changes(rows.recv_ns)
        return self._message_starts(rows)

    def _message_starts(self, rows: LevelRows) -> Mask:
        """bool[n], where a message begins; rows of whole books are one, which `_parted` parts."""
        if not self.table.message:
            return np.ones(len(rows), np.bool_)
        starts = np.zeros(len(rows), np.bool_)
        for word, column in (("sequence", rows.number), ("recv_time", rows.recv_ns)):
            if word in self.table.message:
                starts |= _changes(column)
        if "is_snapshot" in self.table.message:
            starts &= ~rows.whole
            starts |= _changes(rows.whole)
        return starts

    def _without_repeats(self, complete: Iterable[LevelRows], counts: StreamCounts) -> Iterator[EventBatch]:
        told: dict[str, set[tuple[int, ...]]] = {}
        for rows in complete:
            first = _parted(rows, np.flatnonzero(self._message_starts(rows)))
            batch = _events(rows, first, self.table)
            if self.numbering.numbered or self.table.role == "snapshots":
                units = np.cumsum(self._unit_starts(rows), dtype=np.int64)[first]
                batch = self._once(batch, units, counts)
            elif len(self.repeated_ids):
                kept = _first_told(batch, self.repeated_ids, told)
                counts.repeats += int((~kept).sum())
                batch = selected(batch, kept, np.diff(batch.level_from))
            yield batch

    def _once(self, batch: EventBatch, units: Integers, counts: StreamCounts) -> EventBatch:
        """The batch without messages that repeat another of their unit."""
        length, repeats = np.empty(len(batch), np.int64), np.empty(len(batch), np.int64)
        clocks = [] if self.table.role == "trades" else [batch.event_ns, batch.recv_ns, batch.sequence]
        columns = np.stack(clocks, axis=1) if clocks else np.empty((len(batch), 0), np.int64)
        levels, deltas = (batch.side, batch.tick, batch.lots), self.table.role == "deltas"
        kept = mark_repeats(units, columns, batch.level_from, *levels, deltas, length, repeats)
        counts.repeats += int((~kept).sum() + repeats.sum())
        return selected(batch, kept, length)


def opened(
    files: Sequence[VendorFile], exponents: tuple[int, int], numbering: Numbering, scratch: Path, batch_rows: int
) -> Stream:
    """A stream, sorted into the scratch folder where its files are not in its order.

    Args:
        files: At least one, of one table, in their order.
        exponents: Of prices and sizes, by which all numbers are whole.
        numbering: As `survey` found it in the files' order.
        scratch: Exists; holds what is written for as long as the stream is read.
        batch_rows: How many rows are read at a time.

    Raises:
        FormatDrift: No numbers order the rows, and files overlap.
    """
    table, ordered = files[0].table, None
    if numbering.numbered and numbering.falls:
        rows = (rows for file in files for rows in read_rows(file, exponents, batch_rows))
        ordered = sort_rows(rows, scratch, table.role, wide=table.levels is not None)
        numbering = measure_ordered(read_sorted_numbers(ordered, batch_rows))
        ordered = ordered if numbering.numbered else None
    if not numbering.numbered:
        refuse_overlap(files)
    repeated = pa.nulls(0, pa.string())
    if table.role == "trades" and not numbering.numbered:
        repeated = repeated_texts(_trade_ids(files, batch_rows), scratch, table.role)
    return Stream(table, tuple(files), exponents, numbering, ordered, repeated, batch_rows)


def _trade_ids(files: Sequence[VendorFile], batch_rows: int) -> Iterator[pa.Array]:
    for file in files:
        for batch in read_columns(file.path, file.table, ("trade_id",), batch_rows):
            if batch.num_columns:
                yield id_texts(batch.column(0))


def _changes(column: npt.NDArray[np.generic]) -> Mask:
    """bool[n], where a column is not as in the row before; the first row counts."""
    changes = np.ones(len(column), np.bool_)
    np.not_equal(column[1:], column[:-1], out=changes[1:])
    return changes


def _parted(rows: LevelRows, first: Integers) -> Integers:
    """Where messages begin, with whole books that follow one another parted.

    The rows of one book may have several clocks, but tell a price once: a clock with a price told before begins anew.
    """
    ends = np.append(first[1:], len(rows))
    several = np.flatnonzero(rows.whole[first] & (rows.recv_ns[first] != rows.recv_ns[ends - 1]))
    anew = [place for at in several.tolist() for place in _told_anew(rows, int(first[at]), int(ends[at]))]
    return np.union1d(first, np.array(anew, np.int64)) if anew else first


def _told_anew(rows: LevelRows, start: int, end: int) -> Iterator[int]:
    """Rows from which on another book is told, each the first of its clock."""
    clocks = start + np.flatnonzero(_changes(rows.recv_ns[start:end]))
    told: set[tuple[int, int]] = set()
    for low, high in pairwise([*clocks.tolist(), end]):
        prices = set(zip(rows.side[low:high].tolist(), rows.tick[low:high].tolist(), strict=True))
        if not told.isdisjoint(prices):
            yield low
            told = set()
        told |= prices


def _events(rows: LevelRows, first: Integers, table: VendorTable) -> EventBatch:
    """One event of each message; `first` is int64[n], where they begin. Clocks are those of its last row."""
    count, last = len(first), np.append(first[1:], len(rows)) - 1
    kinds = np.where(rows.whole[first], WHOLE, KINDS[table.role])
    is_trade = table.role == "trades"
    return EventBatch(
        kind=kinds.astype(np.uint8),
        clock_ns=np.zeros(count, np.int64),
        event_ns=rows.event_ns[last],
        recv_ns=rows.recv_ns[last],
        sequence=np.full(count, NO_SEQUENCE) if is_trade else rows.number[first],
        broken=np.zeros(count, np.uint8),
        exact=np.zeros(count, np.uint8),
        level_from=rows.level_from[np.append(first, len(rows))],
        side=rows.side,
        tick=rows.tick,
        lots=rows.lots,
        file=rows.file[first].astype(np.int32),
        row=rows.row[first],
        trade_id=rows.trade_id if is_trade else pa.nulls(count, pa.string()),
    )


def _mark_broken(batch: EventBatch, previous: int) -> int:
    """Marks events whose number is more than 1 above that of the one before; gives the last."""
    before = np.concatenate([[previous], batch.sequence[:-1]])
    batch.broken[:] = (before != NO_SEQUENCE) & (batch.sequence - before > 1)
    return int(batch.sequence[-1])


def _first_told(batch: EventBatch, repeated: pa.Array, told: dict[str, set[tuple[int, ...]]]) -> Mask:
    """bool[n], False for trades that say what an earlier one of the same id says; `told` keeps what they said."""
    kept = np.ones(len(batch), np.bool_)
    for place in np.flatnonzero(np.asarray(pc.is_in(batch.trade_id, value_set=repeated))).tolist():
        said = (int(batch.side[place]), int(batch.tick[place]), int(batch.lots[place]))
        known = told.setdefault(batch.trade_id[place].as_py(), set())
        kept[place] = said not in known
        known.add(said)
    return kept
