"""When a capture session is to run by the clock: windows of UTC days, or a piece of each interval.

A window ends where the next does not begin at once: days from 00:00 to 24:00 are one window that never ends.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

DAY = dt.timedelta(days=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
ALWAYS = dt.timedelta(days=8)  # windows that follow each other for longer than a week do so for ever
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Window(NamedTuple):
    """From start on, before end; None: without end."""

    start: dt.datetime
    end: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Daily:
    """On these weekdays (0: Monday), from start to end after midnight UTC; an end before the start is next day's."""

    days: tuple[int, ...]
    start: dt.timedelta
    end: dt.timedelta

    def windows(self, since: dt.datetime) -> Iterator[Window]:
        """Windows that end after `since`, in order, without end."""
        length = self.end - self.start + (DAY if self.end <= self.start else dt.timedelta())
        midnight = since.replace(hour=0, minute=0, second=0, microsecond=0) - DAY
        while True:
            start = midnight + self.start
            if midnight.weekday() in self.days and start + length > since:
                yield Window(start, start + length)
            midnight += DAY

    def words(self) -> str:
        """For people."""
        days = "every day" if len(self.days) == len(WEEK) else " ".join(WEEK[day] for day in self.days)
        return f"{days} {_clock(self.start)} to {_clock(self.end)} UTC"


@dataclass(frozen=True, slots=True)
class Every:
    """The first `length` of each interval, counted from 1970-01-01 UTC."""

    interval: dt.timedelta
    length: dt.timedelta

    def windows(self, since: dt.datetime) -> Iterator[Window]:
        """Windows that end after `since`, in order, without end."""
        start = EPOCH + (since - EPOCH) // self.interval * self.interval
        while True:
            if start + self.length > since:
                yield Window(start, start + self.length)
            start += self.interval

    def words(self) -> str:
        """For people."""
        return f"every {self.interval} for {self.length}"


def joined(windows: Iterable[Window]) -> Iterator[Window]:
    """Windows in order of their start, those that touch or overlap made one."""
    held: Window | None = None
    for window in windows:
        if held is None or held.end is None or window.start > held.end:
            if held is not None:
                yield held
            held = window
        else:
            end = None if window.end is None else max(held.end, window.end)
            if end is not None and end - held.start > ALWAYS:
                end = None
            held = Window(held.start, end)
        if held.end is None:
            break
    if held is not None:
        yield held


def within(windows: Iterable[Window], since: dt.datetime, until: dt.datetime) -> list[Window]:
    """The windows that overlap the time from `since` on, before `until`."""
    found = takewhile(lambda window: window.start < until, joined(windows))
    return [window for window in found if window.end is None or window.end > since]


def _clock(since_midnight: dt.timedelta) -> str:
    minutes = since_midnight // dt.timedelta(minutes=1)
    return f"{minutes // 60:02}:{minutes % 60:02}"
