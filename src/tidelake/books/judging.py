"""The judge of one lane: its lines in, a verdict on each message out; keeps what it found of each book."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from tidelake.books.engine import BookEngine, Verdicts
from tidelake.books.frames import read_book_frames
from tidelake.books.messages import NONE, OPEN, PAGE, BookFrames
from tidelake.books.report import Findings, StreamFindings
from tidelake.raw.entry import Entry
from tidelake.tables.segment_lines import SegmentLines

HORIZON_NS = 2**63 - 1
PAGE_LINE = b'"kind":"page"'

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OfferedPage:
    """A snapshot page of another lane, offered to the books of a lane when it was received."""

    recv_ns: int
    frames: BookFrames


def find_pages(source: str, lines: SegmentLines) -> list[OfferedPage]:
    """The snapshot pages in a segment."""
    frames = read_book_frames(source, lines, {})
    places = np.flatnonzero((frames.kind == PAGE) & (frames.stream >= 0)).tolist()
    return [OfferedPage(int(lines.known_ns[frames.line[i]]), frames.part(i, i + 1)) for i in places]


class PageEntry(msgspec.Struct, frozen=True):
    """An entry that holds snapshot pages; receive clocks of its first and last frame."""

    seq: int
    segment: str
    first_ns: int
    last_ns: int


class LaneFacts(msgspec.Struct):
    """What is known of a lane up to where it was read.

    Attributes:
        first_ns, last_ns: Smallest and largest receive clock; 0 where no frame was read yet.
        first_symbols: Symbols that its first entry with frames speaks of.
        pages: Entries that hold pages.
    """

    first_ns: int = 0
    last_ns: int = 0
    first_symbols: list[str] = []
    pages: list[PageEntry] = []


class LaneJudge:
    """The books of one lane, up to where it was read.

    Attributes:
        engine: Its books; those of another lane where this one goes on where that ended.
        context: What earlier frames of the lane said.
        next_seq: Number of the entry that comes next.
        facts, findings: What was found of the lane, and of the books in its messages.
    """

    def __init__(self, source: str, engine: BookEngine) -> None:
        self.source = source
        self.engine = engine
        self.context: dict[str, str] = {}
        self.next_seq = 0
        self.facts = LaneFacts()
        self.findings = Findings(source)

    def go_on(
        self, next_seq: int, facts: LaneFacts, context: dict[str, str], streams: Iterable[StreamFindings]
    ) -> None:
        """Puts the judge where another one stood."""
        self.next_seq, self.facts, self.context = next_seq, facts, context
        self.findings = Findings(self.source, streams)

    def enter(self, entry: Entry, lines: SegmentLines) -> BookFrames:
        """The messages of the lane's next entry."""
        frames = read_book_frames(self.source, lines, self.context)
        self.next_seq = entry.seq + 1
        facts = self.facts
        if entry.segment.lines:
            if not facts.first_ns:
                facts.first_ns = entry.first_recv_ns
                facts.first_symbols = sorted({stream.symbol for stream in frames.streams})
            facts.first_ns = min(facts.first_ns, entry.first_recv_ns)
            facts.last_ns = max(facts.last_ns, entry.last_recv_ns)
            if PAGE_LINE in lines.plain:
                facts.pages.append(PageEntry(entry.seq, entry.segment.sha256, entry.first_recv_ns, entry.last_recv_ns))
        return frames

    def take(self, entry: Entry, lines: SegmentLines, offered: list[OfferedPage]) -> None:
        """Judges all messages of the lane's next entry."""
        self.judge_offered(self.enter(entry, lines), lines, offered)

    def judge(self, frames: BookFrames, recv_ns: Integers, *, counted: bool = True) -> Verdicts:
        """Runs the messages that come next; those that are not counted leave nothing in the findings."""
        before = {stream: self.engine.counters(stream) for stream in self.engine.streams()}
        verdicts = self.engine.run(frames, recv_ns)
        if counted and len(frames):
            self.findings.count(self.engine, before)
            self.findings.note_clocks(frames, recv_ns)
            self.findings.note_states(self.engine, frames, recv_ns, verdicts)
        return verdicts

    def judge_offered(
        self, frames: BookFrames, lines: SegmentLines, offered: list[OfferedPage], start_ns: int = 0
    ) -> None:
        """Runs a segment's messages, each offered page at its time; takes the pages away from `offered`.

        Only messages received from start_ns on are counted.
        """
        known_ns = lines.known_ns[frames.line]
        at = 0
        counted_from = int(np.searchsorted(known_ns, start_ns))
        while offered and len(frames) and offered[0].recv_ns <= known_ns[-1]:
            page = offered.pop(0)
            place = int(np.searchsorted(known_ns, page.recv_ns, side="right"))
            self._judge_part(frames, lines, (at, place), counted_from)
            self.judge(page.frames, np.array([page.recv_ns], np.int64), counted=page.recv_ns >= start_ns)
            at = place
        self._judge_part(frames, lines, (at, len(frames)), counted_from)

    def _judge_part(self, frames: BookFrames, lines: SegmentLines, ends: Sequence[int], counted_from: int) -> None:
        cut = min(max(counted_from, ends[0]), ends[1])
        for start, stop in pairwise((ends[0], cut, ends[1])):
            if start < stop:
                part = frames.part(start, stop)
                self.judge(part, lines.recv_ns[part.line], counted=start >= counted_from)


def reopen(engine: BookEngine, at_ns: int) -> None:
    """Tells the books that a new connection was made, on which they go on."""
    none, zero = np.full(1, NONE, np.int64), np.zeros(1, np.int64)
    empty = np.zeros(0, np.int64)
    opened = BookFrames(
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
    engine.run(opened, np.array([at_ns], np.int64))
