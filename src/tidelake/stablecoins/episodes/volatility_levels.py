"""How often alerts of volatility fire on calm days, by their level and by how long the median looks back.

A level is chosen so that calm days seldom reach it. It is read off the highest ratio of each calm day of some episodes,
and held against the calm days of the others: `halves` does it both ways.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import polars as pl

from tidelake.stablecoins.episodes.playing import Played
from tidelake.stablecoins.signals import Rules
from tidelake.stablecoins.sources.volatility import STEP

MEMORY_DAYS: Final = (1, 3, 7)
FACTORS: Final = (2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0)
A_DAY: Final = 24 * 60 // STEP  # values


class LevelLine(msgspec.Struct, frozen=True):
    """A level and a length of memory, over all bars.

    Attributes:
        memory_days: The median is of so many days before.
        factor: Volatility over that median, from which on an alert fires.
        calm_days, crisis_days: Days with a median.
        false_alarms: Alerts that fired on calm days.
        false_alarms_a_day: The same a day.
        calm_days_hit, crisis_days_hit: Days on which the level was reached.
        crisis_alerts: Alerts that fired in episodes.
    """

    memory_days: int
    factor: float
    calm_days: int
    crisis_days: int
    false_alarms: int
    false_alarms_a_day: float
    calm_days_hit: int
    crisis_alerts: int
    crisis_days_hit: int


class HalfLine(msgspec.Struct, frozen=True):
    """A level that some calm days of one half of the folders reach, and what it does on the other half.

    Attributes:
        one_in: Of so many calm days one reaches the level.
        fitted_on, held_against: Names of folders.
        level: The level, as it is read off the days.
        days, days_hit: Calm days of the other half, and those that reach it.
    """

    memory_days: int
    one_in: int
    fitted_on: tuple[str, ...]
    held_against: tuple[str, ...]
    level: float
    days: int
    days_hit: int


def level_lines(played: Iterable[Played], rules: Rules) -> list[LevelLine]:
    """A line for each length of memory and factor; each folder counts once, however many coins it has."""
    folders = _folders(played)
    return [
        _line([ratios(each, days * A_DAY, rules.least) for each in folders], days, factor, rules.over)
        for days in MEMORY_DAYS
        for factor in FACTORS
    ]


def halves(played: Iterable[Played], rules: Rules, one_in: Sequence[int] = (7, 28)) -> list[HalfLine]:
    """Levels read off the calm days of the first folders by time, held against the later ones, and turned round.

    The halves are of about as many calm days. Nothing where there are fewer than two folders with calm days.
    """
    folders = [each for each in _folders(played) if each.calm_days]
    memory_days = rules.volatility_memory // A_DAY
    by_name = {
        each.folder: _daily(ratios(each, rules.volatility_memory, rules.least)).filter("is_calm")["highest"].to_list()
        for each in sorted(folders, key=lambda each: each.minutes["at"][0])
    }
    if len(by_name) < 2:
        return []
    names = tuple(by_name)
    total = sum(map(len, by_name.values()))
    cut = min(range(1, len(names)), key=lambda place: abs(2 * sum(len(by_name[n]) for n in names[:place]) - total))
    found = []
    for fitted, held in ((names[:cut], names[cut:]), (names[cut:], names[:cut])):
        mine = sorted((value for name in fitted for value in by_name[name]), reverse=True)
        other = [value for name in held for value in by_name[name]]
        for each in one_in:
            level = mine[max(len(mine) // each, 1) - 1]
            hit = sum(value >= level for value in other)
            found.append(HalfLine(memory_days, each, fitted, held, level, len(other), hit))
    return found


def ratios(played: Played, memory: int, least: int) -> pl.DataFrame:
    """Each volatility that was told, over the median of those before it: `at`, `ratio`, and `is_calm` of the day."""
    calm = played.calm.select("at")
    told = played.minutes.filter(pl.col("at").dt.minute() % STEP == STEP - 1, pl.col("volatility").is_not_null())
    usual = pl.col("volatility").rolling_median(memory, min_samples=least).shift(1)
    return told.select(
        "at", ratio=pl.col("volatility") / usual, is_calm=pl.col("at").is_in(calm["at"].implode())
    ).drop_nulls("ratio")


def count_alerts(rows: pl.DataFrame, factor: float, over: float) -> tuple[int, int]:
    """Alerts that fire on calm days and in episodes; one lasts until the ratio falls below `over` times its level."""
    counts = [0, 0]
    lasts = False
    for ratio, is_calm in rows.select("ratio", "is_calm").iter_rows():
        if lasts:
            lasts = ratio >= over * factor
        elif ratio >= factor:
            lasts = True
            counts[not is_calm] += 1
    return counts[0], counts[1]


def _line(rows: Sequence[pl.DataFrame], memory_days: int, factor: float, over: float) -> LevelLine:
    fired = [count_alerts(each, factor, over) for each in rows]
    days = pl.concat([_daily(each) for each in rows])
    calm, crisis = days.filter("is_calm")["highest"], days.filter(pl.col("is_calm").not_())["highest"]
    false_alarms = sum(each for each, _ in fired)
    return LevelLine(
        memory_days=memory_days,
        factor=factor,
        calm_days=len(calm),
        crisis_days=len(crisis),
        false_alarms=false_alarms,
        false_alarms_a_day=false_alarms / len(calm) if len(calm) else 0.0,
        calm_days_hit=int((calm >= factor).sum()),
        crisis_alerts=sum(each for _, each in fired),
        crisis_days_hit=int((crisis >= factor).sum()),
    )


def _daily(rows: pl.DataFrame) -> pl.DataFrame:
    """The highest ratio of each UTC day."""
    day = pl.col("at").dt.truncate("1d")
    return rows.group_by(day, "is_calm", maintain_order=True).agg(highest=pl.col("ratio").max())


def _folders(played: Iterable[Played]) -> list[Played]:
    by_folder = {each.folder: each for each in played if not each.minutes["volatility"].is_null().all()}
    return list(by_folder.values())
