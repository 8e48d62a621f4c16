"""What a reconstruction says at its end: one row for each day."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tidelake.books.reconstruction.task import DayReport, PlannedDay
from tidelake.books.states import STATES
from tidelake.jobs.report import DONE, DONE_WITH_GAPS, FAILED


@dataclass(frozen=True, slots=True)
class ReconstructedDay:
    """What became of a day of a book.

    Attributes:
        state: "nothing new": an earlier run had done it. "not ready": no file is ready, or none to begin a book with.
        rows: Rows that the table holds of it; `new_rows` of them were committed by this run.
        events, levels, trades: Of the vendor's files, and levels that they told.
        repeats: Exact repeats of a message or trade, left out.
        breaks: Places at which messages are proven to be missing.
        snapshots, agreed, drifted: Snapshots, those that the book agreed with, and those that it differed from.
        drift_prices, drift_sizes: Levels that differed, of `compared_levels`.
        drift_best_rms: Root mean square of what best bid and best ask differed by, in ticks, where they did.
        valid, suspect, invalid, unprovable: Share of the time from the first event to the last.
        valid_events: Share of the events after which the book is VALID.
        seconds, cpu_seconds: Wall time and CPU time of this run.
        levels_per_s: Levels for each second of CPU time; None where nothing was done.
        reason: Why this strategy, or why there is nothing.
    """

    vendor: str
    source: str
    symbol: str
    day: dt.date
    strategy: str
    state: Literal["done", "nothing new", "not ready", "failed"]
    rows: int = 0
    new_rows: int = 0
    events: int = 0
    levels: int = 0
    trades: int = 0
    repeats: int = 0
    breaks: int = 0
    snapshots: int = 0
    agreed: int = 0
    drifted: int = 0
    compared_levels: int = 0
    drift_prices: int = 0
    drift_sizes: int = 0
    drift_best_rms: float | None = None
    valid: float | None = None
    suspect: float | None = None
    invalid: float | None = None
    unprovable: float | None = None
    valid_events: float | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    levels_per_s: int | None = None
    reason: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing or differs that could be there and agree."""
        differs = self.drifted and self.strategy != "snapshot_anchored"  # between snapshots nothing is told there
        return self.state in ("done", "nothing new") and not self.breaks and not differs


@dataclass(frozen=True, slots=True)
class ReconstructReport:
    """The days in the order of the plan."""

    rows: Sequence[ReconstructedDay]
    seconds: float

    @property
    def exit_code(self) -> int:
        """0 done, 1 a day failed, 3 done with days missing, breaks or drift."""
        if any(row.state == "failed" for row in self.rows):
            return FAILED
        return DONE if all(row.is_whole for row in self.rows) else DONE_WITH_GAPS

    @property
    def summary(self) -> str:
        """The report in a few lines for people."""
        count = {state: sum(row.state == state for row in self.rows) for state in ("done", "nothing new", "failed")}
        new = sum(row.new_rows for row in self.rows)
        days = f"{count['done']} days done, {count['nothing new']} with nothing new, {count['failed']} failed"
        lines = [f"books reconstruct: {days}, {new:,} rows in {self.seconds:.1f} s"]
        lines += [f"{_name(row)}: {row.reason}" for row in self.rows if row.state in ("failed", "not ready")]
        lines += [f"{_name(row)}: {_doubt(row)}" for row in self.rows if row.state != "failed" and not row.is_whole]
        return "\n".join(line for line in lines if not line.endswith(": "))


def _name(row: ReconstructedDay) -> str:
    return f"{row.vendor} {row.source} {row.symbol} {row.day}"


def _doubt(row: ReconstructedDay) -> str:
    told = [f"{row.breaks} breaks"] if row.breaks else []
    told += [f"{row.drifted} of {row.snapshots} snapshots differ from the book"] if row.drifted else []
    return ", ".join(told)


def unready(day: PlannedDay) -> ReconstructedDay:
    """A day of which nothing is ready."""
    return ReconstructedDay(day.vendor, day.source, day.symbol, day.day, "", "not ready", reason=day.why)


def failed(day: PlannedDay, why: str) -> ReconstructedDay:
    """A day that failed; what was committed of it stays."""
    return ReconstructedDay(day.vendor, day.source, day.symbol, day.day, day.strategy or "", "failed", reason=why)


def reported(day: PlannedDay, report: DayReport) -> ReconstructedDay:
    """A day that is done."""
    figures = report.figures
    time_in = {state: sum(each.ns for each in report.states if each.state == state) for state in STATES}
    events_in = {state: sum(each.events for each in report.states if each.state == state) for state in STATES}
    time_of, events_of = sum(time_in.values()), sum(events_in.values())
    part = {state: round(ns / time_of, 6) if time_of else None for state, ns in time_in.items()}
    return ReconstructedDay(
        day.vendor,
        day.source,
        day.symbol,
        day.day,
        report.task.strategy,
        "done" if report.new_rows or report.resumed_at < report.rows else "nothing new",
        rows=report.rows,
        new_rows=report.new_rows,
        events=figures.events,
        levels=figures.levels,
        trades=figures.trades,
        repeats=figures.repeats,
        breaks=figures.breaks,
        snapshots=figures.snapshots,
        agreed=figures.agreed,
        drifted=figures.drifted,
        compared_levels=figures.compared_levels,
        drift_prices=figures.drift_prices,
        drift_sizes=figures.drift_sizes,
        drift_best_rms=figures.drift_best_rms,
        valid=part["VALID"],
        suspect=part["SUSPECT"],
        invalid=part["INVALID"],
        unprovable=part["UNPROVABLE"],
        valid_events=round(events_in["VALID"] / events_of, 6) if events_of else None,
        seconds=round(report.seconds, 3),
        cpu_seconds=round(report.cpu_seconds, 3),
        levels_per_s=round(figures.levels / report.cpu_seconds) if report.new_rows and report.cpu_seconds else None,
        reason=day.why,
    )
