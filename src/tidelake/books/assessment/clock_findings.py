"""Findings on clocks: event times that say nothing, offsets, shifts, and tables that do not keep the same time."""

from collections.abc import Iterator
from itertools import pairwise

from tidelake.books.assessment.clocks import ClockJump
from tidelake.books.assessment.day_grid import clock_text, length_text
from tidelake.books.assessment.figures import DayFigures, TableFigures
from tidelake.books.assessment.findings import Finding, percent, times
from tidelake.books.reconstruction.clock_order import AHEAD_NS

USABLE_ENOUGH = 0.999  # of event times: fewer, and a merge by them puts events in a wrong place
EARLY_SHARE = 0.001  # of messages received before they were sent: some come of clocks that are set
LATE_NS = 5_000_000_000  # no message is on the way so long; one of the clocks is wrong
APART_NS = 1_000_000_000  # between tables of one recorder, which go the same way
FAR_APART_NS = 10_000_000_000
SLOPE_MS = 50.0  # an hour: a clock that nobody sets drifts by so much (14 ppm)
SAME_JUMP_NS = 60_000_000_000  # two tables whose jumps are so near have the same one
SAME_SIZE = 0.2  # of the larger of two jumps
CLEARLY = 1.5  # times as far
RECEIVE, EVENT, EITHER = "receive clock", "event time", "receive clock or event time"


def clock_findings(day: DayFigures) -> Iterator[Finding]:
    """What the clocks of all tables say."""
    for table in day.tables.values():
        yield from _event_times(table)
        yield from _offset(table)
        yield from _drift(table)
        yield from _receive_clocks(table)
        yield from _behind(table)
    yield from _jumps(day)
    yield from _apart(day)


def _event_times(table: TableFigures) -> Iterator[Finding]:
    clocks, name = table.clocks, "event times"
    kinds = {
        "empty": clocks.null,
        "zero": clocks.zero,
        "-1": clocks.minus_one,
        "before 2009": clocks.before_2009,
        "of an earlier day": clocks.before_day,
        "of a later day": clocks.after_day,
    }
    bad = {what: count for what, count in kinds.items() if count}
    told = ", ".join(f"{count:,} {what}" for what, count in bad.items())
    if not clocks.messages:
        return
    if not clocks.usable:
        do = "Order by the receive clock; latency cannot be measured, and origin_time_sort cannot be used."
        yield Finding("note", name, table.table, f"No message has an event time that can be: {told}.", do, bad)
    elif bad:
        severe = clocks.usable_share < USABLE_ENOUGH
        yield Finding(
            "warning" if severe else "note",
            name,
            table.table,
            f"{percent(clocks.messages - clocks.usable, clocks.messages)} of {clocks.messages:,} messages have an "
            f"event time that says nothing: {told}.",
            "Do not sort by event time where it is missing; the replay takes the receive clock instead.",
            bad,
        )
    elif clocks.equal_received == clocks.usable:
        yield Finding(
            "note",
            name,
            table.table,
            "Every event time equals the receive clock: the exchange tells none, and the vendor filled in its own.",
            "Do not take it for the exchange's time: there is no latency in this file.",
        )
    else:
        yield Finding("fine", name, table.table, f"All {clocks.messages:,} messages have an event time that can be.")


def _offset(table: TableFigures) -> Iterator[Finding]:
    clocks, name = table.clocks, "clock offset"
    if not clocks.usable or clocks.latency_p50_ms is None or clocks.latency_least_ms is None:
        return
    p50, least = clocks.latency_p50_ms * 1e6, clocks.latency_least_ms * 1e6
    figures = {"p1_ms": clocks.latency_p1_ms, "p50_ms": clocks.latency_p50_ms, "p99_ms": clocks.latency_p99_ms}
    early = f"{percent(clocks.after_received, clocks.usable)} of messages were received before the exchange sent them"
    if p50 < 0:
        sentence = f"{early}, by {length_text(-p50)} in the middle: the recorder's clock is behind the exchange's."
        do = "Latencies of this day mean nothing as they are. Order within one table stands."
        yield Finding("warning", name, table.table, sentence, do, figures)
    elif p50 > LATE_NS:
        sentence = (
            f"Messages arrive {length_text(p50)} after their event in the middle: one of the two clocks is wrong."
        )
        yield Finding("warning", name, table.table, sentence, "Do not take the difference for latency.", figures)
    elif clocks.after_received > EARLY_SHARE * clocks.usable:
        sentence = f"{early}, by up to {length_text(-least)}: one of the two clocks was set or is unsteady."
        do = "Do not take small latencies for true ones."
        yield Finding("warning", name, table.table, sentence, do, figures)
    else:
        told = f"Messages arrive {length_text(p50)} after their event in the middle"
        p99 = f", {length_text((clocks.latency_p99_ms or 0) * 1e6)} at most in 99 of 100 cases."
        yield Finding("fine", name, table.table, told + p99, "", figures)


def _drift(table: TableFigures) -> Iterator[Finding]:
    slope = table.clocks.slope_ms_per_hour
    if slope is not None and abs(slope) > SLOPE_MS:
        yield Finding(
            "warning",
            "clock drift",
            table.table,
            f"The receive clock runs {'away from' if slope > 0 else 'towards and past'} the event time by "
            f"{abs(slope):,.0f} ms an hour: a clock that nobody sets.",
            "Compare latencies of neighbouring minutes only.",
            {"ms_per_hour": slope},
        )


def _receive_clocks(table: TableFigures) -> Iterator[Finding]:
    clocks, name = table.clocks, "receive clock"
    if clocks.recv_null:
        sentence = f"{clocks.recv_null:,} messages have no receive clock: they have no place in time."
        yield Finding("serious", name, table.table, sentence, "Get the file again, or leave the day out.")
    if clocks.recv_backwards:
        yield Finding(
            "warning",
            name,
            table.table,
            f"The receive clock goes back {times(clocks.recv_backwards)} from one row to the next: rows are out of "
            "order or doubled, or the clock was set.",
            "The replay orders each table by its own numbers first; see the findings on sequences.",
            {"backwards": clocks.recv_backwards},
        )
    if clocks.recv_outside_day:
        yield Finding(
            "warning",
            name,
            table.table,
            f"{clocks.recv_outside_day:,} messages were received on another day by their clock.",
            "Assess the neighbouring days too: the clock may be shifted, or the file is another day's.",
            {"outside_day": clocks.recv_outside_day},
        )
    if not (clocks.recv_null or clocks.recv_backwards or clocks.recv_outside_day):
        yield Finding("fine", name, table.table, "The receive clock is there, of this day, and never goes back.")


def _behind(table: TableFigures) -> Iterator[Finding]:
    """The replay refuses these; where numbers put rows in another order than the file's, that alone can say it."""
    counts = {RECEIVE: table.clocks.recv_behind, EVENT: table.clocks.event_behind}
    for clock, count in counts.items():
        if count and not table.sequences.out_of_order:
            yield Finding(
                "serious" if clock == RECEIVE else "warning",
                "clock ahead",
                table.table,
                f"The {clock} of {count:,} messages is more than {length_text(AHEAD_NS)} before that of a message "
                "above: one of them is wrong.",
                "A replay by this clock refuses the day; take the other clock, or get the file again.",
                {"clock": clock, "behind": count},
            )


def _jumps(day: DayFigures) -> Iterator[Finding]:
    for table in day.tables.values():
        for jump in table.clocks.jumps:
            alone = is_alone(day, table, jump)
            whose = "in this table alone" if alone else "in other tables too"
            yield Finding(
                "serious" if alone else "warning",
                "shifted clock",
                table.table,
                f"From {clock_text(jump.at_ns)} UTC on the receive clock less the event time is "
                f"{length_text(abs(jump.by_ns))} {'more' if jump.by_ns > 0 else 'less'} than before, {whose}: "
                f"its {jumped_clock(table, jump)} was set.",
                "Do not merge this table with others by that clock across this time."
                if alone
                else "Do not compare latencies before and after it.",
                {"at": clock_text(jump.at_ns), "by_ms": jump.by_ns / 1e6, "alone": alone},
            )


def is_alone(day: DayFigures, table: TableFigures, jump: ClockJump) -> bool:
    """Whether other tables have event times, and none of them the same jump."""
    others = [other for other in day.tables.values() if other is not table and other.clocks.usable]
    return bool(others) and not any(_has(other, jump) for other in others)


def jumped_clock(table: TableFigures, jump: ClockJump) -> str:
    """RECEIVE where the receive clock has a hole as long as the jump, or goes back; else EVENT."""
    silences = table.coverage.silences
    hole = any(
        abs(each.last_ns - jump.at_ns) <= SAME_JUMP_NS and each.length_ns >= (1 - SAME_SIZE) * jump.by_ns
        for each in silences
    )
    if (jump.by_ns > 0 and hole) or (jump.by_ns < 0 and table.clocks.recv_backwards):
        return RECEIVE
    return EVENT if abs(jump.by_ns) > table.coverage.limit_ns else EITHER


def _has(table: TableFigures, jump: ClockJump) -> bool:
    return any(
        abs(other.at_ns - jump.at_ns) <= SAME_JUMP_NS
        and abs(other.by_ns - jump.by_ns) <= SAME_SIZE * max(abs(other.by_ns), abs(jump.by_ns))
        for other in table.clocks.jumps
    )


def _apart(day: DayFigures) -> Iterator[Finding]:
    """Tables of one recorder have the same offset, as they come the same way."""
    told = [table for table in day.tables.values() if table.clocks.latency_p50_ms is not None]
    told.sort(key=lambda table: table.clocks.latency_p50_ms or 0.0)
    if len(told) < 2:
        return
    low, high = told[0], told[-1]
    apart = ((high.clocks.latency_p50_ms or 0.0) - (low.clocks.latency_p50_ms or 0.0)) * 1e6
    figures = {table.table: table.clocks.latency_p50_ms for table in told}
    if apart <= APART_NS:
        room = apart + 0.01 * abs(high.clocks.latency_p50_ms or 0.0) * 1e6  # as exact as the quantiles are
        sentence = f"The tables keep the same time: their offsets lie within {length_text(room)}."
        yield Finding("fine", "clocks of tables", "", sentence, "", figures)
        return
    odd = odd_table(told)
    clock = shifted_clock(odd, [each for each in told if each is not odd])
    yield Finding(
        "serious" if apart > FAR_APART_NS else "warning",
        "clocks of tables",
        odd.table,
        f"The offset of {odd.table} differs from that of the other tables by {length_text(apart)}: its {clock} "
        "looks shifted.",
        "Do not merge it with the others by that clock.",
        figures,
    )


def odd_table(tables: list[TableFigures]) -> TableFigures:
    """The one whose offset lies farthest from its neighbour's; of two, the one farther from zero."""
    offsets = [table.clocks.latency_p50_ms or 0.0 for table in tables]
    if len(tables) == 2:
        return max(tables, key=lambda table: abs(table.clocks.latency_p50_ms or 0.0))
    steps = [after - before for before, after in pairwise(offsets)]
    return tables[0] if steps[0] > steps[-1] else tables[-1]


def shifted_clock(table: TableFigures, others: list[TableFigures]) -> str:
    """The clock by which the ends of a table lie clearly farther from the others'; EITHER where they are alike.

    A table that is cut at midnight by a shifted clock looks the same whichever it is.
    """
    recv = [(each.coverage.first_ns or 0, each.coverage.last_ns or 0) for each in (table, *others)]
    event = [(each.clocks.first_event_ns or 0, each.clocks.last_event_ns or 0) for each in (table, *others)]
    by_recv, by_event = _ends_apart(recv), _ends_apart(event)
    if max(by_recv, by_event) < CLEARLY * min(by_recv, by_event):
        return EITHER
    return RECEIVE if by_recv > by_event else EVENT


def _ends_apart(ends: list[tuple[int, int]]) -> int:
    (first, last), others = ends[0], ends[1:]
    return min((abs(first - a) + abs(last - b) for a, b in others), default=0)
