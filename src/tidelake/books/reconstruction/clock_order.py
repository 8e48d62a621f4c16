"""The clock by which events join others: the running maximum in the order of a stream, if its clocks allow one."""

from collections.abc import Mapping

import numpy as np

from tidelake.books.reconstruction.batch import EventBatch, Integers
from tidelake.errors import FormatDrift

AHEAD_NS = 60_000_000_000  # messages overtake each other by seconds at most; further ahead, a clock is wrong


class RunningClock:
    """The running maximum of clocks, batch by batch.

    A clock that is ahead of those after it holds all of these back, and trades beside them then meet an old book. By
    up to `AHEAD_NS` that is how messages overtake each other. More is refused: which clock is wrong, the first or
    those after it, nothing in the stream says.

    Args:
        names: Of the files, by the number that events name.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self._latest, self._where = 0, ""

    def of(self, batch: EventBatch, told_ns: Integers) -> Integers:
        """int64[n], the latest of `told_ns`, the events' own clocks in ns, up to each event.

        Raises:
            FormatDrift: A clock lies more than `AHEAD_NS` before an earlier one; the text names both rows.
        """
        if not len(batch):
            return told_ns
        clock_ns = np.maximum.accumulate(np.maximum(told_ns, self._latest))
        behind = clock_ns - told_ns > AHEAD_NS
        if behind.any():
            self._refuse(batch, told_ns, int(behind.argmax()))
        if told_ns.max() > self._latest:
            self._where = self._row(batch, int(told_ns.argmax()))
        self._latest = int(clock_ns[-1])
        return clock_ns

    def _refuse(self, batch: EventBatch, told_ns: Integers, place: int) -> None:
        ahead, where, found = self._latest, self._where, int(told_ns[place])
        if told_ns[:place].max(initial=0) > ahead:
            ahead, where = int(told_ns[:place].max()), self._row(batch, int(told_ns[:place].argmax()))
        raise FormatDrift(
            f"{where}: clock {_time(ahead)} is {(ahead - found) / 1e9:,.0f} s ahead of "
            f"{_time(found)} of a later message ({self._row(batch, place)}); at most "
            f"{AHEAD_NS // 10**9} s can be told from messages that overtake each other, and the book would stand still "
            "for as long. Nothing of the day was written; replay the day by the other clock (--strategy), or get "
            "the file again."
        )

    def _row(self, batch: EventBatch, place: int) -> str:
        return f"{self._names[int(batch.file[place])]} row {int(batch.row[place]):,}"


def _time(ns: int) -> str:
    return f"{np.datetime64(ns, 'ns')}"
