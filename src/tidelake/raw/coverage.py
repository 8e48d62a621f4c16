"""Coverage: which runs of a stream are in the lake, which holes lie in what was asked for, and how far it is complete.

Pure: ledger entries in, intervals out. A stream is (source, feed, symbol) on one axis: trade numbers, or event time
where the venue does not number. The claims of all lanes count together, so a hole that any of them fills is closed.
Nothing is said of time that nobody asked for, nor of what lies after the last run where the end was left open.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import msgspec

from tidelake.raw.entry import Axis, Claim, Entry, Note, Span

State = Literal["VALID", "SUSPECT", "GAP", "UNPROVABLE", "INVALID"]
CoverageAxis = Literal["trade_seq", "event_time", "recv_time"]  # a book's is the receive clock
HORIZON_NS = 1 << 63  # after every clock that fits an int64
_Range = tuple[int, int]  # first, and one past the last


class Interval(msgspec.Struct, frozen=True):
    """A closed interval of a stream, both ends included, and what is known of it.

    Attributes:
        first, last: On the axis. In a GAP of numbers 0 stands for an end that is not known.
        first_ns, last_ns: Event times, ns; in a GAP the times that what is missing lies between. `last_ns` 0: open.
        state: VALID proven complete, GAP missing, SUSPECT missing at the venue as well, UNPROVABLE present, and the
            venue offers nothing to prove completeness by; of a book see `books.states`, where INVALID is one more.
        rule: Why: "consecutive-ids", "unnumbered", "ids-missing", "time-missing", "start-not-reached",
            "end-not-reached", "absent-at-venue", "unreadable"; of a book what proved it, or the reason.
        out_of_reach: A GAP that the venue no longer answers.
        count: How many numbers lie in it, of a book how many messages; 0 where that is not known.
    """

    source: str
    feed: str
    symbol: str
    axis: CoverageAxis
    first: int
    last: int
    first_ns: int
    last_ns: int
    state: State
    rule: str
    out_of_reach: bool = False
    count: int = 0


class Period(msgspec.Struct, frozen=True):
    """Event times since_ns <= t < until_ns; `until_ns` 0: open end."""

    since_ns: int
    until_ns: int


class StreamCoverage(msgspec.Struct, frozen=True):
    """What is known of one stream.

    Attributes:
        intervals: Runs and holes, in order.
        watermark, watermark_ns: Last number (or event time) of the first run in the latest wanted period, and its event
            time. It never passes a hole: None where that run is not complete back to what was asked for.
        resume, resume_ns: The same, but passing holes that asking again cannot close (absent at the venue, out of
            reach, unreadable).
        messages: Rows seen, repetitions included; of a book its messages.
        gaps: GAP intervals, those out of reach included; of a book how often it was lost.
        gaps_per_million: GAP intervals per million messages; of a book falls per million updates.
        wanted: Periods that were asked for or recorded, merged, in order.
    """

    source: str
    feed: str
    symbol: str
    axis: CoverageAxis
    intervals: tuple[Interval, ...]
    watermark: int | None
    watermark_ns: int | None
    resume: int | None
    resume_ns: int | None
    messages: int
    gaps: int
    gaps_per_million: float
    wanted: tuple[Period, ...]


INTERVAL_COLUMNS = (
    "source", "feed", "symbol", "axis", "state", "rule", "first", "last", "first_ns", "last_ns", "count",
    "out_of_reach",
)  # fmt: skip


@dataclass(slots=True)
class _Run:
    first: int
    last: int
    first_ns: int
    last_ns: int
    from_ns: int  # complete back to here; before first_ns where the venue had nothing older
    to_ns: int = 0  # complete up to here, exclusive, where the venue had nothing newer; 0 where that is not known

    def missing_until(self, axis: Axis) -> int:
        """One past the last event time at which something right before the run may be missing."""
        if axis == "event_time" or self.from_ns < self.first_ns:
            return self.from_ns
        return self.first_ns + 1  # the trade before the first may have the same time


@dataclass(slots=True)
class _Hole:
    first: int | None  # None: not known
    last: int | None
    first_ns: int
    until_ns: int
    rule: str
    state: State = "GAP"
    out_of_reach: bool = False

    @property
    def closable(self) -> bool:
        return self.state == "GAP" and not self.out_of_reach and self.rule != "unreadable"


@dataclass(slots=True)
class _Heard:
    """From the first to the last that one lane heard of a stream: it is meant to have heard all between."""

    first: int
    last: int
    first_ns: int
    last_ns: int


@dataclass(slots=True)
class _Stream:
    axis: Axis
    spans: list[Span] = field(default_factory=list)
    asked: list[_Range] = field(default_factory=list)
    heard: dict[str, "_Heard"] = field(default_factory=dict)  # per lane that came by WebSocket
    notes: list[Note] = field(default_factory=list)
    messages: int = 0

    def add(self, lane: str, claim: Claim) -> None:
        self.messages += claim.count
        self.spans += claim.spans
        for note in claim.notes:
            if note.note == "wanted":
                self.asked.append((note.since_ns, note.until_ns or HORIZON_NS))
            else:
                self.notes.append(note)
        if claim.transport == "ws" and claim.spans:
            spans: list[Span | _Heard] = [*claim.spans]
            if lane in self.heard:
                spans.append(self.heard[lane])
            self.heard[lane] = _Heard(
                min(each.first for each in spans),
                max(each.last for each in spans),
                min(each.first_ns for each in spans),
                max(each.last_ns for each in spans),
            )


def coverage(entries: Iterable[Entry]) -> list[StreamCoverage]:
    """The coverage of every stream that the entries speak of, by source, feed, symbol and axis.

    Entries may come in any order and from any lanes.
    """
    streams: dict[tuple[str, str, str, Axis], _Stream] = {}
    for entry in entries:
        for claim in entry.claims:
            name = (entry.source, claim.feed, claim.symbol, claim.axis)
            streams.setdefault(name, _Stream(claim.axis)).add(entry.lane, claim)
    return [_cover(name, streams[name]) for name in sorted(streams)]


def holes(covered: StreamCoverage | Iterable[StreamCoverage]) -> list[Interval]:
    """The GAP intervals, those out of reach included, in order."""
    streams = (covered,) if isinstance(covered, StreamCoverage) else covered
    return [interval for stream in streams for interval in stream.intervals if interval.state == "GAP"]


def interval_rows(stream: StreamCoverage) -> Iterator[dict[str, str | int | bool]]:
    """The intervals of one stream as rows, in order."""
    for interval in stream.intervals:
        yield {name: getattr(interval, name) for name in INTERVAL_COLUMNS}


def _cover(name: tuple[str, str, str, Axis], stream: _Stream) -> StreamCoverage:
    wanted = _merged([*stream.asked, *((each.first_ns, each.last_ns + 1) for each in stream.heard.values())])
    runs = _runs(stream)
    before = [_marked(found, stream) for found in _holes_before(runs, stream)]
    intervals: list[Interval] = []
    for run, found in zip([*runs, None], before, strict=True):
        intervals += (_hole_interval(name, hole) for hole in found)
        if run is not None:
            intervals.append(_run_interval(name, run))
    start = _first_run(runs, wanted[-1]) if wanted else None
    if start is not None and any(hole.closable and hole.first_ns >= wanted[-1][0] for hole in before[start]):
        start = None
    end = None if start is None else runs[start]
    resume = None if start is None else runs[_passing(start, before, len(runs))]
    gaps = sum(interval.state == "GAP" for interval in intervals)
    return StreamCoverage(
        *name,
        intervals=tuple(intervals),
        watermark=None if end is None else end.last,
        watermark_ns=None if end is None else end.last_ns,
        resume=None if resume is None else resume.last,
        resume_ns=None if resume is None else resume.last_ns,
        messages=stream.messages,
        gaps=gaps,
        gaps_per_million=gaps * 1e6 / stream.messages if stream.messages else 0.0,
        wanted=tuple(Period(since, 0 if until == HORIZON_NS else until) for since, until in wanted),
    )


def _merged(ranges: Iterable[_Range]) -> list[_Range]:
    """The union of ranges; those that touch become one."""
    union: list[_Range] = []
    for first, until in sorted(ranges):
        if until <= first:
            continue
        if union and first <= union[-1][1]:
            union[-1] = (union[-1][0], max(until, union[-1][1]))
        else:
            union.append((first, until))
    return union


def _runs(stream: _Stream) -> list[_Run]:
    """The union of the spans. Numbers touch where they follow each other, times only where they share one."""
    step = 1 if stream.axis == "trade_seq" else 0
    runs: list[_Run] = []
    for span in sorted(stream.spans, key=lambda span: (span.first, span.first_ns)):
        if runs and span.first <= runs[-1].last + step:
            if span.last > runs[-1].last:
                runs[-1].last, runs[-1].last_ns = span.last, span.last_ns
        else:
            runs.append(_Run(span.first, span.last, span.first_ns, span.last_ns, span.first_ns))
    slack = 1 - step  # a page covers the times after its first trade's, of which it may hold only some
    for note in stream.notes:
        for run in runs if note.note == "reached" else ():
            if note.first and run.first - slack <= note.first <= run.last:
                run.from_ns = min(run.from_ns, note.since_ns)
            if note.last and run.first <= note.last - slack <= run.last:
                run.to_ns = max(run.to_ns, note.until_ns)
    return runs if stream.axis == "trade_seq" else _joined(runs)


def _joined(runs: list[_Run]) -> list[_Run]:
    """Runs of times, where one that reaches back to the end of the one before continues it."""
    joined: list[_Run] = []
    for run in runs:
        while joined and run.from_ns < run.first and run.from_ns <= joined[-1].last + 1:
            left = joined.pop()
            run = _Run(left.first, run.last, left.first_ns, run.last_ns, min(left.from_ns, run.from_ns), run.to_ns)
        joined.append(run)
    return joined


def _holes_before(runs: list[_Run], stream: _Stream) -> Iterator[list[_Hole]]:
    """The holes before each run, and at last those after the last one, or all where there is no run."""
    asked = _merged(stream.asked)
    if not runs:
        yield [_open_hole(stream.axis, period) for period in asked]
        return
    yield _holes_at_start(runs[0], stream.axis, asked)
    for left, right in pairwise(runs):
        yield _holes_between(left, right, stream, asked)
    yield _holes_at_end(runs[-1], stream.axis, asked)


def _open_hole(axis: Axis, period: _Range) -> _Hole:
    first, last = (period[0], period[1] - 1) if axis == "event_time" else (None, None)
    return _Hole(first, last, *period, rule="start-not-reached")


def _holes_at_start(run: _Run, axis: Axis, asked: list[_Range]) -> list[_Hole]:
    if axis == "trade_seq" and run.first <= 1:  # venues number from 0 or 1
        return []
    found = [_open_hole(axis, piece) for piece in _overlap((-HORIZON_NS, run.missing_until(axis)), asked)]
    if found and axis == "trade_seq" and found[-1].until_ns == run.missing_until(axis):
        found[-1].last = run.first - 1
    return found


def _holes_at_end(run: _Run, axis: Axis, asked: list[_Range]) -> list[_Hole]:
    """What is missing after the last run of a period that has an end."""
    numbered = axis == "trade_seq"
    start = max(run.last_ns if numbered else run.last + 1, run.to_ns)
    pieces = _overlap((start, HORIZON_NS), [period for period in asked if period[1] != HORIZON_NS])
    if not numbered:
        return [_Hole(since, end - 1, since, end, rule="end-not-reached") for since, end in pieces]
    first = run.last + 1
    return [_Hole(first if piece[0] == start else None, None, *piece, rule="end-not-reached") for piece in pieces]


def _holes_between(left: _Run, right: _Run, stream: _Stream, asked: list[_Range]) -> list[_Hole]:
    numbered = stream.axis == "trade_seq"
    start = min(left.last_ns, right.first_ns) if numbered else left.last + 1
    until = max(start + numbered, right.missing_until(stream.axis))
    heard = any(lane.first <= left.last and right.first <= lane.last for lane in stream.heard.values())
    pieces = _overlap((start, until), [(start, until)] if heard else asked)
    if not numbered:
        return [_Hole(since, end - 1, since, end, rule="time-missing") for since, end in pieces]
    return [
        _Hole(
            left.last + 1 if piece[0] == start else None,
            right.first - 1 if piece[1] == until else None,
            *piece,
            rule="ids-missing",
        )
        for piece in pieces
    ]


def _overlap(time: _Range, periods: list[_Range]) -> list[_Range]:
    cut = ((max(time[0], since), min(time[1], until)) for since, until in periods)
    return [(since, until) for since, until in cut if since < until]


def _marked(found: list[_Hole], stream: _Stream) -> list[_Hole]:
    """The holes, cut where notes of the venue's answers begin and end, and marked by them."""
    for note in stream.notes:
        if note.note in ("absent", "unreachable", "unreadable"):
            found = [piece for hole in found for piece in _cut(hole, note, stream.axis)]
    return found


def _cut(hole: _Hole, note: Note, axis: Axis) -> Iterator[_Hole]:
    noted = _noted_range(hole, note, axis)
    first = -HORIZON_NS if hole.first is None else hole.first
    last = HORIZON_NS if hole.last is None else hole.last
    if noted is None or noted[1] < first or noted[0] > last:
        yield hole
        return
    inner = (max(first, noted[0]), min(last, noted[1]))
    for start, end, marked in ((first, inner[0] - 1, False), (*inner, True), (inner[1] + 1, last, False)):
        if start <= end:
            yield _piece(hole, start, end, axis, note.note if marked else "")


def _noted_range(hole: _Hole, note: Note, axis: Axis) -> tuple[int, int] | None:
    """First and last that a note speaks of; None where a note without numbers speaks of another time."""
    until_ns = note.until_ns or HORIZON_NS
    if note.first or note.last:
        return note.first or -HORIZON_NS, note.last or HORIZON_NS
    if axis == "event_time":
        return note.since_ns, until_ns - 1
    inside = note.since_ns <= hole.first_ns and hole.until_ns <= until_ns
    return (-HORIZON_NS, HORIZON_NS) if inside else None


def _piece(hole: _Hole, first: int, last: int, axis: Axis, note: str) -> _Hole:
    times = (first, last + 1) if axis == "event_time" else (hole.first_ns, hole.until_ns)
    absent = note == "absent" or hole.state == "SUSPECT"
    return _Hole(
        None if first == -HORIZON_NS else first,
        None if last == HORIZON_NS else last,
        *times,
        rule="absent-at-venue" if absent else "unreadable" if note == "unreadable" else hole.rule,
        state="SUSPECT" if absent else "GAP",
        out_of_reach=not absent and (hole.out_of_reach or note == "unreachable"),
    )


def _first_run(runs: list[_Run], period: _Range) -> int | None:
    return next((i for i, run in enumerate(runs) if run.last_ns >= period[0] and run.from_ns < period[1]), None)


def _passing(start: int, before: list[list[_Hole]], count: int) -> int:
    """The last run that is reached from `start` over holes that nothing can close."""
    while start + 1 < count and before[start + 1] and not any(hole.closable for hole in before[start + 1]):
        start += 1
    return start


def _run_interval(name: tuple[str, str, str, Axis], run: _Run) -> Interval:
    numbered = name[3] == "trade_seq"
    return Interval(
        *name,
        first=run.first,
        last=run.last,
        first_ns=run.first_ns,
        last_ns=run.last_ns,
        state="VALID" if numbered else "UNPROVABLE",
        rule="consecutive-ids" if numbered else "unnumbered",
        count=run.last - run.first + 1 if numbered else 0,
    )


def _hole_interval(name: tuple[str, str, str, Axis], hole: _Hole) -> Interval:
    numbered = name[3] == "trade_seq"
    known = numbered and hole.first is not None and hole.last is not None
    is_open = hole.last is None or (not numbered and hole.until_ns == HORIZON_NS)
    return Interval(
        *name,
        first=hole.first or 0,
        last=0 if is_open else hole.last or 0,
        first_ns=hole.first_ns,
        last_ns=0 if hole.until_ns == HORIZON_NS else hole.until_ns - 1,
        state=hole.state,
        rule=hole.rule,
        out_of_reach=hole.out_of_reach,
        count=(hole.last or 0) - (hole.first or 0) + 1 if known else 0,
    )
