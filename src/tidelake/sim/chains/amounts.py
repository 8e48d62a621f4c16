"""Amounts that change from block to block: known at any block without those before it, in whole numbers."""

from dataclasses import dataclass

from tidelake.sim.chains.clock import DAY_S
from tidelake.sim.chains.draws import Draws

STEP_S = 16 * DAY_S
SHARE = 10**18
_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Moment:
    """A block, as far as amounts follow from it.

    Attributes:
        number: Of the block.
        time: In seconds since 1970.
        noise: 64 bits that are this block's own, another on another branch.
    """

    number: int
    time: int
    noise: int


class Course:
    """An amount over time: straight between knots that stand `STEP_S` apart, and every block's own last digits.

    Args:
        draws: Its draws.
        base: About how much it is: half to one and a half of it.
        noise: By how much blocks differ that stand side by side, at most; the last unit differs too.
    """

    __slots__ = ("_base", "_draws", "_factor", "_knots", "_span")

    def __init__(self, draws: Draws, base: int, noise: int) -> None:
        self._draws = draws
        self._base = base
        self._span = max(1, noise)
        self._factor = draws.below(2**63, "factor") * 2 + 1
        self._knots: dict[int, int] = {}

    def at(self, moment: Moment) -> int:
        """The amount at a block."""
        place, rest = divmod(moment.time, STEP_S)
        before, after = self._knot(place), self._knot(place + 1)
        return before + (after - before) * rest // STEP_S + (moment.noise * self._factor & _MASK) % self._span

    def _knot(self, place: int) -> int:
        found = self._knots.get(place)
        if found is None:
            found = self._knots[place] = self._base * self._draws.between(500, 1500, place) // 1000
        return found


class Pool:
    """What is supplied and borrowed of one asset; after `dies_s` it runs empty within 60 days."""

    __slots__ = ("_dies", "_dust", "_share", "_supplied")

    def __init__(self, draws: Draws, decimals: int, dies_s: int | None = None) -> None:
        unit = 10**decimals
        base = draws.between(1, 9, "digit") * 10 ** draws.between(3, 8, "size") * unit + draws.below(unit, "rest")
        self._supplied = Course(draws.within("supplied"), base, unit * 7 + 3)
        self._share = Course(draws.within("share"), SHARE * 11 // 20, SHARE // 10**4)
        self._dust = draws.below(unit * 3 + 2, "dust")
        self._dies = dies_s

    def supplied(self, moment: Moment) -> int:
        """What suppliers own."""
        return self._left(self._supplied.at(moment), moment.time)

    def borrowed(self, moment: Moment) -> int:
        """What borrowers owe."""
        return self.supplied(moment) * self._share.at(moment) // SHARE

    def available(self, moment: Moment) -> int:
        """What lies there: what is not borrowed, and what somebody sent there by mistake."""
        return self.supplied(moment) - self.borrowed(moment) + self._dust

    def _left(self, amount: int, time_s: int) -> int:
        if self._dies is None or time_s < self._dies:
            return amount
        return amount * max(0, self._dies + 60 * DAY_S - time_s) // (60 * DAY_S)
