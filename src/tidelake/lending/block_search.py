"""The last block before each of many moments, found by asking for few headers at a time. No I/O.

Clocks of blocks never run backwards, so each header that is known narrows the search of every moment. Blocks are
guessed between the two that are known nearest, in proportion to time; where that narrows too little, in the middle.
Where nobody tells the clock of a block, others between the two are asked for, until so many are not told either.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping
from math import isqrt

from tidelake.errors import SourceError

SMALL = 4  # blocks between two known ones that are all asked for at once
GUESSES = 6  # rounds after which the middle is taken
PARTS = 32  # into which what lies between two known blocks is cut at last, where clocks are not told


class BlockSearch:
    """Searches for many moments at once.

    Args:
        ends: Moments, in seconds since 1970; each must be later than the first known clock and not after the last.
        known: Clocks of blocks by number, at least two.
    """

    def __init__(self, ends: Iterable[int], known: Mapping[int, int]) -> None:
        self._ends = sorted(set(ends))
        self._clocks: dict[int, int] = {}
        self._numbers: list[int] = []
        self._rounds: Counter[int] = Counter()
        self._untold: dict[int, str] = {}
        self.learn(known)

    def learn(self, clocks: Mapping[int, int]) -> None:
        """Take over clocks of blocks by number.

        Raises:
            SourceError: A block has an earlier clock than one before it: the answers are of two chains.
        """
        for number in clocks.keys() - self._clocks.keys():
            insort(self._numbers, number)
        self._clocks.update(clocks)
        times = [self._clocks[number] for number in self._numbers]
        for i in range(1, len(times)):
            if times[i] < times[i - 1]:
                raise SourceError(
                    f"block {self._numbers[i]} has the clock {times[i]}, and block {self._numbers[i - 1]} before it "
                    f"{times[i - 1]}: they are not of one chain",
                    retryable=True,
                )
        self._times = times

    def untold(self, faults: Mapping[int, str]) -> None:
        """Take over that nobody tells the clocks of blocks, and why: they are not asked for again."""
        self._untold.update(faults)

    def fault(self, end: int) -> str:
        """Why the last block before a moment is not found: what was said of a block between the two that are known."""
        low, high = self.bounds(end)
        return next((self._untold[number] for number in sorted(self._untold) if low < number < high), "")

    @property
    def first_clock(self) -> int:
        """The earliest clock that is known."""
        return self._times[0]

    def bounds(self, end: int) -> tuple[int, int]:
        """The nearest known blocks around a moment: the first has an earlier clock, the second has not."""
        place = bisect_left(self._times, end)
        return self._numbers[place - 1], self._numbers[place]

    def found(self, end: int) -> int | None:
        """The last block before a moment; None where it is not known, or not yet."""
        low, high = self.bounds(end)
        return low if high == low + 1 else None

    def wanted(self) -> list[int]:
        """The blocks whose clocks are needed next; none when all is found that can be."""
        asked: set[int] = set()
        for end in self._ends:
            low, high = self.bounds(end)
            if high > low + 1:
                guesses = set(self._guesses(end, low, high)) - self._untold.keys()
                asked.update(guesses or self._beside(low, high))
                self._rounds[end] += 1
        return sorted(asked)

    def _guesses(self, end: int, low: int, high: int) -> Iterable[int]:
        inside = range(low + 1, high)
        if len(inside) <= SMALL:
            return inside
        before, after = self._clocks[low], self._clocks[high]
        if self._rounds[end] >= GUESSES:
            return (low + (high - low) // 2,)
        guess = low + (high - low) * (end - before) // (after - before)
        spread = 0 if not self._rounds[end] else max(1, isqrt(len(inside)) // 2)
        return {min(max(one, low + 1), high - 1) for one in (guess - spread, guess + spread)}

    def _beside(self, low: int, high: int) -> set[int]:
        """Blocks between two, evenly apart, in the fewest parts of which any was not asked for; none where all were."""
        parts = 2
        while parts <= PARTS:
            found = {low + (high - low) * i // parts for i in range(1, parts)} - self._untold.keys() - {low, high}
            if found:
                return found
            parts *= 2
        return set()
