"""The replay of one symbol's day, batch by batch: events in, the book after each of them out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tidelake.books.reconstruction.batch import Codes, EventBatch, Integers, Small
from tidelake.books.reconstruction.compared import Compared, SnapshotSource, take_compared
from tidelake.books.reconstruction.event_columns import latest_recv_ns
from tidelake.errors import ReplayRefused
from tidelake.kernels.dense_book import FAR, WINDOW, empty_book
from tidelake.kernels.replay_book import FITS, replay
from tidelake.kernels.replay_codes import PART, TRADE, WHOLE
from tidelake.kernels.replay_compare import COMPARED, COUNT, PLACE, new_state

NO_GRID = -1
LARGEST_TICK = 1 << 62


@dataclass(frozen=True, slots=True)
class Shown:
    """The best levels of both sides at r moments.

    Attributes:
        after: int64[r], how many events of the batch had happened.
        grid_ns: int64[r], the moment of the grid, ns since 1970; NO_GRID where levels are shown after an event.
        tick, lots: int64[r, 2, levels], bids then asks, the best first; NO_TICK and 0 where there are fewer.
        known: int32[r, 2], how many of them lie within the known depth.
    """

    after: Integers
    grid_ns: Integers
    tick: Integers
    lots: Integers
    known: Small


@dataclass(frozen=True, slots=True)
class ReplayOut:
    """What the events of one batch did, by event.

    Attributes:
        place: Place of the batch's first event in the day.
        best_tick, best_lots: int64[n, 2], best bid and best ask after the event; NO_TICK and 0 where a side is empty.
        known: uint8[n, 2], 1 where it lies within the known depth.
        flags: uint8[n], the FLAG_ bits of `kernels.replay_codes`.
        compared: The snapshots that were judged, in their order; one may be of an earlier batch.
        shown: Levels, where they were asked for.
    """

    place: int
    best_tick: Integers
    best_lots: Integers
    known: Codes
    flags: Codes
    compared: Compared
    shown: Shown


class Replay:
    """A book and all that its next event depends on.

    Args:
        depth: Levels of a side that a PART tells where there are as many; a side told with fewer is known whole.
        levels: How many levels of a side are shown; 0 shows none.
        every_ns: Levels are shown at multiples of it, in the declared clock: the book after all events up to then,
            only where an event happened since the moment before. None: after each event but trades.
        anchored: No deltas are replayed: each snapshot is taken as it comes.
    """

    def __init__(self, depth: int, levels: int = 20, every_ns: int | None = None, *, anchored: bool = False) -> None:
        if depth < 0 or levels < 0 or (every_ns is not None and every_ns <= 0):
            raise ValueError(f"depth {depth}, levels {levels}: at least 0; every_ns {every_ns}: more than 0, or None")
        self.depth, self.levels, self.every_ns, self.anchored = depth, levels, every_ns, anchored
        self.book: tuple[Any, ...] = empty_book()  # type: ignore[no-untyped-call]
        self.state, self.differences = new_state()  # type: ignore[no-untyped-call]
        self.clock_ns, self.recv_ns, self.grid_ns = 0, 0, NO_GRID
        self.waiting: SnapshotSource | None = None
        self.refused = False

    @property
    def place(self) -> int:
        """Place of the next event."""
        return int(self.state[PLACE])

    def run(self, batch: EventBatch) -> ReplayOut:
        """Replays the events that come next.

        Raises:
            ReplayRefused: An event is not what `EventBatch` says, or the book has more far levels than it holds. The
                replay cannot go on then.
        """
        if self.refused:
            raise ReplayRefused("This replay was refused before. Begin anew from a written state.", place=self.place)
        self.refused = True
        self._check(batch)
        after, grid_ns = self._moments(batch)
        out = self._replay(batch, after, grid_ns)
        if len(batch):
            self.clock_ns, self.recv_ns = int(batch.clock_ns[-1]), int(latest_recv_ns(batch, self.recv_ns)[-1])
        self.refused = False
        return out

    def finish(self) -> ReplayOut:
        """What is still owed after the last event: the last moment of the grid, and the snapshot that waits."""
        owed = self.levels > 0 and self.grid_ns != NO_GRID
        grid_ns = np.array([self.grid_ns] if owed else [], np.int64)
        self.grid_ns = NO_GRID
        return self._replay(no_events(), np.zeros(len(grid_ns), np.int64), grid_ns, is_end=True)

    def _replay(self, batch: EventBatch, after: Integers, grid_ns: Integers, *, is_end: bool = False) -> ReplayOut:
        n, place = len(batch), self.place
        told = np.empty((n, 2), np.int64), np.empty((n, 2), np.int64), np.empty((n, 2), np.uint8), np.empty(n, np.uint8)
        snapshots = int(np.count_nonzero((batch.kind == PART) | (batch.kind == WHOLE)))
        compared, distance = np.empty((snapshots + 1, COMPARED), np.int64), np.empty(snapshots + 1)
        room = (len(after), 2, self.levels)
        shown = np.empty(room, np.int64), np.empty(room, np.int64), np.empty((len(after), 2), np.int32)
        exact = np.ones(n, np.uint8) if self.anchored else batch.exact
        columns = batch.kind, batch.broken, exact, batch.level_from, batch.side, batch.tick, batch.lots
        events = tuple(np.require(column, requirements=["C", "W"]) for column in columns)  # else it compiles once more
        failed, said, self.differences = replay(
            self.book, self.state, self.differences, events, self.depth, is_end, after, told, compared, distance, shown
        )
        if failed != FITS:
            raise self._too_many_far(place + failed)
        waited, self.waiting = self.waiting, self._find_waiting(batch, place)
        latest = latest_recv_ns(batch, self.recv_ns)
        found = take_compared(compared[:said], distance[:said], batch, place, waited, latest)
        return ReplayOut(place, *told, found, Shown(after, grid_ns, *shown))

    def _find_waiting(self, batch: EventBatch, place: int) -> SnapshotSource | None:
        """The snapshot that waits for the next message."""
        if not self.state[COUNT]:
            return None
        return SnapshotSource.of(batch, self.state, place) or self.waiting

    def _moments(self, batch: EventBatch) -> tuple[Integers, Integers]:
        """After how many events levels are shown, and the moments of the grid that these are."""
        if not self.levels:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        if self.every_ns is None:
            after = np.flatnonzero(batch.kind != TRADE) + 1
            return after, np.full(len(after), NO_GRID, np.int64)
        if not len(batch):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        moments = -(-batch.clock_ns // self.every_ns) * self.every_ns
        before = np.concatenate([[self.grid_ns if self.grid_ns != NO_GRID else moments[0]], moments[:-1]])
        after = np.flatnonzero(moments != before)
        self.grid_ns = int(moments[-1])
        return after, before[after]

    def _check(self, batch: EventBatch) -> None:
        """Refuses what the kernel must not meet."""
        n, m = len(batch), len(batch.tick)
        counts = np.diff(batch.level_from)
        if len(batch.level_from) != n + 1 or batch.level_from[0] or batch.level_from[-1] != m or (counts < 0).any():
            raise ReplayRefused(
                f"Events from place {self.place}: level_from does not part {m} levels among {n} events. "
                "Nothing was replayed; whoever built the batch is wrong.",
                place=self.place,
            )
        clocks = np.concatenate([[self.clock_ns], batch.clock_ns])
        self._refuse_events(batch, np.diff(clocks) < 0, "a clock that runs backwards", batch.clock_ns)
        self._refuse_events(batch, batch.kind > WHOLE, "an unknown kind", batch.kind)
        self._refuse_levels(batch, (batch.tick <= 0) | (batch.tick > LARGEST_TICK), "a price out of range", batch.tick)
        self._refuse_levels(batch, batch.lots < 0, "a negative size", batch.lots)
        wrong_side = batch.side > 1
        if wrong_side.any():
            wrong_side &= np.repeat(batch.kind, counts) != TRADE
            self._refuse_levels(batch, wrong_side, "neither bid nor ask", batch.side)

    def _refuse_events(self, batch: EventBatch, wrong: Any, what: str, values: Any) -> None:
        if wrong.any():
            i = int(np.argmax(wrong))
            raise self._refusal(batch, i, f"{what}: {values[i]}")

    def _refuse_levels(self, batch: EventBatch, wrong: Any, what: str, values: Any) -> None:
        if wrong.any():
            level = int(np.argmax(wrong))
            i = int(np.searchsorted(batch.level_from, level, side="right")) - 1
            raise self._refusal(batch, i, f"{what}: {values[level]} in level {level - batch.level_from[i]}")

    def _refusal(self, batch: EventBatch, i: int, what: str) -> ReplayRefused:
        return ReplayRefused(
            f"Event {self.place + i} (file {batch.file[i]}, row {batch.row[i]}) has {what}. Nothing of its batch was "
            "replayed. Check the vendor's file (`tidelake books assess`) and acquire it again, or leave the day out.",
            place=self.place + i,
        )

    def _too_many_far(self, place: int) -> ReplayRefused:
        return ReplayRefused(
            f"Event {place}: more than {FAR:,} levels of one side stand outside {WINDOW:,} ticks around the best "
            "price; the replay was given up, nothing of its batch is kept. Prices are wrong (`tidelake books assess` "
            "shows their range), or one price with too many decimals makes the tick too fine: leave the day out.",
            place=place,
        )


def no_events() -> EventBatch:
    """A batch without events."""
    integers, codes, small = np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.int32)
    return EventBatch(
        kind=codes, clock_ns=integers, event_ns=integers, recv_ns=integers, sequence=integers, broken=codes,
        exact=codes, level_from=np.zeros(1, np.int64), side=codes, tick=integers, lots=integers, file=small,
        row=integers, trade_id=pa.array([], pa.string()),
    )  # fmt: skip
