"""What is reconstructed, and what came of it: one day of one symbol by one strategy, as words that can be sent."""

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Literal

import msgspec

from tidelake.books.ready import ReadyFile

Strategy = Literal["full_event_replay", "snapshot_anchored", "origin_time_sort"]
CODE_VERSION = 6  # one more with every change that gives other rows
CHUNK_ROWS = 1 << 18  # rows of one commit, about; with 20 levels in each about 170 MB
DAY_NS = 86_400_000_000_000


class DayTask(msgspec.Struct, frozen=True):
    """A partition: what `reconstruct_day` needs to know, and nothing else.

    Attributes:
        url: The lake's.
        vendor, source, symbol, day, strategy: The partition.
        levels: Levels of each side that rows show.
        every_ns: Distance of the grid on which rows show levels, in ns since 1970; 0 for every event.
        model_consumption: Whether trades of `snapshot_anchored` get `model_size_left`.
        chunk_rows: Rows of one commit, about: batches are not cut.
    """

    url: str
    vendor: str
    source: str
    symbol: str
    day: dt.date
    strategy: Strategy
    levels: int = 20
    every_ns: int = 100_000_000
    model_consumption: bool = False
    chunk_rows: int = CHUNK_ROWS

    @property
    def first_ns(self) -> int:
        """Start of the day, ns since 1970 UTC."""
        return (self.day - dt.date(1970, 1, 1)).days * DAY_NS


def plan_of(task: DayTask, files: Sequence[ReadyFile]) -> str:
    """Sixteen digits that differ where other files, options or code would give other rows."""
    hashes = sorted((file.table, file.name, file.sha256) for file in files)
    words = (CODE_VERSION, task.levels, task.every_ns, task.model_consumption, task.chunk_rows, hashes)
    return hashlib.sha256(msgspec.json.encode(words)).hexdigest()[:16]


class StateShare(msgspec.Struct, frozen=True):
    """How much of a day the book was in a state.

    Attributes:
        reason: As `rule` of the rows; "" where it is VALID.
        events: Messages of the book and trades.
        ns: On the declared clock, from one event to the next.
    """

    state: str
    reason: str
    events: int
    ns: int


class PlannedDay(msgspec.Struct, frozen=True):
    """What is to be done of a day.

    Attributes:
        strategy: None where no file of the day is ready, or none by which a book can be replayed.
        why: What it was chosen by, or why there is none.
        stands: What the table holds of it: "done", "begun" (a run goes on where it was), "otherwise" (of other files
            or options: it is replaced), "" where nothing.
        tables: The vendor's tables of which files are ready.
        bytes: Of these files.
    """

    vendor: str
    source: str
    symbol: str
    day: dt.date
    strategy: Strategy | None
    why: str
    stands: Literal["", "begun", "done", "otherwise"] = ""
    tables: str = ""
    files: int = 0
    bytes: int = 0


class Shares(msgspec.Struct, frozen=True):
    """What was known of the book so far.

    Attributes:
        shares: Of the events so far, and of the time up to the last one.
        state, reason: After the last event; "" before the first.
        clock_ns: Of the last event.
    """

    shares: tuple[StateShare, ...] = ()
    state: str = ""
    reason: str = ""
    clock_ns: int = 0


class Figures(msgspec.Struct, frozen=True):
    """What the first pass counted over a day; equal for equal plans.

    Attributes:
        events, levels: Events of the streams, and levels that they told.
        trades, messages: Events that are trades, and messages that set levels.
        repeats: Exact repeats of a message or trade, left out.
        breaks: Places at which messages are proven to be missing.
        snapshots: Snapshots; each of them began a book, or agreed with it, or drifted from it.
        began, agreed, drifted: Which of these.
        compared_levels: Levels compared.
        drift_prices, drift_sizes: Levels whose price or size differed.
        drift_best_rms: Root mean square of what best bid and best ask differed by, in ticks, over all that drifted;
            None where none did.
    """

    events: int = 0
    levels: int = 0
    trades: int = 0
    messages: int = 0
    repeats: int = 0
    breaks: int = 0
    snapshots: int = 0
    began: int = 0
    agreed: int = 0
    drifted: int = 0
    compared_levels: int = 0
    drift_prices: int = 0
    drift_sizes: int = 0
    drift_best_rms: float | None = None


class DayReport(msgspec.Struct, frozen=True):
    """What came of a day.

    Attributes:
        plan: See `plan_of`.
        figures: Of the whole day, also of what an earlier run did.
        states: What was known of the book, and for how long.
        rows: Rows that the table has of the day.
        new_rows: Rows that this run committed.
        resumed_at: Row from which on this run went on; 0 where it began anew.
        seconds: Wall time of this run.
        cpu_seconds: CPU time of this run.
    """

    task: DayTask
    plan: str
    figures: Figures
    states: tuple[StateShare, ...]
    rows: int
    new_rows: int
    resumed_at: int
    seconds: float
    cpu_seconds: float
