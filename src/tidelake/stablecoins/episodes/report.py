"""All that was found in some folders of bars: lead times, false alarms, alerts step by step, levels of volatility."""

from collections.abc import Sequence

import msgspec

from tidelake.stablecoins.episodes.lead_times import EpisodeLine, episode_lines
from tidelake.stablecoins.episodes.playing import Life, Played
from tidelake.stablecoins.episodes.volatility_levels import HalfLine, LevelLine, halves, level_lines
from tidelake.stablecoins.signals import Rules


class FolderAlerts(msgspec.Struct, frozen=True):
    """The alerts of one coin in one folder."""

    folder: str
    pair: str
    alerts: tuple[Life, ...]


class EpisodesReport(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        lines: By folder, episode, kind and severity.
        alerts: Each with its steps.
        levels: False alarms of volatility by level and memory.
        halves: Levels read off some days, held against others.
        failed: Coins whose machine stopped, and why.
    """

    lines: tuple[EpisodeLine, ...]
    alerts: tuple[FolderAlerts, ...]
    levels: tuple[LevelLine, ...]
    halves: tuple[HalfLine, ...]
    failed: tuple[str, ...]


def episodes_report(played: Sequence[Played], rules: Rules | None = None) -> EpisodesReport:
    """The report on what was played, by time; `rules` are those by which it was."""
    rules = rules or Rules()
    ordered = sorted(played, key=lambda each: (each.minutes["at"].min(), each.coin))
    return EpisodesReport(
        lines=tuple(episode_lines(ordered)),
        alerts=tuple(FolderAlerts(each.folder, each.pair, each.lives) for each in ordered),
        levels=tuple(level_lines(ordered, rules)),
        halves=tuple(halves(ordered, rules)),
        failed=tuple(f"{each.folder} {each.coin} stopped: {each.failed}" for each in ordered if each.failed),
    )
