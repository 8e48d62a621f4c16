"""What a job says at its end: one row for each stream, and an exit code."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["done", "planned", "nothing", "other writer", "stopped", "failed"]
DONE, FAILED, DONE_WITH_GAPS, STOPPED = 0, 1, 3, 130


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one stream.

    Attributes:
        source, symbol: The stream; `symbol` is "all" for lists of products.
        state: "nothing": there was nothing to ask for. "other writer": another process writes the stream; it goes on.
        pages: Answers kept (planned ones, where it was a plan and they can be told).
        trades: Rows on them, repetitions included.
        since, until: Event times that were asked for; None where that is open or does not apply.
        cold: Whether the stream began here: what lies before `since` was skipped.
        watermark: Event time up to which the stream is complete; None where it is complete nowhere.
        gaps: Holes that are left, of those asked for.
        out_of_reach: How many of them the venue no longer answers.
        absent: Runs that the venue itself does not have; they are SUSPECT, not counted as gaps.
        seconds: Time taken.
        reason: Why it failed, or what to know about it.
    """

    source: str
    symbol: str
    state: State
    pages: int | None = 0
    trades: int = 0
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    cold: bool = False
    watermark: dt.datetime | None = None
    gaps: int = 0
    out_of_reach: int = 0
    absent: int = 0
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The outcomes of a job, in the order in which the streams were given.

    Attributes:
        job: "ingest", "backfill", "repair", "instruments" or "candles".
        rows: One outcome for each stream.
        seconds: Time taken by all.
        stopped: Whether it was interrupted; what was fetched until then is sealed.
    """

    job: str
    rows: tuple[Outcome, ...]
    seconds: float = 0.0
    stopped: bool = False

    @property
    def exit_code(self) -> int:
        """0 done, 1 a stream failed, 3 done with gaps, 130 interrupted."""
        if self.stopped:
            return STOPPED
        if any(row.state == "failed" for row in self.rows):
            return FAILED
        return DONE_WITH_GAPS if any(row.gaps and row.state != "other writer" for row in self.rows) else DONE

    @property
    def summary(self) -> str:
        """The report in a few lines for people."""
        pages, trades = sum(row.pages or 0 for row in self.rows), sum(row.trades for row in self.rows)
        if planned := sum(row.state == "planned" for row in self.rows):
            told = f"{planned} of {len(self.rows)} streams planned, nothing asked for and nothing written"
        else:
            done = sum(row.state in ("done", "nothing") for row in self.rows)
            told = f"{done} of {len(self.rows)} streams done, {pages} pages, {trades} rows, {self.seconds:.1f} s"
        lines = [f"{self.job}: {told}"]
        if self.stopped:
            lines.append("stopped; what was fetched is sealed, run the same command again to go on")
        lines += [f"{row.source} {row.symbol}: {text}" for row in self.rows if (text := _remark(row))]
        return "\n".join(lines)


def _remark(row: Outcome) -> str:
    told = []
    if row.cold and row.since:
        told.append(f"cold start at {row.since:%Y-%m-%d %H:%M:%S} UTC, nothing before it was asked for")
    if row.gaps:
        told.append(f"{row.gaps} gaps left, {row.out_of_reach} of them out of the venue's reach")
    if row.absent:
        told.append(f"{row.absent} runs that the venue itself does not have")
    if row.reason:
        told.append(row.reason)
    return "; ".join(told)


def utc(ns: int | None) -> dt.datetime | None:
    """The time of a count of ns since 1970; None for None, 0 and anything below."""
    return dt.datetime.fromtimestamp(ns / 1e9, dt.UTC) if ns and ns > 0 else None


def to_ns(time: dt.datetime | int) -> int:
    """Ns since 1970 of a time with zone, exact to the microsecond.

    Raises:
        ValueError: It has no zone.
    """
    if isinstance(time, int):
        return time
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone")
    return (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 1_000


def merged(job: str, reports: Sequence[Report]) -> Report:
    """Several reports as one."""
    rows = tuple(row for report in reports for row in report.rows)
    return Report(job, rows, sum(report.seconds for report in reports), any(report.stopped for report in reports))
