"""Lanes of a collection of lending markets: what they hold, and writing sections of them."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from tidelake.lending.recorded import (
    BLOCKS,
    LOGS,
    POSITIONS,
    BlockNote,
    DayNote,
    LogsNote,
    NoteT,
    Page,
    Section,
    Told,
    blocks_lane,
    logs_lane,
    positions_lane,
    read_sections,
)
from tidelake.raw.crash_points import reach
from tidelake.raw.entry import Claim
from tidelake.raw.frame import decode_line
from tidelake.raw.lane import LaneWriter
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import read_sealed
from tidelake.raw.store import Store

MOST_SECTIONS = 30
MOST_BYTES = 8_000_000
_NOTE = b'"kind":"note"'
_ENVELOPE = 200  # octets of a line in which its kind stands


def read_notes(store: Store, lane: str, kind: type[NoteT], key: bytes | None = None) -> list[NoteT]:
    """The notes of a lane's sealed entries, in their order.

    Raises:
        LedgerBroken: The lane does not hold.
        FormatDrift: A note is not of that kind.
    """
    found: list[NoteT] = []
    for entry in Ledger(store).entries(lane):
        lines = read_sealed(store, entry.segment, key).split(b"\n")
        frames = (decode_line(line) for line in lines if _NOTE in line[:_ENVELOPE])
        found += (section.note for section in read_sections(frames, kind))
    return found


def read_logs_of(store: Store, chain: str, told: Told, key: bytes | None = None) -> list[Section[LogsNote]]:
    """The sections of a chain's logs that tell this, as far as they stand: each up to the `end` of its note.

    Raises:
        LedgerBroken: The lane does not hold.
        FormatDrift: A note is not of its kind.
    """
    found: list[Section[LogsNote]] = []
    for entry in Ledger(store).entries(logs_lane(chain)):
        pages: list[bytes] = []
        for line in filter(None, read_sealed(store, entry.segment, key).split(b"\n")):
            pages.append(line)
            if _NOTE not in line[:_ENVELOPE]:
                continue
            (last,) = read_sections([decode_line(line)], LogsNote)
            if last.note.told == told and last.note.state == "COVERED":
                found += read_sections(map(decode_line, pages), LogsNote)
            elif last.note.told == told and last.note.state == "RETRACTED":
                found = [replace(one, note=left) for one in found if (left := one.note.after(last.note))]
            pages = []
    return found


@dataclass
class DaysHeld:
    """What a lane says of a market, by grid time: its last word."""

    notes: dict[str, DayNote] = field(default_factory=dict)

    def add(self, note: DayNote) -> None:
        """Take over a note."""
        self.notes[note.grid] = note

    def state(self, grid: str) -> str:
        """The state of a grid time; "" where nothing stands."""
        note = self.notes.get(grid)
        return "" if note is None or note.state == "RETRACTED" else note.state


@dataclass
class LogsHeld:
    """Which blocks' logs are known, by market; the ranges are those of the notes, each up to its `end`.

    Attributes:
        covered: Notes that stand.
        failed: Notes on ranges that nobody answered, by market, what they were to tell, first and last block.
        unproven: Likewise those that were to be proven and are not.
    """

    covered: list[LogsNote] = field(default_factory=list)
    failed: dict[tuple[str, Told, int, int], LogsNote] = field(default_factory=dict)
    unproven: dict[tuple[str, Told, int, int], LogsNote] = field(default_factory=dict)
    _joined: dict[tuple[str, Told, bool], list[tuple[int, int]]] = field(default_factory=dict, repr=False)

    def add(self, note: LogsNote) -> None:
        """Take over a note; a retraction voids what was said of the same blocks before."""
        self._joined.clear()
        if note.state == "RETRACTED":
            self.covered = [left for one in self.covered if (left := one.after(note))]
            self.unproven = {place: one for place, one in self.unproven.items() if not one.is_void_by(note)}
            return
        for market in note.markets:
            place = (market, note.told, note.first, note.last)
            self.failed.pop(place, None)
            self.unproven.pop(place, None)
            if note.state == "SOURCE_FAILED":
                self.failed[place] = note
            elif note.proof == "one provider" and note.reason:
                self.unproven[place] = note
        if note.state == "COVERED":
            self.covered.append(note)

    def lacking(
        self, market: str, first: int, last: int, *, proven: bool, told: Told = "liquidations"
    ) -> list[tuple[int, int]]:
        """The blocks from `first` to `last` that no note covers: first and last of each stretch, both inclusive.

        Args:
            market: Whose logs.
            first, last: Blocks, both inclusive.
            proven: Whether only what was proven counts.
            told: What the logs tell.
        """
        spans = self._spans(market, told, proven=proven)
        found = []
        at = first
        for begin, end in spans[max(0, bisect_left(spans, (first,)) - 1) :]:
            if begin > last:
                break
            if begin > at:
                found.append((at, begin - 1))
            at = max(at, end + 1)
        return [*found, (at, last)] if at <= last else found

    def covers(self, market: str, first: int, last: int, *, proven: bool, told: Told = "liquidations") -> bool:
        """Whether nothing is `lacking`."""
        return not self.lacking(market, first, last, proven=proven, told=told)

    def _spans(self, market: str, told: Told, *, proven: bool) -> list[tuple[int, int]]:
        """Stretches of covered blocks that do not touch, in order."""
        key = market, told, proven
        if key not in self._joined:
            joined: list[tuple[int, int]] = []
            notes = (one for one in self.covered if market in one.markets and one.told == told)
            for note in sorted(notes, key=lambda one: one.first):
                if proven and note.proof == "one provider":
                    continue
                if joined and note.first <= joined[-1][1] + 1:
                    joined[-1] = joined[-1][0], max(joined[-1][1], note.end[0])
                else:
                    joined.append((note.first, note.end[0]))
            self._joined[key] = joined
        return self._joined[key]


class SectionWriter:
    """Writes sections of one lane, and seals them about every 30.

    A section goes to the part file as a whole, its note last; what a kill leaves without a note says nothing.
    """

    def __init__(
        self, store: Store, lane: str, chain: str, feed: str, symbol: str, key: bytes | None, point: str
    ) -> None:
        self._writer = LaneWriter(store, lane, chain, describe=_describe, key=key)
        self._feed, self._symbol, self._point = feed, symbol, point
        self._sections = 0

    def put(self, pages: Iterable[Page], note: DayNote | BlockNote | LogsNote) -> None:
        """Append a section; it outlives the process."""
        for page in pages:
            self._append("page", page.payload, page.request, page.recv_ns, page.mono_ns)
        reach(f"{self._point}-pages")
        self._append("note", msgspec.json.encode(note))
        reach(f"{self._point}-noted")
        self._writer.sync()
        self._sections += 1
        if self._sections >= MOST_SECTIONS or self._writer.part_bytes >= MOST_BYTES:
            self.seal()

    def _append(
        self,
        kind: Literal["page", "note"],
        payload: bytes,
        request: str = "",
        recv_ns: int | None = None,
        mono_ns: int | None = None,
    ) -> None:
        feed, symbol = self._feed, self._symbol
        self._writer.append(
            payload=payload,
            kind=kind,
            request=request,
            feed=feed,
            symbol=symbol,
            recv_ns=recv_ns,
            mono_ns=mono_ns,
            sync=False,
        )

    def seal(self) -> None:
        """Seal what was written."""
        self._writer.seal()
        self._sections = 0


def days_writer(store: Store, chain: str, market: str, key: bytes | None) -> SectionWriter:
    """Writes the lane of a market."""
    return SectionWriter(store, positions_lane(market), chain, POSITIONS, market, key, "day")


def blocks_writer(store: Store, chain: str, key: bytes | None) -> SectionWriter:
    """Writes the lane of a chain's pinned blocks."""
    return SectionWriter(store, blocks_lane(chain), chain, BLOCKS, chain, key, "pin")


def logs_writer(store: Store, chain: str, key: bytes | None) -> SectionWriter:
    """Writes the lane of a chain's logs."""
    return SectionWriter(store, logs_lane(chain), chain, LOGS, chain, key, "logs")


def days_held(store: Store, market: str, key: bytes | None) -> DaysHeld:
    """What stands of a market."""
    held = DaysHeld()
    for note in read_notes(store, positions_lane(market), DayNote, key):
        held.add(note)
    return held


def logs_held(store: Store, chain: str, key: bytes | None) -> LogsHeld:
    """What stands of a chain's logs."""
    held = LogsHeld()
    for note in read_notes(store, logs_lane(chain), LogsNote, key):
        held.add(note)
    return held


def pins_held(store: Store, chain: str, key: bytes | None) -> dict[str, BlockNote]:
    """The pinned blocks of a chain that stand, by grid time."""
    held: dict[str, BlockNote] = {}
    for note in read_notes(store, blocks_lane(chain), BlockNote, key):
        if note.state == "PINNED":
            held[note.grid] = note
        else:
            held.pop(note.grid, None)
    return held


def _describe(lines: bytes, context: dict[str, str]) -> tuple[tuple[Claim, ...], dict[str, str]]:
    """Their notes say what sections cover; the ledger claims nothing of them."""
    return (), context
