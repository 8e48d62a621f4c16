"""Which trade numbers of a stream are known, as runs, with the event times of their ends. Pure."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

Row = tuple[int, int]  # trade_seq, event time in ns


@dataclass(slots=True)
class Run:
    """Numbers `first` to `last`, all known or given up."""

    first: int
    last: int
    first_ns: int
    last_ns: int


class Extent:
    """A set of numbers as disjoint runs in order; runs that follow each other are one."""

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def add(self, first: int, last: int, first_ns: int, last_ns: int) -> None:
        """Add the numbers first..last."""
        index = bisect_right(self.runs, first - 1, key=lambda run: run.first)
        if index and self.runs[index - 1].last >= first - 1:
            index -= 1
        new = Run(first, last, first_ns, last_ns)
        end = index
        while end < len(self.runs) and self.runs[end].first <= last + 1:
            old = self.runs[end]
            if old.first < new.first:
                new.first, new.first_ns = old.first, old.first_ns
            if old.last > new.last:
                new.last, new.last_ns = old.last, old.last_ns
            end += 1
        self.runs[index:end] = [new]

    def add_rows(self, rows: Iterable[Row]) -> None:
        """Add single numbers."""
        run: Run | None = None
        for seq, ns in sorted(rows):
            if run is not None and seq <= run.last + 1:
                run.last, run.last_ns = seq, ns
                continue
            if run is not None:
                self.add(run.first, run.last, run.first_ns, run.last_ns)
            run = Run(seq, seq, ns, ns)
        if run is not None:
            self.add(run.first, run.last, run.first_ns, run.last_ns)

    def bridge(self, first: int, last: int) -> None:
        """Give up the numbers first..last: the runs on both sides become one."""
        left, right = self.at(first - 1), self.at(last + 1)
        self.add(first, last, left.last_ns if left else 0, right.first_ns if right else 0)

    def at(self, seq: int) -> Run | None:
        """The run that holds the number."""
        index = bisect_right(self.runs, seq, key=lambda run: run.first)
        return self.runs[index - 1] if index and self.runs[index - 1].last >= seq else None

    def spanning(self, event_ns: int) -> Run | None:
        """The run that begins before the time and reaches it: no trade of that time can be missing before it."""
        return next((run for run in self.runs if run.first_ns < event_ns <= run.last_ns), None)

    def covers(self, since_ns: int, until_ns: int) -> bool:
        """Whether one run holds all trades with since_ns <= time < until_ns."""
        return any(run.first_ns < since_ns and run.last_ns >= until_ns for run in self.runs)
