"""What is proven of the books in a lake: every rule over every frame, per stream, with the intervals of each state.

The lanes of a source are read one after another, in order of their first frame. A lane that goes on where another ended
takes over its books as a connection does: the next update decides. Snapshot pages that lie in other lanes of the source
are offered when they were received. Memory holds one segment, the books, and the pages of the source.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from tidelake.books.engine import BookEngine, Verdicts
from tidelake.books.frames import read_book_frames
from tidelake.books.messages import (
    HEARTBEAT,
    NONE,
    OPEN,
    PAGE,
    QUOTE,
    REFUSED,
    SNAPSHOT,
    UPDATE,
    BookFrames,
    BookStream,
)
from tidelake.books.rules.registry import rules_of
from tidelake.books.rules.spec import Join
from tidelake.books.states import REASONS, STATES, WORST_FIRST, rule_words
from tidelake.kernels.book_codes import NO_SNAPSHOT, PAGE_TOO_OLD, VALID
from tidelake.kernels.book_memory import COUNTERS
from tidelake.raw.entry import Entry
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import read_lines
from tidelake.raw.store import Store
from tidelake.tables.segment_lines import SegmentLines, split

HANDOVER_NS = 60 * 10**9  # a lane that starts so soon after another ended goes on where it ended
OFFER_NS = 60 * 10**9  # pages received so long before a lane's first frame are offered to it
HORIZON_NS = 2**63 - 1
PAGE_LINE = b'"kind":"page"'
ABOUT_BOOK = (UPDATE, SNAPSHOT, HEARTBEAT, REFUSED)
SYNCHRONISING = (NO_SNAPSHOT, PAGE_TOO_OLD)

Progress = Callable[[int, int, str], None]  # plaintext bytes done, of how many, the source in hand
Integers = npt.NDArray[np.int64]


class BookInterval(msgspec.Struct):
    """A run of messages of one stream after which its book was in one state.

    Attributes:
        state, reason: Of the book; the reason is "" where it is VALID.
        rules: What proved it, such as "snapshot+sequence+checksum".
        first_ns, last_ns: Receive clock of its first and last message, both inclusive.
        messages: How many they are.
    """

    state: str
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


@dataclass
class _Stream:
    """What is being gathered of one stream."""

    report: BookReport
    runs: list[list[int]] = field(default_factory=list)  # state, reason, proven, first_ns, last_ns, messages
    offset_sum: int = 0
    offsets: int = 0

    def add_run(self, state: int, reason: int, proven: int, first_ns: int, last_ns: int, messages: int) -> None:
        last = self.runs[-1] if self.runs else None
        if last and last[:2] == [state, reason]:
            last[2] |= proven
            last[4] = max(last[4], last_ns)
            last[5] += messages
        else:
            self.runs.append([state, reason, proven, first_ns, last_ns, messages])

    def finished(self) -> BookReport:
        report = self.report
        report.intervals = [
            BookInterval(STATES[state], REASONS[reason], rule_words(proven), first_ns, last_ns, messages)
            for state, reason, proven, first_ns, last_ns, messages in self.runs
        ]
        judged = self.runs
        while judged and judged[0][1] in SYNCHRONISING:
            judged = judged[1:]
        found = {run[0] for run in judged}
        report.state = next((STATES[state] for state in WORST_FIRST if state in found), report.state)
        if report.updates:
            report.gaps_per_million = report.falls / report.updates * 1e6
        if self.offsets:
            report.clock_mean_ms = self.offset_sum / self.offsets / 1e6
        return report


@dataclass
class _Lane:
    """One lane: its entries, and where it stands in time."""

    entries: list[Entry]
    first_ns: int
    last_ns: int


@dataclass(frozen=True)
class _OfferedPage:
    recv_ns: int
    lane: str
    symbol: str
    frames: BookFrames


def verify_books(
    store: Store,
    *,
    source: str | None = None,
    symbol: str | None = None,
    lane: str | None = None,
    start_ns: int = 0,
    end_ns: int = HORIZON_NS,
    key: bytes | None = None,
    progress: Progress | None = None,
) -> list[BookReport]:
    """Judge the books of a lake, or of a part of it, ordered by source, symbol and channel.

    Args:
        store: The lake's store.
        source, symbol, lane: Only this source, canonical symbol, lane.
        start_ns: Only messages received from then on are counted; what came before is read, for the books stand on it.
        end_ns: Messages received then and later are not read.
        key: Opens encrypted segments.
        progress: Called as segments are read.

    Raises:
        LedgerBroken: A lane or segment does not hold; nothing is reported of a lake that is not whole.
    """
    lanes = _lanes(store, source, end_ns)
    run = _Run(store, key, start_ns, end_ns, progress, sum(_bytes(one) for held in lanes.values() for one in held))
    for name in sorted(lanes):
        run.verify_source(name, lanes[name], lane)
    found = [stream.finished() for stream in run.streams.values()]
    chosen = [report for report in found if symbol in (None, report.symbol) and report.frames]
    return sorted(chosen, key=lambda report: (report.source, report.symbol, report.channel))


def engine_at(
    store: Store, source: str, symbol: str, at_ns: int, *, key: bytes | None = None, progress: Progress | None = None
) -> BookEngine | None:
    """The books as they stood when all messages received up to at_ns, inclusive, had been judged.

    Returns:
        The engine of the lane that carried the symbol last; None where none did.
    """
    lanes = _lanes(store, source, at_ns + 1)
    run = _Run(store, key, 0, at_ns + 1, progress, sum(_bytes(one) for one in lanes.get(source, ())))
    return run.verify_source(source, lanes.get(source, ()), None).get(symbol, (0, None))[1]


def _lanes(store: Store, source: str | None, end_ns: int) -> dict[str, list[_Lane]]:
    """By source the lanes that began before end_ns, in order of their first frame."""
    ledger = Ledger(store)
    lanes: dict[str, list[_Lane]] = defaultdict(list)
    for name in ledger.lanes():
        entries = [e for e in ledger.entries(name) if e.segment.lines and e.first_recv_ns < end_ns]
        if entries and source in (None, entries[0].source):
            ends = min(e.first_recv_ns for e in entries), max(e.last_recv_ns for e in entries)
            lanes[entries[0].source].append(_Lane(entries, *ends))
    for held in lanes.values():
        held.sort(key=lambda lane: lane.first_ns)
    return lanes


def _bytes(lane: _Lane) -> int:
    return sum(entry.segment.bytes for entry in lane.entries)


@dataclass
class _Run:
    store: Store
    key: bytes | None
    start_ns: int
    end_ns: int
    progress: Progress | None
    total: int
    done: int = 0
    streams: dict[tuple[str, str, str], _Stream] = field(default_factory=dict)

    def verify_source(self, source: str, lanes: Sequence[_Lane], only: str | None) -> dict[str, tuple[int, BookEngine]]:
        """Judges the lanes; by symbol when the last lane that carried it ended, and its books."""
        pages = self._pages(source, lanes) if any(rule.join != Join.NEVER for rule in rules_of(source)) else []
        ended: dict[str, tuple[int, BookEngine]] = {}
        for lane in lanes:
            if only in (None, lane.entries[0].lane):
                self._verify_lane(source, lane, pages, ended)
        return ended

    def _lines(self, entry: Entry) -> SegmentLines:
        plain = read_lines(self.store, entry.segment, self.key)
        return split(plain, first_n=entry.first_n, known_before_ns=entry.known_before_ns)

    def _pages(self, source: str, lanes: Sequence[_Lane]) -> list[_OfferedPage]:
        """The snapshot pages of lanes that lie in the time of another lane which has none, in order of time."""
        paged = [any(PAGE_LINE in self._lines(entry).plain for entry in lane.entries) for lane in lanes]
        wanting = [(lane.first_ns - OFFER_NS, lane.last_ns) for lane, own in zip(lanes, paged, strict=True) if not own]
        found: list[_OfferedPage] = []
        for lane, own in zip(lanes, paged, strict=True):
            for entry in lane.entries if own else ():
                if any(entry.first_recv_ns <= last and entry.last_recv_ns >= first for first, last in wanting):
                    found += self._pages_of(source, entry)
        return sorted(found, key=lambda page: page.recv_ns)

    def _pages_of(self, source: str, entry: Entry) -> Iterator[_OfferedPage]:
        lines = self._lines(entry)
        frames = read_book_frames(source, lines, {})
        for i in np.flatnonzero((frames.kind == PAGE) & (frames.stream >= 0)).tolist():
            symbol = frames.streams[frames.stream[i]].symbol
            yield _OfferedPage(int(lines.known_ns[frames.line[i]]), entry.lane, symbol, frames.part(i, i + 1))

    def _verify_lane(
        self, source: str, lane: _Lane, pages: list[_OfferedPage], ended: dict[str, tuple[int, BookEngine]]
    ) -> None:
        engine: BookEngine | None = None
        context: dict[str, str] = {}
        name = lane.entries[0].lane
        times = lane.first_ns - OFFER_NS, lane.last_ns
        offered = [page for page in pages if page.lane != name and times[0] <= page.recv_ns <= times[1]]
        for entry in lane.entries:
            lines = self._lines(entry)
            frames = read_book_frames(source, lines, context)
            stop = int(np.searchsorted(lines.known_ns[frames.line], self.end_ns))
            frames = frames.part(0, stop)
            if engine is None:
                engine = self._engine(source, lane, frames, ended)
            self._judge(engine, frames, lines, offered)
            self.done += entry.segment.bytes
            if self.progress is not None:
                self.progress(self.done, self.total, source)
        if engine is not None:
            for stream in engine.streams():
                ended[stream.symbol] = lane.last_ns, engine

    def _engine(
        self, source: str, lane: _Lane, frames: BookFrames, ended: dict[str, tuple[int, BookEngine]]
    ) -> BookEngine:
        """A new engine, or that of a lane which ended just before and carried the same symbols."""
        symbols = {stream.symbol for stream in frames.streams}
        for symbol in symbols:
            last_ns, engine = ended.get(symbol, (-1, None))
            if engine is not None and 0 <= lane.first_ns - last_ns <= HANDOVER_NS:
                for carried in [name for name, (_, held) in ended.items() if held is engine]:
                    del ended[carried]  # one lane alone goes on
                engine.run(_opened(), np.array([lane.first_ns], np.int64))
                return engine
        return BookEngine(source)

    def _judge(self, engine: BookEngine, frames: BookFrames, lines: SegmentLines, offered: list[_OfferedPage]) -> None:
        """Runs a segment's messages, each offered page at its time."""
        known_ns = lines.known_ns[frames.line]
        at = 0
        cuts = [int(np.searchsorted(known_ns, self.start_ns))] if len(frames) else []
        while offered and len(frames) and offered[0].recv_ns <= known_ns[-1]:
            page = offered.pop(0)
            place = int(np.searchsorted(known_ns, page.recv_ns, side="right"))
            at = self._part(engine, frames, lines, at, place, cuts)
            recv_ns = np.array([page.recv_ns], np.int64)
            verdicts = engine.run(page.frames, recv_ns)
            self._note_states(engine, page.frames, recv_ns, verdicts)
        self._part(engine, frames, lines, at, len(frames), cuts)

    def _part(
        self, engine: BookEngine, frames: BookFrames, lines: SegmentLines, at: int, end: int, cuts: Sequence[int]
    ) -> int:
        """Messages from at on, before end; cut where counting starts, so that only what follows is counted."""
        for stop in (*(cut for cut in cuts if at < cut < end), end):
            part = frames.part(at, stop)
            recv_ns = lines.recv_ns[part.line]
            before = {stream: engine.counters(stream) for stream in engine.streams()}
            verdicts = engine.run(part, recv_ns)
            if len(part) and lines.known_ns[part.line[0]] >= self.start_ns:
                self._count(engine, before)
                self._note_clocks(engine.source, part, recv_ns)
                self._note_states(engine, part, recv_ns, verdicts)
            at = stop
        return end

    def _stream(self, source: str, stream: BookStream) -> _Stream:
        name = source, stream.symbol, stream.channel
        if name not in self.streams:
            self.streams[name] = _Stream(BookReport(*name))
        return self.streams[name]

    def _count(self, engine: BookEngine, before: dict[BookStream, dict[str, int]]) -> None:
        for stream in engine.streams():
            report = self._stream(engine.source, stream).report
            earlier = before.get(stream, {})
            for name, count in engine.counters(stream).items():
                if name in COUNTED:
                    setattr(report, name, getattr(report, name) + count - earlier.get(name, 0))

    def _note_clocks(self, source: str, frames: BookFrames, recv_ns: Integers) -> None:
        about = np.isin(frames.kind, ABOUT_BOOK) & (frames.stream >= 0) & (frames.event_ns > 0)
        for number in np.unique(frames.stream[about]).tolist():
            held = self._stream(source, frames.streams[number])
            chosen = about & (frames.stream == number)
            offsets = recv_ns[chosen] - frames.event_ns[chosen]
            least = float(offsets.min()) / 1e6
            report = held.report
            report.clock_least_ms = least if report.clock_least_ms is None else min(least, report.clock_least_ms)
            report.before_event += int((offsets < 0).sum())
            held.offset_sum += int(offsets.sum())
            held.offsets += len(offsets)

    def _note_states(self, engine: BookEngine, frames: BookFrames, recv_ns: Integers, verdicts: Verdicts) -> None:
        """Runs of equal states per book; a page speaks of a book where it is the only one of its symbol."""
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
            places = np.flatnonzero(np.isin(frames.stream, wanted) & (frames.kind != QUOTE))
            if not len(places):
                continue
            held = self._stream(engine.source, stream)
            state, reason = verdicts.state[places].astype(np.int64), verdicts.reason[places].astype(np.int64)
            starts = np.flatnonzero(np.concatenate(([True], np.diff(state * 256 + reason) != 0)))
            ends = np.concatenate((starts[1:], [len(places)]))
            for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
                clocks = recv_ns[places[a:b]]
                proven = int(np.bitwise_or.reduce(verdicts.proven[places[a:b]]))
                held.add_run(int(state[a]), int(reason[a]), proven, int(clocks.min()), int(clocks.max()), b - a)


COUNTED = frozenset(COUNTERS) & set(BookReport.__struct_fields__)


def _opened() -> BookFrames:
    """One message that says that a connection was made."""
    none = np.full(1, NONE, np.int64)
    zero = np.zeros(1, np.int64)
    empty = np.zeros(0, np.int64)
    return BookFrames(
        streams=[],
        line=zero,
        item=np.zeros(1, np.int32),
        stream=np.full(1, -1, np.int32),
        kind=np.full(1, OPEN, np.uint8),
        event_ns=zero,
        first_id=none,
        last_id=none,
        prev_id=none,
        conn_seq=none,
        checksum=none,
        level_from=np.zeros(2, np.int64),
        side=np.zeros(0, np.uint8),
        price=empty,
        price_exponent=np.zeros(0, np.int8),
        size=empty,
        size_exponent=np.zeros(0, np.int8),
    )
