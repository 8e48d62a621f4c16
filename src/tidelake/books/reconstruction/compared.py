"""What was said of the snapshots that a replay compared with its book."""

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from tidelake.books.reconstruction.batch import Codes, EventBatch, Integers
from tidelake.kernels.replay_compare import (
    AT,
    COMPARED_LEVELS,
    OF,
    PRICES,
    SIZES,
    SNAPSHOT,
    UNTIL,
    VERDICT,
)


class SnapshotSource(msgspec.Struct, frozen=True):
    """Where a snapshot came from: the columns of its event, as `EventBatch` says."""

    clock_ns: int
    event_ns: int
    recv_ns: int
    sequence: int
    file: int
    row: int

    @classmethod
    def of(cls, batch: EventBatch, state: Integers, place: int) -> "SnapshotSource | None":
        """Of the snapshot that waits; None where it is not of this batch, whose first event has this place."""
        i = int(state[SNAPSHOT]) - place
        if i < 0:
            return None
        columns = batch.clock_ns, batch.event_ns, batch.recv_ns, batch.sequence, batch.file, batch.row
        return cls(*(int(column[i]) for column in columns))


@dataclass(frozen=True, slots=True)
class Compared:
    """s snapshots, in the order in which they came and were judged.

    Attributes:
        at: int64[s], event of the batch at which it was judged; the count of events where that was at the end.
        place: int64[s], its place in the day; it is of an earlier batch where that is below the batch's.
        verdict: uint8[s], BEGAN, AGREED or DRIFTED.
        until: int64[s], the place before which it speaks of the book, exclusive.
        levels: int64[s], prices at which told and held book were compared; 0 where it began the book.
        prices: int64[s], of these, prices where only one of them has a level.
        sizes: int64[s], of these, prices where both have a level of another size.
        best_rms: float64[s], root mean square of the differences of best bid and best ask, in ticks; NaN where the
            book began, or a best is not known.
        judged_recv_ns: int64[s], the receive clock by which all had come that it was judged by: the messages up to it,
            or up to the later one.
        clock_ns, event_ns, recv_ns, sequence, file, row: int64[s], of its event.
    """

    at: Integers
    place: Integers
    verdict: Codes
    until: Integers
    levels: Integers
    prices: Integers
    sizes: Integers
    best_rms: npt.NDArray[np.float64]
    judged_recv_ns: Integers
    clock_ns: Integers
    event_ns: Integers
    recv_ns: Integers
    sequence: Integers
    file: Integers
    row: Integers

    def __len__(self) -> int:
        return len(self.at)


def take_compared(
    said: Integers,
    distance: npt.NDArray[np.float64],
    batch: EventBatch,
    place: int,
    waited: SnapshotSource | None,
    latest_recv_ns: Integers,
) -> Compared:
    """The columns that the kernel wrote, with those of the snapshots' events.

    Args:
        said, distance: As `kernels.replay_compare.judge` writes them.
        batch: The events of the run; the first has this place.
        place: Place of the batch's first event.
        waited: The snapshot that waited when the run began.
        latest_recv_ns: int64[n + 1], receive clock by which all that the book shows before the batch, and after each
            of its events, had come.
    """
    i = said[:, OF] - place
    file = batch.file.astype(np.int64)
    columns = [batch.clock_ns, batch.event_ns, batch.recv_ns, batch.sequence, file, batch.row]
    own = np.stack([np.append(column, 0)[np.maximum(i, 0)] for column in columns])
    if waited is not None:
        own[:, i < 0] = np.array(msgspec.structs.astuple(waited), np.int64)[:, None]
    judged = latest_recv_ns[np.minimum(said[:, AT] + 1, len(batch))]
    return Compared(
        said[:, AT], said[:, OF], said[:, VERDICT].astype(np.uint8), said[:, UNTIL],
        said[:, COMPARED_LEVELS], said[:, PRICES], said[:, SIZES], distance, np.maximum(judged, own[2]), *own,
    )  # fmt: skip
