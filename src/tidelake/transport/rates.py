"""Rates per host: a caller reserves its turn at once and sleeps outside, so that no one waits behind a sleeper's lock.

A host is paced at nine tenths of its limit with a burst of one tenth, so that no window of the limit's length, wherever
it begins, holds more than the limit. A host that asks for a pause gets it from every caller.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

BURST = 0.1

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `weight` units in `seconds`."""

    weight: float
    seconds: float


class Rates:
    """Turns for hosts.

    Args:
        clock: Monotonic seconds.
        sleep: Waits for seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._due: dict[tuple[str, Pace], float] = {}
        self._paused_until: dict[str, float] = {}

    def reserve(self, host: str, pace: Pace, weight: float = 1.0) -> float:
        """Take the next free turn of a host at its pace and return the seconds until it begins."""
        now = self._clock()
        per_unit = pace.seconds / (pace.weight * (1 - BURST))
        due = max(self._due.get((host, pace), -math.inf), now - BURST * pace.weight * per_unit)
        self._due[host, pace] = due + weight * per_unit
        return max(0.0, due - now)

    def wait(self, host: str, paces: Iterable[Pace]) -> float:
        """Seconds until a host can be asked at all these paces; takes no turn."""
        until = max((self._due.get((host, pace), -math.inf) for pace in paces), default=-math.inf)
        return max(0.0, until - self._clock(), self._paused_until.get(host, 0.0) - self._clock())

    def pause(self, host: str, seconds: float) -> None:
        """Let nobody ask the host for so long."""
        self._paused_until[host] = max(self._paused_until.get(host, 0.0), self._clock() + seconds)

    async def turn(self, host: str, pace: Pace, weight: float = 1.0) -> None:
        """Wait for the next free turn, and for the end of a pause."""
        await self.turns(host, ((pace, weight),))

    async def turns(self, host: str, charges: Iterable[tuple[Pace, float]]) -> None:
        """The same for a request that counts against several paces at once."""
        if (wait := max((self.reserve(host, pace, weight) for pace, weight in charges), default=0.0)) > 0:
            await self._sleep(wait)
        while (wait := self._paused_until.get(host, 0.0) - self._clock()) > 0:
            await self._sleep(wait)
