"""Whose turn it is: each of some symbols once in a period, evenly spread, so that a host is not asked in bursts."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Rounds:
    """Turns from `began` on; one that was not taken in time is left out.

    Attributes:
        symbols: In their order.
        seconds: Period of one round; 0: nobody's turn ever comes.
        began: When the first period began; its first turn comes one part of it later.
    """

    symbols: Sequence[str]
    seconds: float
    began: float
    _taken: int = 0

    def due(self, now: float) -> str | None:
        """The symbol whose turn has come, once."""
        if not self.symbols or self.seconds <= 0:
            return None
        turns = int((now - self.began) / self.seconds * len(self.symbols))
        if turns <= self._taken:
            return None
        self._taken = turns
        return self.symbols[(turns - 1) % len(self.symbols)]
