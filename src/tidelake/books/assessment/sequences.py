"""What the exchange's numbers of messages, or of trades, say: do they show that something is missing?"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tidelake.books.assessment.distinct_keys import RepeatedKeys
from tidelake.books.assessment.rows import Integers, Keys

Kind = Literal["none", "consecutive", "increasing", "unordered"]
CONSECUTIVE_SHARE = 0.99  # of the steps are 1: then a longer one proves that messages are missing
INCREASING_SHARE = 0.99  # of the steps go up
MOST_GAPS = 20
STEP_CLASSES = (1, 2, 3, 10, 100, 1_000, 10_000, 100_000)  # a class reaches from above the one before up to this


@dataclass(frozen=True, slots=True)
class SequenceGap:
    """Numbers that are missing between two neighbours; `at_ns` is the receive clock of the later one."""

    after: int
    before: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class SequenceFigures:
    """What was found of the numbers, in the order of the file.

    Attributes:
        kind: "none": there are none. "consecutive": at least 99 % of the steps are 1, so that a longer one proves
            that something is missing. "increasing": they order, and prove nothing. "unordered": not even that.
        numbered: Messages with a number.
        steps: Pairs of neighbours. up: those that go up. ones: those that are 1.
        gaps: Steps up by more than 1. missing: Numbers left out by them. mean_step, longest_step: of the steps up.
        out_of_order: Steps down. repeated: Numbers that came before, anywhere in the file.
        first_gaps: The first twenty gaps, where the kind is "consecutive".
        distribution: Upper end (None: no end) and count of each class of steps up.
    """

    kind: Kind
    numbered: int
    steps: int
    up: int
    ones: int
    gaps: int
    missing: int
    mean_step: float | None
    longest_step: int | None
    out_of_order: int
    repeated: int
    first_gaps: tuple[SequenceGap, ...]
    distribution: tuple[tuple[int | None, int], ...]


class SequenceMeasure:
    """Gathers the numbers of one table; negative ones are none."""

    def __init__(self, repeats: RepeatedKeys) -> None:
        self._repeats = repeats
        self._numbered = self._steps = self._ones = self._out_of_order = self._longest = self._missing = self._up = 0
        self._classes = np.zeros(len(STEP_CLASSES) + 1, dtype=np.int64)
        self._gaps: list[SequenceGap] = []
        self._last: int | None = None

    def add(self, sequence: Integers, recv_ns: Integers, keys: Keys | None = None) -> None:
        """Count the numbers of messages or trades.

        Args:
            sequence: int64[n].
            recv_ns: int64[n], the receive clock of each.
            keys: uint64[m], what is looked at for repetitions instead: hashes of ids that may be no numbers.
        """
        told = sequence >= 0
        numbers, clocks = sequence[told], recv_ns[told]
        self._repeats.add(numbers.astype(np.uint64) if keys is None else keys)
        if not len(numbers):
            return
        self._numbered += len(numbers)
        before = np.concatenate([[numbers[0] if self._last is None else self._last], numbers[:-1]])
        steps = numbers - before
        if self._last is None:
            steps, before, clocks, numbers = steps[1:], before[1:], clocks[1:], numbers[1:]
        self._count(steps)
        for place in np.flatnonzero(steps > 1)[: MOST_GAPS - len(self._gaps)].tolist():
            self._gaps.append(SequenceGap(int(before[place]), int(numbers[place]), int(clocks[place])))
        self._last = int(sequence[told][-1])

    def _count(self, steps: Integers) -> None:
        up = steps[steps > 0]
        self._steps += len(steps)
        self._up += len(up)
        self._ones += int((up == 1).sum())
        self._out_of_order += int((steps < 0).sum())
        self._missing += int((up - 1).sum())
        self._longest = max(self._longest, int(up.max()) if len(up) else 0)
        self._classes += np.bincount(np.searchsorted(STEP_CLASSES, up), minlength=len(self._classes))

    def figures(self) -> SequenceFigures:
        """What was found."""
        kind = self._kind()
        ends = [*STEP_CLASSES, None]
        return SequenceFigures(
            kind=kind,
            numbered=self._numbered,
            steps=self._steps,
            up=self._up,
            ones=self._ones,
            gaps=self._up - self._ones,
            missing=self._missing,
            mean_step=(self._missing + self._up) / self._up if self._up else None,
            longest_step=self._longest or None,
            out_of_order=self._out_of_order,
            repeated=self._repeats.repeated(),
            first_gaps=tuple(self._gaps) if kind == "consecutive" else (),
            distribution=tuple(zip(ends, self._classes.tolist(), strict=True)),
        )

    def _kind(self) -> Kind:
        if not self._numbered:
            return "none"
        if self._ones >= CONSECUTIVE_SHARE * self._steps:
            return "consecutive"
        return "increasing" if self._up >= INCREASING_SHARE * self._steps else "unordered"
