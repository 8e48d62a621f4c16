"""When a table has messages, by the receive clock: minutes of the day, and the silences between."""

from dataclasses import dataclass, field

import numpy as np

from tidelake.books.assessment.day_grid import MINUTE_NS, MINUTES, NS, DayGrid
from tidelake.books.assessment.histograms import LogHistogram
from tidelake.books.assessment.rows import Integers

SILENCE_LEAST_NS = 60 * NS  # an exchange that is restarted is back within a minute
SILENCE_FACTOR = 20  # times the spacing that 99 % of messages keep: of arrivals by chance none in e^90 is so late
MOST_SILENCES = 20


@dataclass(frozen=True, slots=True)
class Silence:
    """A time without messages; both ends are receive clocks of messages, or the ends of the day."""

    first_ns: int
    last_ns: int

    @property
    def length_ns(self) -> int:
        return self.last_ns - self.first_ns


@dataclass(frozen=True, slots=True)
class CoverageFigures:
    """When messages came.

    Attributes:
        messages: Messages of the day, by the receive clock.
        first_ns, last_ns: Receive clocks of the first and the last; None of none.
        minutes_with: How many minutes have one.
        spacing_*_ms: Time between messages; quantiles within half a per cent. None of fewer than two.
        silences: Those longer than `limit_ns`, between the first and the last message, longest first; at most 20.
        limit_ns: A silence is longer: 20 times the spacing that 99 % keep, a minute at least.
        silent_ns: All silences together.
        per_minute: Messages in each of the 1,440 minutes.
        spacing: Middle (ms) and count of each class of spacing.
    """

    messages: int
    first_ns: int | None
    last_ns: int | None
    minutes_with: int
    spacing_p50_ms: float | None
    spacing_p99_ms: float | None
    spacing_longest_ms: float | None
    silences: tuple[Silence, ...]
    limit_ns: int
    silent_ns: int
    per_minute: tuple[int, ...] = field(repr=False)
    spacing: tuple[tuple[float, int], ...] = field(repr=False)


class CoverageMeasure:
    """Gathers when the messages of one table came.

    Long spacings are kept one by one; a clock that runs back counts as none.
    """

    def __init__(self, grid: DayGrid) -> None:
        self._grid = grid
        self._minutes = np.zeros(MINUTES, dtype=np.int64)
        self._spacing = LogHistogram()
        self._long: list[Silence] = []
        self._first: int | None = None
        self._last: int | None = None

    def add(self, recv_ns: Integers) -> None:
        """Count messages, one for each receive clock, in the order of the file."""
        clocks = recv_ns[self._grid.holds(recv_ns)]
        if not len(clocks):
            return
        self._minutes += np.bincount(self._grid.cells(clocks, MINUTE_NS), minlength=MINUTES)
        highest = np.maximum.accumulate(clocks)
        if self._last is not None:
            highest = np.maximum(np.concatenate([[self._last], highest]), self._last)
        steps = np.diff(highest)
        self._spacing.add(steps)
        for place in np.flatnonzero(steps >= SILENCE_LEAST_NS).tolist():
            self._long.append(Silence(int(highest[place]), int(highest[place + 1])))
        self._first = int(clocks.min()) if self._first is None else min(self._first, int(clocks.min()))
        self._last = int(highest[-1])

    def figures(self) -> CoverageFigures:
        """What was found."""
        p50, p99 = self._spacing.quantile(0.5), self._spacing.quantile(0.99)
        limit = max(SILENCE_LEAST_NS, round(SILENCE_FACTOR * (p99 or 0)))
        silences = sorted((each for each in self._long if each.length_ns > limit), key=lambda each: -each.length_ns)
        middles, counts = self._spacing.bars()
        most = self._spacing.most
        return CoverageFigures(
            messages=int(self._minutes.sum()),
            first_ns=self._first,
            last_ns=self._last,
            minutes_with=int((self._minutes > 0).sum()),
            spacing_p50_ms=None if p50 is None else p50 / 1e6,
            spacing_p99_ms=None if p99 is None else p99 / 1e6,
            spacing_longest_ms=None if most is None else most / 1e6,
            silences=tuple(silences[:MOST_SILENCES]),
            limit_ns=limit,
            silent_ns=sum(each.length_ns for each in silences),
            per_minute=tuple(self._minutes.tolist()),
            spacing=tuple((middle / 1e6, count) for middle, count in zip(middles, counts, strict=True)),
        )
