"""What becomes of captured lines after they are kept: decoded, judged and published, in a thread of its own.

The way is that of replay: the bytes of the part file are split and decoded as a sealed segment is. The queue to the
thread is bounded. When it is full, what comes is kept raw all the same and is not published; it is counted, and the
lane's verifier starts anew, since to it these frames are lost.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidelake.jobs.live_regimes import LiveRegimes
from tidelake.tables.decode import decode
from tidelake.tables.mapping import Mapping as FieldMapping
from tidelake.tables.quotes import QUOTES
from tidelake.tables.registry import TABLES
from tidelake.tables.segment_lines import SegmentLines, split

Publish = Callable[[str, pa.Table], None]
"""Table name and rows, called in the thread of the flow: where it is slow the flow sheds, and the capture goes on."""

QUEUE_BYTES = 64 << 20
ROUND_BYTES = 4 << 20
IDLE_SECONDS = 1.0  # with nothing to do for so long, minutes end all the same
LATENCIES = 100_000  # the latest ones are kept for the quantiles
log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """A book that needs a snapshot, and how its venue gives one."""

    symbol: str
    by: Literal["page", "subscription"]


class BookCounts(NamedTuple):
    """What was counted of the books of a symbol: see `books verify`."""

    breaks: int = 0
    falls: int = 0
    audits: int = 0
    audits_equal: int = 0


class Verifier(Protocol):
    """Judges the books of one lane."""

    def take(self, lines: SegmentLines) -> None:
        """Lines of the lane, in order, without a hole since it was made."""

    def judged(self, quotes: pa.Table) -> pa.Table:
        """Quotes out of the lines taken last, each with the state of its book."""

    def told(self) -> pa.Table | None:
        """Rows of the feed `book` since the last call; see `jobs.capture_told`."""

    def wanted(self) -> Sequence[Wanted]:
        """Books that are to be synchronised again."""

    def in_step(self) -> bool:
        """Whether every book has begun and none is to be synchronised."""

    def states(self) -> Mapping[str, str]:
        """Symbol to the state of its worst book."""

    def counts(self) -> Mapping[str, BookCounts]:
        """Symbol to what was counted of its books."""


class Unverified:
    """Judges nothing; wants one page for each book after each opening, where the venue's rule starts from a page."""

    def __init__(self, symbols: Sequence[str], *, pages: bool) -> None:
        self._symbols = list(symbols) if pages else []
        self._missing: list[str] = []

    def take(self, lines: SegmentLines) -> None:
        opened = lines.holding((b'"kind":"open"',))
        if len(opened):
            self._missing = list(self._symbols)
        for line in lines.holding((b'"kind":"page"',)).tolist():
            text = lines.lines[line].as_py()
            if b'"feed":"book"' in text:
                self._missing = [symbol for symbol in self._missing if b'"symbol":"%s"' % symbol.encode() not in text]

    def judged(self, quotes: pa.Table) -> pa.Table:
        return quotes

    def told(self) -> pa.Table | None:
        return None

    def wanted(self) -> Sequence[Wanted]:
        return [Wanted(symbol, "page") for symbol in self._missing]

    def in_step(self) -> bool:
        return not self._missing

    def states(self) -> Mapping[str, str]:
        return {}

    def counts(self) -> Mapping[str, BookCounts]:
        return {}


@dataclass
class Piece:
    """Lines of one lane that are on their way through the flow."""

    lane: int
    lines: bytes
    count: int
    first_n: int


@dataclass
class LaneFlow:
    """What the flow knows of one lane.

    Attributes:
        source: Source id.
        new_verifier: Makes its judge, again where frames were shed.
        symbols: Whose streams it carries.
        published: Whether its rows go to the bus; they do not while another lane carries the same streams.
        contexts: What earlier frames said, by table.
        next_n: Place of the line that comes next, where nothing was shed.
        known_ns: Largest receive clock so far.
        heard_ns: Receive clock of the last line; 0 before the first.
    """

    source: str
    symbols: Sequence[str]
    new_verifier: Callable[[], Verifier]
    published: bool
    verifier: Verifier
    contexts: dict[str, dict[str, str]] = field(default_factory=dict)
    next_n: int = 0
    known_ns: int = 0
    heard_ns: int = 0


class Flow:
    """The thread. `put` never waits; `close` ends it when all is through.

    Args:
        tables: What is decoded.
        publish: Takes the rows.
        mappings: Field mappings; by default those that ship.
        queue_bytes: Lines that may wait.
        regimes: Measures the minutes of what is decoded.
        clock: Wall clock, ns since 1970.

    Attributes:
        shed: Lines that were kept and not published.
        rows: Published rows by (source, table, symbol).
        rejected: Rows that could not be read, by source; they are in raw, and derive says why.
        failed: Why the consumer of rows failed, the first time; "" while it has not.
    """

    def __init__(
        self,
        tables: Sequence[str],
        publish: Publish | None,
        mappings: Sequence[FieldMapping] | None = None,
        queue_bytes: int = QUEUE_BYTES,
        regimes: LiveRegimes | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.shed = 0
        self.rows: Counter[tuple[str, str, str]] = Counter()
        self.rejected: Counter[str] = Counter()
        self.failed = ""
        self._tables = [TABLES[name] for name in tables]
        self._publish = publish
        self._mappings = mappings
        self._bound = queue_bytes
        self._regimes = regimes
        self._clock = clock
        self._lanes: dict[int, LaneFlow] = {}
        self._queue: deque[Piece] = deque()
        self._queued = 0
        self._latency: dict[str, deque[np.ndarray]] = {}
        self._turn = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="tidelake-flow", daemon=True)
        self._thread.start()

    def add(
        self, lane: int, source: str, symbols: Sequence[str], new_verifier: Callable[[], Verifier], *, published: bool
    ) -> None:
        """Make a lane known before its first lines."""
        self._lanes[lane] = LaneFlow(source, symbols, new_verifier, published, new_verifier())

    def publish_lane(self, lane: int) -> None:
        """From now on the lane's rows go to the bus."""
        self._lanes[lane].published = True

    def drop(self, lane: int) -> None:
        """Forget a lane that has ended."""
        with self._turn:
            self._turn.wait_for(lambda: all(piece.lane != lane for piece in self._queue), 1.0)
        self._lanes.pop(lane, None)

    def wanted(self, lane: int) -> Sequence[Wanted]:
        """Books of the lane that are to be synchronised again."""
        return self._lanes[lane].verifier.wanted()

    def in_step(self, lane: int) -> bool:
        """Whether the lane's books are all in step."""
        return self._lanes[lane].verifier.in_step()

    def states(self) -> dict[tuple[str, str], str]:
        """The state of each book by source and symbol."""
        return {(lane.source, s): state for lane in self._lanes.values() for s, state in lane.verifier.states().items()}

    def counts(self) -> dict[tuple[str, str], BookCounts]:
        """What was counted of each book by source and symbol, in lanes that have not been dropped."""
        return {(lane.source, s): found for lane in self._lanes.values() for s, found in lane.verifier.counts().items()}

    def put(self, piece: Piece) -> None:
        """Hand on lines that are kept; where the queue is full they are shed."""
        with self._turn:
            if self._queued + len(piece.lines) > self._bound and self._queue:
                self.shed += piece.count
                return
            self._queue.append(piece)
            self._queued += len(piece.lines)
            self._turn.notify_all()

    def close(self, seconds: float = 30.0) -> None:
        """Let what is queued through, for at most so long, and end the thread; what is left then counts as shed."""
        with self._turn:
            self._closing = True
            self._turn.notify_all()
        self._thread.join(seconds)
        with self._turn:
            self.shed += sum(piece.count for piece in self._queue)
            self._queue.clear()

    def latency(self, source: str) -> np.ndarray:
        """Receive clock less event time of the latest rows, in ns; the clock's offset is still in it."""
        with self._turn:
            parts = list(self._latency.get(source, ()))
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _run(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._queue or self._closing, IDLE_SECONDS)
                last = not self._queue and self._closing
                pieces = self._next_pieces()
                self._turn.notify_all()
            for run in _runs(pieces):
                self._take(run)
            with self._turn:
                self._queued -= sum(len(piece.lines) for piece in pieces)
            self._end_minutes(idle=not pieces)
            if last:
                return

    def _next_pieces(self) -> list[Piece]:
        """What is worked on at once; not all of a long queue, since decoding takes many times its bytes in memory."""
        pieces, size = [], 0
        while self._queue and size < ROUND_BYTES:
            pieces.append(self._queue.popleft())
            size += len(pieces[-1].lines)
        return pieces

    def _take(self, pieces: Sequence[Piece]) -> None:
        number = pieces[0].lane
        lane = self._lanes.get(number)
        if lane is None:
            return
        shed = pieces[0].first_n != lane.next_n
        if shed:
            lane.verifier = lane.new_verifier()
        lane.next_n = pieces[-1].first_n + pieces[-1].count
        plain = b"".join(piece.lines for piece in pieces)
        lines = split(plain, first_n=pieces[0].first_n, known_before_ns=lane.known_ns)
        lane.known_ns = int(lines.known_ns[-1])
        try:
            self._note_losses(lane, lines, shed=shed)
            lane.verifier.take(lines)
            self._tell(number, lane)
            for table in self._tables:
                self._decode(lane, table.name, lines)
        except Exception as exc:
            log.exception("live rows of lane %d failed; the raw log is whole", number)
            lane.verifier = lane.new_verifier()  # it may have judged half of the lines
            self.failed = self.failed or f"{type(exc).__name__}: {exc}"

    def _note_losses(self, lane: LaneFlow, lines: SegmentLines, *, shed: bool) -> None:
        """Tell the regimes from when to when the lane's streams were not heard: before an opening, or shed."""
        if self._regimes is not None and lane.published:
            opened = lines.holding((b'"kind":"open"',)).tolist()
            for line in dict.fromkeys([0, *opened] if shed else opened):
                before = int(lines.recv_ns[line - 1]) if line else lane.heard_ns
                self._regimes.opened(lane.source, lane.symbols, before, int(lines.recv_ns[line]))
        lane.heard_ns = int(lines.recv_ns[-1])

    def _end_minutes(self, *, idle: bool) -> None:
        """Have the minutes measured that ended before what was heard last, or, where nothing comes, before now."""
        if self._regimes is None:
            return
        heard = [lane.heard_ns for lane in self._lanes.copy().values() if lane.heard_ns]
        try:
            self._regimes.advance(self._clock() if idle else max(heard, default=0))
        except Exception as exc:
            log.exception("the minutes could not be measured; the raw log is whole")
            self.failed = self.failed or f"{type(exc).__name__}: {exc}"

    def _tell(self, number: int, lane: LaneFlow) -> None:
        """Publish the lane's books, unless a later connection carries them by now: two would contradict each other."""
        rows = lane.verifier.told()
        if rows is None or self._publish is None or not lane.published:
            return
        symbols = set(lane.verifier.states())
        later = (other for n, other in self._lanes.copy().items() if n > number and other.published)
        if not any(other.source == lane.source and symbols & set(other.verifier.states()) for other in later):
            self._publish("book", rows)

    def _decode(self, lane: LaneFlow, name: str, lines: SegmentLines) -> None:
        found = decode(TABLES[name], lane.source, lines, "", lane.contexts.setdefault(name, {}), self._mappings)
        self.rejected[lane.source] += len(found.rejected)
        rows = lane.verifier.judged(found.rows) if TABLES[name] is QUOTES else found.rows
        if not len(rows):
            return
        counted = pc.value_counts(rows["symbol"]).to_pylist()
        for pair in counted:
            self.rows[lane.source, name, pair["values"]] += pair["counts"]
        times = rows["event_time"].cast(pa.int64()).to_numpy() * 1_000
        self._keep_latency(lane.source, lines.recv_ns[rows["line"].to_numpy()] - times)
        if self._regimes is not None and lane.published and name in self._regimes.tables:
            self._regimes.take(name, rows)
        if self._publish is not None and lane.published:
            self._publish(name, rows)

    def _keep_latency(self, source: str, ns: np.ndarray) -> None:
        with self._turn:
            kept = self._latency.setdefault(source, deque())
            kept.append(ns)
            while sum(map(len, kept)) > LATENCIES and len(kept) > 1:
                kept.popleft()


def _runs(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """The pieces lane by lane, cut where lines between two are missing."""
    runs: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: (piece.lane, piece.first_n)):
        before = runs[-1][-1] if runs else None
        if before and (before.lane, before.first_n + before.count) == (piece.lane, piece.first_n):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return runs
