"""All figures of one day of a symbol, before anything is made of them."""

import datetime as dt
from dataclasses import dataclass

from tidelake.books.assessment.clocks import ClockFigures
from tidelake.books.assessment.coverage import CoverageFigures
from tidelake.books.assessment.day_grid import MINUTE_NS
from tidelake.books.assessment.prices import LevelFigures, TradeFigures, TypicalNumbers
from tidelake.books.assessment.sequences import SequenceFigures
from tidelake.books.assessment.snapshots import SnapshotFigures
from tidelake.vendors.spec import Role


@dataclass(frozen=True, slots=True)
class TableFigures:
    """What was found in the files of one table.

    Attributes:
        table: The vendor's name. role: What it holds.
        files: Vendor's keys of the files.
        bytes, rows, messages: A message of the exchange has one row or more; trades and snapshots are one each.
        wholes: Messages that are a whole book.
        snapshots, trades, levels: Of the role alone.
    """

    table: str
    role: Role
    files: tuple[str, ...]
    bytes: int
    rows: int
    messages: int
    wholes: int
    coverage: CoverageFigures
    clocks: ClockFigures
    sequences: SequenceFigures
    typical: TypicalNumbers
    snapshots: SnapshotFigures | None = None
    trades: TradeFigures | None = None
    levels: LevelFigures | None = None


@dataclass(frozen=True, slots=True)
class AgreementMinute:
    """Snapshots of a minute: those that agree with the replayed deltas, and those that differ."""

    start_ns: int
    agreeing: int
    differing: int


@dataclass(frozen=True, slots=True)
class AgreementFigures:
    """How the snapshots agree with the book that the deltas give.

    Attributes:
        compared: Snapshots laid beside a replayed book. agreeing: those with no price and no size that differs.
        began: Snapshots that the book begins with, at first or after a break; they are compared with nothing.
        broken: Messages before which others are proven to be missing.
        differing_prices, differing_sizes: Levels that differ, per snapshot that differs: p50, p99 and most.
        best_rms_ticks: Of the snapshots that differ, the same of the distance of the best prices.
        minutes: Over the day.
    """

    compared: int
    agreeing: int
    began: int
    broken: int
    differing_prices: tuple[float, float, float] | None
    differing_sizes: tuple[float, float, float] | None
    best_rms_ticks: tuple[float, float, float] | None
    minutes: tuple[AgreementMinute, ...]

    @property
    def share(self) -> float | None:
        """Share of the compared that agree; None of none."""
        return self.agreeing / self.compared if self.compared else None


@dataclass(frozen=True, slots=True)
class ReplayCost:
    """What a full replay of the day takes; `replay_cost` says how it is reckoned.

    Attributes:
        memory_bytes: Peak of the process. seconds: On one core.
        parts: What of the memory goes where.
    """

    memory_bytes: int
    seconds: float
    parts: dict[str, int]


@dataclass(frozen=True, slots=True)
class DayFigures:
    """One day of a symbol of a vendor.

    Attributes:
        sample_ns: So much from the first message on was looked at; None: all.
        tables: By role; a role without a file is absent.
        agreement: None where nothing could be replayed; `not_replayed` says why.
    """

    vendor: str
    source: str
    symbol: str
    day: dt.date
    sample_ns: int | None
    tables: dict[Role, TableFigures]
    agreement: AgreementFigures | None
    not_replayed: str
    cost: ReplayCost

    @property
    def anchors(self) -> int:
        """Snapshots and whole books: what a replay can begin with."""
        snapshots, deltas = self.tables.get("snapshots"), self.tables.get("deltas")
        return (snapshots.messages if snapshots else 0) + (deltas.wholes if deltas else 0)

    @property
    def agreement_while_told(self) -> float | None:
        """Share of the snapshots that agree, of minutes outside the silences of the deltas; None of none."""
        if self.agreement is None or "deltas" not in self.tables:
            return None
        silences = self.tables["deltas"].coverage.silences
        told = [
            each
            for each in self.agreement.minutes
            if not any(s.first_ns - MINUTE_NS < each.start_ns <= s.last_ns for s in silences)
        ]
        agreeing, compared = sum(each.agreeing for each in told), sum(each.agreeing + each.differing for each in told)
        return agreeing / compared if compared else None
