"""The files of one table in one pass: every measure sees each batch once."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tidelake.books.assessment.clocks import ClockMeasure
from tidelake.books.assessment.coverage import CoverageMeasure
from tidelake.books.assessment.day_grid import DayGrid
from tidelake.books.assessment.distinct_keys import RepeatedKeys
from tidelake.books.assessment.figures import TableFigures
from tidelake.books.assessment.prices import BookRange, LevelMeasure, TradeMeasure, typical
from tidelake.books.assessment.reading import UNIT_NS, read_rows
from tidelake.books.assessment.rows import Integers, Keys, MessageStarts, Rows
from tidelake.books.assessment.sequences import SequenceMeasure
from tidelake.books.assessment.snapshots import SnapshotMeasure
from tidelake.vendors.spec import VendorTable

Advance = Callable[[int], None]


class TableMeasure:
    """Every measure of one table.

    Args:
        table: What its files hold.
        grid: Their day.
        book: Best prices of the day's snapshots: filled by a table of snapshots, compared with by one of trades.
        scratch: A folder that is there.
    """

    def __init__(self, table: VendorTable, grid: DayGrid, book: BookRange, scratch: Path) -> None:
        self._table, self._book = table, book
        self._starts = MessageStarts(table.message)
        self._clocks = ClockMeasure(grid, UNIT_NS[table.unit])
        self._coverage = CoverageMeasure(grid)
        self._sequences = SequenceMeasure(RepeatedKeys(scratch / table.name))
        self._levels = LevelMeasure() if table.role == "deltas" else None
        self._snapshots = SnapshotMeasure(table.levels.depth) if table.levels else None
        self._trades = TradeMeasure(grid, book) if table.role == "trades" else None
        self._rows = self._wholes = 0

    def add(self, rows: Rows) -> None:
        """Take rows, in the order of the file."""
        messages = rows.taken(self._starts.of(rows))
        self._rows += len(rows)
        self._wholes += 0 if messages.whole is None else int(messages.whole.sum())
        self._clocks.add(messages)
        self._coverage.add(messages.recv_ns)
        self._sequences.add(*_numbers(messages))
        if self._levels:
            self._levels.add(rows)
        if self._snapshots:
            self._snapshots.add(rows)
            self._book.add(rows)
        if self._trades:
            self._trades.add(rows)

    def figures(self, files: Sequence[str], size: int) -> TableFigures:
        """What was found."""
        numbers = self._trades or self._levels
        clocks = self._clocks.figures()
        return TableFigures(
            table=self._table.name,
            role=self._table.role,
            files=tuple(files),
            bytes=size,
            rows=self._rows,
            messages=clocks.messages,
            wholes=self._wholes,
            coverage=self._coverage.figures(),
            clocks=clocks,
            sequences=self._sequences.figures(),
            typical=typical(numbers.price, numbers.size) if numbers else typical(self._book.best, None),
            snapshots=self._snapshots.figures() if self._snapshots else None,
            trades=self._trades.figures() if self._trades else None,
            levels=self._levels.figures() if self._levels else None,
        )


def measure_table(
    table: VendorTable,
    files: Sequence[tuple[str, Path]],
    grid: DayGrid,
    book: BookRange,
    *,
    until_ns: int | None = None,
    advance: Advance = lambda rows: None,
) -> TableFigures:
    """The figures of a table's files of one day.

    Args:
        table: What they hold.
        files: The vendor's key and the place of each, in the vendor's order.
        grid: Their day.
        book: As `TableMeasure` says.
        until_ns: Rows from this receive clock on are left out, and what follows the first such batch is not read.
        advance: Told how many rows were read.

    Raises:
        FormatDrift: A file cannot be read, or lacks a column that it needs.
    """
    with tempfile.TemporaryDirectory(prefix="tidelake-assess-") as scratch:
        measure = TableMeasure(table, grid, book, Path(scratch))
        for _, path in files:
            for rows in _until(read_rows(path, table), until_ns):
                measure.add(rows)
                advance(len(rows))
        return measure.figures([name for name, _ in files], sum(path.stat().st_size for _, path in files))


def _until(batches: Iterator[Rows], until_ns: int | None) -> Iterator[Rows]:
    for rows in batches:
        if until_ns is None:
            yield rows
            continue
        early = rows.recv_ns < until_ns
        if not early.any():
            return
        yield rows.taken(early)


def _numbers(messages: Rows) -> tuple[Integers, Integers, Keys | None]:
    """Numbers of messages, their clocks, and the keys that tell a repetition."""
    if messages.trade_number is not None and messages.trade_key is not None:
        return messages.trade_number, messages.recv_ns, messages.trade_key[messages.trade_key != 0]
    if messages.sequence is not None:
        return messages.sequence, messages.recv_ns, None
    return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), None
