"""A circuit breaker: a provider that fails again and again is left alone for a while, then tried with one request."""

import time
from collections.abc import Callable
from typing import Literal, TypeAlias

State: TypeAlias = Literal["closed", "open", "half open"]

WHILE_PROBING = 0.5  # seconds until others look again whether the probe came back


class Breaker:
    """Counts failures in a row. Closed: all may ask. Open: nobody. Half open: one may, and its outcome decides.

    Args:
        failures: So many in a row open it.
        pause: Seconds that it stays open at first; doubled by each probe that fails.
        longest: Bound of that.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        pause: float = 15.0,
        longest: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.in_a_row = 0
        self._failures = failures
        self._first_pause = self._pause = pause
        self._longest = longest
        self._clock = clock
        self._until: float | None = None
        self._probing = False

    @property
    def closed(self) -> bool:
        return self._until is None

    @property
    def state(self) -> State:
        """Who may ask now: all, nobody, or one."""
        if self._until is None:
            return "closed"
        return "half open" if self._probing or self._until <= self._clock() else "open"

    def wait(self) -> float:
        """Seconds until it is worth while to ask `enter` again; 0 where one may enter now."""
        if self._until is None:
            return 0.0
        return WHILE_PROBING if self._probing else max(0.0, self._until - self._clock())

    def enter(self) -> bool:
        """Whether a request may go out now. A half-open breaker lets one in, which must then tell its outcome."""
        if self.wait() > 0:
            return False
        self._probing = self._until is not None
        return True

    def succeeded(self) -> None:
        """The provider answered."""
        self.in_a_row, self._until, self._probing, self._pause = 0, None, False, self._first_pause

    def failed(self) -> None:
        """It did not."""
        self.in_a_row += 1
        if self._probing:
            self._pause = min(self._longest, 2 * self._pause)
        if self._probing or self.in_a_row >= self._failures:
            self._until = self._clock() + self._pause
        self._probing = False

    def abandoned(self) -> None:
        """The request was cancelled: nothing was learned, and the next may probe."""
        self._probing = False
