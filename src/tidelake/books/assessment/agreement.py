"""Whether the changes of the book give the snapshots: the day is replayed, and each snapshot laid beside the book."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tidelake.books.assessment.day_grid import MINUTE_NS, MINUTES, DayGrid
from tidelake.books.assessment.figures import AgreementFigures, AgreementMinute
from tidelake.books.assessment.histograms import LogHistogram
from tidelake.books.assessment.rows import Integers
from tidelake.books.reconstruction.compared import Compared
from tidelake.books.reconstruction.merging import DayFile, day_events
from tidelake.books.reconstruction.replay import Replay
from tidelake.kernels.replay_codes import AGREED, BEGAN
from tidelake.vendors.spec import Vendor

BATCH_LEVELS = 1 << 18  # of the replay; more is hardly faster, and costs memory
RMS_SCALE = 1_000  # a distance is counted in thousandths of a tick
SHARES = (0.5, 0.99, 1.0)


class AgreementMeasure:
    """Gathers what was said of snapshots."""

    def __init__(self, grid: DayGrid) -> None:
        self._grid = grid
        self._minutes = np.zeros((2, MINUTES), dtype=np.int64)
        self._compared = self._agreeing = self._began = 0
        self._prices, self._sizes, self._rms = LogHistogram(), LogHistogram(), LogHistogram()

    def add(self, said: Compared) -> None:
        """Count snapshots; those with which the book begins are compared with nothing."""
        held = said.verdict != BEGAN
        agreed = held & (said.verdict == AGREED)
        differ = held & ~agreed
        self._began += int((~held).sum())
        self._compared += int(held.sum())
        self._agreeing += int(agreed.sum())
        for row, flags in enumerate((agreed, differ)):
            self._minutes[row] += self._by_minute(said.recv_ns[flags])
        self._prices.add(said.prices[differ])
        self._sizes.add(said.sizes[differ])
        rms = said.best_rms[differ]
        self._rms.add(np.rint(rms[np.isfinite(rms)] * RMS_SCALE).astype(np.int64))

    def _by_minute(self, recv_ns: Integers) -> Integers:
        of_day = recv_ns[self._grid.holds(recv_ns)]
        return np.bincount(self._grid.cells(of_day, MINUTE_NS), minlength=MINUTES)

    def figures(self, broken: int) -> AgreementFigures:
        """What was found; `broken`: messages before which others are proven to be missing."""
        minutes = np.flatnonzero(self._minutes.any(axis=0)).tolist()
        return AgreementFigures(
            compared=self._compared,
            agreeing=self._agreeing,
            began=self._began,
            broken=broken,
            differing_prices=_spread(self._prices, 1),
            differing_sizes=_spread(self._sizes, 1),
            best_rms_ticks=_spread(self._rms, RMS_SCALE),
            minutes=tuple(
                AgreementMinute(self._grid.cell_start(minute, MINUTE_NS), *self._minutes[:, minute].tolist())
                for minute in minutes
            ),
        )


def measure_agreement(
    files: Sequence[DayFile], vendor: Vendor, grid: DayGrid, *, until_ns: int | None = None
) -> AgreementFigures:
    """How the snapshots of a day agree with its deltas.

    Args:
        files: Of deltas and snapshots, in the vendor's order.
        vendor: Whose they are.
        grid: Their day.
        until_ns: The replay ends with the batch that reaches this receive clock.

    Raises:
        FormatDrift: A file cannot be read, or a number is none.
        ReplayRefused: No book can be replayed from the events.
    """
    measure = AgreementMeasure(grid)
    replay = Replay(depth=snapshot_depth(vendor), levels=0)
    broken = 0
    with tempfile.TemporaryDirectory(prefix="tidelake-assess-") as scratch:
        events = day_events(
            files, vendor, clock="recv", with_deltas=True, scratch=Path(scratch), batch_levels=BATCH_LEVELS
        )
        for batch in events.batches():
            measure.add(replay.run(batch).compared)
            broken += int(batch.broken.sum())
            if until_ns is not None and batch.clock_ns[-1] >= until_ns:
                break
        measure.add(replay.finish().compared)
    return measure.figures(broken)


def snapshot_depth(vendor: Vendor) -> int:
    """Levels of a side that a snapshot of the vendor tells where there are as many."""
    return max((table.levels.depth for table in vendor.tables_of("snapshots") if table.levels), default=0)


def _spread(found: LogHistogram, scale: int) -> tuple[float, float, float] | None:
    p50, p99, most = (found.quantile(share) for share in SHARES)
    if p50 is None or p99 is None or most is None:
        return None
    return p50 / scale, p99 / scale, most / scale
