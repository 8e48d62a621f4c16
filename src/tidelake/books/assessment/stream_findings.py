"""Findings on what is there: tables, silences, numbers that are missing, doubled or out of order."""

from collections.abc import Iterator

from tidelake.books.assessment.coverage import Silence
from tidelake.books.assessment.day_grid import DAY_NS, MINUTE_NS, DayGrid, clock_text, length_text
from tidelake.books.assessment.figures import DayFigures, TableFigures
from tidelake.books.assessment.findings import Finding, Severity, percent, times

LONG_SILENCE_NS = 10 * MINUTE_NS
MISSING_SHARE = 0.001  # of a day's numbers: more, and the book is not known for a good part of the day
OVERLAP = 0.9  # of a silence in which another table is silent too
ROLES = {
    "deltas": ("serious", "There are no deltas, so no event between two snapshots is known.", "Use snapshot_anchored."),
    "snapshots": ("serious", "There are no snapshots.", "Acquire them: what deltas give is proven by snapshots alone."),
    "trades": ("warning", "There are no trades.", "Acquire them if the study needs them; the book does not."),
}


def stream_findings(day: DayFigures) -> Iterator[Finding]:
    """What is there and what is missing of all tables."""
    yield from _tables(day)
    for table in day.tables.values():
        if table.messages:
            yield from _edges(day, table)
            yield from _silences(day, table)
            yield from _order(table)
            yield from _gaps(table)


def _tables(day: DayFigures) -> Iterator[Finding]:
    for role, (severity, sentence, do) in ROLES.items():
        table = day.tables.get(role)  # type: ignore[call-overload]
        if table is None or not table.messages:
            told: Severity = "serious" if severity == "serious" else "warning"
            if role == "snapshots" and day.anchors:
                told, sentence = "note", "There are no snapshots, but the deltas hold whole books, which anchor them."
            yield Finding(told, f"no {role}", table.table if table else "", sentence, do)


def _edges(day: DayFigures, table: TableFigures) -> Iterator[Finding]:
    first, last = table.coverage.first_ns, table.coverage.last_ns
    if first is None or last is None or day.sample_ns is not None:
        return
    grid, limit = DayGrid.of(day.day), table.coverage.limit_ns
    late, early = first - grid.start_ns > limit, grid.end_ns - last > limit
    if not (late or early):
        yield Finding("fine", "whole day", table.table, "Messages from the beginning of the day to its end.")
        return
    yield Finding(
        "warning",
        "whole day",
        table.table,
        f"The file covers {clock_text(first)} to {clock_text(last)} UTC only, "
        f"{percent(last - first, DAY_NS)} of the day.",
        "If this is not a recording of a part on purpose, get the file again.",
        {"first": clock_text(first), "last": clock_text(last)},
    )


def _silences(day: DayFigures, table: TableFigures) -> Iterator[Finding]:
    coverage = table.coverage
    if not coverage.silences:
        most = length_text((coverage.spacing_longest_ms or 0) * 1e6)
        yield Finding("fine", "silence", table.table, f"No hole: the longest time without a message is {most}.")
    for silence in coverage.silences:
        others = [other for other in day.tables.values() if other is not table]
        quiet = [other.table for other in others if _silent_too(other, silence)]
        why = "the other tables go on, so this one lacks it"
        if others and len(quiet) == len(others):
            why = "all tables are silent: the recorder or the exchange was away"
        elif quiet:
            why = f"{', '.join(quiet)} is silent too"
        severe = silence.length_ns >= LONG_SILENCE_NS and table.role != "trades"
        yield Finding(
            "serious" if severe else "warning",
            "silence",
            table.table,
            f"Nothing from {clock_text(silence.first_ns)} to {clock_text(silence.last_ns)} UTC "
            f"({length_text(silence.length_ns)})" + (f"; {why}." if others else "."),
            "Get the file again; if the hole stays, leave this time out of studies.",
            {"first": clock_text(silence.first_ns), "last": clock_text(silence.last_ns), "silent_too": quiet},
        )


def _silent_too(table: TableFigures, silence: Silence) -> bool:
    shared = sum(
        max(0, min(silence.last_ns, each.last_ns) - max(silence.first_ns, each.first_ns))
        for each in table.coverage.silences
    )
    return shared >= OVERLAP * silence.length_ns


def _order(table: TableFigures) -> Iterator[Finding]:
    numbers, what = table.sequences, "trades" if table.role == "trades" else "messages"
    if numbers.repeated:
        yield Finding(
            "warning",
            "repeated numbers",
            table.table,
            f"{numbers.repeated:,} {what} ({percent(numbers.repeated, table.messages)}) have a number that came "
            "before: they are doubled.",
            "The replay drops exact repeats and counts them; a sum over this file counts them twice.",
            {"repeated": numbers.repeated},
        )
    if numbers.kind == "unordered" or numbers.out_of_order:
        severe = numbers.kind == "unordered" and table.role == "deltas"
        yield Finding(
            "serious" if severe else "warning",
            "numbers out of order",
            table.table,
            f"Numbers of {what} go back {times(numbers.out_of_order)}.",
            "The replay sorts by them first; a reader that takes rows as they come gets a wrong book.",
            {"out_of_order": numbers.out_of_order},
        )


def _gaps(table: TableFigures) -> Iterator[Finding]:
    numbers, name, what = table.sequences, "missing numbers", "trades" if table.role == "trades" else "messages"
    if numbers.kind == "consecutive" and numbers.gaps:
        severe = numbers.missing > MISSING_SHARE * (numbers.numbered + numbers.missing) and table.role == "deltas"
        gap, places = numbers.first_gaps[0], "place" if numbers.gaps == 1 else "places"
        yield Finding(
            "serious" if severe else "warning",
            name,
            table.table,
            f"{numbers.missing:,} {what} are missing in {numbers.gaps:,} {places} by their numbers, which otherwise "
            f"count one by one; the first after number {gap.after} at {clock_text(gap.at_ns)} UTC.",
            "The book is INVALID from each such place to the next snapshot."
            if table.role == "deltas"
            else "Sums over this day are too small by them.",
            {"missing": numbers.missing, "gaps": numbers.gaps, "longest_step": numbers.longest_step},
        )
    elif numbers.kind == "consecutive":
        sentence = f"The numbers of {numbers.numbered:,} {what} follow one another: none is missing."
        yield Finding("fine", name, table.table, sentence)
    elif table.role == "snapshots":
        return
    elif numbers.kind == "increasing":
        sentence = f"Numbers of {what} grow by {numbers.mean_step or 0:,.1f} on average: they order, and prove nothing."
        yield Finding("note", name, table.table, sentence, "Rely on snapshots to find out what is missing.")
    elif numbers.kind == "none":
        sentence = f"Nothing numbers the {what}: a missing one does not show by itself."
        yield Finding("note", name, table.table, sentence, "Rely on snapshots to find out what is missing.")
