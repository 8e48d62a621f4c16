"""Which way of reconstruction a day's files allow: the best one that nothing speaks against, and why not the others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tidelake.books.assessment.book_findings import AGREEMENT_FIT, FEW
from tidelake.books.assessment.clock_findings import (
    EVENT,
    FAR_APART_NS,
    RECEIVE,
    USABLE_ENOUGH,
    is_alone,
    jumped_clock,
    odd_table,
    shifted_clock,
)
from tidelake.books.assessment.day_grid import clock_text, length_text
from tidelake.books.assessment.figures import DayFigures, TableFigures
from tidelake.books.assessment.findings import percent

Strategy = Literal["full_event_replay", "snapshot_anchored", "origin_time_sort"]
PREFERENCE: tuple[Strategy, ...] = ("full_event_replay", "origin_time_sort", "snapshot_anchored")
BACKWARDS_MOST = 0.01  # of messages received before the one above: more, and the receive clock orders nothing
IN_ORDER_LEAST = 0.99  # of deltas' event times: they come in the order of the exchange, so its clock must too
SILENT_MOST = 0.25  # of the time covered: with more of it missing, deltas are for the rest a poor guide
BEST = {
    "full_event_replay": "deltas tell every event, and snapshots prove what they give",
    "origin_time_sort": "deltas tell every event, and only the exchange's clock orders the tables",
    "snapshot_anchored": "snapshots stand for themselves; what happened between two of them stays unknown",
}
NOTHING = "nothing here can be anchored"


@dataclass(frozen=True, slots=True)
class Choice:
    """The strategy of a day.

    Attributes:
        strategy: None where no strategy is possible.
        reason: Why this one.
        refused: What speaks against each of those that the files do not allow.
    """

    strategy: Strategy | None
    reason: str
    refused: Mapping[Strategy, str]


def choose(day: DayFigures) -> Choice:
    """The first strategy, in the order of `PREFERENCE`, that nothing speaks against."""
    against = {strategy: "; ".join(_against(strategy, day)) for strategy in PREFERENCE}
    refused = {strategy: why for strategy, why in against.items() if why}
    for strategy in PREFERENCE:
        if strategy not in refused:
            return Choice(strategy, BEST[strategy], refused)
    return Choice(None, NOTHING if not day.anchors else "no strategy fits these files", refused)


def _against(strategy: Strategy, day: DayFigures) -> Iterator[str]:
    if strategy == "snapshot_anchored":
        yield from _against_snapshots(day)
        return
    yield from _against_deltas(day)
    if strategy == "full_event_replay":
        yield from _against_receive_clocks(day)
    else:
        yield from _against_event_times(day)


def _against_snapshots(day: DayFigures) -> Iterator[str]:
    table = day.tables.get("snapshots")
    found = table.snapshots if table else None
    if found is None or not found.snapshots:
        yield "there are no snapshots"
        return
    bad = found.crossed + found.unsorted + found.not_positive
    if bad > FEW * found.snapshots:
        yield f"{percent(min(bad, found.snapshots), found.snapshots)} of the snapshots cannot be books"


def _against_deltas(day: DayFigures) -> Iterator[str]:
    deltas = day.tables.get("deltas")
    if deltas is None or not deltas.messages:
        yield "there are no deltas"
        return
    if not day.anchors:
        yield "there are no snapshots to begin with or to compare with"
    if deltas.sequences.kind == "unordered":
        yield "the numbers of the deltas do not order them"
    levels = deltas.levels
    if levels and levels.price_not_positive + levels.size_negative:
        yield f"{levels.price_not_positive + levels.size_negative:,} levels have no possible price or size"
    covered = (deltas.coverage.last_ns or 0) - (deltas.coverage.first_ns or 0)
    if deltas.coverage.silent_ns > SILENT_MOST * covered:
        yield f"deltas are silent for {percent(deltas.coverage.silent_ns, covered)} of the time they cover"
    if day.not_replayed:
        yield f"they cannot be replayed: {day.not_replayed}"
    share = day.agreement_while_told
    if share is not None and share < AGREEMENT_FIT:
        yield f"only {percent(share, 1)} of the snapshots agree with the replayed deltas, where there are any"


def _against_receive_clocks(day: DayFigures) -> Iterator[str]:
    for table in day.tables.values():
        clocks = table.clocks
        if clocks.recv_backwards > BACKWARDS_MOST * clocks.messages:
            part = percent(clocks.recv_backwards, clocks.messages)
            yield f"the receive clock of {table.table} goes back in {part} of its messages"
        if clocks.recv_behind and not table.sequences.out_of_order:
            yield f"the receive clock of {table.table} runs ahead of that of later messages"
    yield from _shifts(day, RECEIVE)


def _against_event_times(day: DayFigures) -> Iterator[str]:
    for table in day.tables.values():
        clocks = table.clocks
        if clocks.messages and clocks.usable_share < USABLE_ENOUGH:
            yield f"only {percent(clocks.usable, clocks.messages)} of {table.table} have an event time that can be"
        elif clocks.messages and clocks.equal_received == clocks.usable:
            yield f"the event times of {table.table} are copies of the receive clock"
        if table.role == "deltas" and clocks.in_order is not None and clocks.in_order < IN_ORDER_LEAST:
            yield f"event times of the deltas go back in {percent(1 - clocks.in_order, 1)} of the steps"
        if clocks.event_behind and not table.sequences.out_of_order:
            yield f"the event time of {table.table} runs ahead of that of later messages"
    yield from _shifts(day, EVENT)


def _shifts(day: DayFigures, clock: str) -> Iterator[str]:
    """Tables whose clock, this one, is not that of the others: all day, or from a time on."""
    told = _by_offset(day)
    if _apart(told) > FAR_APART_NS:
        odd = odd_table(told)
        if shifted_clock(odd, [each for each in told if each is not odd]) == clock:
            yield f"the {clock} of {odd.table} is {length_text(_apart(told))} from that of the other tables"
    for table in told:
        for jump in table.clocks.jumps:
            if abs(jump.by_ns) > FAR_APART_NS and is_alone(day, table, jump) and jumped_clock(table, jump) == clock:
                by, at = length_text(abs(jump.by_ns)), clock_text(jump.at_ns)
                yield f"the {clock} of {table.table} is set by {by} at {at} UTC"


def _by_offset(day: DayFigures) -> list[TableFigures]:
    told = [table for table in day.tables.values() if table.clocks.latency_p50_ms is not None]
    return sorted(told, key=lambda table: table.clocks.latency_p50_ms or 0.0)


def _apart(told: list[TableFigures]) -> float:
    """Ns between the least and the greatest offset of tables."""
    if len(told) < 2:
        return 0.0
    return ((told[-1].clocks.latency_p50_ms or 0.0) - (told[0].clocks.latency_p50_ms or 0.0)) * 1e6
