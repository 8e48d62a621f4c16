"""The sections of a lane with the line of their note; one that cannot be read leaves those beside it alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic

from tidelake.errors import FormatDrift
from tidelake.lending.recorded import NoteT, Section, read_sections
from tidelake.raw.entry import Entry
from tidelake.raw.frame import Frame, decode_line
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store
from tidelake.tables.derive import read_entry_lines
from tidelake.tables.segment_lines import SegmentLines


@dataclass(frozen=True, slots=True)
class Placed(Generic[NoteT]):
    """A section, or why it cannot be read, and the line of its note in the segment."""

    line: int
    section: Section[NoteT] | None
    reason: str = ""


def place_sections(lines: SegmentLines, kind: type[NoteT]) -> Iterator[Placed[NoteT]]:
    """The sections of a segment, in order; what no note closes is left out."""
    frames: list[Frame] = []
    for line in range(len(lines.recv_ns)):
        frame = decode_line(lines.lines[line].as_py())
        frames.append(frame)
        if frame.kind != "note":
            continue
        try:
            (section,) = read_sections(frames, kind)
            yield Placed(line, section)
        except FormatDrift as exc:
            yield Placed(line, None, str(exc))
        frames = []


def sections_before(
    store: Store, key: bytes | None, entry: Entry, lines: SegmentLines, line: int, kind: type[NoteT], holding: str
) -> Iterator[Section[NoteT]]:
    """The sections of a lane that stand before a line of an entry, in order, of the segments that hold a text."""
    token = holding.encode()
    for earlier in Ledger(store).entries(entry.lane):
        if earlier.seq >= entry.seq:
            break
        held = read_entry_lines(store, earlier, key)
        if token in held.plain:
            yield from (placed.section for placed in place_sections(held, kind) if placed.section)
    yield from (placed.section for placed in place_sections(lines, kind) if placed.section and placed.line < line)
