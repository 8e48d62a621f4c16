"""The time of a simulated history: it runs with the wall's, faster or slower, or stands until it is set."""

import threading
import time
from collections.abc import Callable

from tidelake.sim.coins.events import MICROS


class HistoryClock:
    """Microseconds UTC of a history.

    Args:
        now_us: Where it begins.
        speed: Seconds of the history in a second of the wall; 0: it stands, and is moved by `set` alone.
        wall: Seconds.
    """

    def __init__(self, now_us: int, speed: float = 0.0, wall: Callable[[], float] = time.monotonic) -> None:
        self._wall, self.speed = wall, speed
        self._lock = threading.Lock()
        self._from_us, self._at = now_us, wall()

    def now_us(self) -> int:
        """The time now; it never goes back."""
        with self._lock:
            return self._now()

    def set(self, now_us: int) -> None:
        """Go on from a later time.

        Raises:
            ValueError: It is earlier than now.
        """
        with self._lock:
            if now_us < self._now():
                raise ValueError("the clock of a history never goes back: what was told is known")
            self._from_us, self._at = now_us, self._wall()

    def _now(self) -> int:
        return self._from_us + int((self._wall() - self._at) * self.speed * MICROS)
