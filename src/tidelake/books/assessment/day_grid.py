"""A day (UTC) cut into cells of ten seconds and into minutes."""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from tidelake.books.assessment.rows import Flags, Integers

NS = 10**9
CELL_NS = 10 * NS
MINUTE_NS = 60 * NS
DAY_NS = 86_400 * NS
CELLS, MINUTES = DAY_NS // CELL_NS, DAY_NS // MINUTE_NS


@dataclass(frozen=True, slots=True)
class DayGrid:
    """The cells of one day; `start_ns` is its midnight."""

    start_ns: int

    @classmethod
    def of(cls, day: dt.date) -> "DayGrid":
        """The grid of a day."""
        return cls((day - dt.date(1970, 1, 1)).days * DAY_NS)

    @property
    def end_ns(self) -> int:
        """The next midnight."""
        return self.start_ns + DAY_NS

    def holds(self, clock_ns: Integers) -> Flags:
        """Which clocks lie in the day; the end is exclusive."""
        return np.asarray((clock_ns >= self.start_ns) & (clock_ns < self.end_ns))

    def cells(self, clock_ns: Integers, length_ns: int = CELL_NS) -> Integers:
        """The cell of each clock of the day."""
        return (clock_ns - self.start_ns) // length_ns

    def cell_start(self, cell: int, length_ns: int = CELL_NS) -> int:
        """When a cell begins, ns since 1970."""
        return self.start_ns + cell * length_ns


def clock_text(ns: int) -> str:
    """Time of the day: "14:03:20"."""
    return f"{dt.datetime.fromtimestamp(ns // NS, dt.UTC):%H:%M:%S}"


def length_text(ns: float) -> str:
    """A length of time as people say it: "340 ms", "-1.2 s", "61 min", "3.5 h"."""
    seconds = abs(ns) / 1e9
    sign = "-" if ns < 0 else ""
    for most, unit, size in ((1e-3, "µs", 1e-6), (1.0, "ms", 1e-3), (120.0, "s", 1.0), (7200.0, "min", 60.0)):
        if seconds < most:
            return f"{sign}{seconds / size:.3g} {unit}"
    return f"{sign}{seconds / 3600:.3g} h" if seconds < 3 * 86_400 else f"{sign}{seconds / 86_400:,.0f} days"
