"""`books assess`: what ready files of a vendor are worth, day by day."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from tidelake.books.assessment.assessment import DayAssessment, judge
from tidelake.books.assessment.day_measuring import DayFiles, DayPath, measure_day
from tidelake.books.ready import ReadyFile, local_path, ready_files
from tidelake.errors import FormatDrift, NotInLake
from tidelake.jobs.report import DONE, DONE_WITH_GAPS
from tidelake.raw.store import Store
from tidelake.vendors.registry import vendor as vendor_named

Counted = Callable[[int], None]


class Advance(Protocol):
    """Told how many rows were read, of how many, and of which day."""

    def __call__(self, done: int, total: int | None = None, what: str = "") -> None: ...


def silent(done: int, total: int | None = None, what: str = "") -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which ready files are looked at; None: all. `start` is inclusive, `end` exclusive."""

    vendor: str | None = None
    source: str | None = None
    symbol: str | None = None
    start: dt.date | None = None
    end: dt.date | None = None


@dataclass(frozen=True, slots=True)
class PlannedDay:
    """A day that would be assessed: its tables, rows and bytes."""

    vendor: str
    source: str
    symbol: str
    day: dt.date
    tables: str
    files: int
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class AssessedDay:
    """The summary of a day.

    Attributes:
        worst: Severity of the severest finding.
        strategy: The recommended one; "none" where nothing can be reconstructed.
        serious, warnings, notes: Findings.
        rows: Of all files, as far as they were looked at.
        compared, agreeing: Snapshots laid beside the replayed deltas, and those that equal them.
        offset_ms: Receive clock less event time of the deltas (else of any table), in the middle.
        memory_mb, seconds: What a full replay is reckoned to take.
        reason: Why this strategy; where files could not be read, why.
    """

    vendor: str
    source: str
    symbol: str
    day: dt.date
    worst: str
    strategy: str
    serious: int
    warnings: int
    notes: int
    rows: int
    compared: int
    agreeing: int
    offset_ms: float | None
    memory_mb: float
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class AssessReport:
    """The assessments in order of vendor, source, symbol and day; `rows` also has the days that could not be read."""

    days: tuple[DayAssessment, ...]
    rows: tuple[AssessedDay, ...]

    @property
    def exit_code(self) -> int:
        """3 where a day is not fit for a full replay, or something serious was found."""
        fit = all(row.strategy == "full_event_replay" and row.worst != "serious" for row in self.rows)
        return DONE if fit else DONE_WITH_GAPS

    @property
    def summary(self) -> str:
        """The report in a few lines for people: what is serious, and how many days are fit."""
        lines = [
            f"{day.figures.source} {day.figures.symbol} {day.figures.day}: "
            f"{finding.table + ': ' if finding.table else ''}{finding.sentence}"
            for day in self.days
            for finding in day.findings
            if finding.severity == "serious"
        ]
        read = {(day.figures.source, day.figures.symbol, day.figures.day) for day in self.days}
        lines += [
            f"{row.source} {row.symbol} {row.day}: {row.reason}"
            for row in self.rows
            if (row.source, row.symbol, row.day) not in read
        ]
        fit = sum(day.fit for day in self.days)
        return "\n".join([*lines, f"{len(self.rows)} days assessed, {fit} fit for a full replay"])


def planned_days(store: Store, asked: Asked) -> list[PlannedDay]:
    """The days that would be assessed.

    Raises:
        NotInLake: No ready file is asked for; `available` lists what there is.
    """
    return [
        PlannedDay(
            *key,
            tables=", ".join(dict.fromkeys(file.table for file in files)),
            files=len(files),
            rows=sum(file.rows for file in files),
            bytes=sum(file.bytes for file in files),
        )
        for key, files in _days(store, asked)
    ]


def assess(store: Store, asked: Asked, *, sample_ns: int | None = None, progress: Advance = silent) -> AssessReport:
    """Assess every day that is asked for; a file that cannot be read spoils its day alone.

    Args:
        store: The lake's store.
        asked: Which files.
        sample_ns: Look at so much of each day from its first message on; None: at all.
        progress: Told the rows read.

    Raises:
        NotInLake: No ready file is asked for; `available` lists what there is.
    """
    days = _days(store, asked)
    total = sum(file.rows for _, files in days for file in files)
    done, found, rows = 0, [], []
    for key, files in days:
        counted = _counting(progress, done, total, f"{key[2]} {key[3]}")
        done += sum(file.rows for file in files)
        try:
            day = assess_day(store, files, sample_ns=sample_ns, advance=counted)
        except FormatDrift as exc:
            rows.append(_unreadable(key, exc))
            continue
        found.append(day)
        rows.append(_summary(day))
    return AssessReport(tuple(found), tuple(rows))


def assess_day(
    store: Store, files: Sequence[ReadyFile], *, sample_ns: int | None = None, advance: Counted = lambda rows: None
) -> DayAssessment:
    """The assessment of one day's ready files; its `choice` says how to reconstruct the day.

    Args:
        store: The lake's store.
        files: At least one; all of one vendor, source, symbol and day.
        sample_ns: Look at so much from the first message on; None: at all.
        advance: Told how many rows were read.

    Raises:
        FormatDrift: A file cannot be read, or lacks a column that it needs.
    """
    return judge(measure_day(_day_files(store, files), sample_ns=sample_ns, advance=advance))


Key = tuple[str, str, str, dt.date]


def _days(store: Store, asked: Asked) -> list[tuple[Key, list[ReadyFile]]]:
    files = ready_files(
        store, vendor=asked.vendor, source=asked.source, symbol=asked.symbol, start=asked.start, end=asked.end
    )
    if not files:
        known = sorted({f"{file.vendor} {file.source} {file.symbol} {file.day}" for file in ready_files(store)})
        told = f"ready are {len(known)} days, such as {', '.join(known[:3])}" if known else "nothing is ready"
        raise NotInLake(f"no ready file is asked for; {told}. `tidelake books acquire` gets them", available=known)
    grouped = groupby(files, key=lambda file: (file.vendor, file.source, file.symbol, file.day))
    return [(key, list(of_day)) for key, of_day in grouped]


def _day_files(store: Store, files: Sequence[ReadyFile]) -> DayFiles:
    first = files[0]
    paths = [DayPath(file.name, local_path(store, file), file.table, file.sha256) for file in files]
    begin = min(file.first_ns for file in files)
    return DayFiles(vendor_named(first.vendor), first.source, first.symbol, first.day, paths, begin)


def _counting(progress: Advance, before: int, total: int, what: str) -> Counted:
    done = before

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        progress(done, total, what)

    return advance


def _summary(day: DayAssessment) -> AssessedDay:
    figures, counts, agreement = day.figures, day.counts(), day.figures.agreement
    clocks = figures.tables["deltas" if "deltas" in figures.tables else next(iter(figures.tables))].clocks
    return AssessedDay(
        figures.vendor,
        figures.source,
        figures.symbol,
        figures.day,
        worst=day.severity,
        strategy=day.choice.strategy or "none",
        serious=counts["serious"],
        warnings=counts["warning"],
        notes=counts["note"],
        rows=sum(table.rows for table in figures.tables.values()),
        compared=agreement.compared if agreement else 0,
        agreeing=agreement.agreeing if agreement else 0,
        offset_ms=clocks.latency_p50_ms,
        memory_mb=round(figures.cost.memory_bytes / 2**20, 1),
        seconds=round(figures.cost.seconds, 1),
        reason=day.choice.reason,
    )


def _unreadable(key: Key, error: FormatDrift) -> AssessedDay:
    return AssessedDay(
        *key,
        worst="serious",
        strategy="none",
        serious=1,
        warnings=0,
        notes=0,
        rows=0,
        compared=0,
        agreeing=0,
        offset_ms=None,
        memory_mb=0.0,
        seconds=0.0,
        reason=str(error),
    )
