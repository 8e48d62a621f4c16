"""The figures of a day: its tables one after another, snapshots first, then the replay that proves the deltas."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tidelake.books.assessment.agreement import measure_agreement
from tidelake.books.assessment.day_grid import DayGrid
from tidelake.books.assessment.figures import AgreementFigures, DayFigures, TableFigures
from tidelake.books.assessment.measuring import Advance, measure_table
from tidelake.books.assessment.prices import BookRange
from tidelake.books.assessment.replay_cost import estimate_cost
from tidelake.errors import FormatDrift, ReplayRefused
from tidelake.vendors.spec import Role, Vendor

ORDER: tuple[Role, ...] = ("snapshots", "deltas", "trades")


@dataclass(frozen=True, slots=True)
class DayPath:
    """A ready file: the vendor's key of it, where it can be read, what it holds, and its hash."""

    name: str
    path: Path
    table: str
    sha256: str


@dataclass(frozen=True, slots=True)
class DayFiles:
    """The files of one day of a symbol.

    Attributes:
        files: In the vendor's order.
        first_ns: The least receive clock of all of them.
    """

    vendor: Vendor
    source: str
    symbol: str
    day: dt.date
    files: Sequence[DayPath]
    first_ns: int


def measure_day(files: DayFiles, *, sample_ns: int | None = None, advance: Advance = lambda rows: None) -> DayFigures:
    """What is in a day's files.

    Args:
        files: The day.
        sample_ns: Look at so much from the first message on; None: at all.
        advance: Told how many rows were read.

    Raises:
        FormatDrift: A file cannot be read, or lacks a column that it needs.
    """
    grid = DayGrid.of(files.day)
    book = BookRange(grid)
    until = None if sample_ns is None else files.first_ns + sample_ns
    found: dict[Role, TableFigures] = {}
    for role in ORDER:
        for table in files.vendor.tables_of(role):
            if given := [(file.name, file.path) for file in files.files if file.table == table.name]:
                found[role] = measure_table(table, given, grid, book, until_ns=until, advance=advance)
    agreement, why = _agreement(files, grid, until) if "deltas" in found else (None, "")
    return DayFigures(
        vendor=files.vendor.name,
        source=files.source,
        symbol=files.symbol,
        day=files.day,
        sample_ns=sample_ns,
        tables=found,
        agreement=agreement,
        not_replayed=why,
        cost=estimate_cost(found),
    )


def _agreement(files: DayFiles, grid: DayGrid, until_ns: int | None) -> tuple[AgreementFigures | None, str]:
    """What the replay says of the deltas, or why there is none."""
    book = [file for file in files.files if files.vendor.table(file.table).role != "trades"]
    try:
        return measure_agreement(book, files.vendor, grid, until_ns=until_ns), ""
    except (FormatDrift, ReplayRefused) as exc:
        return None, str(exc).rstrip(".")
