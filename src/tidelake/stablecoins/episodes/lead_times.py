"""How early alerts came, and how many for nothing: a line for each episode, kind and severity."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
import polars as pl

from tidelake.stablecoins.episodes.playing import Life, Played
from tidelake.stablecoins.episodes.registry import Episode
from tidelake.stablecoins.signals import SEVERITIES

KINDS: Final = ("depeg", "volatility")  # what bars of prices can tell of


class EpisodeLine(msgspec.Struct, frozen=True):
    """The first alert of a kind and severity in an episode, and the false alarms of the same bars.

    Attributes:
        folder: Name of the folder of the bars.
        episode: Name of the episode; "" where the bars hold none: then all their days are calm.
        pair: Coin and quote.
        fired_at: When that severity was first known; None where it was not reached.
        price: The last price that was known then, in the quote.
        measure: What the alert measured then: distance from the peg, or volatility over its usual one.
        worst_at: When the price furthest from 1 of the episode was known; None without an episode.
        worst_price: That price.
        lead_s: `worst_at` less `fired_at`; below zero it came late.
        became: The later steps of that alert, in words.
        alerts: Alerts of the episode that reached the severity.
        calm_days: Days of the bars outside all episodes.
        false_alarms: Alerts that fired on those and reached the severity.
        false_alarms_a_day: `false_alarms` over `calm_days`; None without calm days.
    """

    folder: str
    episode: str
    pair: str
    kind: str
    severity: str
    fired_at: dt.datetime | None
    price: float | None
    measure: float | None
    worst_at: dt.datetime | None
    worst_price: float | None
    lead_s: float | None
    became: str
    alerts: int
    calm_days: float
    false_alarms: int
    false_alarms_a_day: float | None


def episode_lines(played: Iterable[Played]) -> list[EpisodeLine]:
    """A line for each folder, episode, kind and severity, in this order."""
    return [line for each in played for line in _lines(each)]


def worst(played: Played, episode: Episode) -> tuple[dt.datetime, float] | None:
    """When the price furthest from 1 of an episode was known, the first of equal ones, and that price."""
    first, last = episode.span_us
    low, high = pl.col("low") - 1.0, pl.col("high") - 1.0
    furthest = (
        played.minutes.filter(pl.col("at").dt.epoch("us").is_between(first, last, closed="left"))
        .with_columns(away=pl.max_horizontal(low.abs(), high.abs()))
        .with_columns(at_worst=pl.when(high.abs() == pl.col("away")).then("high").otherwise("low"))
        .sort("away", "known", descending=[True, False])
        .select("known", "at_worst")
    )
    return None if furthest.is_empty() else furthest.row(0)


def _lines(played: Played) -> Iterator[EpisodeLine]:
    kinds = dict.fromkeys((*KINDS, *(life.kind for life in played.lives)))
    if played.minutes["volatility"].is_null().all():
        kinds.pop("volatility")
    for episode in played.episodes or (None,):
        for kind in kinds:
            for severity in SEVERITIES:
                yield _line(played, episode, kind, severity)


def _line(played: Played, episode: Episode | None, kind: str, severity: str) -> EpisodeLine:
    reaching = [life for life in played.lives if life.kind == kind and life.reached(severity)]
    mine = [life for life in reaching if episode is not None and _is_in(life, episode)]
    lowest = worst(played, episode) if episode else None
    first = min(mine, key=lambda life: life.reached(severity).at, default=None)  # type: ignore[union-attr]
    step = first.reached(severity) if first else None
    false_alarms = sum(life.is_calm for life in reaching)
    days = played.calm_days
    return EpisodeLine(
        folder=played.folder,
        episode=episode.name if episode else "",
        pair=played.pair,
        kind=kind,
        severity=severity,
        fired_at=step.at if step else None,
        price=price_known(played, step.at) if step else None,
        measure=step.measure if step else None,
        worst_at=lowest[0] if lowest else None,
        worst_price=lowest[1] if lowest else None,
        lead_s=(lowest[0] - step.at).total_seconds() if lowest and step else None,
        became=became(first, step.at) if first and step else "",
        alerts=len(mine),
        calm_days=days,
        false_alarms=false_alarms,
        false_alarms_a_day=false_alarms / days if days else None,
    )


def _is_in(life: Life, episode: Episode) -> bool:
    first, last = episode.span_us
    return first <= life.fired_at.timestamp() * 1e6 < last


def price_known(played: Played, at: dt.datetime) -> float | None:
    """The last price that was known at a time, in the quote; None before the first."""
    known = played.minutes.filter(pl.col("known") <= at)
    return None if known.is_empty() else float(known["price"][-1])


def became(life: Life, since: dt.datetime) -> str:
    """What became of an alert from a moment on: each change of its severity or state, and its end."""
    told: list[str] = []
    before: Sequence[str] = ()
    for step in life.steps:
        now = (step.severity, step.state)
        is_end = step.reason.startswith("over")
        if step.at > since and (now != before or is_end):
            word = "over" if is_end else step.severity if before and step.severity != before[0] else step.state
            told.append(f"{word} after {span_words((step.at - since).total_seconds())}")
        elif step.at == since and step.state != "PROVISIONAL":
            told.append(f"{step.state} at once")
        before = now
    return ", ".join(told) or "lasts"


def span_words(count_s: float) -> str:
    """A span as "8 h 38 min", "15 min" or "40 s"."""
    if count_s < 60:
        return f"{count_s:.0f} s"
    minutes = round(count_s / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
