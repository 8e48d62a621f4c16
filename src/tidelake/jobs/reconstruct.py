"""Reconstruct days of books from a vendor's files: plan, run side by side, report."""

import datetime as dt
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import groupby

import msgspec

from tidelake.books.ready import ReadyFile, ready_files
from tidelake.books.reconstruction.day import files_of, reconstruct_day
from tidelake.books.reconstruction.partitions import Partition, partitions
from tidelake.books.reconstruction.task import DayReport, DayTask, PlannedDay, Strategy, plan_of
from tidelake.books.reconstruction.write_ahead import lane_of
from tidelake.errors import FormatDrift, NotInLake, TidelakeError
from tidelake.jobs.assess import assess_day
from tidelake.jobs.reconstruct_report import ReconstructedDay, ReconstructReport, failed, reported, unready
from tidelake.raw.store import Store
from tidelake.vendors.registry import vendor as find_vendor

NO_BOOK = "neither deltas nor snapshots are ready"
Progress = Callable[[int, int | None, str], None]
"""Called with the days done, the days there are, and the day that was done."""


@dataclass(frozen=True)
class ReconstructSettings:
    """How days are reconstructed.

    Attributes:
        levels, every_ns, model_consumption: As `DayTask` has them.
        workers: Days at once, each in a process of its own; 1 works in this one.
        progress: Called after each day.
    """

    levels: int = 20
    every_ns: int = 100_000_000
    model_consumption: bool = False
    workers: int = 1
    progress: Progress | None = None


def plan_days(
    store: Store,
    *,
    vendor: str | None = None,
    source: str | None = None,
    symbol: str | None = None,
    start: dt.date | None = None,
    end: dt.date | None = None,
    strategy: Strategy | None = None,
) -> list[PlannedDay]:
    """Every day of each book of which files are ready, and the days between them, or asked for, that have none.

    Args:
        start: First day; default: the first that is ready, of each book.
        end: Day after the last; default: after the last that is ready.
        strategy: None: as the assessment of each day recommends, for which its files are read.

    Raises:
        NotInLake: Nothing of all that is ready; `available` lists what is.
    """
    everything = ready_files(store, vendor=vendor, source=source, symbol=symbol)
    if not everything:
        known = tuple(sorted({f"{f.vendor} {f.source} {f.symbol}" for f in ready_files(store)}))
        raise NotInLake(
            f"no files are ready as asked; ready are {', '.join(known) or 'none'}. `tidelake books acquire` gets them",
            available=known,
        )
    planned = []
    for (of_vendor, of_source, of_symbol), files in groupby(everything, lambda f: (f.vendor, f.source, f.symbol)):
        by_day = {day: list(found) for day, found in groupby(files, lambda f: f.day)}
        days = _days(start or min(by_day), end or max(by_day) + dt.timedelta(days=1))
        planned += [
            _planned(store, of_vendor, of_source, of_symbol, day, by_day.get(day, []), strategy) for day in days
        ]
    if not planned:
        ready = [file.day for file in everything]
        raise NotInLake(
            f"no day from {start or min(ready)} up to {end or 'the last'}, exclusive, is ready; ready are days of "
            f"{min(ready)} to {max(ready)}"
        )
    return planned


def _days(first: dt.date, end: dt.date) -> Iterator[dt.date]:
    for number in range((end - first).days):
        yield first + dt.timedelta(days=number)


def _planned(
    store: Store,
    vendor: str,
    source: str,
    symbol: str,
    day: dt.date,
    files: Sequence[ReadyFile],
    named: Strategy | None,
) -> PlannedDay:
    chosen, why = choose_strategy(store, files) if named is None or not files else (named, "named")
    tables = ", ".join(sorted({file.table for file in files}))
    size = sum(file.bytes for file in files)
    return PlannedDay(vendor, source, symbol, day, chosen, why, tables=tables, files=len(files), bytes=size)


def choose_strategy(store: Store, files: Sequence[ReadyFile]) -> tuple[Strategy | None, str]:
    """The strategy that the assessment of a day's files recommends, and why; None where it finds none.

    Where there are no deltas there is no choice, and the files are not read.
    """
    if not files:
        return None, "no file is ready"
    of = find_vendor(files[0].vendor)
    if "deltas" not in {of.table(file.table).role for file in files}:
        has_snapshots = any(of.table(file.table).role == "snapshots" for file in files)
        return ("snapshot_anchored", "snapshots are there, deltas are not") if has_snapshots else (None, NO_BOOK)
    try:
        choice = assess_day(store, files).choice
    except FormatDrift as exc:
        return None, f"the files cannot be read: {exc}"
    return choice.strategy, choice.reason


def with_what_stands(store: Store, planned: Sequence[PlannedDay], settings: ReconstructSettings) -> list[PlannedDay]:
    """The plan, saying of each day what the table holds of it; reads no vendor file."""
    held = {each.lane: each for each in partitions(store)}
    return [_with_what_stands(store, day, settings, held) for day in planned]


def _with_what_stands(
    store: Store, day: PlannedDay, settings: ReconstructSettings, held: Mapping[str, Partition]
) -> PlannedDay:
    if day.strategy is None:
        return day
    task = _task(store, day, settings)
    if (found := held.get(lane_of(task))) is None:
        return day
    if found.plan != plan_of(task, files_of(store, task)):
        return msgspec.structs.replace(day, stands="otherwise")
    return msgspec.structs.replace(day, stands="done" if found.finished else "begun")


def reconstruct(store: Store, planned: Sequence[PlannedDay], settings: ReconstructSettings) -> ReconstructReport:
    """Reconstruct the days of a plan; run it again after a kill, and it goes on where it was.

    A day that fails leaves the others alone; so does one of which nothing is ready. Ctrl-C ends it after the days in
    hand where there are workers, else at once; what was committed stays.
    """
    started = time.perf_counter()
    tasks = {day: _task(store, day, settings) for day in planned if day.strategy}
    found: dict[PlannedDay, ReconstructedDay] = {day: unready(day) for day in planned if not day.strategy}
    outcomes = _in_turn(tasks) if settings.workers == 1 else _side_by_side(tasks, settings.workers)
    for count, (day, outcome) in enumerate(outcomes, 1):
        found[day] = failed(day, outcome) if isinstance(outcome, str) else reported(day, outcome)
        if settings.progress:
            settings.progress(count, len(tasks), f"{day.source} {day.symbol} {day.day}")
    rows = tuple(found[day] for day in planned)
    return ReconstructReport(rows, time.perf_counter() - started)


def _task(store: Store, day: PlannedDay, settings: ReconstructSettings) -> DayTask:
    assert day.strategy is not None
    return DayTask(
        store.url,
        day.vendor,
        day.source,
        day.symbol,
        day.day,
        day.strategy,
        settings.levels,
        settings.every_ns,
        settings.model_consumption and day.strategy == "snapshot_anchored",  # no other plan depends on it
    )


def attempt(task: DayTask) -> DayReport | str:
    """The report of a day, or why there is none: our errors carry fields that do not pass between processes."""
    try:
        return reconstruct_day(task)
    except TidelakeError as exc:
        return f"{type(exc).__name__}: {exc}"


def _in_turn(tasks: dict[PlannedDay, DayTask]) -> Iterator[tuple[PlannedDay, DayReport | str]]:
    for day, task in tasks.items():
        yield day, attempt(task)


def _side_by_side(tasks: dict[PlannedDay, DayTask], workers: int) -> Iterator[tuple[PlannedDay, DayReport | str]]:
    """In new processes, which share nothing with this one: what is imported here does not survive a fork."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, max(len(tasks), 1)), mp_context=spawned) as pool:
        running: dict[Future[DayReport | str], PlannedDay] = {
            pool.submit(attempt, task): day for day, task in tasks.items()
        }
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)
