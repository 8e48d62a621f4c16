"""What a replay met over a day, counted."""

import math

import numpy as np

from tidelake.books.reconstruction.batch import EventBatch
from tidelake.books.reconstruction.replay import ReplayOut
from tidelake.books.reconstruction.task import Figures
from tidelake.kernels.replay_codes import AGREED, BEGAN, DRIFTED, TRADE


class DayCounts:
    """Adds up batch by batch."""

    def __init__(self) -> None:
        self._sums: dict[str, int] = dict.fromkeys(Figures.__struct_fields__, 0)
        self._squares, self._distances = 0.0, 0

    def add(self, batch: EventBatch, out: ReplayOut) -> None:
        """One more batch and what came of it."""
        found = out.compared
        compared = found.verdict != BEGAN
        counts = {
            "events": len(batch),
            "levels": len(batch.tick),
            "trades": np.count_nonzero(batch.kind == TRADE),
            "messages": np.count_nonzero(batch.kind != TRADE),
            "breaks": np.count_nonzero(batch.broken),
            "snapshots": len(found),
            "began": np.count_nonzero(~compared),
            "agreed": np.count_nonzero(found.verdict == AGREED),
            "drifted": np.count_nonzero(found.verdict == DRIFTED),
            "compared_levels": found.levels[compared].sum(),
            "drift_prices": found.prices[compared].sum(),
            "drift_sizes": found.sizes[compared].sum(),
        }
        for name, count in counts.items():
            self._sums[name] += int(count)
        told = found.best_rms[(found.verdict == DRIFTED) & ~np.isnan(found.best_rms)]
        self._squares += float((told**2).sum())
        self._distances += len(told)

    def figures(self, repeats: int) -> Figures:
        """All of it, with what was left out as an exact repeat."""
        rms = math.sqrt(self._squares / self._distances) if self._distances else None
        return Figures(**{**self._sums, "repeats": repeats, "drift_best_rms": rms})  # type: ignore[arg-type]
