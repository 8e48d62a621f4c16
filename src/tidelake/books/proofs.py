"""What derive proved of the books of a lake: the same as `books.verify` finds, without reading a frame twice.

Each lane goes on from its newest judgement. The walk over the lanes of a source is that of `books.verify`: a lane that
takes over the books of another, or is offered pages of others, is judged once more, with them.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from tidelake.books.engine import BookEngine
from tidelake.books.judgements import ALONE, FOLDER, Judgement, Judgements, code_digest, pack, replace, unpack
from tidelake.books.judging import LaneJudge, OfferedPage, PageEntry, find_pages, reopen
from tidelake.books.report import BookReport, Findings
from tidelake.books.verify import OFFER_NS, Ended, joins_pages, pages_for
from tidelake.errors import ConfigError, LedgerBroken, NotInLake
from tidelake.raw.entry import Entry, encode_entry, entry_hash
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.tables.derive import read_entry_lines
from tidelake.tables.segment_lines import SegmentLines
from tidelake.venues.registry import venues

PROOFS = f"{FOLDER}proofs/"


class Proof(msgspec.Struct, frozen=True):
    """What was proven of the books of one source.

    Attributes:
        lanes: Number and SHA-256 of the entry up to which each lane was read.
        reports: Per stream.
    """

    source: str
    code: str
    lanes: dict[str, tuple[int, str]]
    reports: list[BookReport]

    @property
    def key(self) -> str:
        """Where it is stored; of two proofs the one that read more comes later."""
        read = sum(seq + 1 for seq, _ in self.lanes.values())
        digest = hashlib.sha256(msgspec.json.encode([self.code, sorted(self.lanes.items())])).hexdigest()
        return f"{PROOFS}{self.source}/{read:012d}-{digest[:16]}"


def prove_books(store: Store, key: bytes | None = None) -> None:
    """Bring what is proven of the books of each source up to the ledger.

    Raises:
        LedgerBroken: A lane does not hold; what was proven of its source before stays, all others are proven.
        ConfigError: The key of a lane is missing or another one; likewise.
    """
    ledger = Ledger(store)
    lanes: dict[str, list[str]] = {}
    broken: list[LedgerBroken | ConfigError] = []
    for lane in ledger.lanes():
        try:
            source = ledger.entry(lane, 0).source
        except (LedgerBroken, NotInLake):
            continue  # who reads the lane for its rows says what is wrong
        lanes.setdefault(source, []).append(lane)
    for source in sorted(lanes):
        if source in venues() and venues()[source].books is not None:
            try:
                _prove_source(store, source, lanes[source], key)
            except (LedgerBroken, ConfigError) as exc:
                broken.append(exc)
    if broken:
        raise broken[0]


def proofs(store: Store) -> list[Proof]:
    """The newest proof of each source that holds for the ledger as it is."""
    ledger = Ledger(store)
    newest = (_newest(store, ledger, source) for source in store.folders(PROOFS))
    return [proof for proof in newest if proof is not None]


def _newest(store: Store, ledger: Ledger, source: str) -> Proof | None:
    for key in reversed(list(store.list(f"{PROOFS}{source}/"))):
        try:
            proof = unpack(store.get(key), Proof)
            if proof is not None and all(_hash(ledger, lane, seq) == sha for lane, (seq, sha) in proof.lanes.items()):
                return proof
        except (NotInLake, LedgerBroken):
            continue
    return None


def _hash(ledger: Ledger, lane: str, seq: int) -> str:
    return entry_hash(encode_entry(ledger.entry(lane, seq)))


def _prove_source(store: Store, source: str, lanes: Sequence[str], key: bytes | None) -> None:
    ledger = Ledger(store)
    old = _newest(store, ledger, source)
    same = old is not None and old.code == code_digest() and set(old.lanes) == set(lanes)
    if old is not None and same and not any(_goes_on(ledger, lane, old.lanes[lane][0]) for lane in lanes):
        return
    walk = _Walk(store, source, key)
    reports = walk.run(lanes)
    proof = Proof(source, code_digest(), walk.read, reports)
    replace(store, proof.key, pack(proof))
    for other in list(store.list(f"{PROOFS}{source}/")):
        if other < proof.key:
            store.delete(other)


def _goes_on(ledger: Ledger, lane: str, seq: int) -> bool:
    return next(ledger.entries(lane, seq), None) is not None


@dataclass(frozen=True)
class _Start:
    """What the books of a lane begin on: its name, the books, and the pages offered up to a moment."""

    name: str
    engine: Callable[[], BookEngine]
    pages: Callable[[int], list[OfferedPage]]


@dataclass(frozen=True)
class _Judged:
    """A lane judged to its end, and how to make its judge anew where its stored books are gone."""

    held: Judgement
    remake: Callable[[], LaneJudge]


class _Walk:
    """The walk over the lanes of one source."""

    def __init__(self, store: Store, source: str, key: bytes | None) -> None:
        self._store = store
        self._source = source
        self._key = key
        self._ledger = Ledger(store)
        self._judgements = Judgements(store)
        self.read: dict[str, tuple[int, str]] = {}

    def run(self, lanes: Sequence[str]) -> list[BookReport]:
        """The reports, all lanes together."""
        found = Findings(self._source)
        ended = Ended[_Judged]()
        for alone in self._in_order(lanes):
            judged = self._with_others(alone, ended)
            found.add(Findings(self._source, judged.held.streams))
            ended.end(judged.held.symbols, judged.held.facts.last_ns, judged)
        return found.reports()

    def _in_order(self, lanes: Sequence[str]) -> list[_Judged]:
        """The lanes that hold frames, each judged by itself, in order of their first frame."""
        alone = _Start(ALONE, lambda: BookEngine(self._source), lambda _: [])
        self._alone = [self._judge(lane, alone) for lane in lanes]
        for judged in self._alone:
            self.read[judged.held.lane] = judged.held.seq, judged.held.entry
        filled = [judged for judged in self._alone if judged.held.facts.first_ns]
        return sorted(filled, key=lambda judged: judged.held.facts.first_ns)

    def _with_others(self, alone: _Judged, ended: Ended[_Judged]) -> _Judged:
        """The lane judged with what other lanes say to it."""
        lane, facts = alone.held.lane, alone.held.facts
        before = ended.take_over(facts.first_symbols, facts.first_ns)
        wants = joins_pages(self._source) and not facts.pages and (before is not None or alone.held.symbols)
        offers = self._offers(facts.first_ns - OFFER_NS, facts.last_ns) if wants else []
        if before is None and not offers:
            return alone
        named = [before.held.name if before else "", *(f"{where} {page.seq} {page.segment}" for where, page in offers)]
        start = _Start(
            hashlib.sha256("\n".join(named).encode()).hexdigest()[:16],
            lambda: self._taken_over(before, facts.first_ns),
            lambda last_ns: self._pages(offers, facts.first_ns, last_ns),
        )
        return self._judge(lane, start)

    def _offers(self, first_ns: int, last_ns: int) -> list[tuple[str, PageEntry]]:
        return [
            (judged.held.lane, page)
            for judged in self._alone
            for page in judged.held.facts.pages
            if page.first_ns <= last_ns and page.last_ns >= first_ns
        ]

    def _pages(self, offers: Sequence[tuple[str, PageEntry]], first_ns: int, last_ns: int) -> list[OfferedPage]:
        entries = (self._ledger.entry(lane, page.seq) for lane, page in offers)
        pages = [page for entry in entries for page in find_pages(self._source, self._lines(entry))]
        return pages_for(first_ns, last_ns, sorted(pages, key=lambda page: page.recv_ns))

    def _taken_over(self, before: _Judged | None, first_ns: int) -> BookEngine:
        if before is None:
            return BookEngine(self._source)
        judge = self._judgements.judge_of(before.held) or before.remake()
        reopen(judge.engine, first_ns)
        return judge.engine

    def _lines(self, entry: Entry) -> SegmentLines:
        return read_entry_lines(self._store, entry, self._key)

    def _judge(self, lane: str, start: _Start) -> _Judged:
        """The lane judged to its end."""

        def remake() -> LaneJudge:
            return self._to_end(lane, LaneJudge(self._source, start.engine()), start, 0)[0]

        held = self._judgements.newest(lane, start.name)
        if held is not None and not _goes_on(self._ledger, lane, held.seq):
            return _Judged(held, remake)
        judge = self._judgements.judge_of(held) if held is not None else None
        taken = held.offered if held is not None and judge is not None else 0
        judge = judge or LaneJudge(self._source, start.engine())
        judge, taken = self._to_end(lane, judge, start, taken)
        return _Judged(self._judgements.save(lane, start.name, judge, offered=taken), remake)

    def _to_end(self, lane: str, judge: LaneJudge, start: _Start, taken: int) -> tuple[LaneJudge, int]:
        """Judges what comes after what was judged; how many of the offered pages were taken by then."""
        entries = list(self._ledger.entries(lane, judge.next_seq - 1))
        offered = start.pages(max([judge.facts.last_ns, *(entry.last_recv_ns for entry in entries)]))
        left = offered[taken:]
        for entry in entries:
            judge.take(entry, self._lines(entry), left)
        return judge, len(offered) - len(left)
