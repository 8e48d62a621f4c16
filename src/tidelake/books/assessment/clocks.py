"""The two clocks of a table: is the exchange's time there and possible, and how far behind it is the recorder's?"""

import datetime as dt
from dataclasses import dataclass, field

import numpy as np

from tidelake.books.assessment.day_grid import CELL_NS, MINUTE_NS, NS, DayGrid
from tidelake.books.assessment.histograms import LogHistogram
from tidelake.books.assessment.rows import Flags, Floats, Integers, Rows
from tidelake.books.reconstruction.clock_order import AHEAD_NS

FIRST_BLOCK_NS = int(dt.datetime(2009, 1, 3, tzinfo=dt.UTC).timestamp()) * NS  # no exchange is older than its asset
DAY_EDGE_NS = 3600 * NS  # of another day for sure; midnight itself is told by clocks that differ
JUMP_WINDOW = 30  # cells on each side: a burst of slow minutes is no jump, five minutes of another offset are
LEAST_WINDOW = 3
JUMP_LEAST_NS = 250_000_000  # smaller steps are not told from load on the way
JUMP_NOISE = 8.0  # times the scatter of the cells around their neighbours
MOST_POINTS = 600  # of the slope: all pairs of points are compared


@dataclass(frozen=True, slots=True)
class ClockJump:
    """From `at_ns` on the receive clock less the event time is `by_ns` more (or less) than before."""

    at_ns: int
    by_ns: int


@dataclass(frozen=True, slots=True)
class LatencyMinute:
    """Receive clock less event time within a minute; `start_ns` is when it begins."""

    start_ns: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class ClockFigures:
    """What was found of the clocks of one table; messages are counted, not rows.

    Attributes:
        messages: All. null, zero, minus_one: event times that say nothing. before_2009, before_day, after_day: event
            times that cannot be; the day is widened by an hour on both sides.
        usable: The others: event times that can be.
        after_received: Usable ones that are later than the receive clock.
        equal_received: Usable ones equal to the receive clock: copies of it, where all are.
        first_event_ns, last_event_ns: The least and the greatest usable event time; None of none.
        in_order: Share of usable event times that are not before the one in the row above; None of fewer than two.
        changed: Share of usable event times that differ from the one above.
        recv_null: Receive clocks that are null or 0. recv_backwards: those before the one above.
        recv_outside_day: those of another day.
        recv_behind, event_behind: Receive clocks, and event times that are told, more than `AHEAD_NS` before the latest
            above them: one of the two is wrong.
        latency_*_ms: Receive clock less event time, of usable ones; quantiles within half a per cent.
        slope_ms_per_hour: How much the offset grows (median of the slopes between all pairs of cells); None of too few.
        jumps: Steps of the offset that stay.
        minutes: Latency over the day.
    """

    messages: int
    null: int
    zero: int
    minus_one: int
    before_2009: int
    before_day: int
    after_day: int
    usable: int
    after_received: int
    equal_received: int
    first_event_ns: int | None
    last_event_ns: int | None
    in_order: float | None
    changed: float | None
    recv_null: int
    recv_backwards: int
    recv_outside_day: int
    recv_behind: int
    event_behind: int
    latency_least_ms: float | None
    latency_p1_ms: float | None
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    slope_ms_per_hour: float | None
    jumps: tuple[ClockJump, ...]
    minutes: tuple[LatencyMinute, ...] = field(repr=False)

    @property
    def usable_share(self) -> float:
        """Share of messages with an event time that can be; 0 of none."""
        return self.usable / self.messages if self.messages else 0.0


class ClockMeasure:
    """Gathers the clocks of one table's messages, given in the order of the file."""

    EVENT_TIMES = ("null", "zero", "minus_one", "before_2009", "before_day", "after_day", "usable")
    COUNTED = (
        "messages", *EVENT_TIMES, "after_received", "equal_received", "recv_null", "recv_backwards", "recv_outside_day",
        "recv_behind", "event_behind",
    )  # fmt: skip

    def __init__(self, grid: DayGrid, unit_ns: int) -> None:
        self._grid, self._unit_ns = grid, unit_ns
        self._counts = dict.fromkeys(self.COUNTED, 0)
        self._by_cell, self._by_minute = LogHistogram(), LogHistogram()
        self._last_event = self._last_recv = 0
        self._latest = {"recv_behind": 0, "event_behind": 0}
        self._first_event_ns: int | None = None
        self._last_event_ns: int | None = None
        self._steps = self._in_order = self._changed = 0

    def add(self, rows: Rows) -> None:
        """Count messages, one a row."""
        usable = self._count_event_times(rows)
        self._count_receive_clocks(rows.recv_ns)
        self._count_behind("recv_behind", rows.recv_ns[rows.recv_ns > 0])
        self._count_behind("event_behind", rows.event_ns[~rows.event_null & (rows.event_ns > 0)])
        self._count_steps(rows.event_ns[usable])
        known = usable & self._grid.holds(rows.recv_ns)
        late = rows.recv_ns[known] - rows.event_ns[known]
        self._counts["after_received"] += int((late < 0).sum())
        self._counts["equal_received"] += int((late == 0).sum())
        self._by_cell.add(late, self._grid.cells(rows.recv_ns[known]))
        self._by_minute.add(late, self._grid.cells(rows.recv_ns[known], MINUTE_NS))

    def _count_event_times(self, rows: Rows) -> Flags:
        at, told = rows.event_ns, ~rows.event_null
        zero, minus_one = told & (at == 0), told & (at == -self._unit_ns)
        before_2009 = told & ~zero & ~minus_one & (at < FIRST_BLOCK_NS)
        before_day = told & (at >= FIRST_BLOCK_NS) & (at < self._grid.start_ns - DAY_EDGE_NS)
        after_day = told & (at >= self._grid.end_ns + DAY_EDGE_NS)
        usable = told & ~zero & ~minus_one & ~before_2009 & ~before_day & ~after_day
        found = (rows.event_null, zero, minus_one, before_2009, before_day, after_day, usable)
        self._counts["messages"] += len(rows)
        for name, flags in zip(self.EVENT_TIMES, found, strict=True):
            self._counts[name] += int(flags.sum())
        return np.asarray(usable)

    def _count_receive_clocks(self, recv_ns: Integers) -> None:
        if not len(recv_ns):
            return
        null = recv_ns == 0
        told = recv_ns[~null]
        steps = np.diff(np.concatenate([[self._last_recv], told]))
        self._counts["recv_null"] += int(null.sum())
        self._counts["recv_backwards"] += int((steps < 0).sum())
        self._counts["recv_outside_day"] += int((~self._grid.holds(told)).sum())
        self._last_recv = int(told[-1]) if len(told) else self._last_recv

    def _count_behind(self, name: str, at_ns: Integers) -> None:
        if len(at_ns):
            latest = np.maximum.accumulate(np.maximum(at_ns, self._latest[name]))
            self._counts[name] += int((latest - at_ns > AHEAD_NS).sum())
            self._latest[name] = int(latest[-1])

    def _count_steps(self, event_ns: Integers) -> None:
        if not len(event_ns):
            return
        low, high = int(event_ns.min()), int(event_ns.max())
        self._first_event_ns = low if self._first_event_ns is None else min(self._first_event_ns, low)
        self._last_event_ns = high if self._last_event_ns is None else max(self._last_event_ns, high)
        before = [self._last_event] if self._last_event else []
        steps = np.diff(np.concatenate([np.array(before, dtype=np.int64), event_ns]))
        self._steps += len(steps)
        self._in_order += int((steps >= 0).sum())
        self._changed += int((steps != 0).sum())
        self._last_event = int(event_ns[-1])

    def figures(self) -> ClockFigures:
        """What was found."""
        cells = self._by_cell.by_cell((0.5,))
        starts = np.array([self._grid.cell_start(cell) for cell in cells], dtype=np.int64)
        medians = np.array([found[0] for found in cells.values()])
        minutes = [
            LatencyMinute(self._grid.cell_start(minute, MINUTE_NS), p50 / 1e6, p99 / 1e6)
            for minute, (p50, p99) in self._by_minute.by_cell((0.5, 0.99)).items()
        ]
        least = self._by_cell.least
        return ClockFigures(
            **self._counts,
            first_event_ns=self._first_event_ns,
            last_event_ns=self._last_event_ns,
            in_order=self._in_order / self._steps if self._steps else None,
            changed=self._changed / self._steps if self._steps else None,
            latency_least_ms=None if least is None else least / 1e6,
            latency_p1_ms=_ms(self._by_cell.quantile(0.01)),
            latency_p50_ms=_ms(self._by_cell.quantile(0.5)),
            latency_p99_ms=_ms(self._by_cell.quantile(0.99)),
            slope_ms_per_hour=_slope(starts, medians),
            jumps=tuple(find_jumps(starts, medians)),
            minutes=tuple(minutes),
        )


def find_jumps(starts_ns: Integers, offsets_ns: Floats) -> list[ClockJump]:
    """Steps of a series of offsets that stay: the medians of the cells before and after differ by more than noise.

    Args:
        starts_ns: int64[n], when each cell begins; cells without messages are left out.
        offsets_ns: float64[n], the median offset of each cell.
    """
    n = len(offsets_ns)
    window = min(JUMP_WINDOW, n // 2)
    if window < LEAST_WINDOW:
        return []
    scatter = float(np.median(np.abs(np.diff(offsets_ns)))) if n > 1 else 0.0
    least = max(JUMP_LEAST_NS, JUMP_NOISE * scatter)
    middles = np.median(np.lib.stride_tricks.sliding_window_view(offsets_ns, window), axis=1)
    steps = middles[window:] - middles[: n - 2 * window + 1]  # at cell i + window: after less before
    far = np.flatnonzero(np.abs(steps) > least)
    runs = np.split(far, np.flatnonzero(np.diff(far) > 1) + 1) if len(far) else []
    return [_jump(starts_ns, offsets_ns, steps, run, window) for run in runs]


def _jump(starts_ns: Integers, offsets_ns: Floats, steps: Floats, run: Integers, window: int) -> ClockJump:
    """The step within a run of neighbouring places, where one cell differs most from the next."""
    best = run[int(np.argmax(np.abs(steps[run])))]
    places = np.arange(run[0] + window, run[-1] + window + 1)
    single = np.abs(offsets_ns[places] - offsets_ns[places - 1])
    return ClockJump(int(starts_ns[places[int(np.argmax(single))]]), round(float(steps[best])))


def _slope(starts_ns: Integers, offsets_ns: Floats) -> float | None:
    """Median slope of all pairs of points, ms an hour; None of fewer than ten minutes of cells."""
    if len(starts_ns) < 2 or starts_ns[-1] - starts_ns[0] < 60 * CELL_NS:
        return None
    every = -(-len(starts_ns) // MOST_POINTS)
    x, y = starts_ns[::every].astype(np.float64), offsets_ns[::every]
    one, other = np.triu_indices(len(x), 1)
    return float(np.median((y[other] - y[one]) / (x[other] - x[one]))) * 3600 * NS / 1e6


def _ms(ns: float | None) -> float | None:
    return None if ns is None else ns / 1e6
