"""Grids of time: the moments at which markets are read, each the state of the last block before it."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tidelake.errors import ConfigError

Granularity: TypeAlias = Literal["daily", "hourly", "block"]
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
STEPS = {"daily": DAY, "hourly": HOUR}


@dataclass(frozen=True, slots=True)
class Moment:
    """A grid time.

    Attributes:
        label: The UTC day ("2024-01-01") or hour ("2024-01-01T05") that ends at it.
        end_s: Where that ends, in seconds since 1970: the state is that of the last block with an earlier clock.
    """

    label: str
    end_s: int


def moments(start: dt.date, end: dt.date, granularity: Granularity) -> list[Moment]:
    """The days, or hours, from `start` up to `end`, exclusive, in order.

    Raises:
        ConfigError: There are none.
    """
    if end <= start:
        raise ConfigError(f"nothing is asked for: --end ({end}) is exclusive and must be after --start ({start})")
    step = STEPS["daily" if granularity == "block" else granularity]
    at = dt.datetime.combine(start, dt.time(), dt.UTC)
    last = dt.datetime.combine(end, dt.time(), dt.UTC)
    found = []
    while at < last:
        found.append(Moment(label(at, step), int((at + step).timestamp())))
        at += step
    return found


def label(at: dt.datetime, step: dt.timedelta) -> str:
    """What a day or hour is called, by its beginning."""
    return at.strftime("%Y-%m-%d" if step == DAY else "%Y-%m-%dT%H")


def end_of(grid: str) -> dt.datetime | None:
    """Where the day or hour of that label ends, UTC; None for the number of a block."""
    if grid.isdecimal():
        return None
    step = HOUR if "T" in grid else DAY
    return dt.datetime.strptime(grid, "%Y-%m-%dT%H" if "T" in grid else "%Y-%m-%d").replace(tzinfo=dt.UTC) + step


def moment_before(moment: Moment) -> Moment:
    """The grid time before one."""
    ended = dt.datetime.fromtimestamp(moment.end_s, dt.UTC)
    step = HOUR if "T" in moment.label else DAY
    return Moment(label(ended - 2 * step, step), moment.end_s - int(step.total_seconds()))
