"""What was found of each book: counts, and the intervals of each state. Findings of lanes add up, in order of time."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, Self, cast

import msgspec
import numpy as np
import numpy.typing as npt

from tidelake.books.engine import BookEngine, Verdicts
from tidelake.books.messages import HEARTBEAT, OPEN, QUOTE, REFUSED, SNAPSHOT, UPDATE, BookFrames, BookStream
from tidelake.books.states import REASONS, STATES, WORST_FIRST, rule_words
from tidelake.kernels.book_codes import CONNECTION_LOST, INVALID, NO_SNAPSHOT, PAGE_TOO_OLD, VALID
from tidelake.kernels.book_memory import COUNTERS

ABOUT_BOOK = (UPDATE, SNAPSHOT, HEARTBEAT, REFUSED)
SYNCHRONISING = (NO_SNAPSHOT, PAGE_TOO_OLD)
NEW_CONNECTION = len(REASONS)  # stands in for the reason at a new connection, which is none of a book's
NS = 10**9

Integers = npt.NDArray[np.int64]
Counters = dict[BookStream, dict[str, int]]


State = Literal["VALID", "SUSPECT", "INVALID", "UNPROVABLE"]


class BookInterval(msgspec.Struct):
    """A run of messages of one stream after which its book was in one state.

    Attributes:
        state, reason: Of the book; the reason is "" where it is VALID.
        rules: What proved it, such as "snapshot+sequence+checksum".
        first_ns, last_ns: Receive clock of its first and last message, both inclusive.
        messages: How many they are.
    """

    state: State
    reason: str
    rules: str
    first_ns: int
    last_ns: int
    messages: int


class BookReport(msgspec.Struct):
    """What was found of one stream.

    Attributes:
        frames: Messages of the book; updates: those of them that change levels.
        out_of_order: Messages that had come before and changed nothing.
        breaks: Messages missing by the venue's numbers, counted by the runs they are missing in.
        falls: How often a book that stood was lost, by a break, a wrong checksum, an unreadable message, an audit.
        quotes_compared, quotes_equal: Quotes whose update id a book update has too.
        audits_compared, audits_equal: Snapshot pages laid beside the standing book at the same update id.
        crossed: Messages after which the best bid was at or above the best ask.
        late_events: Messages with an event time before that of an earlier one.
        refused: Messages that could not be read.
        gaps_per_million: falls for each million updates.
        clock_least_ms, clock_mean_ms: Receive clock minus event time; below zero one of the clocks is wrong.
        before_event: Messages received before their event, by the clocks.
        state: The worst of its intervals, but for the time before its first snapshot; INVALID where none came.
        intervals: In order of time.
    """

    source: str
    symbol: str
    channel: str
    frames: int = 0
    updates: int = 0
    out_of_order: int = 0
    breaks: int = 0
    falls: int = 0
    checksums_right: int = 0
    checksums_wrong: int = 0
    quotes_compared: int = 0
    quotes_equal: int = 0
    audits_compared: int = 0
    audits_equal: int = 0
    crossed: int = 0
    late_events: int = 0
    refused: int = 0
    gaps_per_million: float = 0.0
    clock_least_ms: float | None = None
    clock_mean_ms: float | None = None
    before_event: int = 0
    state: str = "INVALID"
    intervals: list[BookInterval] = []

    @property
    def proven(self) -> bool:
        """Whether the book was VALID from its first snapshot on."""
        return self.state == STATES[VALID]


COUNTED = frozenset(COUNTERS) & set(BookReport.__struct_fields__)


class Run(msgspec.Struct):
    """Messages in a row after which a book was in one state, as codes of `books.states`; receive clocks in ns."""

    state: int
    reason: int
    proven: int
    first_ns: int
    last_ns: int
    messages: int


class StreamFindings(msgspec.Struct):
    """What is being gathered of one stream; `report` holds the counts alone.

    Attributes:
        offset_s, offset_ns, offsets: Receive clock minus event time, summed over so many messages: whole seconds, and
            the ns beyond them. A sum of ns alone has no room for clocks that are years apart, as where an old recording
            is played back today.
    """

    report: BookReport
    runs: list[Run] = []
    offset_s: int = 0
    offset_ns: int = 0
    offsets: int = 0

    def add_run(self, run: Run) -> None:
        """Appends a run, or makes the last one longer where the state goes on."""
        last = self.runs[-1] if self.runs else None
        if last and (last.state, last.reason) == (run.state, run.reason):
            last.proven |= run.proven
            last.last_ns = max(last.last_ns, run.last_ns)
            last.messages += run.messages
        else:
            self.runs.append(msgspec.structs.replace(run))

    def lose_connection(self, at_ns: int) -> None:
        """A book that stood is lost from then on, until a message says more."""
        if self.runs and self.runs[-1].state != INVALID:
            self.runs.append(Run(INVALID, CONNECTION_LOST, 0, at_ns, at_ns, 0))

    def note_offsets(self, offsets: Integers) -> None:
        """Notes receive clocks minus event times."""
        self.report.clock_least_ms = _least(self.report.clock_least_ms, float(offsets.min()) / 1e6)
        self.report.before_event += int((offsets < 0).sum())
        seconds, beyond = np.divmod(offsets, NS)
        self.offset_s += int(seconds.sum())
        self.offset_ns += int(beyond.sum())
        self.offsets += len(offsets)

    def add(self, later: Self) -> None:
        """Adds what was found of the stream in a later lane."""
        for name in COUNTED | {"before_event"}:
            setattr(self.report, name, getattr(self.report, name) + getattr(later.report, name))
        self.report.clock_least_ms = _least(self.report.clock_least_ms, later.report.clock_least_ms)
        self.offset_s += later.offset_s
        self.offset_ns += later.offset_ns
        self.offsets += later.offsets
        for run in later.runs:
            self.add_run(run)

    def finished(self) -> BookReport:
        """The report."""
        report = msgspec.structs.replace(self.report)
        report.intervals = [
            BookInterval(
                cast("State", STATES[run.state]),
                REASONS[run.reason],
                rule_words(run.proven),
                run.first_ns,
                run.last_ns,
                run.messages,
            )
            for run in self.runs
        ]
        judged = self.runs
        while judged and judged[0].reason in SYNCHRONISING:
            judged = judged[1:]
        found = {run.state for run in judged}
        report.state = next((STATES[state] for state in WORST_FIRST if state in found), report.state)
        if report.updates:
            report.gaps_per_million = report.falls / report.updates * 1e6
        if self.offsets:
            report.clock_mean_ms = (self.offset_s * NS + self.offset_ns) / self.offsets / 1e6
        return report


def _least(one: float | None, other: float | None) -> float | None:
    return one if other is None else other if one is None else min(one, other)


class Findings:
    """What is being gathered of the books of one source."""

    def __init__(self, source: str, streams: Iterable[StreamFindings] = ()) -> None:
        self.source = source
        self._streams = {(found.report.symbol, found.report.channel): found for found in streams}

    def streams(self) -> list[StreamFindings]:
        """What was gathered so far, per stream."""
        return list(self._streams.values())

    def add(self, later: "Findings") -> None:
        """Adds what was found in a later lane."""
        for found in later.streams():
            self._of(found.report.symbol, found.report.channel).add(found)

    def reports(self) -> list[BookReport]:
        """The reports of the streams that had a message, ordered by symbol and channel."""
        found = [stream.finished() for stream in self.streams() if stream.report.frames]
        return sorted(found, key=lambda report: (report.symbol, report.channel))

    def _of(self, symbol: str, channel: str) -> StreamFindings:
        return self._streams.setdefault(
            (symbol, channel), StreamFindings(BookReport(self.source, symbol, channel), runs=[])
        )

    def count(self, engine: BookEngine, before: Counters) -> None:
        """Adds what an engine counted since `before`."""
        for stream in engine.streams():
            report = self._of(stream.symbol, stream.channel).report
            earlier = before.get(stream, {})
            for name, count in engine.counters(stream).items():
                if name in COUNTED:
                    setattr(report, name, getattr(report, name) + count - earlier.get(name, 0))

    def note_clocks(self, frames: BookFrames, recv_ns: Integers) -> None:
        """Notes how far the receive clock was from the venue's."""
        about = np.isin(frames.kind, ABOUT_BOOK) & (frames.stream >= 0) & (frames.event_ns > 0)
        for number in np.unique(frames.stream[about]).tolist():
            stream = frames.streams[number]
            chosen = about & (frames.stream == number)
            self._of(stream.symbol, stream.channel).note_offsets(recv_ns[chosen] - frames.event_ns[chosen])

    def note_states(self, engine: BookEngine, frames: BookFrames, recv_ns: Integers, verdicts: Verdicts) -> None:
        """Runs of equal states per book; a page speaks of a book where it is the only one of its symbol.

        A new connection ends the run of a book that was lost with the one before, though no message of it says so.
        """
        books: dict[str, list[BookStream]] = defaultdict(list)
        for stream in engine.streams():
            books[stream.symbol].append(stream)
        numbers: dict[BookStream, list[int]] = {stream: [] for streams in books.values() for stream in streams}
        for number, stream in enumerate(frames.streams):
            if stream in numbers:
                numbers[stream].append(number)
            elif len(books[stream.symbol]) == 1:
                numbers[books[stream.symbol][0]].append(number)
        for stream, wanted in numbers.items():
            about = np.isin(frames.stream, wanted) & (frames.kind != QUOTE)
            opened = (frames.kind == OPEN) & engine.ends_with_connection(stream)
            places = np.flatnonzero(about | opened)
            if not len(places):
                continue
            held = self._of(stream.symbol, stream.channel)
            state, reason = verdicts.state[places].astype(np.int64), verdicts.reason[places].astype(np.int64)
            reason[opened[places]] = NEW_CONNECTION
            starts = np.flatnonzero(np.concatenate(([True], np.diff(state * 256 + reason) != 0)))
            ends = np.concatenate((starts[1:], [len(places)]))
            for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
                clocks = recv_ns[places[a:b]]
                if reason[a] == NEW_CONNECTION:
                    held.lose_connection(int(clocks[0]))
                    continue
                proven = int(np.bitwise_or.reduce(verdicts.proven[places[a:b]]))
                held.add_run(Run(int(state[a]), int(reason[a]), proven, int(clocks.min()), int(clocks.max()), b - a))
