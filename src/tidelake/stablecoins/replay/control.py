"""The control of a replay, from another thread: pause, resume, speed, jump to a time, stop."""

import threading
from typing import Final

AS_FAST_AS_POSSIBLE: Final = 0.0


class ReplayControl:
    """What whoever watches a replay may change while it runs.

    Attributes:
        speed: Seconds of the history in a second; 0 is as fast as possible.
        now_us: The virtual clock: the time up to which the history was played, us UTC; 0 before it begins.
    """

    def __init__(self, speed: float = AS_FAST_AS_POSSIBLE) -> None:
        self._changed = threading.Condition()
        self._speed = speed
        self._paused = False
        self._stopped = False
        self._jump_us = 0
        self._back = False
        self._turn = 0
        self.now_us = 0

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def stopped(self) -> bool:
        return self._stopped

    def set_speed(self, speed: float) -> None:
        """Play so many seconds of the history in a second from now on; 0 is as fast as possible.

        Raises:
            ValueError: It is below zero.
        """
        if not speed >= 0:
            raise ValueError(f"a speed is 0 (as fast as possible) or more, found {speed}")
        with self._changed:
            self._speed = speed
            self._tell()

    def pause(self) -> None:
        with self._changed:
            self._paused = True
            self._tell()

    def resume(self) -> None:
        with self._changed:
            self._paused = False
            self._tell()

    def jump(self, to_us: int) -> None:
        """Play up to this time as fast as possible, also where the replay is paused, and stay so there.

        Nothing is left out, for what comes later rests on it. A time that lies behind is reached from the nearest state
        that was kept before it, or from the start.
        """
        with self._changed:
            self._back = self._back or to_us < self.now_us
            self._jump_us = to_us
            self._tell()

    @property
    def jump_us(self) -> int:
        """The last target of a jump, us UTC; 0 where there was none."""
        return self._jump_us

    def turn_back(self) -> bool:
        """Whether a jump back was asked for; whoever plays asks once, and then goes back to before its target."""
        with self._changed:
            found, self._back = self._back and not self._stopped, False
            return found

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._tell()

    @property
    def interrupted(self) -> bool:
        """Whether nothing more is to be played from here: stopped, or a jump back was asked for."""
        return self._stopped or self._back

    def hurries(self, until_us: int) -> bool:
        """Whether nobody waits before this time."""
        return not self.interrupted and (until_us <= self._jump_us or not (self._speed or self._paused))

    def wait(self, span_s: float, until_us: int) -> bool:
        """Wait until it is time, or something was changed; whether it is time.

        Args:
            span_s: Seconds left by the wall clock.
            until_us: The history's time that is waited for; one before the target of a jump is not.
        """
        with self._changed:
            if self.interrupted or until_us <= self._jump_us:
                return True
            if not self._paused and (not self._speed or span_s <= 0):
                return True
            turn = self._turn
            self._changed.wait_for(lambda: self._turn != turn, None if self._paused else span_s)
            return False

    def _tell(self) -> None:
        self._turn += 1
        self._changed.notify_all()
