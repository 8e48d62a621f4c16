"""What is proven of the books in a lake: every rule over every frame, per stream, with the intervals of each state.

The lanes of a source are read one after another, in order of their first frame. A lane that goes on where another ended
takes over its books as a connection does: the next update decides. Snapshot pages that lie in other lanes of the source
are offered when they were received. Memory holds one segment, the books, and the pages of the source.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from tidelake.books.engine import BookEngine
from tidelake.books.judging import HORIZON_NS, PAGE_LINE, LaneJudge, OfferedPage, find_pages, reopen
from tidelake.books.report import BookReport, Findings
from tidelake.books.rules.registry import rules_of
from tidelake.books.rules.spec import Join
from tidelake.errors import NotInLake
from tidelake.raw.entry import Entry
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import read_lines
from tidelake.raw.store import Store
from tidelake.tables.segment_lines import SegmentLines, split

HANDOVER_NS = 60 * 10**9  # a lane that starts so soon after another ended goes on where it ended
OFFER_NS = 60 * 10**9  # pages received so long before a lane's first frame are offered to it

Books = TypeVar("Books")
Progress = Callable[[int, int, str], None]  # plaintext bytes done, of how many, the source in hand


@dataclass
class _Lane:
    """One lane: its entries, where it stands in time, and whether it holds snapshot pages."""

    name: str
    entries: list[Entry]
    first_ns: int
    last_ns: int
    paged: bool = False


def joins_pages(source: str) -> bool:
    """Whether a snapshot page can start a book of the source."""
    return any(rule.join != Join.NEVER for rule in rules_of(source))


class Ended(Generic[Books]):
    """By symbol the lane that carried it last: when it ended, and its books."""

    def __init__(self) -> None:
        self.by_symbol: dict[str, tuple[int, Books]] = {}

    def take_over(self, symbols: Iterable[str], first_ns: int) -> Books | None:
        """The books on which a lane goes on that starts then and carries these symbols first; one lane alone does."""
        for symbol in sorted(set(symbols)):
            last_ns, books = self.by_symbol.get(symbol, (-1, None))
            if books is not None and 0 <= first_ns - last_ns <= HANDOVER_NS:
                self.by_symbol = {name: held for name, held in self.by_symbol.items() if held[1] is not books}
                return books
        return None

    def end(self, symbols: Iterable[str], last_ns: int, books: Books) -> None:
        """A lane that carried these symbols ended."""
        self.by_symbol |= dict.fromkeys(symbols, (last_ns, books))


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
        NotInLake: The source or the lane is not there, or no book of the symbol; `available` lists what is. A lake
            without any book is no error.
        LedgerBroken: A lane or segment does not hold; nothing is reported of a lake that is not whole.
    """
    lanes = _lanes(store, end_ns)
    _expect("source", source, lanes)
    lanes = {name: held for name, held in lanes.items() if source in (None, name)}
    _expect("lane", lane, [one.name for held in lanes.values() for one in held])
    run = _Run(store, key, start_ns, end_ns, progress, sum(_bytes(one) for held in lanes.values() for one in held))
    for name in sorted(lanes):
        run.verify_source(name, lanes[name], lane)
    reports = [report for findings in run.findings for report in findings.reports()]
    _expect("book of", symbol, sorted({report.symbol for report in reports}))
    return [report for report in reports if symbol in (None, report.symbol)]


def engine_at(
    store: Store, source: str, symbol: str, at_ns: int, *, key: bytes | None = None, progress: Progress | None = None
) -> BookEngine | None:
    """The books as they stood when all messages received up to at_ns, inclusive, had been judged.

    Returns:
        The engine of the lane that carried the symbol last; None where none did.
    """
    lanes = _lanes(store, at_ns + 1).get(source, [])
    run = _Run(store, key, 0, at_ns + 1, progress, sum(_bytes(one) for one in lanes))
    return run.verify_source(source, lanes, None).by_symbol.get(symbol, (0, None))[1]


def judge_source(
    store: Store,
    source: str,
    judge_of: Callable[[str, BookEngine], LaneJudge],
    *,
    start_ns: int = 0,
    end_ns: int = HORIZON_NS,
    key: bytes | None = None,
    progress: Progress | None = None,
) -> None:
    """Walk over the lanes of a source as `verify_books` does, each with a judge of the caller's making.

    Args:
        judge_of: Source and the books that the judge begins with -> the judge of the next lane.
        start_ns, end_ns, key, progress: As for `verify_books`.
    """
    lanes = _lanes(store, end_ns).get(source, [])
    run = _Run(store, key, start_ns, end_ns, progress, sum(_bytes(lane) for lane in lanes), judge_of)
    run.verify_source(source, lanes, None)


def _expect(what: str, asked: str | None, found: Iterable[str]) -> None:
    """Refuse what was asked for by name and is not among what there is; of an empty lake nothing is refused."""
    available = sorted(set(found))
    if asked is not None and available and asked not in available:
        raise NotInLake(f"no {what} {asked!r} in this lake; there is {', '.join(available)}", available=available)


def _lanes(store: Store, end_ns: int) -> dict[str, list[_Lane]]:
    """By source the lanes that began before end_ns, in order of their first frame."""
    ledger = Ledger(store)
    lanes: dict[str, list[_Lane]] = defaultdict(list)
    for name in ledger.lanes():
        entries = [e for e in ledger.entries(name) if e.segment.lines and e.first_recv_ns < end_ns]
        if entries:
            ends = min(e.first_recv_ns for e in entries), max(e.last_recv_ns for e in entries)
            lanes[entries[0].source].append(_Lane(name, entries, *ends))
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
    judge_of: Callable[[str, BookEngine], LaneJudge] = LaneJudge
    done: int = 0
    findings: list[Findings] = field(default_factory=list)

    def verify_source(self, source: str, lanes: Sequence[_Lane], only: str | None) -> Ended[BookEngine]:
        """Judges the lanes; by symbol when the last lane that carried it ended, and its books."""
        pages = self._pages(source, lanes) if joins_pages(source) else []
        ended = Ended[BookEngine]()
        found = Findings(source)
        for lane in lanes:
            if only in (None, lane.name):
                found.add(self._verify_lane(source, lane, pages, ended))
        self.findings.append(found)
        return ended

    def _lines(self, entry: Entry) -> SegmentLines:
        plain = read_lines(self.store, entry.segment, self.key)
        return split(plain, first_n=entry.first_n, known_before_ns=entry.known_before_ns)

    def _pages(self, source: str, lanes: Sequence[_Lane]) -> list[OfferedPage]:
        """The snapshot pages that lie in the time of another lane which has none, in order of time."""
        for lane in lanes:
            lane.paged = any(PAGE_LINE in self._lines(entry).plain for entry in lane.entries)
        wanting = [(lane.first_ns - OFFER_NS, lane.last_ns) for lane in lanes if not lane.paged]
        found: list[OfferedPage] = []
        for lane in lanes:
            for entry in lane.entries if lane.paged else ():
                if any(entry.first_recv_ns <= last and entry.last_recv_ns >= first for first, last in wanting):
                    found += find_pages(source, self._lines(entry))
        return sorted(found, key=lambda page: page.recv_ns)

    def _verify_lane(
        self, source: str, lane: _Lane, pages: Sequence[OfferedPage], ended: Ended[BookEngine]
    ) -> Findings:
        judge = self.judge_of(source, BookEngine(source))
        offered = [] if lane.paged else pages_for(lane.first_ns, lane.last_ns, pages)
        for entry in lane.entries:
            lines = self._lines(entry)
            frames = judge.enter(entry, lines)
            stop = int(np.searchsorted(lines.known_ns[frames.line], self.end_ns))
            frames = frames.part(0, stop)
            if entry is lane.entries[0]:
                before = ended.take_over((stream.symbol for stream in frames.streams), lane.first_ns)
                if before is not None:
                    reopen(before, lane.first_ns)
                    judge.engine = before
            judge.judge_offered(frames, lines, offered, self.start_ns)
            self.done += entry.segment.bytes
            if self.progress is not None:
                self.progress(self.done, self.total, source)
        ended.end((stream.symbol for stream in judge.engine.streams()), lane.last_ns, judge.engine)
        return judge.findings


def pages_for(first_ns: int, last_ns: int, pages: Iterable[OfferedPage]) -> list[OfferedPage]:
    """The pages that are offered to a lane of that extent."""
    return [page for page in pages if first_ns - OFFER_NS <= page.recv_ns <= last_ns]
