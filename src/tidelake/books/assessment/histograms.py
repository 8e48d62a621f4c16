"""Quantiles of more values than memory holds: counts by logarithmic classes, which add up in any order."""

import math

import numpy as np

from tidelake.books.assessment.rows import Integers

WIDTH = 1.01  # of a class: a quantile is wrong by half a per cent at most
CLASSES = 1 << 14
ZERO = CLASSES // 2


class LogHistogram:
    """Counts of int64 values, of any sign, apart for each cell."""

    def __init__(self) -> None:
        self._keys: Integers = np.empty(0, dtype=np.int64)
        self._counts: Integers = np.empty(0, dtype=np.int64)
        self.count = 0
        self.total = 0.0
        self.least: int | None = None
        self.most: int | None = None

    def add(self, values: Integers, cells: Integers | None = None) -> None:
        """Count the values; `cells` (from 0) tells the cell of each."""
        if not len(values):
            return
        keys = _classes(values) + ZERO
        if cells is not None:
            keys = keys + cells * CLASSES
        self._merge(*np.unique(keys, return_counts=True))
        self.count += len(values)
        self.total += float(values.sum(dtype=np.float64))
        low, high = int(values.min()), int(values.max())
        self.least = low if self.least is None else min(self.least, low)
        self.most = high if self.most is None else max(self.most, high)

    def _merge(self, keys: Integers, counts: Integers) -> None:
        both = np.concatenate([self._keys, keys])
        self._keys, places = np.unique(both, return_inverse=True)
        weights = np.concatenate([self._counts, counts])
        self._counts = np.bincount(places, weights=weights).astype(np.int64)

    @property
    def mean(self) -> float | None:
        """None of no values."""
        return self.total / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """The value that at least `share` of all do not exceed, within half a per cent; None of no values."""
        if not self.count:
            return None
        found, counts = _by_class(self._keys % CLASSES, self._counts)
        value = _value(_at_rank(found, counts, share))
        return float(min(max(value, self.least or 0), self.most or 0))

    def by_cell(self, shares: tuple[float, ...]) -> dict[int, tuple[float, ...]]:
        """The quantiles of each cell that has values, by cell in order."""
        cells, starts = np.unique(self._keys // CLASSES, return_index=True)
        ends = np.append(starts[1:], len(self._keys))[: len(cells)]
        told = {}
        for cell, a, b in zip(cells.tolist(), starts.tolist(), ends.tolist(), strict=True):
            found, counts = self._keys[a:b] % CLASSES, self._counts[a:b]
            told[cell] = tuple(_value(_at_rank(found, counts, share)) for share in shares)
        return told

    def bars(self) -> tuple[list[float], list[int]]:
        """Middle and count of each class that occurs, in order; all cells together."""
        found, counts = _by_class(self._keys % CLASSES, self._counts)
        return [_value(each) for each in found.tolist()], counts.tolist()


def _classes(values: Integers) -> Integers:
    size = np.abs(values.astype(np.float64))
    told = np.floor(np.log(np.maximum(size, 1.0)) / math.log(WIDTH)).astype(np.int64) + 1
    return np.asarray(np.where(size == 0, 0, np.sign(values) * told), dtype=np.int64)


def _value(place: int) -> float:
    """The middle of a class, given from ZERO."""
    told = int(place) - ZERO
    if not told:
        return 0.0
    low = WIDTH ** (abs(told) - 1)
    return math.copysign(low * (1 + WIDTH) / 2, told)


def _by_class(keys: Integers, counts: Integers) -> tuple[Integers, Integers]:
    found, places = np.unique(keys, return_inverse=True)
    return found, np.bincount(places, weights=counts, minlength=len(found)).astype(np.int64)


def _at_rank(classes: Integers, counts: Integers, share: float) -> int:
    reached = np.cumsum(counts)
    rank = max(1, math.ceil(share * int(reached[-1])))
    return int(classes[int(np.searchsorted(reached, rank))])
