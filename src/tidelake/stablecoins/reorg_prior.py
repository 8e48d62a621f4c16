"""How likely a minute of a chain is touched by a reorganisation: Beta-Bernoulli over the last day.

Each minute of the chain's clock is one trial; it failed where facts of it were taken back.
"""

from typing import Final

import msgspec

from tidelake.stablecoins.observation import MICROS

MINUTE_US: Final = 60 * MICROS
SPAN_US: Final = 86_400 * MICROS  # the source document's TCS_REORG_HISTORY_WINDOW_HOURS
PRIOR_TOUCHED: Final = 1.0  # our choice: one minute in a hundred until the chain has been watched
PRIOR_QUIET: Final = 99.0


class ReorgHistory(msgspec.Struct):
    """Minutes of one chain.

    Attributes:
        first_us: The first minute watched; -1 before there is one.
        last_us: The last one.
        touched: Starts of those touched within the span, in order.
    """

    first_us: int = -1
    last_us: int = -1
    touched: list[int] = []

    def watch(self, time_us: int) -> None:
        """The chain's clock has reached this time."""
        minute = time_us - time_us % MINUTE_US
        if self.first_us < 0:
            self.first_us = minute
        if minute > self.last_us:
            self.last_us = minute
            oldest = minute - SPAN_US
            while self.touched and self.touched[0] <= oldest:
                del self.touched[0]

    def touch(self, times_us: list[int]) -> None:
        """Facts of these times were taken back."""
        fresh = {time_us - time_us % MINUTE_US for time_us in times_us} - set(self.touched)
        self.touched = sorted(fresh | set(self.touched))

    def chance(self) -> float:
        """Posterior mean of the chance that a minute is touched."""
        watched = 0 if self.first_us < 0 else (self.last_us - self.first_us) // MINUTE_US + 1
        trials = max(min(watched, SPAN_US // MINUTE_US), len(self.touched))
        return (PRIOR_TOUCHED + len(self.touched)) / (PRIOR_TOUCHED + PRIOR_QUIET + trials)
