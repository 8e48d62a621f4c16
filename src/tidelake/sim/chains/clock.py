"""When each block of a simulated chain was made, and which block stood at a moment; both without counting through.

Numbers run about where the real ones do, so that a registry's deployment blocks are of about the right days. Blocks
are uneven: each day has another number of them, on some the chain is quiet for up to an hour, and on some the first
block stands exactly at midnight. Chains with a fixed schedule keep it.
"""

import datetime as dt
from bisect import bisect_right
from functools import lru_cache
from typing import Protocol

from tidelake.chains.spec import Chain, Schedule
from tidelake.sim.chains.draws import Draws

DAY_S = 86_400
_DAY_MS = DAY_S * 1000
_PARTS = 1024  # of a block's slot, in which it is made somewhere
_EPOCH = dt.date(1970, 1, 1)
_ANCHOR_DAY = (dt.date(2025, 1, 1) - _EPOCH).days
_YEARS_AHEAD = 3

# About the first block of 2025, and milliseconds from block to block.
_ANCHORS = {
    "arbitrum": (290_700_000, 250),
    "avalanche": (55_270_000, 1_900),
    "bnb": (45_430_000, 3_000),
    "celo": (29_500_000, 5_000),
    "ethereum": (21_525_900, 12_050),
    "gnosis": (37_800_000, 5_180),
    "ink": (2_100_000, 1_000),
    "linea": (14_190_000, 2_400),
    "mantle": (73_770_000, 2_000),
    "metis": (19_300_000, 4_000),
    "plasma": (3_000_000, 1_000),
    "polygon": (66_160_000, 2_150),
    "scroll": (12_500_000, 3_000),
    "sonic": (2_600_000, 630),
    "zksync": (52_300_000, 1_000),
}
_OTHERWISE = (10_000_000, 2_000)


class Clock(Protocol):
    """Blocks and their times, in seconds since 1970; days are counted since 1970."""

    def time_of(self, number: int) -> int: ...

    def at(self, time_s: int) -> int:
        """The last block with a time of at most `time_s`; -1 before the first."""

    def first_of(self, day: int) -> int:
        """The first block with a time in the day or after it."""


def day_number(day: dt.date) -> int:
    """A UTC day as days since 1970."""
    return (day - _EPOCH).days


def clock_of(chain: Chain, draws: Draws) -> Clock:
    """The clock of a chain: its schedule where it has one."""
    return ScheduledClock(chain.schedule) if chain.schedule else UnevenClock(chain, draws.within("clock"))


class ScheduledClock:
    """Blocks exactly as far apart as a schedule says."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def time_of(self, number: int) -> int:
        """See `Clock`."""
        return self.schedule.time_of(number)

    def at(self, time_s: int) -> int:
        """See `Clock`."""
        return max(-1, self.schedule.first + (time_s - self.schedule.first_time) // self.schedule.seconds)

    def first_of(self, day: int) -> int:
        """See `Clock`."""
        return self.at(day * DAY_S - 1) + 1


class UnevenClock:
    """Blocks that are spread over each day unevenly."""

    def __init__(self, chain: Chain, draws: Draws) -> None:
        self._chain = chain
        self._draws = draws
        self._salt = draws.below(2**63, "salt") | 1
        anchor, self._ms = _ANCHORS.get(chain.name, _OTHERWISE)
        before, first, day = [], anchor, _ANCHOR_DAY
        while first > 0:
            day -= 1
            first -= self._count(day)
            before.append(first)
        self._day = day
        self._shape = lru_cache(None)(self._drawn_shape)
        self._first = [*reversed(before), anchor]
        for later in range(_ANCHOR_DAY, _ANCHOR_DAY + _YEARS_AHEAD * 365):
            self._first.append(self._first[-1] + self._count(later))

    def _slot_ms(self, day: int) -> int:
        moment = dt.datetime.fromtimestamp(day * DAY_S, dt.UTC)
        dated = self._chain.block_ms_at(moment) if self._chain.block_times else None
        return dated or self._ms

    def _quiet_ms(self, day: int) -> int:
        """How long no block is made on a day."""
        return (
            self._draws.between(600, 3_600, "quiet", day) * 1000 if self._draws.below(29, "is quiet", day) == 0 else 0
        )

    def _count(self, day: int) -> int:
        lost = self._draws.below(15, "lost", day)
        return (_DAY_MS - self._quiet_ms(day)) // self._slot_ms(day) * (1000 - lost) // 1000

    def time_of(self, number: int) -> int:
        """See `Clock`."""
        at = bisect_right(self._first, number) - 1
        first, after = self._first[at], self._first[at + 1]
        return (self._day + at) * DAY_S + self._ms_in_day(self._day + at, number - first, after - first) // 1000

    def _ms_in_day(self, day: int, place: int, count: int) -> int:
        quiet, resumes, _ = self._shape(day)
        busy = _DAY_MS - quiet
        spent = (place * _PARTS + self._part(day, place, busy // count)) * busy // (count * _PARTS)
        return spent + (quiet if place >= resumes else 0)

    def _part(self, day: int, place: int, slot_ms: int) -> int:
        """Where in its slot a block is made: at least a second from its neighbours where slots are longer."""
        widest = max(1, min(_PARTS * 4 // 5, _PARTS * (slot_ms - 1000) // slot_ms))
        if place == 0:
            return 0 if self._shape(day)[2] else widest // 2
        return (((place + day * 99_991) * self._salt & 0xFFFF_FFFF_FFFF_FFFF) >> 40) % widest

    def _drawn_shape(self, day: int) -> tuple[int, int, bool]:
        """How long it is quiet, after which block of the day, and whether the first stands exactly at midnight."""
        quiet = self._quiet_ms(day)
        resumes = self._draws.between(1, self._count(day), "resumes", day) if quiet else 0
        return quiet, resumes, self._draws.below(7, "midnight", day) == 0

    def at(self, time_s: int) -> int:
        """See `Clock`."""
        day = min(max(time_s // DAY_S - self._day, 0), len(self._first) - 2)
        low, high = self._first[day] - 1, self._first[day + 1] - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.time_of(middle) <= time_s else (low, middle - 1)
        return low

    def first_of(self, day: int) -> int:
        """See `Clock`."""
        return self._first[min(max(day - self._day, 0), len(self._first) - 1)]
