"""The coverage of a whole lake, also where some of its lanes are broken."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tidelake.errors import LedgerBroken
from tidelake.raw.coverage import StreamCoverage, coverage
from tidelake.raw.entry import Entry
from tidelake.raw.ledger import Ledger
from tidelake.raw.store import Store


@dataclass(frozen=True)
class BrokenLane:
    """A lane that could be read up to where it is broken.

    Attributes:
        error: What is wrong, and where.
        source: Its source; "" where not one entry could be read.
        streams: (feed, symbol) that the entries before the break speak of; those after it may speak of others.
    """

    lane: str
    error: LedgerBroken
    source: str = ""
    streams: frozenset[tuple[str, str]] = frozenset()


@dataclass
class LakeCoverage:
    """What is known of all streams, the entries before a break included, and the lanes that are broken."""

    streams: list[StreamCoverage] = field(default_factory=list)
    broken: list[BrokenLane] = field(default_factory=list)


class CoverageBroken(LedgerBroken):
    """Lanes are broken that may hold what was asked for.

    Attributes:
        found: The answer of all other lanes, and of these up to where they are broken.
        lanes: Names of the broken lanes.
    """

    def __init__(self, broken: Sequence[BrokenLane], found: Sequence[StreamCoverage]) -> None:
        first = broken[0].error
        more = f" Broken too: {', '.join(each.lane for each in broken[1:])}." if len(broken) > 1 else ""
        text = f"{first}{more} What these lanes sealed from there on is not counted; all other lanes are."
        super().__init__(text, lane=first.lane, seq=first.seq)
        self.found = tuple(found)
        self.lanes = tuple(each.lane for each in broken)


def cover_lake(store: Store) -> LakeCoverage:
    """The coverage of every stream; a lane that is broken costs its own entries from there on, and is named."""
    ledger, answer = Ledger(store), LakeCoverage()
    answer.streams = coverage(entry for lane in ledger.lanes() for entry in _intact(ledger, lane, answer.broken))
    return answer


def _intact(ledger: Ledger, lane: str, broken: list[BrokenLane]) -> Iterator[Entry]:
    source, streams = "", set[tuple[str, str]]()
    try:
        for entry in ledger.entries(lane):
            source = entry.source
            streams |= {(claim.feed, claim.symbol) for claim in entry.claims}
            yield entry
    except LedgerBroken as exc:
        broken.append(BrokenLane(lane, exc, source, frozenset(streams)))
