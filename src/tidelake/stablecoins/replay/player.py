"""A history played to whoever listens, by a virtual clock: at any speed, held up or hurried while it runs."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from tidelake.stablecoins.observation import MICROS, Observation
from tidelake.stablecoins.replay.control import ReplayControl

TICK_US: Final = 60 * MICROS


def with_clock(batches: Iterable[list[Observation]], settle_us: int) -> Iterator[list[Observation]]:
    """The history with a word that time passed at each full minute, and at last `settle_us` after its end.

    What was known at the full minute comes before that word. So all coins share one clock, and one that is told nothing
    has windows that close all the same. Minutes in which nothing is told have their word too: when a window closes does
    not depend on what is told of other coins.
    """
    next_us = last_us = 0
    for batch in batches:
        out: list[Observation] = []
        for seen in batch:
            known_us = seen.known_us
            if known_us > next_us:
                minute = known_us - 1 - (known_us - 1) % TICK_US
                out += [Observation("clock", at, at) for at in range(next_us or known_us, minute + 1, TICK_US)]
                next_us = minute + TICK_US
            out.append(seen)
        if batch:
            last_us = max(last_us, batch[-1].known_us)
        yield out
    if last_us:
        end_us = last_us + settle_us
        yield [Observation("clock", end_us, end_us)]


def play(
    batches: Iterable[list[Observation]],
    control: ReplayControl,
    take: Callable[[list[Observation]], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Hand on each observation once its time has come by the virtual clock; all at once where nobody waits.

    Ends with the history, or where the control is stopped or asked to jump back.

    Args:
        batches: In the order in which they were known.
        control: May be used from another thread meanwhile.
        take: Gets lists of observations; called from this thread alone.
        clock: Seconds of the wall.
    """
    pace = _Pace(control, clock)
    for batch in batches:
        if control.interrupted:
            return
        if batch and control.hurries(batch[-1].known_us):
            take(batch)
            control.now_us = max(control.now_us, batch[-1].known_us)
            pace.begin_anew()
            continue
        waiting: list[Observation] = []
        for seen in batch:
            if seen.known_us > control.now_us:
                if waiting:
                    take(waiting)
                    waiting = []
                if not pace.reach(seen.known_us):
                    return
                control.now_us = seen.known_us
            waiting.append(seen)
        take(waiting)


class _Pace:
    """When the history's time comes by the wall, at a speed that may change."""

    def __init__(self, control: ReplayControl, clock: Callable[[], float]) -> None:
        self._control, self._clock = control, clock
        self._from = (0, 0.0, 0.0)  # the history's time, the wall's, and the speed since
        self._begun = False

    def begin_anew(self) -> None:
        self._begun = False

    def reach(self, time_us: int) -> bool:
        """Wait for the history's time; False where the replay was stopped or turned back meanwhile."""
        control = self._control
        if not self._begun:
            self._from = (control.now_us or time_us, self._clock(), control.speed)
            self._begun = True
        while True:
            was_us, at, speed = self._from
            now = self._clock()
            if speed != control.speed or control.paused:
                passed = 0 if control.paused else int((now - at) * speed * MICROS)
                self._from = (min(was_us + passed, time_us), now, control.speed)
                was_us, at, speed = self._from
            left = (time_us - was_us) / MICROS / speed - (now - at) if speed else 0.0
            if control.wait(left, time_us):
                if control.speed == 0 or left > 0:
                    self._from = (time_us, self._clock(), control.speed)
                return not control.interrupted
