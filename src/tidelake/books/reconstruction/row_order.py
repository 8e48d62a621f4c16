"""Where the rows of a batch stand: those of its events, of snapshots that were judged, and of moments of the grid."""

from dataclasses import dataclass

import numpy as np

from tidelake.books.reconstruction.batch import EventBatch, Integers
from tidelake.books.reconstruction.replay import NO_GRID, ReplayOut
from tidelake.kernels.replay_codes import DELTA


@dataclass(frozen=True)
class RowOrder:
    """e rows of trades and levels, s of snapshots, g of the grid; e + s + g in all.

    Attributes:
        level: int64[e], the level that a row tells.
        event: int64[e], its event.
        events_at: int64[e], places of these rows in the batch's.
        snapshots_at: int64[s], of the snapshots'.
        on_grid: int64[g], which of the moments shown are rows of their own.
        grid_at: int64[g], their places.
    """

    level: Integers
    event: Integers
    events_at: Integers
    snapshots_at: Integers
    on_grid: Integers
    grid_at: Integers

    def __len__(self) -> int:
        return len(self.events_at) + len(self.snapshots_at) + len(self.grid_at)


def order_rows(batch: EventBatch, out: ReplayOut) -> RowOrder:
    """A moment of the grid stands before the event that ended it, a snapshot before the message that judged it."""
    counts = np.diff(batch.level_from)
    told = batch.kind <= DELTA
    if told.all():
        level, event = np.arange(len(batch.tick)), np.repeat(np.arange(len(batch)), counts)
    else:
        level = np.flatnonzero(np.repeat(told, counts))
        event = np.repeat(np.arange(len(batch)), np.where(told, counts, 0))
    before = np.zeros(len(batch) + 1, np.int64)  # rows of events before each
    np.cumsum(np.where(told, counts, 0), out=before[1:])
    on_grid = np.flatnonzero(out.shown.grid_ns != NO_GRID)
    after, at = out.shown.after[on_grid], out.compared.at
    places = np.arange(len(batch) + 1)
    grid_by, snapshots_by = np.searchsorted(after, places, side="right"), np.searchsorted(at, places, side="right")
    return RowOrder(
        level,
        event,
        np.arange(len(level)) + (grid_by + snapshots_by)[event],
        before[at] + grid_by[at] + np.arange(len(at)),
        on_grid,
        before[after] + np.searchsorted(at, after, side="left") + np.arange(len(after)),
    )
