"""What the snapshots of a table look like, each for itself: sides, order, crossing, depth."""

from dataclasses import dataclass

import numpy as np

from tidelake.books.assessment.rows import Flags, Floats, Rows


@dataclass(frozen=True, slots=True)
class SnapshotFigures:
    """What was found of the snapshots.

    Attributes:
        snapshots: All.
        crossed: Best bid above the best ask. locked: equal to it. one_sided: A side is empty.
        unsorted: Levels of a side that are not strictly from the best to the worst, or a hole between them.
        not_positive: A price or size that is 0 or less.
        depth: Levels of each side that the table has room for.
        levels_least, levels_median: Levels told, both sides each.
        full: Snapshots with all levels of both sides.
    """

    snapshots: int
    crossed: int
    locked: int
    one_sided: int
    unsorted: int
    not_positive: int
    depth: int
    levels_least: int | None
    levels_median: float | None
    full: int


class SnapshotMeasure:
    """Gathers the snapshots of one table."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._counts = dict.fromkeys(
            ("snapshots", "crossed", "locked", "one_sided", "unsorted", "not_positive", "full"), 0
        )
        self._levels = np.zeros(depth + 1, dtype=np.int64)

    def add(self, rows: Rows) -> None:
        """Count snapshots, one a row."""
        assert rows.prices is not None, "snapshots have levels"
        assert rows.sizes is not None, "snapshots have levels"
        told = ~np.isnan(rows.prices)
        bid, ask = rows.prices[:, 0, 0], rows.prices[:, 1, 0]
        levels = told.sum(axis=2)
        found = {
            "snapshots": np.ones(len(rows), dtype=np.bool_),
            "crossed": bid > ask,
            "locked": bid == ask,
            "one_sided": (levels == 0).any(axis=1),
            "unsorted": unsorted_levels(rows.prices),
            "not_positive": ((rows.prices <= 0) | (rows.sizes <= 0)).any(axis=(1, 2)),
            "full": (levels == self._depth).all(axis=1),
        }
        for name, flags in found.items():
            self._counts[name] += int(flags.sum())
        self._levels += np.bincount(levels.reshape(-1), minlength=self._depth + 1)

    def figures(self) -> SnapshotFigures:
        """What was found."""
        sides = int(self._levels.sum())
        median = int(np.searchsorted(np.cumsum(self._levels), sides / 2)) if sides else None
        least = int(np.flatnonzero(self._levels)[0]) if sides else None
        return SnapshotFigures(**self._counts, depth=self._depth, levels_least=least, levels_median=median)


def unsorted_levels(prices: Floats) -> Flags:
    """bool[n]: whether bids (float64[n, 2, depth], first) do not fall or asks do not rise, or a level lacks between."""
    told = ~np.isnan(prices)
    hole = (told[:, :, 1:] & ~told[:, :, :-1]).any(axis=(1, 2))
    steps = np.diff(prices, axis=2)
    wrong = (steps[:, 0] >= 0).any(axis=1) | (steps[:, 1] <= 0).any(axis=1)
    return np.asarray(hole | wrong)
