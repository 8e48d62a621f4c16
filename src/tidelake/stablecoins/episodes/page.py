"""The page of recorded episodes: a chart, a table and words for each, and how the levels of volatility were chosen."""

import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tidelake.pages.parts import cards_html, figure_html, table_html, write_framed
from tidelake.stablecoins.episodes.charts import episode_figure, levels_figure, step_minutes
from tidelake.stablecoins.episodes.lead_times import EpisodeLine, span_words
from tidelake.stablecoins.episodes.playing import Life, Played
from tidelake.stablecoins.episodes.registry import Episode
from tidelake.stablecoins.episodes.report import EpisodesReport
from tidelake.stablecoins.signals import Rules

ABOUT: Final = (
    "Bars of one minute, played bar by bar to the machines that also replay and watch. A bar is known when it ends, "
    "and no alert knows more. Days of an episode are tinted; all others count as calm, and what fires there is a false "
    "alarm. All times are UTC."
)
CHART: Final = (
    "Above: the price, with the levels of a depeg; the scale is linear within 0.5 % of 1 and one of multiples beyond, "
    "and nothing is cut off. Below: the volatility of BTC over an hour, over the median of the last seven days. Marks "
    "are where an alert reached its severity; hollow ones are false alarms. One point is {step}; extremes are kept."
)
LEVELS: Final = (
    "An alert of volatility fires where the hour's volatility is so many times the median of the days before. Grey: "
    "the levels in use. A longer median tells a crisis that lasts for days from the calm before it; one of a day has "
    "forgotten that calm by the second day."
)
HALVES: Final = (
    "Each level is read off the highest ratio of each calm day of some folders, so that one day in so many reaches it, "
    "and held against the calm days of the others."
)


def write_episodes_page(
    path: Path, played: Sequence[Played], report: EpisodesReport, rules: Rules | None = None
) -> int:
    """Write the page; gives its size in bytes. `rules` are those by which it was played."""
    rules = rules or Rules()
    title = "Recorded episodes of stablecoins"
    by_place = {(each.folder, each.pair): each for each in played}
    parts = [f"<header><h1>{title}</h1><p>{ABOUT}</p></header>", cards_html(_cards(played))]
    for found in report.alerts:
        mine = [line for line in report.lines if (line.folder, line.pair) == (found.folder, found.pair)]
        parts.append(_episode(by_place[found.folder, found.pair], mine, rules))
    if report.levels:
        parts.append(_levels(report, rules))
    return write_framed(path, title, "".join(parts))


def _cards(played: Sequence[Played]) -> list[tuple[str, str]]:
    days = sum(each.calm_days for each in played)
    calm = [life.kind for each in played for life in each.lives if life.is_calm]
    return [
        (
            f"{sum(len(each.episodes) for each in played)}",
            f"episodes, {sum(e.minutes.height for e in played):,} minutes",
        ),
        (f"{days:.3g}", "calm days"),
        (f"{calm.count('depeg')}", "false alarms of a depeg"),
        (f"{calm.count('volatility')}", "false alarms of volatility"),
        (f"{calm.count('volatility') / days:.2f}" if days else "", "of these a calm day"),
    ]


def _episode(played: Played, lines: Sequence[EpisodeLine], rules: Rules) -> str:
    names = ", ".join(episode.title for episode in played.episodes) or "no episode"
    words = "".join(f"<li>{line}</li>" for line in _words(played, lines))
    step = step_minutes(played)
    note = CHART.format(step="one minute" if step == 1 else f"{step} minutes")
    figure = figure_html(episode_figure(played, rules), f"episode-{played.folder}-{played.coin}")
    rows = [_row(line) for line in lines]
    steps = [_life_row(life) for life in played.lives]
    every = (
        f"<details><summary>Each alert</summary><div class='wide'>{table_html(steps, list(steps[0]))}</div></details>"
        if steps
        else ""
    )
    return (
        f"<section><h2>{html.escape(f'{names}: {played.pair}')}</h2><ul>{words}</ul><p>{note}</p>{figure}"
        f"<div class='wide'>{table_html(rows, list(rows[0]))}</div>{every}{_sources(played.episodes)}</section>"
    )


def _words(played: Played, lines: Sequence[EpisodeLine]) -> Iterator[str]:
    for episode in played.episodes:
        yield f"{_days(episode)}: {html.escape(episode.says)}."
        mine = [line for line in lines if line.episode == episode.name and line.kind == "depeg"]
        fired = [line for line in mine if line.fired_at is not None]
        if mine and mine[0].worst_price is not None and mine[0].worst_at is not None:
            told = f"Worst price: {mine[0].worst_price:.5g} at {mine[0].worst_at:%d %b %H:%M}. "
            yield told + (" ".join(map(_sentence, fired)) or "No alert of a depeg fired: it stayed within 0.5 %.")
    calm = [life for life in played.lives if life.is_calm]
    counts = ", ".join(
        f"{kind} {sum(life.kind == kind for life in calm)}" for kind in dict.fromkeys(life.kind for life in calm)
    )
    yield f"False alarms on {played.calm_days:.3g} calm days: {counts or 'none'}."


def _sentence(line: EpisodeLine) -> str:
    assert line.fired_at is not None, "only those that fired are told"
    lead = line.lead_s or 0.0
    ahead = "with it" if lead == 0 else f"{span_words(abs(lead))} {'before' if lead > 0 else 'after'} it"
    return f"A depeg {line.severity} fired at {line.fired_at:%d %b %H:%M}, {ahead}."


def _days(episode: Episode) -> str:
    return f"{episode.start:%d %b %Y} to {episode.end:%d %b %Y}"


def _sources(episodes: Sequence[Episode]) -> str:
    """Where the days of the episodes were read, and what is not sure about them."""
    told = [f"{each.says}: {each.url}" for episode in episodes for each in episode.statements]
    told += [source for episode in episodes for source in episode.sources]
    told += [f"doubt: {doubt}" for episode in episodes for doubt in episode.doubts]
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in told)
    return f"<details><summary>Where its days were read</summary><ul>{listed}</ul></details>" if told else ""


def _row(line: EpisodeLine) -> dict[str, Any]:
    lead = "" if line.lead_s is None else f"{'-' if line.lead_s < 0 else ''}{span_words(abs(line.lead_s))}"
    return {
        "kind": line.kind,
        "severity": line.severity,
        "fired": f"{line.fired_at:%d %b %H:%M}" if line.fired_at else "not",
        "measured": "" if line.measure is None else _measure(line.kind, line.measure),
        "last price then": "" if line.price is None else f"{line.price:.5g}",
        "lead": lead,
        "what became of it": line.became,
        "alerts": line.alerts,
        "false alarms": line.false_alarms,
        "a calm day": "" if line.false_alarms_a_day is None else f"{line.false_alarms_a_day:.2f}",
    }


def _life_row(life: Life) -> dict[str, Any]:
    return {
        "fired": f"{life.fired_at:%d %b %H:%M}",
        "kind": life.kind,
        "on a calm day": "yes" if life.is_calm else "",
        "severity": life.severity,
        "worst": _measure(life.kind, life.measure),
        "came to": life.state,
        "steps": "; ".join(f"{step.at:%H:%M} {step.severity} {step.state}: {step.reason}" for step in life.steps),
    }


def _measure(kind: str, measure: float) -> str:
    return f"{measure:.3g} times" if kind == "volatility" else f"{100 * measure:.3g} %"


def _levels(report: EpisodesReport, rules: Rules) -> str:
    figure = figure_html(levels_figure(report.levels, rules.volatility), "levels")
    rows = [
        {
            "median of days": line.memory_days,
            "level": f"{line.factor:g}",
            "false alarms": line.false_alarms,
            "a calm day": f"{line.false_alarms_a_day:.2f}",
            "calm days that reach it": f"{line.calm_days_hit} of {line.calm_days}",
            "alerts in episodes": line.crisis_alerts,
            "days of episodes that reach it": f"{line.crisis_days_hit} of {line.crisis_days}",
        }
        for line in report.levels
    ]
    half = [
        {
            "one calm day in": line.one_in,
            "of": ", ".join(line.fitted_on),
            "reaches": f"{line.level:.3g} times",
            "held against": ", ".join(line.held_against),
            "days there that reach it": f"{line.days_hit} of {line.days}",
        }
        for line in report.halves
    ]
    held = f"<p>{HALVES}</p><div class='wide'>{table_html(half, list(half[0]))}</div>" if half else ""
    every = f"<div class='wide'>{table_html(rows, list(rows[0]))}</div>"
    table = f"<details><summary>The same as a table</summary>{every}</details>"
    return f"<section><h2>Levels of volatility</h2><p>{LEVELS}</p>{figure}{table}{held}</section>"
