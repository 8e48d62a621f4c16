"""One reader of a table out of several, each of lanes of its own."""

from collections.abc import Sequence

from tidelake.raw.entry import Entry
from tidelake.tables.decode import Decoded
from tidelake.tables.derive import Reader
from tidelake.tables.segment_lines import SegmentLines


class JoinedReader:
    """Lets the first reader that serves a lane read it (`tables.derive.Reader`)."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = tuple(readers)
        self.ordered = any(reader.ordered for reader in readers)

    def serves(self, source: str, lane: str) -> bool:
        return any(reader.serves(source, lane) for reader in self._readers)

    def read(self, entry: Entry, lines: SegmentLines) -> Decoded:
        reader = next(reader for reader in self._readers if reader.serves(entry.source, entry.lane))
        return reader.read(entry, lines)

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
